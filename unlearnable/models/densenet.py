"""DenseNet-BC (Huang et al., "Densely Connected Convolutional Networks", 2017)."""

from typing import Literal

import torch
from torch import Tensor, nn

from unlearnable.models.layers import bn_relu_conv, classifier, stem

GROWTH = 32


class _DenseLayer(nn.Module):
    """Appends GROWTH channels to its input: N x inputs x H x W to N x (inputs + GROWTH) x H x W."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            bn_relu_conv(inputs, 4 * GROWTH, 1),
            bn_relu_conv(4 * GROWTH, GROWTH, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], dim=1)


def densenet121(classes: int, large: bool) -> nn.Sequential:
    """DenseNet-121, growth 32, reduction 0.5 (Huang et al., 2017).

    Pixels N x 3 x H x W to logits N x classes; the last feature map is H / 8 (`large=True`: H / 32)
    wide.
    """
    return _densenet121(classes, large, "fan_out")


def densenet121_fu(classes: int, large: bool) -> nn.Sequential:
    """DenseNet-121 as in Fu et al. (2022): the ImageNet stem at every size, so that 32 px end in a
    1 x 1 map; `large` changes nothing."""
    model = _densenet121(classes, True, "fan_in")
    nn.init.zeros_(model.get_submodule("head").get_parameter("bias"))
    return model


def _densenet121(classes: int, large: bool, kaiming: Literal["fan_out", "fan_in"]) -> nn.Sequential:
    width = 2 * GROWTH
    # The paper's CIFAR networks go from the first convolution straight to the first block; its
    # ImageNet ones activate before pooling.
    layers: list[nn.Module] = [stem(width, large, activate=large)]
    for stage, depth in enumerate((6, 12, 24, 16)):
        if stage > 0:
            layers += [bn_relu_conv(width, width // 2, 1), nn.AvgPool2d(2)]
            width //= 2
        for _ in range(depth):
            layers.append(_DenseLayer(width))
            width += GROWTH
    layers += [nn.BatchNorm2d(width), nn.ReLU()]
    return classifier(nn.Sequential(*layers), width, classes, kaiming=kaiming)
