"""The methods. A new one is a frozen dataclass with ``craft`` and a line in ``METHODS``: the command, the card and the
contract tests follow by themselves."""

import dataclasses

from ..errors import UserError
from ..own_code import own
from .base import Crafted, Method, Run
from .clusters import UnlearnableClusters
from .imported import Imported
from .min_min import EM, REM, SEM
from .ntga import NTGA
from .patterns import AR, CUDA, LSP, OPS, Uniform
from .relatives import ASR, AUE, MIUE, PUE
from .surrogate import HYPO, PIL, TAP, EntF

METHODS: dict[str, type[Method]] = {
    "em": EM,
    "rem": REM,
    "sem": SEM,
    "asr": ASR,
    "aue": AUE,
    "mi-ue": MIUE,
    "pue": PUE,
    "tap": TAP,
    "hypo": HYPO,
    "entf": EntF,
    "ntga": NTGA,
    "pil": PIL,
    "unlearnable-clusters": UnlearnableClusters,
    "lsp": LSP,
    "ar": AR,
    "ops": OPS,
    "cuda": CUDA,
    "uniform": Uniform,
    "imported": Imported,
}


def find(name: str) -> type[Method]:
    """The method called ``name`` in the table, or a person's own as my_module:Class. Raises UserError."""
    if ":" in name:
        method, where = own("method", name)
        if not (isinstance(method, type) and issubclass(method, Method) and dataclasses.is_dataclass(method)):
            raise UserError(f"method '{name}': that {where} is no dataclass with the base class unlearnable.Method")
        return method
    if name not in METHODS:
        raise UserError(f"There is no method '{name}'; the methods are {', '.join(METHODS)}, or my_module:Class.")
    return METHODS[name]


__all__ = [
    "AR",
    "ASR",
    "AUE",
    "CUDA",
    "EM",
    "HYPO",
    "LSP",
    "METHODS",
    "MIUE",
    "NTGA",
    "OPS",
    "PIL",
    "PUE",
    "REM",
    "SEM",
    "TAP",
    "Crafted",
    "EntF",
    "Imported",
    "Method",
    "Run",
    "Uniform",
    "UnlearnableClusters",
    "find",
]
