"""How a learner trains."""

import math
from dataclasses import dataclass, fields
from typing import Literal, TypedDict, get_args

from unlearnable.core.errors import UserError, unknown
from unlearnable.core.presets import Presets, require
from unlearnable.core.units import in_unit
from unlearnable.models import check_model
from unlearnable.models.pretrained import INPUT_SIZE, PRETRAINED
from unlearnable.training.augmentations import AUGMENTATIONS, COPIES

Attack = Literal["pgd", "n-fgsm"]
"""adversary of adversarial training"""

Precision = Literal["auto", "bf16", "fp32"]
"""arithmetic of the networks; auto: bfloat16 where it is fast"""


Protocol = Literal["plain", "frozen", "fine-tuned"]
"""how a network with weights from elsewhere is used (``Recipe.protocol``)"""

VIEWS = 2
"""forward passes per image of the frozen protocol: the image and its mirror image"""


class PgdSettings(TypedDict):
    """The settings of ``pgd.adversary``; eps and step with pixels in [0, 1]."""

    eps: float
    step: float
    steps: int
    norm: Literal["linf", "l2"]


@dataclass(frozen=True)
class Recipe(Presets):
    """How a learner trains. Defaults: the paper's recipe for CIFAR (Fu et al., 2022, appendix).

    Raises UserError for values out of range and for unknown models and augmentations."""

    model: str = "resnet18"
    """a name of `unlearnable ls models`, or my_module:factory"""
    steps: int = 40_000
    """optimizer steps"""
    batch: int = 128
    """images per step, over all processes"""
    lr: float = 0.1
    """learning rate of SGD at its start (step schedule) or peak (onecycle)"""
    momentum: float = 0.9
    """of SGD"""
    weight_decay: float = 5e-4
    """of SGD"""
    schedule: Literal["step", "onecycle"] = "step"
    """step: x lr_decay every decay_every steps; onecycle: up over the first fifth, then a cosine to
    0"""
    decay_every: int = 16_000
    """steps between two decays of lr (step schedule)"""
    lr_decay: float = 0.1
    """factor of a decay"""
    augment: bool = True
    """the paper's T (flip and padded crop; RandomResizedCrop from 128 px on)"""
    adv_eps: float = 0.0
    """radius of adversarial training, in /255; 0 is ordinary training"""
    attack: Attack = "pgd"
    """adversary of adversarial training; n-fgsm: one step from a wide random start (L-infinity; de
    Jorge et al., 2022), 2 passes per image in place of adv_steps + 1"""
    adv_steps: int = 10
    """PGD steps of the adversary"""
    adv_step: float | None = None
    """PGD step size in /255 (default: 2 adv_eps / adv_steps; at 10 steps, adv_eps / 5)"""
    adv_l2: float = 0.0
    """radius of adversarial training in the L2 norm instead, pixels in [0, 1] (0.25 to 0.75 are
    usual)"""
    augmentation: str = ""
    """a name of `unlearnable ls augmentations`, applied after T"""
    init_from: str = ""
    """model.safetensors to start from; layers of another shape (the head) start at random"""
    evals: int = 20
    """how often the test accuracy is taken during training, for the peak"""
    protocol: Protocol = "plain"
    """frozen: the features of a trained network, and a linear head fitted to them; fine-tuned: all
    its layers, on random crops; plain: all layers, on images at their own size"""
    input_size: int = INPUT_SIZE
    """side in pixels to which the protocols frozen and fine-tuned resize the images"""

    presets = {
        "paper": {},
        "imagenet": {"model": "resnet18-fu", "adv_steps": 8},
        "short": {
            "model": "convnet",
            "steps": 800,
            "schedule": "onecycle",
            "adv_steps": 3,
            "evals": 8,
        },
        # all of CIFAR-10 in ten epochs
        "full": {
            "model": "airbench",
            "steps": 2000,
            "batch": 250,
            "lr": 0.2,
            "schedule": "onecycle",
            "attack": "n-fgsm",
            "evals": 10,
        },
        # a few hundred images: 18 epochs of 360
        "photos": {
            "model": "convnet",
            "steps": 200,
            "batch": 32,
            "lr": 0.05,
            "schedule": "onecycle",
            "attack": "n-fgsm",
            "evals": 1,
        },
        "frozen": {"model": "mobilenet-v2-imagenet", "protocol": "frozen"},
        # 480 images: 20 epochs of 360, at a tenth of the usual rate
        "fine-tuned": {
            "model": "mobilenet-v2-imagenet",
            "protocol": "fine-tuned",
            "steps": 225,
            "batch": 32,
            "lr": 0.01,
            "schedule": "onecycle",
            "adv_steps": 3,
            "evals": 3,
        },
    }

    def __post_init__(self) -> None:
        for f in fields(self):  # a radius of 2 is one of 2.0, also where results are found by it
            value = getattr(self, f.name)
            if f.type in (float, float | None) and type(value) is int:
                object.__setattr__(self, f.name, float(value))
        require(
            self,
            positive="steps batch lr decay_every adv_step evals input_size",
            whole="adv_eps adv_l2 adv_steps momentum weight_decay",
        )
        if self.adv_eps > 255 or self.adv_l2 > 1000 or (self.adv_step or 0) > 255:
            raise UserError(
                "adv_eps and adv_step are in /255 and end at 255; adv_l2 ends at 1000, with pixels "
                "in [0, 1]."
            )
        if self.adv_eps and self.adv_l2:
            raise UserError(
                "Adversarial training has one radius; give adv_eps or adv_l2, not both."
            )
        if self.attack not in get_args(Attack):
            raise unknown("attack", self.attack, get_args(Attack))
        if self.attack == "n-fgsm" and self.adv_l2:
            raise UserError("n-fgsm is an L-infinity attack; give adv_eps, or the attack pgd.")
        if self.augmentation and self.augmentation not in AUGMENTATIONS:
            raise unknown("augmentation", self.augmentation, AUGMENTATIONS)
        check_model(self.model)
        self._check_protocol()

    def _check_protocol(self) -> None:
        if self.protocol not in get_args(Protocol):
            raise unknown("protocol", self.protocol, get_args(Protocol))
        own = ":" in self.model  # may read its weights itself
        if self.protocol != "plain" and not (self.init_from or own or self.model in PRETRAINED):
            raise UserError(
                f"The protocol {self.protocol} needs a trained network; give the model "
                f"{' or '.join(PRETRAINED)}, or weights for {self.model} with --init-from."
            )
        if self.protocol == "frozen" and (self.adversarial or self.augmentation):
            raise UserError(
                "The protocol frozen sees every image once; leave adv_eps, adv_l2 and augmentation "
                "out, or choose fine-tuned."
            )

    def check_learner(self) -> None:
        """Raise UserError where a learner (not a surrogate) would train a network with ImageNet
        weights and not say how."""
        if self.model in PRETRAINED and self.protocol == "plain":
            raise UserError(
                f"{self.model} comes with ImageNet weights; say how to use them with --protocol "
                "frozen or --protocol fine-tuned."
            )

    def unused(self) -> dict[str, str]:
        unused = {}
        if self.protocol == "frozen":
            names = "steps batch lr momentum weight_decay schedule decay_every lr_decay augment"
            unused[names] = (
                "the protocol frozen fits a linear head to features that it computes once; choose "
                "--protocol fine-tuned"
            )
        if self.protocol == "plain":
            unused["input_size"] = (
                "the protocol plain sees images at their own size; choose --protocol frozen or "
                "fine-tuned"
            )
        if self.attack == "n-fgsm":
            unused["adv_steps adv_step"] = (
                "the attack n-fgsm takes one step of a size of its own; choose --attack pgd"
            )
        if self.schedule == "onecycle":
            unused["decay_every lr_decay"] = (
                "the schedule onecycle falls along a cosine; choose --schedule step"
            )
        return unused

    def lr_at(self, step: int) -> float:
        if self.schedule == "step":
            return self.lr * self.lr_decay ** (step // self.decay_every)
        warm = max(1, self.steps // 5)
        rise = min(1.0, (step + 1) / warm)
        fall = max(0.0, (step + 1 - warm) / max(1, self.steps - warm))
        return self.lr * rise * (0.5 + 0.5 * math.cos(math.pi * fall))

    @property
    def adversary(self) -> PgdSettings:
        """The adversary of every training step."""
        radius = self.adv_l2 or in_unit(self.adv_eps)
        step = (
            in_unit(self.adv_step)
            if self.adv_step is not None
            else 2 * radius / max(1, self.adv_steps)
        )
        return {
            "eps": radius,
            "step": step,
            "steps": self.adv_steps,
            "norm": "l2" if self.adv_l2 else "linf",
        }

    def passes(self, images: int) -> int:
        """Count the forward and backward passes of one image that training on ``images`` images
        takes, those of the adversary included. Frozen ones go forward only, a third of that."""
        if self.protocol == "frozen":
            return -(-images * VIEWS // 3)
        visited = self.steps * min(self.batch, images) * self.copies
        attack = 1 if self.attack == "n-fgsm" else self.adv_steps
        return visited * (1 + attack * self.adversarial)

    @property
    def copies(self) -> int:
        """Copies of an image in its batch."""
        return COPIES.get(self.augmentation, 1)

    @property
    def adversarial(self) -> bool:
        return self.adv_eps > 0 or self.adv_l2 > 0
