"""VGG with batch norm (Simonyan and Zisserman, "Very Deep Convolutional Networks", 2015).

As usual for CIFAR, one linear layer on globally averaged features takes the place of the three
large fully connected ones. The body is the same for all image sizes, so `large` changes nothing
here. No convolution has a bias: batch norm would take it away again.
"""

from torch import nn

from unlearnable.models.layers import classifier, conv_bn_relu


def _vgg(depths: tuple[int, ...], classes: int, hidden: nn.Module | None = None) -> nn.Sequential:
    """Five stages of `depths` convolutions, each halving H and W: N x 3 x H x W to N x classes."""
    layers: list[nn.Module] = []
    inputs = 3
    for depth, width in zip(depths, (64, 128, 256, 512, 512), strict=True):
        for _ in range(depth):
            layers.append(conv_bn_relu(inputs, width, 3))
            inputs = width
        layers.append(nn.MaxPool2d(2))
    return classifier(nn.Sequential(*layers), inputs, classes, hidden=hidden)


def vgg11(classes: int, large: bool) -> nn.Sequential:
    """VGG-11 with batch norm (Simonyan and Zisserman, 2015).

    Pixels N x 3 x H x W to logits N x classes; `large` changes nothing.
    """
    return _vgg((1, 1, 2, 2, 2), classes)


def vgg16(classes: int, large: bool) -> nn.Sequential:
    """VGG-16 with batch norm (Simonyan and Zisserman, 2015).

    Pixels N x 3 x H x W to logits N x classes; `large` changes nothing.
    """
    return _vgg((2, 2, 3, 3, 3), classes)


def vgg16_fu(classes: int, large: bool) -> nn.Sequential:
    """VGG-16 as in Fu et al. (2022): two hidden layers of 512 with dropout before the last one.

    Pixels N x 3 x H x W to logits N x classes; `large` changes nothing.
    """
    layers: list[nn.Module] = []
    for _ in range(2):
        layers += [nn.Dropout(0.5), nn.Linear(512, 512), nn.ReLU()]
    return _vgg((2, 2, 3, 3, 3), classes, nn.Sequential(*layers))


def vgg19(classes: int, large: bool) -> nn.Sequential:
    """VGG-19 with batch norm (Simonyan and Zisserman, 2015).

    Pixels N x 3 x H x W to logits N x classes; `large` changes nothing.
    """
    return _vgg((2, 2, 4, 4, 4), classes)
