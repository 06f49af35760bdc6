"""What several verbs ask for, and how options become dataclasses."""

from dataclasses import dataclass
from typing import TypeVar

import tyro
from tyro.conf import OmitArgPrefixes

from unlearnable.data.images import Images
from unlearnable.data.load import load
from unlearnable.training.precision import Precision

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """Which images."""

    data: str = "shapes"
    """a name of `unlearnable ls data`, a folder with one sub-folder of images a class, or a
    protected folder; for unlearnable-clusters and uniform also a folder of images without
    sub-folders"""
    limit: int | None = None
    """at most this many images, the same number of every class"""
    classes: tuple[str, ...] | None = None
    """only these classes"""
    size: int | None = None
    """resize the images of a folder to size x size pixels"""
    data_seed: int = 0
    """chooses the images under --limit; generates `shapes`"""
    root: str | None = None
    """where the named sets lie (default: $UNLEARNABLE_DATA, else ./data)"""

    def load(self) -> Images:
        return load(
            self.data,
            limit=self.limit,
            classes=self.classes,
            seed=self.data_seed,
            size=self.size,
            root=self.root,
        )


@dataclass(frozen=True)
class Machine:
    """How it runs."""

    seed: int = 0
    """draws weights, batches, noise"""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""
    precision: Precision = "auto"
    """bf16 or fp32 networks; auto: bf16 where it is fast"""


def options(verb: str, text: str, options: type[T], args: list[str], default: T | None = None) -> T:
    kind = OmitArgPrefixes[options]  # --eps, not --method.eps
    return tyro.cli(
        kind,
        args=args,
        prog=f"unlearnable {verb}",
        description=text,
        **({"default": default} if default else {}),
    )


def take(args: list[str], option: str, fallback: str) -> tuple[str, list[str]]:
    """The value of one option, taken out of the arguments: a preset has to be known before the
    other defaults are."""
    for k, a in enumerate(args):
        if a == option and k + 1 < len(args):
            return args[k + 1], args[:k] + args[k + 2 :]
        if a.startswith(option + "="):
            return a.split("=", 1)[1], args[:k] + args[k + 1 :]
    return fallback, args


def about(kind: type) -> str:
    """A class's docstring in one line."""
    return " ".join((kind.__doc__ or "").split())
