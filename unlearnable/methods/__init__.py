"""The methods. A new one is a frozen dataclass with ``craft`` and a line in ``METHODS``: the command, the card and the
contract tests follow by themselves."""

from .base import Crafted, Method, Run
from .imported import Imported
from .min_min import ASR, EM, REM, SEM
from .patterns import AR, CUDA, LSP, OPS, Uniform
from .surrogate import HYPO, PIL, TAP, EntF

METHODS: dict[str, type[Method]] = {
    "em": EM,
    "rem": REM,
    "sem": SEM,
    "asr": ASR,
    "tap": TAP,
    "hypo": HYPO,
    "entf": EntF,
    "pil": PIL,
    "lsp": LSP,
    "ar": AR,
    "ops": OPS,
    "cuda": CUDA,
    "uniform": Uniform,
    "imported": Imported,
}

__all__ = [
    "AR",
    "ASR",
    "CUDA",
    "EM",
    "HYPO",
    "LSP",
    "METHODS",
    "OPS",
    "PIL",
    "REM",
    "SEM",
    "TAP",
    "Crafted",
    "EntF",
    "Imported",
    "Method",
    "Run",
    "Uniform",
]
