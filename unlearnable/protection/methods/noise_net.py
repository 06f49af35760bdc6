"""Noise from one network for all images; ``noise_net_loop`` trains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.protection.methods.base import Context, GeneratorMethod, Noise, mixed_probe

if TYPE_CHECKING:
    from pathlib import Path

    from unlearnable.data.images import Images
    from unlearnable.training.recipe import Recipe


@dataclass(frozen=True)
class NoiseNet(GeneratorMethod):
    """a noise network (this project's): min-min noise as SEM's (Liu et al., AAAI 2024), but made by
    one U-Net from image and class, as in DeepConfuse (Feng et al., NeurIPS 2019), which is trained
    in turn with an adversarially trained surrogate. Its cost does not grow with the number of
    images, further ones take one pass, and no image gets a color cast. In coarse cells it becomes
    much the same for all images of a class: subtracting the mean image of each class undoes it.
    Frozen pretrained networks get past it, adversarial training well beyond its radius (2: photos
    give way to 4, small images to 8) too, and a purifier trained on pairs brings much back."""

    name = "noise-net"

    eps: float = 8.0
    """budget of the noise, in /255"""
    adv_eps: float = 4.0
    """radius that the noise is built to withstand, in /255"""
    steps: int = 2
    """Adam steps of the noise network per surrogate step"""
    zero_mean: bool = True
    """take the mean out of every channel of an image's noise: a color cast is seen, and white
    balance removes it"""
    cell: int = 1
    """side in pixels of the squares over which the noise is averaged; 1: none. Coarse noise looks
    alike to learners of other sizes than its own"""
    gray_prob: float = 0.0
    """share of the draws of T that lose their colors, 0 to 1: against learners of gray copies"""
    width: int = 24
    """channels of the noise network at full size"""
    net_lr: float = 2e-3
    """learning rate of the noise network's Adam; falls to 0 over the second half"""
    model: str = "airbench-half"
    """the surrogate: a name of `unlearnable ls models`, or my_module:factory"""
    train_steps: int = 400
    """surrogate steps"""
    batch: int = 128
    """images per step, over all processes"""
    lr: float = 0.1
    """of the surrogate; rises over 20 steps, falls to 0 over the second half"""
    momentum: float = 0.9
    """of the surrogate's SGD"""
    weight_decay: float = 5e-4
    """of the surrogate's SGD"""

    presets = {
        "paper": {},
        # a few hundred photos at 32 px, ten minutes of one CPU core
        "short": {
            "adv_eps": 2.0,
            "cell": 4,
            "gray_prob": 0.5,
            "width": 16,
            "train_steps": 300,
            "batch": 96,
        },
        # 5,000 and all images of CIFAR-10: stripes in brightness, which outlive gray copies and
        # JPEG (docs/results.md)
        "small": {"adv_eps": 2.0, "gray_prob": 0.5, "model": "convnet", "train_steps": 800},
        "full": {"gray_prob": 0.5, "train_steps": 800, "batch": 250, "lr": 0.2},
    }

    def __post_init__(self) -> None:
        require(self, positive="eps steps cell width net_lr train_steps batch lr")
        require(self, whole="adv_eps momentum weight_decay")
        if not 0 <= self.gray_prob <= 1:
            raise UserError(f"gray_prob is a probability between 0 and 1, not {self.gray_prob}.")

    def craft(self, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.noise_net_loop import noise_net

        return noise_net(self, data, run)

    def share_at(self, step: int) -> float:
        """Return the share of both learning rates at surrogate step ``step``: 1, then falling to 0
        over the second half."""
        return min(1.0, 2 * (1 - step / self.train_steps))

    def lr_at(self, step: int) -> float:
        """Return the surrogate's learning rate at its step ``step``."""
        return self.lr * self.share_at(step) * min(1.0, (step + 1) / 20)

    def passes(self, images: int) -> int:
        frozen, training = self._passes(images)
        return frozen + training + images  # at the end, once for every image

    def probe(self, images: int) -> Recipe:
        frozen, training = self._passes(images)
        return mixed_probe(self.model, self.batch, frozen=frozen, training=training)

    @property
    def generator_model(self) -> str:
        return self.model

    def further(self, file: Path, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.noise_net_loop import noise_of_further

        return noise_of_further(self, file, data, run)

    def further_passes(self, images: int) -> int:
        return images

    def further_probe(self, images: int) -> Recipe:
        return mixed_probe(self.model, self.batch, frozen=images, training=0)

    def _passes(self, images: int) -> tuple[int, int]:
        """Passes of the frozen surrogate, and those that also have gradients of weights: the noise
        network's and the surrogate's."""
        visited = self.train_steps * min(self.batch, images)
        return visited * (self.steps + 1), visited * (self.steps + 2)
