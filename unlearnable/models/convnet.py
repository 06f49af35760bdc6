"""A five-layer convolutional network, small enough to train on a CPU."""

from torch import nn

from unlearnable.models.layers import classifier, conv_bn_relu


def convnet(classes: int, large: bool) -> nn.Sequential:
    """Five convolutions with batch norm, 0.5M weights: quick runs and tests.

    Pixels N x 3 x H x W to logits N x classes; the last feature map is H / 8 (`large=True`: H / 32)
    wide.
    """
    widths = (32, 64, 128, 128, 256)
    strides = (2, 2, 2, 2, 2) if large else (1, 2, 2, 1, 2)
    layers, inputs = [], 3
    for width, stride in zip(widths, strides, strict=True):
        layers.append(conv_bn_relu(inputs, width, 3, stride))
        inputs = width
    return classifier(nn.Sequential(*layers), inputs, classes)
