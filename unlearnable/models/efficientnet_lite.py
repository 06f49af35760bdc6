"""EfficientNet-Lite0 and -Lite2 (Tan and Le, "EfficientNet", 2019, without squeeze-and-excitation
and with ReLU6), with the names of the weights that were converted from TensorFlow."""

import math
from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.models.layers import GlobalPool, Normalize, init_convolutions

Stages = tuple[tuple[int, int, int, int, int], ...]
"""expansion, channels, blocks, stride of the first, kernel"""

STAGES: Stages = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
WIDTH = 1280  # of the features
DROPOUT = 0.2
EPS = 1e-3  # of the batch norms, TensorFlow's
# (255 x - 127) / 128
MEAN, STD = 127 / 255, 128 / 255


class SamePad(nn.Module):
    """TensorFlow's "same" padding before a convolution with a stride: the odd pixel goes to the
    bottom and to the right, where torch's own padding is symmetric."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        height, width = (self.kernel - self.stride + -n % self.stride for n in _sides(x))
        top, left = height // 2, width // 2
        return F.pad(x, (left, width - left, top, height - top))


def _sides(x: Tensor) -> tuple[int, int]:
    return x.shape[-2], x.shape[-1]  # one by one: a traced shape cannot be unpacked


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPS)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias; with a stride, `SamePad` comes before it."""
    padding = kernel // 2 if stride == 1 else 0
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)


class _Block(nn.Module):
    """1x1 expansion (if any), depthwise convolution, 1x1 to ``outputs`` channels without
    activation; plus the input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if expansion > 1:
            layers["_expand_conv"] = _conv(inputs, hidden, 1)
            layers["_bn0"] = _norm(hidden)
            layers["relu0"] = nn.ReLU6()
        if stride > 1:
            layers["pad"] = SamePad(kernel, stride)
        layers["_depthwise_conv"] = _conv(hidden, hidden, kernel, stride, groups=hidden)
        layers["_bn1"] = _norm(hidden)
        layers["relu1"] = nn.ReLU6()
        layers["_project_conv"] = _conv(hidden, outputs, 1)
        layers["_bn2"] = _norm(outputs)
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        z = x
        for layer in self.children():
            z = layer(z)
        return x + z if self.adds else z


def scaled(width: float, depth: float) -> Stages:
    """``STAGES`` with ``width`` times the channels, to the nearest multiple of 8 (one more if that
    took over a tenth of them), and ``depth`` times the blocks, rounded up. The first and the last
    stage keep their blocks, as the stem and the head their channels."""

    def channels(n: int) -> int:
        near = max(8, int(n * width + 4) // 8 * 8)
        return near if near >= 0.9 * n * width else near + 8

    ends = STAGES[0], STAGES[-1]
    return tuple(
        (stage[0], channels(stage[1]), stage[2] if stage in ends else math.ceil(depth * stage[2]))
        + stage[3:]
        for stage in STAGES
    )


def efficientnet_lite0(classes: int, large: bool = True) -> nn.Sequential:
    """EfficientNet-Lite0: see ``_efficientnet_lite``."""
    return _efficientnet_lite(classes, STAGES)


def efficientnet_lite2(classes: int, large: bool = True) -> nn.Sequential:
    """EfficientNet-Lite2: see ``_efficientnet_lite``."""
    return _efficientnet_lite(classes, scaled(1.1, 1.2))


def _efficientnet_lite(classes: int, stages: Stages) -> nn.Sequential:
    """The network for any size of images: its one stem halves them (``large`` changes nothing).
    Blocks are not dropped at random in training. Weights start as in `layers.classifier`."""
    blocks: list[nn.Module] = []
    inputs = 32
    for expansion, outputs, count, stride, kernel in stages:
        for k in range(count):
            blocks.append(_Block(inputs, outputs, kernel, stride if k == 0 else 1, expansion))
            inputs = outputs
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        normalize=Normalize((MEAN,) * 3, (STD,) * 3),
        pad=SamePad(3, 2),
        _conv_stem=_conv(3, 32, 3, 2),
        _bn0=_norm(32),
        relu0=nn.ReLU6(),
        _blocks=nn.Sequential(*blocks),
        _conv_head=_conv(inputs, WIDTH, 1),
        _bn1=_norm(WIDTH),
        relu1=nn.ReLU6(),
        pool=GlobalPool(),
        flatten=nn.Flatten(),
        dropout=nn.Dropout(DROPOUT),
        _fc=nn.Linear(WIDTH, classes),
    )
    model = nn.Sequential(layers)
    init_convolutions(model)
    return model
