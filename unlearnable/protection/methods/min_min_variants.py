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
from unlearnable.training.weight_noise import WeightLevels


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
    """mutual-information unlearnable examples (Zhu et al., ICLR 2026): noise draws a class's
    features together and apart from the other classes'. Its paper reports protection up to AT-6;
    expensive there (100 epochs, a noise pass per epoch). The authors mirror half of the images
    at every visit and add the noise after that; here images are as they are, or with draws of T
    image and noise move together."""

    name = "mi-ue"
    form = 2

    steps: int = 10
    step: float | None = 0.2
    eot_samples: int = 0
    warm_start: bool = True
    refresh_every: int = 390
    stop_error: float = 0.0
    train_steps: int = 39_000
    noise_batch: int | None = 512
    weight_decay: float = 1e-4
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
            zero_start=True,
            valid=True,
        )


@dataclass(frozen=True)
class AUE(MinMin):
    """augmented unlearnable examples (Wang et al., NeurIPS 2024): EM under the strong augmentation
    of contrastive learners, to withstand them too. 60 epochs with a noise pass after each; strength
    1.0 for 100 classes."""

    name = "aue"
    form = 2

    steps: int = 5
    reach: float = 0.5
    eot_samples: int = 1
    warm_start: bool = True
    refresh_every: int = 390
    stop_error: float = 0.0
    train_steps: int = 23_400
    weight_decay: float = 1e-4
    strength: float = 0.6
    """of the augmentation, 0 to 1"""

    presets: ClassVar[dict[str, dict]] = {
        "paper": {},
        "short": {"model": "convnet", "refresh_every": 39, "train_steps": 800, "reach": 1.0},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, whole="strength")
        if self.strength > 1:
            raise UserError(
                f"The strength of the augmentation lies between 0 and 1, not at {self.strength}."
            )

    def unused(self) -> dict[str, str]:
        if self.eot_samples:
            return {}
        return {"strength": "it is of the augmentation; give --eot-samples 1 or more"}

    @property
    def slots(self) -> Slots:
        transform = ContrastiveTransform(self.strength)
        return Slots(transform=transform, schedule="cosine", zero_start=True, valid=True)


@dataclass(frozen=True)
class PUE(MinMin):
    """provably unlearnable examples (Wang et al., NDSS 2025): EM until the surrogate is right on
    half of the protected images; from then on, noise and surrogate take a step for every level of
    Gaussian noise on the surrogate's weights, down the loss averaged over draws. Against learners
    whose weights end nearby; nothing in it meets an adversary. Costs about ``levels`` x ``draws``
    times EM. The first noise is a random draw; that of the authors' program is 0. ``certify`` gives
    its certificate."""

    name = "pue"
    form = 2

    steps: int = 20
    eot_samples: int = 0
    warm_start: bool = True
    refresh_every: int = 10
    stop_error: float = 1.0
    weight_std: float = 0.25
    """largest standard deviation of the noise on every parameter (not relative to its size)"""
    levels: int = 6
    """standard deviations from 0 to weight_std, evenly spaced"""
    draws: int = 10
    """draws of the weights per level, in every noise step"""
    train_draws: int = 100
    """draws of the weights per level, in every surrogate step"""
    from_accuracy: float = 50.0
    """the surrogate's accuracy on the protected images, in %, above which weight noise begins"""

    presets: ClassVar[dict[str, dict]] = {
        "paper": {},
        "short": EM.presets["short"]
        | {"weight_std": 0.05, "levels": 2, "draws": 3, "train_draws": 3},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, positive="levels draws train_draws", whole="weight_std from_accuracy")

    @property
    def slots(self) -> Slots:
        if not self.weight_std:
            return Slots()
        levels = (self.weight_std, self.levels, self.draws, self.train_draws, self.from_accuracy)
        return Slots(weight_noise=WeightLevels(*levels))
