"""Perturbation-induced linearization; ``pil_loop`` makes the noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.protection.methods.base import Context, Method, Noise

if TYPE_CHECKING:
    from unlearnable.data.images import Images


@dataclass(frozen=True)
class PIL(Method):
    """perturbation-induced linearization (Liu et al., ICLR 2026): noise that one linear classifier
    reads, on images that it cannot. Seconds on a CPU for 5,000 images; undone by adversarial
    training beyond a small radius. The authors' classifier is two linear layers in a row from
    random weights; here it is one, from 0."""

    name = "pil"

    eps: float = 8.0
    """budget, in /255"""
    steps: int = 30
    """noise steps"""
    step: float = 0.8
    """size of a noise step in /255"""
    epochs: int = 30
    """passes over the images that train the linear classifier"""
    noise_weight: float = 0.9
    """weight of the cross-entropy on the noise; 1 - noise_weight: of the images' divergence from a
    uniform guess"""

    def __post_init__(self) -> None:
        require(self, positive="eps step epochs", whole="steps noise_weight")
        if self.noise_weight > 1:
            raise UserError(f"noise_weight must lie in 0..1, not {self.noise_weight}.")

    def craft(self, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.pil_loop import pil

        return Noise(pil(self, data, run))
