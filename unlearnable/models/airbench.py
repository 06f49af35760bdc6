"""The network of airbench94 (Jordan, 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU"): few
multiplications for its accuracy."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.models.layers import Center, conv

WIDTHS = (64, 256, 256)
HALF = (32, 128, 128)

# Variances of 2 x 2 patches of CIFAR-10's training images, pixels in [0, 1]: rows luminance,
# red - blue, red + blue - 2 green; columns the frequencies (vertical, horizontal) 00, 01, 10, 11.
# In this basis their correlations are at most 0.1, so dividing by the roots whitens them.
VARIANCES = (
    (6.4e-1, 2.1e-2, 2.5e-2, 3.5e-3),
    (5.4e-2, 9.0e-4, 1.0e-3, 1.0e-4),
    (1.1e-2, 2.6e-4, 2.9e-4, 3.6e-5),
)
FLOOR = 5e-4  # added to the variances, as in the original: the weakest directions are mostly noise


class GlobalMax(nn.Module):
    """The largest value over H x W: N x C x H x W to N x C x 1 x 1."""

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, x.shape[-2:])


class Scaled(nn.Linear):
    """A linear layer whose result is divided by 9."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 9


def airbench(
    classes: int,
    large: bool,
    *,
    widths: tuple[int, ...] = WIDTHS,
    whitened: bool = False,
) -> nn.Sequential:
    """Seven convolutions with batch norm and GELU, 2.0M weights, 118M multiply-adds at 32 px.

    Pixels N x 3 x H x W to logits N x classes. `large=True` averages blocks of 4 x 4 pixels first.
    `whitened` freezes the first convolution, which starts as a whitening of 2 x 2 patches. Unlike
    the original, the whitening is that of CIFAR-10 whatever the images are, and batch norms have
    weights.
    """
    first = nn.Conv2d(3, 24, 2)
    filters = whitening()
    first.load_state_dict({"weight": torch.cat([filters, -filters]), "bias": torch.zeros(24)})
    first.requires_grad_(not whitened)
    shrink = [nn.AvgPool2d(4)] if large else []
    groups, inputs = [], 24
    for width in widths:
        groups.append(group(inputs, width))
        inputs = width
    return nn.Sequential(
        OrderedDict(
            center=Center(),
            features=nn.Sequential(*shrink, first, nn.GELU(), *groups),
            pool=GlobalMax(),
            flatten=nn.Flatten(),
            head=Scaled(inputs, classes, bias=False),
        )
    )


def airbench_whitened(classes: int, large: bool) -> nn.Sequential:
    """`airbench` with its first convolution frozen, as published (there its bias trains for a
    while)."""
    return airbench(classes, large, whitened=True)


def airbench_half(classes: int, large: bool) -> nn.Sequential:
    """`airbench` at half its widths: 0.5M weights, 31M multiply-adds at 32 px."""
    return airbench(classes, large, widths=HALF)


def group(inputs: int, width: int) -> nn.Sequential:
    """Two convolutions; max pooling halves H x W (rounded down) after the first."""
    layers: list[nn.Module] = []
    for k, channels in enumerate((inputs, width)):
        same = conv(channels, width, 3)
        with torch.no_grad():  # the first filters pass their input on
            nn.init.dirac_(same.weight[: min(channels, width)])
        layers += [same, *[nn.MaxPool2d(2)] * (k == 0), nn.BatchNorm2d(width), nn.GELU()]
    return nn.Sequential(*layers)


def whitening() -> Tensor:
    """The twelve filters, [12, 3, 2, 2]: discrete cosines times opponent colors, each divided by
    the root of its variance."""
    cosine = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / 2**0.5
    color = F.normalize(torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]]))
    filters = torch.einsum("kc,ai,bj->kabcij", color, cosine, cosine)
    scale = (torch.tensor(VARIANCES) + FLOOR).rsqrt().view(3, 2, 2, 1, 1, 1)
    return (filters * scale).reshape(12, 3, 2, 2)
