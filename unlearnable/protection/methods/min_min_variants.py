"""Relatives of the min-min family: the same loop, with other losses in its slots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.protection.methods.min_min import EM, SEM, MinMin, Robust
from unlearnable.protection.methods.slots import (
    ClassContrast,
    ContrastiveTransform,
    Slots,
    UniformGuess,
)
from unlearnable.training.weight_noise import WeightNoise


@dataclass(frozen=True)
class ASR(Robust):
    """EM whose surrogate trains adversarially and must not tell the clean images' classes (2024):
    the noise then carries all of the information. Cheaper than REM; its paper's figures were not
    found."""

    name = "asr"

    uniformity_weight: float = 1.0
    """weight of the mean distance of the surrogate's guess on clean images from a uniform guess"""

    presets: ClassVar[dict[str, dict]] = SEM.presets

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, whole="uniformity_weight")

    @property
    def slots(self) -> Slots:
        weight = self.uniformity_weight
        return Slots(
            surrogate_sees=self.adversary, regularizer=UniformGuess(weight) if weight else None
        )


@dataclass(frozen=True)
class MIUE(MinMin):
    """mutual-information unlearnable examples (2026): noise draws a class's features together and
    apart from the other classes'. Its paper reports protection up to AT-6; expensive there (100
    epochs, a noise pass per epoch)."""

    name = "mi-ue"

    steps: int = 10
    step: float | None = 0.2
    eot_samples: int = 0
    warm_start: bool = True
    refresh_every: int = 390
    stop_error: float = 0.0
    train_steps: int = 39_000
    growth: float = 2.0
    """the size of a noise step grows linearly to this many times ``step``"""
    temperature: float = 0.1
    """by which the cosines are divided"""

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

    @property
    def slots(self) -> Slots:
        return Slots(
            noise_loss=ClassContrast(self.temperature),
            noise_step_growth=self.growth,
            schedule="cosine",
        )


@dataclass(frozen=True)
class AUE(MinMin):
    """augmented unlearnable examples (2024): EM under the strong augmentation of contrastive
    learners, to withstand them too. One noise pass per epoch; strength 1.0 for 100 classes."""

    name = "aue"

    steps: int = 5
    step: float | None = 0.8
    eot_samples: int = 1
    warm_start: bool = True
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

    @property
    def slots(self) -> Slots:
        return Slots(transform=ContrastiveTransform(self.strength))


@dataclass(frozen=True)
class PUE(MinMin):
    """provably unlearnable examples (Wang et al., NDSS 2025): EM whose noise and surrogate meet the
    loss averaged over draws of the surrogate's weights with Gaussian noise on them, against
    learners whose weights end nearby. Costs ``draws`` times EM; nothing in it meets an adversary.
    ``certify`` gives its certificate. The released program takes a grid of standard deviations from
    0 to 0.25; here every draw has its own."""

    name = "pue"

    steps: int = 20
    eot_samples: int = 0
    warm_start: bool = True
    refresh_every: int = 10
    stop_error: float = 1.0
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

    @property
    def slots(self) -> Slots:
        std = self.weight_std
        return Slots(weight_noise=WeightNoise(std, self.draws) if std else None)
