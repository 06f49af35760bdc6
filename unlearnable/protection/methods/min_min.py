"""The min-min family: noise and surrogate descend the same loss in turn. A member is its settings
and its ``slots``: EM, REM and SEM differ only in what the protected image meets before the loss is
taken (nothing, an adversary, a uniform draw from the adversary's ball). The loop itself stands in
``min_min_loop``.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.protection.methods.base import Context, GeneratorMethod, Noise, mixed_probe
from unlearnable.protection.methods.slots import Adversary, Slots, UniformPerturbation

if TYPE_CHECKING:
    from pathlib import Path

    from unlearnable.data.images import Images
    from unlearnable.training.recipe import Recipe

FURTHER_VISITS = 20  # of further images whose noise is warm-started, with few steps per visit


@dataclass(frozen=True)
class MinMin(GeneratorMethod):
    """The settings that the whole family shares."""

    eps: float = 8.0
    """budget of the noise, in /255 (the paper's rho_u)"""
    steps: int = 10
    """noise steps per visit (K_u)"""
    step: float | None = None
    """size of a noise step in /255; default: reach x eps / steps (the paper's eps / 5 at 10
    steps)"""
    reach: float = 2.0
    """how far all default steps together go, the noise's and the adversary's, in radii"""
    eot_samples: int = 5
    """draws of the augmentation T per noise step (J); 0: no T, neither for the noise nor for the
    surrogate"""
    gray_prob: float = 0.0
    """share of the draws of T that lose their colors, 0 to 1: against learners of gray copies"""
    warm_start: bool = False
    """start a visit from the noise of the last one, not from a fresh random draw"""
    noise_type: Literal["samplewise", "classwise"] = "samplewise"
    """one noise per image, or one per class, which steps along the sign of its images' summed
    gradient (Huang et al.'s program: the mean of its images' own steps)"""
    refresh_every: int = 0
    """0: update a batch's noise when the batch is visited; k: update all noise after every k
    surrogate steps"""
    stop_error: float = 0.0
    """stop once the surrogate's error on the protected images is below this, in %; needs
    refresh_every"""
    model: str = "resnet18"
    """the surrogate: a name of `unlearnable ls models`, or my_module:factory"""
    train_steps: int = 5000
    """surrogate steps (M), at most"""
    batch: int = 128
    """images per step, over all processes"""
    noise_batch: int | None = None
    """images per chunk of a pass that updates all noise; default: batch"""
    lr: float = 0.1
    """learning rate of the surrogate's SGD at its start"""
    momentum: float = 0.9
    """of the surrogate's SGD"""
    weight_decay: float = 5e-4
    """of the surrogate's SGD"""
    decay_every: int = 2000
    """surrogate steps between two decays of lr"""
    lr_decay: float = 0.1
    """factor of a decay"""

    def __post_init__(self) -> None:
        require(self, positive="eps step reach batch noise_batch train_steps")
        require(self, positive="decay_every lr")
        require(self, whole="steps eot_samples refresh_every stop_error momentum weight_decay")
        if self.stop_error and not self.refresh_every:
            raise UserError(
                "stop_error is checked after a noise pass; set refresh_every too, or leave it at 0."
            )
        decay = self.decay_every, self.lr_decay
        if self.slots.schedule == "cosine" and decay != (MinMin.decay_every, MinMin.lr_decay):
            raise UserError(
                f"The learning rate of {self.name} falls along a cosine; leave decay_every and "
                "lr_decay out."
            )
        if not 0 <= self.gray_prob <= 1:
            raise UserError(f"gray_prob is a probability between 0 and 1, not {self.gray_prob}.")
        if self.gray_prob and not self.eot_samples:
            raise UserError(
                "gray_prob is a part of T; set eot_samples to 1 or more too, or gray_prob to 0."
            )

    @property
    @abstractmethod
    def slots(self) -> Slots:
        """What this member puts into the loop."""

    def craft(self, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.min_min_loop import min_min

        return min_min(self, data, run)

    def noise_step(self, step: int) -> float:
        """Return the size of a noise step in /255 at surrogate step ``step``."""
        first = self.step
        if first is None:
            first = self.reach * self.eps / max(1, self.steps)
        return first * (1 + (self.slots.noise_step_growth - 1) * step / self.train_steps)

    def lr_at(self, step: int) -> float:
        """Return the surrogate's learning rate at its step ``step``."""
        if self.slots.schedule == "cosine":
            return self.lr * (0.5 + 0.5 * math.cos(math.pi * step / self.train_steps))
        return self.lr * self.lr_decay ** (step // self.decay_every)

    @property
    def copies(self) -> int:
        """Copies of an image that go through the surrogate together in a noise step."""
        return max(1, self.eot_samples)

    @property
    def passes_per_update(self) -> int:
        """Passes of one image in one update of its noise."""
        noise = self.slots.weight_noise
        drawn = sum(level.draws for level in noise.of(noise.draws)) if noise else 1
        return self.steps * self.copies * (self.slots.noise_sees.passes + drawn)

    counts_protected = True

    def passes(self, images: int, protected: int | None = None) -> int:
        """Count as ``Method.passes`` does, where so many of the images get noise (None: all)."""
        return sum(self._passes(images, protected))

    def probe(self, images: int, protected: int | None = None) -> Recipe:
        frozen, training = self._passes(images, protected)
        return mixed_probe(self.model, self.batch, frozen=frozen, training=training)

    @property
    def generator_model(self) -> str:
        return self.model

    def check_further(self, file: Path) -> None:
        if self.noise_type == "classwise":
            raise UserError(
                f"{file} was made for class-wise noise, which is not kept in it; protect all "
                "images again."
            )

    @property
    def further_visits(self) -> int:
        """How often every further image is visited."""
        return FURTHER_VISITS if self.warm_start else 1

    def further(self, file: Path, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.min_min_loop import noise_of_further

        return noise_of_further(self, file, data, run)

    def further_passes(self, images: int) -> int:
        return self.further_visits * images * self.passes_per_update

    def further_probe(self, images: int) -> Recipe:
        return mixed_probe(self.model, self.batch, frozen=self.further_passes(images), training=0)

    def _passes(self, images: int, protected: int | None = None) -> tuple[int, int]:
        """Passes of PGD and passes of surrogate steps, for ``images`` images."""
        slots, visited = self.slots, self.train_steps * min(self.batch, images)
        noisy = images if protected is None else protected
        updated = visited * noisy // images + noisy  # at every visit, and all of them at the end
        if self.refresh_every:
            updated = -(-self.train_steps // self.refresh_every) * noisy
        noise = slots.weight_noise
        terms = 2 if slots.regularizer else 1
        if noise:
            terms *= sum(level.draws for level in noise.of(noise.train_draws))
        frozen = updated * self.passes_per_update + visited * slots.surrogate_sees.passes
        return frozen, visited * terms


_VISITS = {
    "model": "convnet",
    "eot_samples": 1,
    "steps": 2,
    "step": 1.6,
    "refresh_every": 0,
    "stop_error": 0.0,
}


@dataclass(frozen=True)
class EM(MinMin):
    """error-minimizing noise (Huang et al., ICLR 2021): cheap, strong against ordinary training,
    undone by adversarial training. Fair form: noise and image aligned, warm-started, updated for
    the whole set every 10 surrogate steps. The first noise is a random draw; that of the authors'
    program is 0."""

    name = "em"

    steps: int = 20
    eot_samples: int = 0
    warm_start: bool = True
    refresh_every: int = 10
    stop_error: float = 1.0

    presets: ClassVar[dict[str, dict]] = {
        "paper": {},
        "eot": {
            "steps": 10,
            "eot_samples": 5,
            "warm_start": False,
            "refresh_every": 0,
            "stop_error": 0.0,
        },
        "class": {"noise_type": "classwise", "steps": 1, "reach": 0.1, "stop_error": 10.0},
        "imagenet": {
            "model": "resnet18-fu",
            "steps": 7,
            "reach": 1.75,
            "train_steps": 3000,
            "decay_every": 1200,
        },
        # one draw of T, noise updated at every visit: far stronger here than the default form
        # (docs/results.md)
        "short": _VISITS | {"train_steps": 800, "decay_every": 320},
        "fast": _VISITS | {"train_steps": 400, "decay_every": 160},
    }

    @property
    def slots(self) -> Slots:
        return Slots()


@dataclass(frozen=True)
class Robust(MinMin):
    """The settings that the robust members share: the adversary."""

    adv_eps: float = 4.0
    """radius that the noise is built to withstand, in /255 (rho_a); at most eps / 2 in the paper"""
    adv_steps: int = 10
    """PGD steps of the adversary (K_a)"""
    adv_step: float | None = None
    """PGD step size in /255; default: reach x adv_eps / adv_steps (the paper's adv_eps / 5 at 10
    steps)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, positive="adv_step", whole="adv_eps adv_steps")

    @property
    def adversary(self) -> Adversary:
        step = self.adv_step
        if step is None:
            step = self.reach * self.adv_eps / max(1, self.adv_steps)
        return Adversary(self.adv_eps, step, self.adv_steps)


# The paper's inner loop with three draws of T, and few surrogate steps: one and a half epochs of
# 50,000 images, 93 passes per image for SEM. A convnet, 100 steps, and a radius of 2 left twice as
# much under AT-4 (docs/results.md).
_FULL = {"model": "airbench-half", "eot_samples": 3, "train_steps": 600, "decay_every": 240}

_SHORT = {
    "model": "convnet",
    "adv_eps": 2.0,
    "warm_start": True,
    "steps": 2,
    "step": 1.6,
    "eot_samples": 1,
    "adv_steps": 3,
    "train_steps": 800,
    "decay_every": 320,
}


@dataclass(frozen=True)
class REM(Robust):
    """robust error-minimizing noise (Fu et al., ICLR 2022, algorithm 1): holds against adversarial
    training up to about adv_eps, not beyond, and only when nearly every image is protected. Costly:
    the adversary runs in every draw."""

    name = "rem"

    presets: ClassVar[dict[str, dict]] = {
        "paper": {},
        # 7 steps of a quarter of the radius, for the noise and for the adversary
        "imagenet": EM.presets["imagenet"] | {"eot_samples": 4, "adv_steps": 7},
        "full": _FULL,
        "short": _SHORT,
    }

    @property
    def slots(self) -> Slots:
        return Slots(noise_sees=self.adversary, surrogate_sees=self.adversary)


@dataclass(frozen=True)
class SEM(Robust):
    """stable error-minimizing noise (Liu et al., AAAI 2024): REM with one uniform draw in place of
    the adversary in the noise step; about nine times fewer passes at the paper's settings."""

    name = "sem"

    presets: ClassVar[dict[str, dict]] = {"paper": {}, "full": _FULL, "short": _SHORT}

    @property
    def slots(self) -> Slots:
        return Slots(noise_sees=UniformPerturbation(self.adv_eps), surrogate_sees=self.adversary)
