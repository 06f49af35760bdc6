"""Named settings of a frozen dataclass: the default values are one preset, the others change some
fields."""

import math
from dataclasses import Field, fields, is_dataclass
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

    def unused(self) -> dict[str, str]:
        """Return which fields do nothing beside the values of others: their names, with spaces
        between them, and why, in words that end in what to do."""
        return {}

    def require_used(self, preset: str) -> None:
        """Raise UserError where a field that does nothing was changed from that of ``preset``."""
        before = vars(type(self).preset(preset))
        for names, why in self.unused().items():
            for name in names.split():
                if vars(self)[name] != before[name]:
                    raise UserError(f"{name} does nothing here: {why}, or leave it out.")


def require(owner: object, *, positive: str = "", whole: str = "") -> None:
    """Raise UserError unless every field named in ``positive`` is above 0, every field named in
    ``whole`` is 0 or more, and every number finite. Fields left at None (derived from others)
    pass."""
    require_finite(owner)
    for names, low in ((positive, "above 0"), (whole, "0 or more")):
        for name in names.split():
            value = getattr(owner, name)
            if value is not None and not (value > 0 if low == "above 0" else value >= 0):
                raise UserError(f"{name} must be {low}, not {value}.")


def require_finite(owner: object) -> None:
    """Raise UserError for a NaN or an infinity among the fields of a dataclass and of those in it:
    each passes some comparison that a number would not."""
    for field in fields(owner) if is_dataclass(owner) else ():
        value = getattr(owner, field.name)
        if any(isinstance(v, float) and not math.isfinite(v) for v in _each(value)):
            raise UserError(f"{field.name} must be a finite number, not {value}.")
        require_finite(value)


def _each(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)


def require_seed(*seeds: int) -> None:
    """Raise UserError for a seed that a generator does not take."""
    for seed in seeds:
        if not 0 <= seed < 2**63:
            raise UserError(f"A seed must lie between 0 and 2^63 - 1; {seed} does not.")
