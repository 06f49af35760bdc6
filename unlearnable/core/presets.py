"""Named settings of a frozen dataclass: the default values are one preset, the others change some
fields."""

from dataclasses import Field
from typing import Any, ClassVar, Self

from unlearnable.core.errors import UserError, unknown


class Presets:
    """Mixed into the dataclasses that a user configures (methods, ``Recipe``)."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {}}
    # For type checkers only: every class that inherits from this one is a dataclass.
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @classmethod
    def preset(cls, name: str, **changes: object) -> Self:
        """Return the settings called ``name`` with ``changes`` on top. Raises UserError for an
        unknown name."""
        if name not in cls.presets:
            raise unknown("preset", name, cls.presets)
        return cls(**cls.presets[name] | changes)


def require(owner: object, *, positive: str = "", whole: str = "") -> None:
    """Raise UserError unless every field named in ``positive`` is above 0 and every field named in
    ``whole`` is 0 or more. Fields left at None (derived from others) pass."""
    for names, low in ((positive, "above 0"), (whole, "0 or more")):
        for name in names.split():
            value = getattr(owner, name)
            if value is not None and not (value > 0 if low == "above 0" else value >= 0):
                raise UserError(f"{name} must be {low}, not {value}.")
