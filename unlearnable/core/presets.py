"""Named settings of a frozen dataclass: the default values are one preset, the others change some
fields."""

import math
import operator
from dataclasses import Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

from unlearnable.core.errors import UserError, unknown
from unlearnable.core.typed_json import mismatch

IN_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a text",
    NoneType: "None",
}


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

    def require_used(self, preset: str, more: dict[str, str] | None = None) -> None:
        """Raise UserError where a field that does nothing was changed from that of ``preset``.
        more: further ones than ``unused`` has, in its form, where the caller knows of them."""
        before = vars(type(self).preset(preset))
        for names, why in (self.unused() | (more or {})).items():
            for name in names.split():
                if vars(self)[name] != before[name]:
                    raise UserError(f"{name} does nothing here: {why}, or leave it out.")


def require(owner: object, *, positive: str = "", whole: str = "") -> None:
    """Raise UserError unless every field named in ``positive`` is above 0, every field named in
    ``whole`` is 0 or more, every number finite, and every setting of its type. Fields left at None
    (derived from others) pass."""
    if isinstance(owner, Presets):
        require_types(owner)
    require_finite(owner)
    for names, low in ((positive, "above 0"), (whole, "0 or more")):
        for name in names.split():
            value = getattr(owner, name)
            if value is not None and not (value > 0 if low == "above 0" else value >= 0):
                raise UserError(f"{name} must be {low}, not {value}.")


def require_types(owner: Presets) -> None:
    """Raise UserError for a setting that is not of its type or not among its choices: a misspelled
    one would run something else, and the card would call it what was typed. NumPy's numbers become
    Python's, as JSON holds them."""
    try:
        hints = get_type_hints(type(owner))
    except NameError:  # of a class of one's own, whose hints are for type checkers only
        return
    for field in fields(owner):
        value, hint = getattr(owner, field.name), hints[field.name]
        if getattr(value, "shape", None) == () and hasattr(value, "item"):
            value = value.item()
            object.__setattr__(owner, field.name, value)
        try:
            wrong = mismatch(value, hint)
        except TypeError:  # a hint that JSON has no form of, of a class of one's own
            continue
        if wrong and get_origin(hint) is Literal:
            raise unknown(field.name, str(value), get_args(hint))
        if wrong:
            kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
            words = [IN_WORDS.get(kind, str(kind)) for kind in kinds]
            raise UserError(f"{field.name} must be {' or '.join(words)}, not {value!r}.")


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


def require_seed(seed: int) -> int:
    """Return a seed as Python's int: what is drawn depends on how a seed is written, and NumPy's 1
    is written otherwise. Raises UserError for one that a generator does not take."""
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if isinstance(seed, bool) or not 0 <= number < 2**63:
        raise UserError(f"A seed must be a whole number from 0 to 2^63 - 1; {seed!r} is not.")
    return number
