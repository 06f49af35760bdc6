"""What a learner does to the pictures to undo their protection, before training: ``COUNTERS``, each Images -> Images.

Adversarial training is the learner's own (``Recipe.adv_eps``). Settings are those of the field's comparisons.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from .data import Images
from .errors import UserError

CHUNK = 512  # pictures handled at a time


def jpeg(x: Tensor, quality: int) -> Tensor:
    """x uint8 [N, 3, H, W] through JPEG files of that quality (4:2:0 colours, as programs write by default)."""

    def through(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, format="JPEG", quality=quality)
        return Image.open(file)

    return _each(x, through)


def gray(x: Tensor) -> Tensor:
    """The luma of ITU-R 601 in all three channels."""
    weight = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (x.float() * weight).sum(1, keepdim=True).round().to(torch.uint8).expand_as(x).contiguous()


def bit_depth(x: Tensor, bits: int) -> Tensor:
    """The nearest of 2^bits levels a channel, which reach from 0 to 255."""
    top = 2**bits - 1
    return ((x.float() * (top / 255)).round() * (255 / top)).round().to(torch.uint8)


def mean_filter(x: Tensor, size: int) -> Tensor:
    """The mean over size x size pixels; the border is mirrored."""
    return _filtered(x, torch.full((size,), 1 / size))


def gaussian_filter(x: Tensor, size: int, sigma: float) -> Tensor:
    """A Gaussian of ``size`` x ``size`` pixels and standard deviation ``sigma``; the border is mirrored."""
    weight = torch.exp(-(torch.arange(size) - size // 2).float().square() / (2 * sigma**2))
    return _filtered(x, weight / weight.sum())


def median_filter(x: Tensor, size: int) -> Tensor:
    """The median over size x size pixels, channel by channel."""
    return _each(x, lambda picture: picture.filter(ImageFilter.MedianFilter(size)))


def _filtered(x: Tensor, weight: Tensor) -> Tensor:
    out, edge = torch.empty_like(x), len(weight) // 2
    for i in torch.arange(len(x)).split(CHUNK):
        y = F.pad(x[i].float(), (edge,) * 4, mode="reflect").flatten(0, 1)[:, None]
        y = F.conv2d(F.conv2d(y, weight.view(1, 1, -1, 1)), weight.view(1, 1, 1, -1))
        out[i] = y.view_as(out[i]).round().clamp(0, 255).to(torch.uint8)
    return out


def _each(x: Tensor, through: Callable[[Image.Image], Image.Image]) -> Tensor:
    out = torch.empty(tuple(x.shape), dtype=torch.uint8)
    for k, picture in enumerate(x):
        done = through(Image.fromarray(picture.permute(1, 2, 0).numpy()))
        out[k] = torch.from_numpy(np.asarray(done).copy()).permute(2, 0, 1)
    return out


@dataclass(frozen=True)
class Counter:
    """A line of ``COUNTERS``: what it does, in words, and how."""

    about: str
    change: Callable[[Tensor], Tensor]


COUNTERS: dict[str, Counter] = {
    "jpeg10": Counter("JPEG compression of quality 10", partial(jpeg, quality=10)),
    "jpeg30": Counter("JPEG compression of quality 30", partial(jpeg, quality=30)),
    "jpeg50": Counter("JPEG compression of quality 50", partial(jpeg, quality=50)),
    "gray": Counter("grayscale", gray),
    "bits2": Counter("2 bits a channel", partial(bit_depth, bits=2)),
    "mean3": Counter("mean over 3 x 3 pixels", partial(mean_filter, size=3)),
    "gaussian3": Counter("Gaussian filter of 3 x 3 pixels, sigma 0.8", partial(gaussian_filter, size=3, sigma=0.8)),
    "median3": Counter("median over 3 x 3 pixels", partial(median_filter, size=3)),
}


def counter(name: str, data: Images) -> Images:
    """``data`` after the countermeasure ``name`` of ``COUNTERS``; labels and order stay. Raises UserError for another
    name."""
    if name not in COUNTERS:
        raise UserError(f"There is no countermeasure '{name}'; there are {', '.join(COUNTERS)}.")
    return replace(data, x=COUNTERS[name].change(data.x), source={**data.source, "counter": name})
