"""The parts that all networks share: input centering, the two stems, and the classifier on top."""

from collections import OrderedDict
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""of red, green and blue, pixels in [0, 1]: what torchvision's weights expect"""


class Center(nn.Module):
    """Moves pixels from [0, 1] to [-0.5, 0.5]; any shape in, the same shape out."""

    def forward(self, x: Tensor) -> Tensor:
        return x - 0.5


class Normalize(nn.Module):
    """(x - mean) / std per channel, N x 3 x H x W. Not part of a network's saved weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class GlobalPool(nn.Module):
    """The mean over H x W: N x C x H x W to N x C x 1 x 1.

    Unlike `AdaptiveAvgPool2d`, its gradient keeps the channels_last order of its input; in another
    order every ReLU and batch norm before it would walk through its memory in two different ways,
    at a tenth of the speed."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, x.shape[-2:])


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps H x W, divided by `stride` and rounded up (odd
    `kernel`)."""
    padding = kernel // 2
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)


def conv_bn_relu(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(conv(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs), nn.ReLU())


def bn_relu_conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """The pre-activation order: batch norm, ReLU, convolution."""
    return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), conv(inputs, outputs, kernel, stride))


def stem(outputs: int, large: bool, activate: bool) -> nn.Sequential:
    """First convolution, N x 3 x H x W to N x outputs x h x w.

    The CIFAR stem (`large=False`, 3x3) keeps h = H; the ImageNet stem (`large=True`, 7x7 with
    stride 2, then max pooling) gives h = H / 4. `activate` adds batch norm and ReLU after the
    convolution.
    """
    make = conv_bn_relu if activate else conv
    if large:
        return nn.Sequential(make(3, outputs, 7, 2), nn.MaxPool2d(3, stride=2, padding=1))
    return nn.Sequential(make(3, outputs, 3))


def init_convolutions(network: nn.Module, mode: Literal["fan_out", "fan_in"] = "fan_out") -> None:
    """Draw the weights of all convolutions from a Kaiming normal distribution (He et al., 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")


def classifier(
    features: nn.Sequential,
    width: int,
    classes: int,
    *,
    hidden: nn.Module | None = None,
    kaiming: Literal["fan_out", "fan_in"] | None = "fan_out",
) -> nn.Sequential:
    """The whole network around `features`: pixels N x 3 x H x W to logits N x classes.

    `features` maps N x 3 x H x W to N x width x h x w; `hidden` (None: nothing) N x width to
    N x width, before the last layer. Convolutions get Kaiming-normal weights (He et al., 2015), or
    keep PyTorch's default (`kaiming=None`), as linear layers do; batch norms start at weight 1 and
    bias 0.
    """
    if kaiming:
        init_convolutions(features, kaiming)
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        center=Center(), features=features, pool=GlobalPool(), flatten=nn.Flatten()
    )
    if hidden:
        parts["hidden"] = hidden
    parts["head"] = nn.Linear(width, classes)
    return nn.Sequential(parts)
