"""The methods. A new one is a frozen dataclass with ``craft`` and a line in ``METHODS``: the command, the card and the
contract tests follow by themselves."""

from .base import Crafted, Method, Run
from .imported import Imported
from .min_min import EM, REM, SEM

METHODS: dict[str, type[Method]] = {
    "em": EM,
    "rem": REM,
    "sem": SEM,
    "imported": Imported,
}

__all__ = ["EM", "METHODS", "REM", "SEM", "Crafted", "Imported", "Method", "Run"]
