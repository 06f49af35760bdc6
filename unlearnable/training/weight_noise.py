"""Gaussian noise on the weights of a network, as a setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class WeightNoise:
    """A loss becomes its mean over ``draws`` networks with N(0, s^2) added to every parameter; each
    draw has its own s, uniform between 0 and ``std``."""

    std: float
    draws: int

    def stds(self, g: torch.Generator) -> list[float]:
        """Draw the standard deviation of every draw."""
        import torch

        return (self.std * torch.rand(self.draws, device=g.device, generator=g)).tolist()
