"""What a learner does to its batches beside the paper's T: the functions of ``AUGMENTATIONS``.

Each takes x [N, 3, H, W] in [0, 1], labels [N] and the number of classes, and returns x and labels
(mixed ones as [N, classes]), or copies of them one set after the other. They draw from torch's
global generator, which the training loop seeds.
"""

import warnings
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.core.units import in_unit
from unlearnable.training.augment import ResizedCrop
from unlearnable.training.augmentations import COPIES

OFFSET = 32.0  # of a channel, in /255: four times the usual budget of the noise
REACH = 2.0  # pixels: COIN's alpha


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
            # SimCLR's for CIFAR-10 (Chen et al., 2020), there followed by gray
            "color-jitter": lambda: K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
            "ueraser": lambda: nn.Sequential(
                # the ranges of the authors' program (Qin et al., 2023), not kornia's own
                K.RandomPlasmaBrightness(roughness=(0.3, 0.7), intensity=(0.5, 1.0), p=0.5),
                K.RandomPlasmaContrast(roughness=(0.3, 0.7), p=0.5),
                K.RandomChannelShuffle(p=0.5),
                TrivialAugment(),
            ),
        }[name]()


Out = tuple[Tensor, Tensor]


def _changed(name: str) -> Callable[..., Out]:
    return lambda x, y, classes: (_kornia(name)(x).clamp(0, 1), y)


def _mixed(name: str) -> Callable[..., Out]:
    def mix(x: Tensor, y: Tensor, classes: int) -> Out:
        mixed, labels = _kornia(name)(x, y)
        first, second, share = labels.reshape(-1, 3).unbind(1)
        if name == "mixup":  # kornia gives the second label's share there, and CutMix's first
            share = 1 - share
        first, second = (F.one_hot(label.long(), classes).float() for label in (first, second))
        return mixed.clamp(0, 1), second + share[:, None].float() * (first - second)

    return mix


def noise(x: Tensor, y: Tensor, classes: int) -> Out:
    return (x + in_unit(8) * torch.randn_like(x)).clamp(0, 1), y


def channel_offsets(x: Tensor, y: Tensor, classes: int) -> Out:
    """Add U(-OFFSET, OFFSET) to each channel of each image: what lies in the mean color says
    nothing any more."""
    offset = 2 * torch.rand(len(x), x.shape[1], 1, 1, device=x.device) - 1
    return (x + in_unit(OFFSET) * offset).clamp(0, 1), y


def crops(x: Tensor, y: Tensor, classes: int) -> Out:
    g = torch.Generator(x.device).manual_seed(int(torch.randint(2**31, ())))
    return ResizedCrop((x.shape[-2], x.shape[-1]), area=(0.2, 1.0))(x, g).clamp(0, 1), y


def coin(x: Tensor, y: Tensor, classes: int) -> Out:
    """COIN (Wang et al., 2024): each pixel takes the bilinear color at a point up to ``REACH``
    pixels away in each direction, drawn anew per pixel, image, and step. Beyond an edge the image
    goes on from the opposite one, its first and last pixel taken for one, as in the authors'
    program (SciPy's mode "wrap"); theirs cuts the result down to whole levels."""
    last = torch.tensor([x.shape[-1] - 1, x.shape[-2] - 1], device=x.device)  # column, row
    rows, columns = (torch.arange(side, device=x.device) for side in x.shape[-2:])
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)
    away = REACH * (2 * torch.rand(len(x), *grid.shape, device=x.device) - 1)
    point = 2 * (grid + away).remainder(last) / last - 1
    moved = F.grid_sample(x, point.to(x), mode="bilinear", align_corners=True)
    return moved.clamp(0, 1), y  # rounding may leave [0, 1]


def ueraser_max(x: Tensor, y: Tensor, classes: int) -> Out:
    """UEraser-Max (Qin et al., 2023): five copies, each through UEraser by itself; the trainer
    takes the largest loss of every image.

    As in the paper, in every step; the plain UEraser of their program does so in the first 50 or
    60 of 200 epochs and then trains on one copy, our ``ueraser``. All copies share one pass and so
    their batch statistics, as in the newer version of their program; TrivialAugment draws one
    operation per copy of the batch, as in the older one. Theirs clips gradients (at 5, EM) or not
    (LSP) and starts from a rate of 0.01; ours is the recipe's."""
    copies = COPIES["ueraser-max"]
    z = torch.cat([_kornia("ueraser")(x) for _ in range(copies)])
    return z.clamp(0, 1), y.repeat(copies)


cutout, randaugment, gray, ueraser = map(_changed, ("cutout", "randaugment", "gray", "ueraser"))
color_jitter = _changed("color-jitter")
mixup, cutmix = map(_mixed, ("mixup", "cutmix"))
