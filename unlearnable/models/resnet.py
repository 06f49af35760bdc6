"""ResNet with post-activation blocks (He et al., "Deep Residual Learning for Image Recognition",
2016)."""

from typing import Literal

from torch import Tensor, nn

from unlearnable.models.layers import classifier, conv, conv_bn_relu, stem


class _Residual(nn.Module):
    """ReLU(body(x) + shortcut(x)): N x inputs x H x W to N x outputs x H / stride x W / stride."""

    def __init__(self, body: nn.Module, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = body
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.body(x) + self.shortcut(x))


class BasicBlock(_Residual):
    """Two 3x3 convolutions; the output has `width` channels."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        body = nn.Sequential(
            conv_bn_relu(inputs, width, 3, stride), conv(width, width, 3), nn.BatchNorm2d(width)
        )
        super().__init__(body, inputs, width, stride)


class Bottleneck(_Residual):
    """1x1, 3x3 and 1x1 convolutions; the output has 4 * `width` channels."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        outputs = self.expansion * width
        # The stride sits in the 3x3 convolution: in the first 1x1 one, as in the paper, three
        # quarters of its input would go unused.
        body = nn.Sequential(
            conv_bn_relu(inputs, width, 1),
            conv_bn_relu(width, width, 3, stride),
            conv(width, outputs, 1),
            nn.BatchNorm2d(outputs),
        )
        super().__init__(body, inputs, outputs, stride)


def _resnet(
    block: type[BasicBlock] | type[Bottleneck],
    depths: tuple[int, ...],
    classes: int,
    large: bool,
    kaiming: Literal["fan_out"] | None = "fan_out",
) -> nn.Sequential:
    """A stem and four stages of `depths` blocks: N x 3 x H x W to N x classes."""
    layers: list[nn.Module] = [stem(64, large, activate=True)]
    inputs = 64
    for depth, width, stride in zip(depths, (64, 128, 256, 512), (1, 2, 2, 2), strict=True):
        for index in range(depth):
            layers.append(block(inputs, width, stride if index == 0 else 1))
            inputs = block.expansion * width
    return classifier(nn.Sequential(*layers), inputs, classes, kaiming=kaiming)


def resnet18(classes: int, large: bool) -> nn.Sequential:
    """ResNet-18 (He et al., 2016).

    Pixels N x 3 x H x W to logits N x classes; the last feature map is H / 8 (`large=True`: H / 32)
    wide.
    """
    return _resnet(BasicBlock, (2, 2, 2, 2), classes, large)


def resnet50(classes: int, large: bool) -> nn.Sequential:
    """ResNet-50 with bottleneck blocks (He et al., 2016).

    Pixels N x 3 x H x W to logits N x classes; the last feature map is H / 8 (`large=True`: H / 32)
    wide.
    """
    return _resnet(Bottleneck, (3, 4, 6, 3), classes, large)


def resnet18_fu(classes: int, large: bool) -> nn.Sequential:
    """ResNet-18 as in Fu et al. (2022): the CIFAR stem at every size, PyTorch's initial weights.

    Pixels N x 3 x H x W to logits N x classes; the last feature map is H / 8 wide and `large`
    changes nothing.
    """
    return _resnet(BasicBlock, (2, 2, 2, 2), classes, large=False, kaiming=None)
