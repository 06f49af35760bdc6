"""Augmentations beyond T that a learner may add against protection: ``STRONG``, by kornia where it has them.

Each takes x float [N, 3, H, W] in [0, 1], labels [N], the number of classes and the learner's frozen copy, and returns
pictures and labels, or float [N, classes] shares of labels where it mixes. Random draws come from torch's global
generator, which ``learn`` seeds at every step. kornia takes seconds to import, so that is done at the first use.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.augment import ResizedCrop

COPIES = 5  # of a picture, of which ueraser-max keeps the one with the highest loss


@cache
def _kornia(name: str) -> nn.Module:
    with warnings.catch_warnings(action="ignore"):
        import kornia.augmentation as K
        from kornia.augmentation.auto import RandAugment, TrivialAugment

        return {
            "cutout": lambda: K.RandomErasing(p=1.0, scale=(0.25, 0.25), ratio=(1.0, 1.0), value=0.5),
            "mixup": lambda: K.RandomMixUpV2(p=1.0, data_keys=["input", "class"]),
            "cutmix": lambda: K.RandomCutMixV2(p=1.0, data_keys=["input", "class"], use_correct_lambda=True),
            "randaugment": lambda: RandAugment(n=2, m=9),
            "gray": lambda: K.RandomGrayscale(p=0.5),
            "ueraser": lambda: nn.Sequential(
                K.RandomPlasmaBrightness(p=0.5),
                K.RandomPlasmaContrast(p=0.5),
                K.RandomChannelShuffle(p=0.5),
                TrivialAugment(),
            ),
        }[name]()


Out = tuple[Tensor, Tensor]


def _changed(name: str) -> Callable[..., Out]:
    return lambda x, y, classes, model: (_kornia(name)(x).clamp(0, 1), y)


def _mixed(name: str) -> Callable[..., Out]:
    def mix(x: Tensor, y: Tensor, classes: int, model: nn.Module) -> Out:
        mixed, labels = _kornia(name)(x, y)
        first, second, share = labels.reshape(-1, 3).unbind(1)
        if name == "mixup":  # kornia gives the second label's share there, and CutMix's first
            share = 1 - share
        first, second = (F.one_hot(label.long(), classes).float() for label in (first, second))
        return mixed.clamp(0, 1), second + share[:, None].float() * (first - second)

    return mix


def _gaussian_noise(x: Tensor, y: Tensor, classes: int, model: nn.Module) -> Out:
    return (x + 8 / 255 * torch.randn_like(x)).clamp(0, 1), y


def _crops(x: Tensor, y: Tensor, classes: int, model: nn.Module) -> Out:
    g = torch.Generator(x.device).manual_seed(int(torch.randint(2**31, ())))
    return ResizedCrop(x.shape[-1], area=(0.2, 1.0))(x, g).clamp(0, 1), y


@torch.no_grad()
def _ueraser_max(x: Tensor, y: Tensor, classes: int, model: nn.Module) -> Out:
    copies = torch.stack([_kornia("ueraser")(x).clamp(0, 1) for _ in range(COPIES)])
    loss = torch.stack([F.cross_entropy(model(z), y, reduction="none") for z in copies])
    return copies[loss.argmax(0), torch.arange(len(x), device=x.device)], y


@dataclass(frozen=True)
class Strong:
    """A line of ``STRONG``: what it does, in words, and how; whether it looks at the learner's model."""

    about: str
    change: Callable[[Tensor, Tensor, int, nn.Module], Out]
    needs_model: bool = False


STRONG: dict[str, Strong] = {
    "crops": Strong("a box of 20 to 100 % of the area, resized to the whole (RandomResizedCrop)", _crops),
    "cutout": Strong("a gray square of half the side (DeVries & Taylor, 2017)", _changed("cutout")),
    "mixup": Strong("pictures and labels blended in pairs (Zhang et al., 2018)", _mixed("mixup")),
    "cutmix": Strong("a box of another picture, with its share of the label (Yun et al., 2019)", _mixed("cutmix")),
    "randaugment": Strong("two random operations a batch (Cubuk et al., 2020)", _changed("randaugment")),
    "gray": Strong("grayscale with probability 1/2", _changed("gray")),
    "noise": Strong("Gaussian noise of 8/255", _gaussian_noise),
    "ueraser": Strong("plasma brightness and contrast, channel shuffle, TrivialAugment", _changed("ueraser")),
    "ueraser-max": Strong(f"ueraser, of {COPIES} copies the one with the highest loss", _ueraser_max, needs_model=True),
}
