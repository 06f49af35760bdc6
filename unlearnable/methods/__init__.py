"""The methods. A new one is a frozen dataclass with ``craft`` and a line in ``METHODS``: the command, the card and the
contract tests follow by themselves."""

import dataclasses

from unlearnable.core.errors import UserError
from unlearnable.core.plugins import load_object
from unlearnable.methods.base import Crafted, Method, Run
from unlearnable.methods.clusters import UnlearnableClusters
from unlearnable.methods.imported import Imported
from unlearnable.methods.min_min import EM, REM, SEM
from unlearnable.methods.ntga import NTGA
from unlearnable.methods.patterns import AR, CUDA, LSP, OPS, Uniform
from unlearnable.methods.relatives import ASR, AUE, MIUE, PUE
from unlearnable.methods.surrogate import HYPO, PIL, TAP, EntF

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
        method, where = load_object("method", name)
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
    "Crafted",
    "EM",
    "EntF",
    "HYPO",
    "Imported",
    "LSP",
    "METHODS",
    "MIUE",
    "Method",
    "NTGA",
    "OPS",
    "PIL",
    "PUE",
    "REM",
    "Run",
    "SEM",
    "TAP",
    "Uniform",
    "UnlearnableClusters",
    "find",
]
