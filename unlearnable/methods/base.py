"""What a protection method is: a frozen dataclass of settings with one verb, ``craft``."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..data import Images
from ..presets import Presets
from ..state import State


@dataclass(frozen=True, eq=False)
class Run:
    """What a method is run with, beside its settings."""

    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    bfloat16: bool = False
    state: State = field(default_factory=lambda: State(None, {}))


@dataclass(frozen=True, eq=False)
class Crafted:
    """delta: int8 [N, 3, H, W] in /255, on the CPU (None on other ranks than 0); generator: the surrogate, if any."""

    delta: Tensor | None
    generator: nn.Module | None = None


class Method(Presets, ABC):
    """Settings are the fields of the subclass, in /255 where they are pixels. ``eps`` is the L-infinity budget."""

    eps: ClassVar[float]  # a dataclass field of every method

    @abstractmethod
    def craft(self, data: Images, run: Run) -> Crafted:
        """The noise for every picture of ``data``; resumable through ``run.state``."""
