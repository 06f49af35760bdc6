"""The methods. A new one is a frozen dataclass with ``craft`` and a place in ``METHODS``: the
command, the card and the contract tests follow by themselves."""

import dataclasses

from unlearnable.core.errors import UserError, unknown
from unlearnable.core.plugins import load_object
from unlearnable.protection.methods.base import Context, Method, Noise
from unlearnable.protection.methods.clusters import UnlearnableClusters
from unlearnable.protection.methods.fixed_surrogate import HYPO, TAP, EntF
from unlearnable.protection.methods.imported import Imported
from unlearnable.protection.methods.min_min import EM, REM, SEM
from unlearnable.protection.methods.min_min_variants import ASR, AUE, MIUE, PUE
from unlearnable.protection.methods.ntga import NTGA
from unlearnable.protection.methods.patterns import AR, CUDA, LSP, OPS, Uniform
from unlearnable.protection.methods.pil import PIL

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        EM,
        REM,
        SEM,
        ASR,
        AUE,
        MIUE,
        PUE,
        TAP,
        HYPO,
        EntF,
        NTGA,
        PIL,
        UnlearnableClusters,
        LSP,
        AR,
        OPS,
        CUDA,
        Uniform,
        Imported,
    )
}


def find_method(name: str) -> type[Method]:
    """Return the method called ``name`` in the table, or a user's own as my_module:Class. Raises
    UserError where there is none."""
    if ":" in name:
        method, where = load_object("method", name)
        if not (
            isinstance(method, type)
            and issubclass(method, Method)
            and dataclasses.is_dataclass(method)
        ):
            raise UserError(
                f"method '{name}': that {where} is not a dataclass with the base class "
                "unlearnable.Method; make it one"
            )
        return method
    if name not in METHODS:
        raise unknown("method", name, METHODS, ", or your own as my_module:Class")
    return METHODS[name]


__all__ = [
    "AR",
    "ASR",
    "AUE",
    "CUDA",
    "Context",
    "EM",
    "EntF",
    "HYPO",
    "Imported",
    "LSP",
    "METHODS",
    "MIUE",
    "Method",
    "NTGA",
    "Noise",
    "OPS",
    "PIL",
    "PUE",
    "REM",
    "SEM",
    "TAP",
    "Uniform",
    "UnlearnableClusters",
    "find_method",
]
