"""What a protection method is: a frozen dataclass of settings with one verb, ``craft``."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from unlearnable.core.checkpoint import Checkpoint
from unlearnable.core.presets import Presets
from unlearnable.data.images import Images


@dataclass(frozen=True, eq=False)
class Context:
    """What a method is run with, beside its settings."""

    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    bfloat16: bool = False
    state: Checkpoint = field(default_factory=lambda: Checkpoint(None, {}))


@dataclass(frozen=True, eq=False)
class Noise:
    """delta: int8 [N, 3, H, W] in /255, on the CPU (int16 where it may exceed 127; None on other
    ranks than 0); generator: the surrogate, if any; passes: forward and backward passes of one
    image that it cost, over all processes."""

    delta: Tensor | None
    generator: nn.Module | None = None
    passes: int = 0


class Method(Presets, ABC):
    """Settings are the fields of the subclass, in /255 where they are pixels. ``eps`` is the
    L-infinity budget."""

    eps: ClassVar[float]  # a dataclass field, or 255 where a method does not keep to a ball
    # False: also for a flat folder, whose images have no classes
    needs_labels: ClassVar[bool] = True

    @property
    def budget(self) -> str:
        """What bounds the noise, in words, for cards and tables."""
        return f"L-inf {self.eps:g}/255"

    @abstractmethod
    def craft(self, data: Images, run: Context) -> Noise:
        """The noise for every image of ``data``; resumable through ``run.state``."""
