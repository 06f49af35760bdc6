"""Relatives of the min-min family: the same loop, with another loss for the noise or the surrogate."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.protection.methods.min_min import EM, SEM, Robust
from unlearnable.training import augment
from unlearnable.training.frozen import Frozen, noised
from unlearnable.training.pgd import total_loss


@dataclass(frozen=True)
class ASR(Robust):
    """EM whose surrogate trains adversarially and must not tell the clean images' classes (2024):
    the noise then carries all of the information. Cheaper than REM; its paper's figures were not
    found."""

    uniformity_weight: float = 1.0
    """weight of the mean distance of the surrogate's guess on clean images from a uniform guess"""

    presets: ClassVar[dict[str, dict]] = SEM.presets

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, whole="uniformity_weight")

    def noise_meets(self, model: nn.Module, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        return torch.zeros_like(z)

    def surrogate_also(self) -> Callable[[nn.Module, Tensor], Tensor] | None:
        def uncertain(model: nn.Module, clean: Tensor) -> Tensor:
            guess = model(clean).float().softmax(1)
            return self.uniformity_weight * (guess - 1 / guess.shape[1]).norm(dim=1).mean()

        return uncertain if self.uniformity_weight else None


@dataclass(frozen=True)
class MIUE(EM):
    """mutual-information unlearnable examples (2026): noise draws a class's features together and
    apart from the other classes'. Its paper reports protection up to AT-6; expensive there (100
    epochs, a noise pass an epoch)."""

    steps: int = 10
    step: float | None = 0.2
    refresh_every: int = 390
    stop_error: float = 0.0
    train_steps: int = 39_000
    growth: float = 2.0
    """the size of a noise step grows in a line to this many times ``step``"""
    temperature: float = 0.1
    """by which the cosines are divided"""

    independent: ClassVar[bool] = False
    presets: ClassVar[dict[str, dict]] = {
        "paper": {},
        "short": {
            "model": "convnet",
            "refresh_every": 39,
            "train_steps": 800,
            "step": 0.8,
            "eot_samples": 1,
        },
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, positive="growth temperature")

    def noise_lowers(self, model: Frozen, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        return class_contrast(model.features(z), y, self.temperature)

    def noise_step(self, step: int) -> float:
        return super().noise_step(step) * (1 + (self.growth - 1) * step / self.train_steps)

    def lr_at(self, step: int) -> float:
        return self.lr * (0.5 + 0.5 * math.cos(math.pi * step / self.train_steps))


@dataclass(frozen=True)
class AUE(EM):
    """augmented unlearnable examples (2024): EM under the strong augmentation of contrastive
    learners, to withstand them too. One noise pass an epoch; strength 1.0 for 100 classes."""

    steps: int = 5
    step: float | None = 0.8
    eot_samples: int = 1
    refresh_every: int = 390
    stop_error: float = 0.0
    train_steps: int = 23_400
    strength: float = 0.6
    """of the augmentation, 0 to 1"""

    presets: ClassVar[dict[str, dict]] = {
        "paper": {},
        "short": {
            "model": "convnet",
            "refresh_every": 39,
            "train_steps": 800,
            "decay_every": 320,
            "step": 1.6,
        },
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, whole="strength")
        if self.strength > 1:
            raise UserError(
                f"The strength of the augmentation lies between 0 and 1, not at {self.strength}."
            )

    def views(self, height: int, width: int) -> augment.Augmentation:
        return augment.Contrastive(min(height, width), self.strength)


@dataclass(frozen=True)
class PUE(EM):
    """provably unlearnable examples (Wang et al., NDSS 2025): EM whose noise and surrogate meet the
    loss averaged over draws of the surrogate's weights with Gaussian noise on them, against
    learners whose weights end nearby. Costs ``draws`` times EM; nothing in it meets an adversary.
    ``certify`` gives its certificate. The released program takes a grid of standard deviations from
    0 to 0.25; here every draw has its own."""

    weight_std: float = 0.25
    """largest standard deviation of the noise on every parameter (not relative to its size); a
    draw's own is U(0, weight_std)"""
    draws: int = 10
    """draws of the weights, in every noise step and in every surrogate step"""

    presets: ClassVar[dict[str, dict]] = {
        "paper": {},
        # convnet hardly learns under 0.25: its first 120 steps end at a loss of 2.2 instead of 1.1
        "short": EM.presets["short"] | {"weight_std": 0.05, "draws": 3},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, positive="draws", whole="weight_std")

    def noise_lowers(self, model: Frozen, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        """Not the mean loss itself but its first-order part in z, whose gradient is the mean
        gradient: that of every draw is taken before the next draw changes the weights. The noise is
        on the real parameters, then folded."""
        if not self.weight_std:
            return super().noise_lowers(model, z, y, g)
        gradient = torch.zeros_like(z)
        for std in self.stds(g):
            with model.noised(std, g):
                leaf = z.detach().requires_grad_()
                gradient += torch.autograd.grad(total_loss(model, leaf, y), leaf)[0]
        return (gradient / self.draws * z).sum()

    def surrogate_shares(self, model: nn.Module, g: torch.Generator) -> Iterable[float]:
        if not self.weight_std:
            yield 1.0
            return
        for std in self.stds(g):
            with noised(model, std, g):
                yield 1 / self.draws

    def stds(self, g: torch.Generator) -> list[float]:
        return (self.weight_std * torch.rand(self.draws, device=g.device, generator=g)).tolist()


def class_contrast(features: Tensor, y: Tensor, temperature: float) -> Tensor:
    """Supervised contrast of features [N, D]: the sum over images of -log(sum over the others of
    the same class exp(cos / temperature) / sum over all others). Images without a classmate in the
    batch count nothing."""
    f = F.normalize(features, dim=1)
    logits = f @ f.T / temperature
    itself = torch.eye(len(y), dtype=torch.bool, device=y.device)
    mates = (y[:, None] == y[None, :]) & ~itself
    every = logits.masked_fill(itself, -torch.inf).logsumexp(1)
    # a finite floor, lest an image without classmates makes a gradient of nan
    same = logits.masked_fill(~mates, -1e9).logsumexp(1)
    return (every - same)[mates.any(1)].sum()
