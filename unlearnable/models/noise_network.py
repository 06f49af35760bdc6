"""The network that makes noise: image and class in, noise out."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 4  # of the map that every class has of its own, at the lowest scale


class NoiseNetwork(nn.Module):
    """A U-Net (Ronneberger et al., 2015) of three scales without normalization, told the class at
    each of them; at the lowest, by a map of its own as well, so that noise may depend on the place
    in the image. width: channels at full size; twice and four times that below. cell: side in
    pixels of the squares over which noise is averaged and between which it is interpolated."""

    def __init__(self, classes: int, width: int = 24, *, zero_mean: bool = True, cell: int = 1):
        super().__init__()
        w, self.zero_mean, self.cell = width, zero_mean, cell
        self.top = _conv(3, w)
        self.to_middle, self.middle = _conv(w, 2 * w, stride=2), _conv(2 * w, 2 * w)
        self.to_bottom, self.bottom = _conv(2 * w, 4 * w, stride=2), _conv(4 * w, 4 * w)
        self.up_middle, self.up_top = _conv(6 * w, 2 * w), _conv(3 * w, w)
        self.noise = _conv(w, 3)
        self.class_bottom, self.class_middle, self.class_top = (
            nn.Embedding(classes, channels) for channels in (4 * w, 2 * w, w)
        )
        self.class_map = nn.Embedding(classes, 4 * w * SIDE**2)
        nn.init.normal_(self.class_map.weight, std=0.3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """x: [n, 3, H, W] in [0, 1], of any size; y: classes [n]. Returns the noise in units of its
        budget, [n, 3, H, W] in [-1, 1]; with ``zero_mean`` every channel of an image has mean 0."""
        height, width = x.shape[-2:]
        # to multiples of 4, because the lower scales have a half and a quarter of the side
        padded = F.pad(2 * x - 1, (0, -width % 4, 0, -height % 4), mode="replicate")
        top = F.relu(self.top(padded))
        middle = F.relu(self.middle(F.relu(self.to_middle(top))))
        z = self.bottom(F.relu(self.to_bottom(middle))) + _everywhere(self.class_bottom(y))
        own = self.class_map(y).view(len(y), -1, SIDE, SIDE)
        z = F.relu(z + F.interpolate(own, z.shape[-2:], mode="bilinear"))
        z = self.up_middle(torch.cat([_doubled(z), middle], 1)) + _everywhere(self.class_middle(y))
        z = self.up_top(torch.cat([_doubled(F.relu(z)), top], 1)) + _everywhere(self.class_top(y))
        u = torch.tanh(self.noise(F.relu(z)).float())[..., :height, :width]
        if self.cell > 1:
            u = _coarse(u, self.cell)
        if self.zero_mean:
            u = u - u.mean((2, 3), keepdim=True)
            u = u / u.abs().amax((1, 2, 3), keepdim=True).clamp(min=1)
        return u


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


def _everywhere(x: Tensor) -> Tensor:
    """[n, c] to [n, c, 1, 1]."""
    return x[:, :, None, None]


def _coarse(u: Tensor, cell: int) -> Tensor:
    """u [n, 3, H, W] without what is finer than ``cell`` pixels, in the same shape and bounds."""
    # count_include_pad: a square that reaches over the edge has the mean of what lies inside
    means = F.avg_pool2d(u, cell, ceil_mode=True, count_include_pad=False)
    return F.interpolate(means, u.shape[-2:], mode="bilinear")


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
