"""Small networks of the package's own layers, for what does not depend on a network's size."""

from torch import nn

from unlearnable.models.layers import classifier, conv_bn_relu


def narrow(classes: int) -> nn.Sequential:
    """convnet at a quarter of its widths: a tenth of its time."""
    widths, strides = (8, 16, 32, 32, 64), (1, 2, 2, 1, 2)
    inputs = (3, *widths)
    layers = [conv_bn_relu(inputs[k], widths[k], 3, strides[k]) for k in range(5)]
    return classifier(nn.Sequential(*layers), widths[-1], classes)


def shallow(classes: int) -> nn.Sequential:
    """Two layers, which compile in seconds."""
    return classifier(nn.Sequential(conv_bn_relu(3, 8, 3, 2), conv_bn_relu(8, 8, 3, 2)), 8, classes)
