"""Classes that trade places to several networks at once; ``class_swap_loop`` makes the noise."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from unlearnable.core.presets import require
from unlearnable.protection.methods.base import Context, Method, Noise, mixed_probe
from unlearnable.protection.methods.min_min import EM

if TYPE_CHECKING:
    from unlearnable.data.images import Images
    from unlearnable.training.recipe import Recipe

SHORTCUT_ENOUGH = 2.0  # logits by which a class is to lead on the shortcut's network


@dataclass(frozen=True)
class Surrogate:
    """One of the networks. radius: that of its adversarial training, as a share of ``adv_eps``;
    weight: of its margins in the sum; enough: the margin, in logits, beyond which it has no say,
    because one that is easily moved would take all the noise; gray: it sees luma only; draw: tells
    networks apart that train alike: which first weights and batches it gets."""

    name: str
    radius: float
    weight: float
    enough: float = math.inf
    gray: bool = False
    draw: int = 0


SURROGATES = (
    Surrogate("robust", radius=1, weight=5),
    Surrogate("robust1", radius=1, weight=5, draw=1),
    Surrogate("half", radius=0.5, weight=2),
    Surrogate("plain", radius=0, weight=0.5, enough=1),
    Surrogate("gray", radius=0, weight=0.5, enough=1, gray=True),
)


@dataclass(frozen=True)
class ClassSwap(Method):
    """class swap (this project's): similar classes trade places in pairs. Every image is moved
    across the margin to its class's partner, as in TAP (Fowl et al., NeurIPS 2021), but on several
    clean-trained networks at once: adversarially trained ones, whose features outlive adversarial
    training and JPEG, an ordinary one, and one that sees gray copies. A purifier that an
    attacker trains on pairs of their own brings about half of what is taken away back (less over a
    ``shortcut`` with one seed of three); a frozen pretrained network learns nearly as much as from
    clean images."""

    name = "class-swap"

    eps: float = 8.0
    """budget of the noise, in /255"""
    steps: int = 24
    """noise steps, each on all networks"""
    step: float = 0.8
    """size of a noise step in /255"""
    eot_samples: int = 1
    """draws of the augmentation T per noise step; 0: no T"""
    batch: int = 128
    """images at a time, over all processes"""
    adv_eps: float = 4.0
    """radius that the noise is built to withstand, in /255: two networks train adversarially with
    it and a third with half of it; 0: none of these"""
    model: str = "convnet"
    """the networks: a name of `unlearnable ls models`, or my_module:factory"""
    train_steps: int = 400
    """training steps of each: longer-trained ones protect less (docs/log.md)"""
    lr: float = 0.1
    """peak of their learning rate"""
    shortcut: float = 0.0
    """weight of one more network, trained in turn with error-minimizing noise for twice as many
    steps: the noise lets it read the class, against purifiers (0.25 in docs/results.md); 0: none"""

    zero_start: ClassVar[bool] = False

    presets: ClassVar[dict[str, dict]] = {
        "paper": {},
        # all of CIFAR-10
        "full": {"model": "airbench-half", "train_steps": 2000, "batch": 250, "lr": 0.2},
    }

    def __post_init__(self) -> None:
        require(self, positive="eps steps step batch train_steps lr")
        require(self, whole="eot_samples adv_eps shortcut")

    @property
    def surrogates(self) -> tuple[Surrogate, ...]:
        """Return the networks of these settings."""
        return tuple(s for s in SURROGATES if self.adv_eps or not s.radius)

    def recipe(self, surrogate: Surrogate) -> Recipe:
        """Return how ``surrogate`` trains: by N-FGSM where adversarially."""
        from unlearnable.training.recipe import Recipe

        return Recipe(
            model=self.model,
            steps=self.train_steps,
            batch=self.batch,
            lr=self.lr,
            schedule="onecycle",
            adv_eps=self.adv_eps * surrogate.radius,
            attack="n-fgsm" if surrogate.radius else "pgd",
            evals=1,
        )

    @property
    def shortcut_method(self) -> EM | None:
        """Return the noise that is made in turn with the shortcut's network; None for none."""
        if not self.shortcut:
            return None
        steps = 2 * self.train_steps
        short = EM.preset("short", eps=self.eps, model=self.model, gray_prob=0.5, batch=self.batch)
        return replace(short, train_steps=steps, decay_every=max(1, steps * 2 // 5))

    def craft(self, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.class_swap_loop import class_swap

        return class_swap(self, data, run)

    counts_protected = True

    def passes(self, images: int, protected: int | None = None) -> int:
        """Count as ``Method.passes`` does, where so many of the images get noise (None: all)."""
        method, networks = self.shortcut_method, len(self.surrogates) + bool(self.shortcut)
        trainings = sum(self.recipe(s).passes(images) for s in self.surrogates)
        trainings += method.passes(images, protected) if method else 0
        noisy = images if protected is None else protected
        return trainings + noisy * self.steps * max(1, self.eot_samples) * networks

    def probe(self, images: int, protected: int | None = None) -> Recipe:
        # of the adversarial trainings, one pass of two is N-FGSM's
        steps = len(self.surrogates) * self.train_steps
        steps += self.shortcut_method.train_steps if self.shortcut_method else 0
        training = steps * min(self.batch, images)
        frozen = self.passes(images, protected) - training
        return mixed_probe(self.model, self.batch, frozen=frozen, training=training)
