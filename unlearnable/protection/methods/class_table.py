"""One noise per class, kept so that further images of the same classes get theirs."""

from pathlib import Path

import torch
from torch import Tensor, nn

from unlearnable.core.units import quantize
from unlearnable.core.weights import read_weights, restore_weights
from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Noise


class ClassTable(nn.Module):
    """The noise of every class as the weights of a file, from which further images get it. noise:
    [classes, 3, H, W] in pixels of [0, 1]."""

    noise: Tensor

    def __init__(self, noise: Tensor):
        super().__init__()
        self.register_buffer("noise", noise.cpu())

    def of(self, y: Tensor) -> Tensor:
        """Return the noise of images of classes y [n], int8 [n, 3, H, W] in /255."""
        return quantize(self.noise)[y]


def noise_of_further(file: Path, data: Images) -> Noise:
    """Return the noise that the table in ``file`` gives further images of the same classes."""
    table = ClassTable(torch.zeros(len(data.classes), *data.x.shape[1:]))
    restore_weights(table, read_weights(file)[0], file)
    return Noise(table.of(data.y))
