"""Check that a value that was read from JSON has the type that the code expects."""

from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

Percent = Annotated[float, (0, 100)]
"""a share in %: ``mismatch`` takes numbers outside of 0 to 100 for damage, NaN too"""


def mismatch(value: object, hint: Any, where: str = "") -> str | None:
    """Return the first place at which ``value`` is not of the type ``hint``, in words; None where
    it fits. Dataclasses may stand as dictionaries of their fields, tuples as lists, whole numbers
    for others; keys that the type does not have are allowed."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return None
    if origin is NotRequired:
        return mismatch(value, inner[0], where)
    if origin is Annotated:
        low, high = inner[1]
        fits = mismatch(value, inner[0]) is None and low <= value <= high
        return None if fits else f"wrong {where}"
    if origin in (Union, UnionType):
        return None if any(mismatch(value, h) is None for h in inner) else f"wrong {where}"
    if origin is Literal:
        return None if value in inner and isinstance(value, str) else f"wrong {where}"
    if is_typeddict(hint) or is_dataclass(hint):
        return _keys(value, hint, where)
    if origin is dict:
        return _first(value.items(), inner, where) if isinstance(value, dict) else f"wrong {where}"
    if origin in (list, tuple):
        if not isinstance(value, list | tuple):
            return f"wrong {where}"
        return _first(enumerate(value), (int, inner[0]), where)
    if hint is float:
        return None if _is(value, int) or isinstance(value, float) else f"wrong {where}"
    return None if _is(value, hint or NoneType) else f"wrong {where}"


def _is(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _keys(value: object, hint: Any, where: str) -> str | None:
    if is_dataclass(value):
        value = vars(value)
    if not isinstance(value, dict):
        return f"wrong {where}" if where else "no keys"
    needed = getattr(hint, "__required_keys__", None)
    if is_dataclass(hint):
        needed = {f.name for f in fields(hint) if f.default is f.default_factory is MISSING}
    for name, inner in get_type_hints(hint, include_extras=True).items():
        if name in value:
            if problem := mismatch(value[name], inner, f"{where}.{name}" if where else name):
                return problem
        elif needed and name in needed:
            return f"no '{name}'"
    return None


def _first(each: Any, inner: tuple, where: str) -> str | None:
    for key, v in each:
        if not isinstance(key, inner[0]):
            return f"wrong {where}"
        if problem := mismatch(v, inner[1], f"{where}.{key}"):
            return problem
    return None
