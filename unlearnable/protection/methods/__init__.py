"""The methods. A new one is a frozen dataclass with ``craft`` and a place in ``METHODS``: the
command, the card and the contract tests follow by themselves."""

import dataclasses
import inspect

from unlearnable.core.errors import UserError, unknown
from unlearnable.core.plugins import load_object
from unlearnable.protection.methods.base import Context, Method, Noise
from unlearnable.protection.methods.class_swap import ClassSwap
from unlearnable.protection.methods.class_uap import ClassUAP
from unlearnable.protection.methods.clusters import UnlearnableClusters
from unlearnable.protection.methods.fixed_surrogate import HYPO, TAP, EntF
from unlearnable.protection.methods.imported import Imported
from unlearnable.protection.methods.min_min import EM, REM, SEM
from unlearnable.protection.methods.min_min_variants import ASR, AUE, MIUE, PUE
from unlearnable.protection.methods.noise_net import NoiseNet
from unlearnable.protection.methods.ntga import NTGA
from unlearnable.protection.methods.patterns import AR, CUDA, LSP, OPS, Gratings, Uniform
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
        ClassUAP,
        ClassSwap,
        NoiseNet,
        Gratings,
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
        if problem := _problem(method):
            raise UserError(f"method '{name}' {where} {problem}.")
        return method
    if name not in METHODS:
        raise unknown("method", name, METHODS, ", or your own as my_module:Class")
    return METHODS[name]


def _problem(method: type[Method]) -> str | None:
    """What keeps a user's own method from becoming a command, or None."""
    names = {f.name for f in dataclasses.fields(method)}
    for f in dataclasses.fields(method):
        if f.default is f.default_factory is dataclasses.MISSING:
            return f"has no default for its setting {f.name}; give one"
    if inspect.isabstract(method):
        return f"lacks {', '.join(sorted(method.__abstractmethods__))}; write it"
    if not isinstance(method.name, str):
        return "has a name that is not a text; name it in quotes"
    presets: object = method.presets
    if not isinstance(presets, dict) or "paper" not in presets:
        return "has presets without 'paper'; give a dictionary of them, {'paper': {}} at least"
    for preset, changes in presets.items():
        if not isinstance(changes, dict) or not names.issuperset(changes):
            return f"has a preset '{preset}' of what are not its settings; correct it"
    return None


__all__ = [
    "AR",
    "ASR",
    "AUE",
    "CUDA",
    "ClassSwap",
    "ClassUAP",
    "Context",
    "EM",
    "EntF",
    "Gratings",
    "HYPO",
    "Imported",
    "LSP",
    "METHODS",
    "MIUE",
    "Method",
    "NTGA",
    "Noise",
    "NoiseNet",
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
