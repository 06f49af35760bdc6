"""Wide ResNet, pre-activation, without dropout (Zagoruyko and Komodakis, "Wide Residual Networks",
2016)."""

from torch import Tensor, nn

from unlearnable.models.layers import bn_relu_conv, classifier, conv, stem
from unlearnable.models.resnet import BasicBlock


class _WideBlock(nn.Module):
    """Two 3x3 convolutions, N x inputs x H x W to N x outputs x (H / stride) x (W / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.activate = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU())
        self.body = nn.Sequential(
            conv(inputs, outputs, 3, stride), bn_relu_conv(outputs, outputs, 3)
        )
        self.project = conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        active = self.activate(x)
        # A projection reads the activated input, an identity the raw one, so that an unbroken chain
        # of identities runs through each stage.
        shortcut = x if self.project is None else self.project(active)
        return self.body(active) + shortcut


def _wide_resnet(depth: int, factor: int, classes: int, large: bool) -> nn.Sequential:
    """A stem and three stages of (depth - 4) / 6 blocks: N x 3 x H x W to N x classes."""
    # No activation after the stem: the first block begins with one.
    layers: list[nn.Module] = [stem(16, large, activate=False)]
    inputs = 16
    for width, stride in ((16 * factor, 1), (32 * factor, 2), (64 * factor, 2)):
        for index in range((depth - 4) // 6):
            layers.append(_WideBlock(inputs, width, stride if index == 0 else 1))
            inputs = width
    layers += [nn.BatchNorm2d(inputs), nn.ReLU()]
    return classifier(nn.Sequential(*layers), inputs, classes)


def wrn_34_10(classes: int, large: bool) -> nn.Sequential:
    """Wide ResNet, depth 34, ten times as wide (Zagoruyko and Komodakis, 2016).

    Pixels N x 3 x H x W to logits N x classes; the last feature map is H / 4 (`large=True`: H / 16)
    wide.
    """
    return _wide_resnet(34, 10, classes, large)


def wrn_28_10(classes: int, large: bool) -> nn.Sequential:
    """Wide ResNet, depth 28, ten times as wide (Zagoruyko and Komodakis, 2016).

    Pixels N x 3 x H x W to logits N x classes; the last feature map is H / 4 (`large=True`: H / 16)
    wide.
    """
    return _wide_resnet(28, 10, classes, large)


def wrn_34_10_fu(classes: int, large: bool) -> nn.Sequential:
    """Wide ResNet, depth 34, ten times as wide, as in Fu et al. (2022): post-activation blocks as
    in ResNet-18, the CIFAR stem at every size, PyTorch's initial weights.

    Pixels N x 3 x H x W to logits N x classes; the last feature map is H / 4 wide and `large`
    changes nothing.
    """
    layers: list[nn.Module] = [stem(16, large=False, activate=True)]
    inputs = 16
    for width, stride in ((160, 1), (320, 2), (640, 2)):
        for index in range(5):
            layers.append(BasicBlock(inputs, width, stride if index == 0 else 1))
            inputs = width
    return classifier(nn.Sequential(*layers), inputs, classes, kaiming=None)
