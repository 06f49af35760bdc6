"""Class-wise universal perturbations on pretrained networks; ``class_uap_loop`` makes the noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from unlearnable.core.errors import UserError, unknown
from unlearnable.core.presets import require
from unlearnable.models.pretrained import INPUT_SIZE, PRETRAINED
from unlearnable.protection.methods.base import ClassTableMethod, Context, Method, Noise
from unlearnable.protection.methods.noise_net import NoiseNet

if TYPE_CHECKING:
    from unlearnable.data.images import Images, Size
    from unlearnable.training.recipe import Recipe

COARSE_SIDE = 32  # pixels, the side at which the coarse noise is made


@dataclass(frozen=True)
class ClassUAP(ClassTableMethod):
    """class-wise universal perturbations on pretrained networks (this project's): each class gets
    one noise, a universal adversarial perturbation (Moosavi-Dezfooli et al., CVPR 2017) that moves
    its images to the next class, as in TAP (Fowl et al., NeurIPS 2021), for several ImageNet
    networks at once. Made against frozen pretrained networks, unknown ones too. Networks that are
    trained from scratch learn through it, unless it is made around noise-net's coarse noise
    (``coarse``); and subtracting the mean image of each class undoes it."""

    name = "class-uap"

    eps: float = 8.0
    """budget of the whole noise, in /255"""
    networks: tuple[str, ...] = ("efficientnet-lite0-imagenet", "efficientnet-lite2-imagenet")
    """with weights from elsewhere: names of `unlearnable ls models`, or my_module:factory; what
    they agree on is what others see"""
    input_size: int = INPUT_SIZE
    """side in pixels at which they see the images"""
    steps: int = 100
    """sign steps of the classes' noises"""
    batch: int = 30
    """images per step, over all processes"""
    momentum: float = 0.8
    """of the sign steps"""
    hardened: float = 0.5
    """fraction of the steps that see copies in JPEG (quality 20 to 90) or at a lower resolution"""
    coarse: float = 0.0
    """strength of coarse noise against networks that are trained from scratch, as a share of
    noise-net's (its preset short), 0 to 1. The steps keep it and find their pattern in what is
    finer; 0: none"""
    train_steps: int = 300
    """surrogate steps of the coarse noise"""

    presets = {
        "paper": {},
        # both kinds of networks at once, for photos
        "photos": {"coarse": 0.9},
    }

    def __post_init__(self) -> None:
        require(
            self,
            positive="eps steps batch input_size train_steps",
            whole="momentum hardened coarse",
        )
        for name in ("momentum", "hardened", "coarse"):
            if getattr(self, name) > 1:
                raise UserError(f"{name} must lie in 0..1, not {getattr(self, name)}.")
        if not self.networks:
            raise UserError(
                "networks names no network; name one or more of `unlearnable ls models`."
            )
        for name in self.networks:
            if name not in PRETRAINED and ":" not in name:
                own = ", or your own as my_module:factory"
                raise unknown("network with ImageNet weights", name, PRETRAINED, own)

    def head(self, network: str) -> Recipe:
        """Return how the linear head of ``network``, which tells the classes apart, is fitted."""
        from unlearnable.training.recipe import Recipe

        return Recipe.preset("frozen", model=network, input_size=self.input_size)

    def coarse_method(self) -> NoiseNet | None:
        """Return what makes the coarse noise, at ``COARSE_SIDE`` pixels; None without any."""
        if not self.coarse:
            return None
        changes = {"eps": self.eps, "adv_eps": self.eps / 4, "train_steps": self.train_steps}
        return NoiseNet.preset("short", **changes)

    def craft(self, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.class_uap_loop import class_uap

        return class_uap(self, data, run)

    def passes(self, images: int) -> int:
        heads = sum(self.head(name).passes(images) for name in self.networks)
        steps = len(self.networks) * self.steps * min(self.batch, images)
        coarse = self.coarse_method()
        return heads + steps + (coarse.passes(images) if coarse else 0)

    def probe(self, images: int) -> Recipe:
        from unlearnable.training.recipe import Recipe

        network, side = self.networks[0], self.input_size
        return Recipe.preset("fine-tuned", model=network, batch=self.batch, input_size=side)

    def parts(self, size: Size) -> list[tuple[Method, Size]]:
        fine: tuple[Method, Size] = replace(self, coarse=0.0), size
        coarse = self.coarse_method()
        return [fine, (coarse, (COARSE_SIDE, COARSE_SIDE))] if coarse else [fine]
