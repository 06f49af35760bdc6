"""Noise made on a surrogate that was trained once, on the clean images, and stays as it is: TAP,
HYPO, EntF. They differ in their ``goal``."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from unlearnable.core.presets import require
from unlearnable.protection.methods.base import Context, Method, Noise, mixed_probe

if TYPE_CHECKING:
    from unlearnable.data.images import Images
    from unlearnable.training.recipe import Recipe


@dataclass(frozen=True)
class OnSurrogate(Method):
    """The settings of noise on a surrogate that was trained before."""

    eps: float = 8.0
    """budget of the noise, in /255"""
    steps: int = 100
    """noise steps"""
    eot_samples: int = 0
    """draws of the augmentation T per noise step; 0: no T"""
    batch: int = 128
    """images at a time, over all processes"""
    surrogate: str = ""
    """a folder that `unlearnable learn` wrote; default: train one here"""
    model: str = "resnet18"
    """the surrogate trained here: a name of `unlearnable ls models`, or my_module:factory"""
    train_steps: int = 40_000
    """its training steps"""
    train_adv_eps: float = 0.0
    """its radius of adversarial training, in /255"""
    train_adv_steps: int = 10
    """the PGD steps of that"""
    train_adv_step: float | None = None
    """the size of one in /255; default: 2 train_adv_eps / train_adv_steps"""
    schedule: Literal["step", "onecycle"] = "step"
    """its learning rate: step (x 0.1 after 40 and 80 % of the steps) or onecycle"""

    def __post_init__(self) -> None:
        require(
            self,
            positive="eps batch train_steps train_adv_step",
            whole="steps eot_samples train_adv_eps train_adv_steps",
        )

    def unused(self) -> dict[str, str]:
        if self.surrogate:
            names = "train_steps train_adv_eps train_adv_steps train_adv_step schedule"
            return {names: "the surrogate is trained already; train one here, without --surrogate"}
        if not self.train_adv_eps:
            return {
                "train_adv_steps train_adv_step": "it is of adversarial training, whose radius "
                "is 0; give --train-adv-eps"
            }
        return {}

    @property
    def named_file(self) -> Path | None:
        return Path(self.surrogate) / "model.safetensors" if self.surrogate else None

    def surrogate_recipe(self, *, augment: bool = True) -> Recipe:
        """Return how the surrogate trains here."""
        from unlearnable.training.recipe import Recipe

        return Recipe(
            model=self.model,
            steps=self.train_steps,
            schedule=self.schedule,
            decay_every=max(1, self.train_steps * 2 // 5),
            augment=augment,
            adv_eps=self.train_adv_eps,
            adv_steps=self.train_adv_steps,
            adv_step=self.train_adv_step,
            evals=1,
        )

    def training_passes(self, images: int) -> int:
        """Passes of the surrogate's training on ``images`` images, if it is trained here."""
        return 0 if self.surrogate else self.surrogate_recipe().passes(images)

    counts_protected = True

    @abstractmethod
    def passes(self, images: int, protected: int | None = None) -> int:
        """Count as ``Method.passes`` does, where so many of the images get noise (None: all)."""

    def probe(self, images: int, protected: int | None = None) -> Recipe:
        trained = self.training_passes(images)
        share = self.train_adv_steps if self.train_adv_eps else 0
        training = trained // (1 + share)
        frozen = self.passes(images, protected) - training
        return mixed_probe(self.model, self.batch, frozen=frozen, training=training)


@dataclass(frozen=True)
class TowardClass:
    """Look like the class ``shift`` after the own one."""

    shift: int = 0


@dataclass(frozen=True)
class FeatureDistance:
    """Leave the center of the own class's features (push), or approach the nearest other (pull)."""

    how: Literal["push", "pull"]


@dataclass(frozen=True)
class FixedSurrogate(OnSurrogate):
    """The settings that TAP, HYPO and EntF share."""

    step: float = 0.8
    """size of a noise step in /255"""

    zero_start: ClassVar[bool] = False  # the noise begins at 0, not at a uniform draw

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, positive="step")

    @property
    @abstractmethod
    def goal(self) -> TowardClass | FeatureDistance:
        """What the noise lowers on the finished surrogate."""

    def craft(self, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.fixed_surrogate_loop import on_fixed_surrogate

        return on_fixed_surrogate(self, data, run)

    def passes(self, images: int, protected: int | None = None) -> int:
        noisy = images if protected is None else protected
        return self.training_passes(images) + noisy * self.steps * max(1, self.eot_samples)


SHORT = {
    "model": "convnet",
    "train_steps": 800,
    "schedule": "onecycle",
    "train_adv_steps": 3,
    "steps": 30,
    "step": 0.8,
}


@dataclass(frozen=True)
class TAP(FixedSurrogate):
    """targeted adversarial poisoning (Fowl et al., NeurIPS 2021): every image is moved to look like
    the next class to a clean-trained model. Collapses ordinary training; undone by adversarial
    training. ``paper`` is the baseline of Fu et al. (2022), to which the printed 22.5 belongs; the
    authors' own program takes the best of 8 starts, with steps of 0.4/255."""

    name = "tap"

    steps: int = 250
    step: float = 0.064
    eot_samples: int = 1

    presets = {"paper": {}, "short": SHORT}

    @property
    def goal(self) -> TowardClass:
        return TowardClass(shift=1)


@dataclass(frozen=True)
class HYPO(FixedSurrogate):
    """hypocritical perturbations (Tao et al., NeurIPS 2021): every image is moved deeper into its
    own class on a clean-trained model. Weak against ordinary training (about 70 % remain in the
    papers), none against adversarial."""

    name = "hypo"
    form = 2

    step: float = 1.6
    zero_start: ClassVar[bool] = True

    presets = {"paper": {}, "short": SHORT}

    @property
    def goal(self) -> TowardClass:
        return TowardClass()


@dataclass(frozen=True)
class EntF(FixedSurrogate):
    """entangled features (Wen et al., ICLR 2023): on an adversarially trained model, an image's
    features are pushed from its class's center, or pulled to the nearest other. Made against
    adversarial training of a large radius. The authors let the model's rate fall after 75 and 90 %
    of its training; here it is ``schedule``."""

    name = "entf"
    form = 2

    steps: int = 300
    step: float = 0.4
    eot_samples: int = 1
    train_adv_eps: float = 4.0
    train_adv_step: float | None = 2.0
    how: Literal["push", "pull"] = "push"
    """push: away from the own class's center; pull: toward that of another class that is nearest at
    each step"""

    presets = {"paper": {}, "short": SHORT}

    @property
    def goal(self) -> FeatureDistance:
        return FeatureDistance(self.how)
