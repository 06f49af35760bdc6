"""What a learner does to its batches beside the paper's T: the functions of ``AUGMENTATIONS``.

Each takes x [N, 3, H, W] in [0, 1], labels [N], the number of classes and the learner's model, and
returns x and labels (mixed ones as [N, classes]). They draw from torch's global generator, which
the training loop seeds.
"""

import warnings
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.core.units import in_unit
from unlearnable.training.augment import ResizedCrop

COPIES = 5  # of an image, of which ueraser-max keeps the one with the highest loss


@cache
def _kornia(name: str) -> nn.Module:
    with warnings.catch_warnings(action="ignore"):
        import kornia.augmentation as K
        from kornia.augmentation.auto import RandAugment, TrivialAugment

        return {
            "cutout": lambda: K.RandomErasing(
                p=1.0, scale=(0.25, 0.25), ratio=(1.0, 1.0), value=0.5
            ),
            "mixup": lambda: K.RandomMixUpV2(p=1.0, data_keys=["input", "class"]),
            "cutmix": lambda: K.RandomCutMixV2(
                p=1.0, data_keys=["input", "class"], use_correct_lambda=True
            ),
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


def noise(x: Tensor, y: Tensor, classes: int, model: nn.Module) -> Out:
    return (x + in_unit(8) * torch.randn_like(x)).clamp(0, 1), y


def crops(x: Tensor, y: Tensor, classes: int, model: nn.Module) -> Out:
    g = torch.Generator(x.device).manual_seed(int(torch.randint(2**31, ())))
    return ResizedCrop(x.shape[-1], area=(0.2, 1.0))(x, g).clamp(0, 1), y


@torch.no_grad()
def ueraser_max(x: Tensor, y: Tensor, classes: int, model: nn.Module) -> Out:
    copies = torch.stack([_kornia("ueraser")(x).clamp(0, 1) for _ in range(COPIES)])
    loss = torch.stack([F.cross_entropy(model(z), y, reduction="none") for z in copies])
    return copies[loss.argmax(0), torch.arange(len(x), device=x.device)], y


cutout, randaugment, gray, ueraser = map(_changed, ("cutout", "randaugment", "gray", "ueraser"))
mixup, cutmix = map(_mixed, ("mixup", "cutmix"))
