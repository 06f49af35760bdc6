"""The methods. A new one is a frozen dataclass with ``craft`` and a line in ``METHODS``: the command, the card and the
contract tests follow by themselves."""

from .base import Crafted, Method, Run
from .imported import Imported
from .min_min import ASR, EM, MIUE, REM, SEM
from .ntga import NTGA
from .patterns import AR, CUDA, LSP, OPS, Uniform
from .surrogate import HYPO, PIL, TAP, EntF

METHODS: dict[str, type[Method]] = {
    "em": EM,
    "rem": REM,
    "sem": SEM,
    "asr": ASR,
    "mi-ue": MIUE,
    "tap": TAP,
    "hypo": HYPO,
    "entf": EntF,
    "ntga": NTGA,
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
    "MIUE",
    "NTGA",
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
