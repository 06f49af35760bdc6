"""The methods. A new one is a frozen dataclass with ``craft`` and a line in ``METHODS``: the command, the card and the
contract tests follow by themselves."""

from .base import Crafted, Method, Run
from .imported import Imported
from .min_min import EM, REM, SEM
from .patterns import AR, CUDA, LSP, OPS, Uniform

METHODS: dict[str, type[Method]] = {
    "em": EM,
    "rem": REM,
    "sem": SEM,
    "lsp": LSP,
    "ar": AR,
    "ops": OPS,
    "cuda": CUDA,
    "uniform": Uniform,
    "imported": Imported,
}

__all__ = [
    "AR",
    "CUDA",
    "EM",
    "LSP",
    "METHODS",
    "OPS",
    "REM",
    "SEM",
    "Crafted",
    "Imported",
    "Method",
    "Run",
    "Uniform",
]
