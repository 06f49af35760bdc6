"""MobileNetV2 (Sandler et al., "Inverted Residuals and Linear Bottlenecks", 2018), with
the names of torchvision's weights."""

from collections import OrderedDict

from torch import Tensor, nn

from unlearnable.models.layers import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    GlobalPool,
    Normalize,
    conv,
    init_convolutions,
)

# expansion, channels, blocks, stride of the first (table 2 of the paper)
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
WIDTH = 1280  # of the features
DROPOUT = 0.2


def conv_bn_relu6(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch norm, ReLU6; not in place, because an adversary needs the gradient."""
    layer = conv(inputs, outputs, kernel, stride, groups)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU6())


class _InvertedResidual(nn.Module):
    """1x1 expansion (if any), 3x3 depthwise, 1x1 to ``outputs`` channels without activation; plus
    the input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.conv = nn.Sequential(
            *[conv_bn_relu6(inputs, hidden, 1)] * (expansion > 1),
            conv_bn_relu6(hidden, hidden, 3, stride, groups=hidden),
            conv(hidden, outputs, 1),
            nn.BatchNorm2d(outputs),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


def mobilenet_v2(classes: int, large: bool = True) -> nn.Sequential:
    """MobileNetV2 of width 1 for any size of images: its one stem halves them (``large`` changes
    nothing). Weights start as in `layers.classifier`."""
    layers: list[nn.Module] = [conv_bn_relu6(3, 32, 3, 2)]
    inputs = 32
    for expansion, outputs, blocks, stride in STAGES:
        for k in range(blocks):
            layers.append(_InvertedResidual(inputs, outputs, stride if k == 0 else 1, expansion))
            inputs = outputs
    features = nn.Sequential(*layers, conv_bn_relu6(inputs, WIDTH, 1))
    init_convolutions(features)
    return nn.Sequential(
        OrderedDict(
            normalize=Normalize(IMAGENET_MEAN, IMAGENET_STD),
            features=features,
            pool=GlobalPool(),
            flatten=nn.Flatten(),
            classifier=nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(WIDTH, classes)),
        )
    )
