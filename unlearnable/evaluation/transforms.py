"""The transforms behind ``COUNTERMEASURES``: uint8 [N, 3, H, W] in and out, on the CPU. The named
ones have the settings of the field's comparisons."""

import io
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from unlearnable.core.seeding import generator
from unlearnable.training.augment import LUMA

CHUNK = 512  # images processed at a time


def jpeg(x: Tensor, quality: int) -> Tensor:
    """Compress as JPEG of that quality, with 4:2:0 colors as most programs write them."""

    def through(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, format="JPEG", quality=quality)
        return Image.open(file)

    return _each(x, through)


def gray(x: Tensor) -> Tensor:
    """Put the luma of ITU-R 601 into all three channels."""
    luma = (x.float() * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return luma.round().to(torch.uint8).expand_as(x).contiguous()


def gray_world(x: Tensor) -> Tensor:
    """White balance under the assumption that the world is gray on average (Buchsbaum, 1980): scale
    each channel of an image so that its mean is that of all three."""
    out = torch.empty(tuple(x.shape), dtype=torch.uint8)
    for i in torch.arange(len(x)).split(CHUNK):
        y = x[i].float()
        means = y.mean((2, 3), keepdim=True)
        gain = means.mean(1, keepdim=True) / means.clamp(min=1)
        out[i] = (y * gain).round().clamp(0, 255).to(torch.uint8)
    return out


def bit_depth(x: Tensor, bits: int) -> Tensor:
    """Round each channel to the nearest of 2^bits levels from 0 to 255."""
    top = 2**bits - 1
    return ((x.float() * (top / 255)).round() * (255 / top)).round().to(torch.uint8)


def mean_filter(x: Tensor, size: int) -> Tensor:
    """Average over size x size pixels; the border is mirrored."""
    return _filtered(x, torch.full((size,), 1 / size))


def gaussian_filter(x: Tensor, size: int, sigma: float) -> Tensor:
    """Blur with a Gaussian of size x size pixels and standard deviation ``sigma``; the border is
    mirrored."""
    weight = torch.exp(-(torch.arange(size) - size // 2).float().square() / (2 * sigma**2))
    return _filtered(x, weight / weight.sum())


def median_filter(x: Tensor, size: int) -> Tensor:
    """Take the median over size x size pixels, channel by channel."""
    return _each(x, lambda image: image.filter(ImageFilter.MedianFilter(size)))


def bilateral_filter(x: Tensor, size: int, color: float, space: float) -> Tensor:
    """Average over size x size pixels, weighted by similarity of color (standard deviation
    ``color``, in /255) and by distance (``space``, in pixels)."""
    from kornia.filters import bilateral_blur  # takes seconds to import

    out = torch.empty_like(x)
    chunk = max(1, 2**18 // (x.shape[2] * x.shape[3]))  # kornia makes size^2 copies of a chunk
    for i in torch.arange(len(x)).split(chunk):
        y = bilateral_blur(x[i].float() / 255, size, color / 255, (space, space))
        out[i] = (y * 255).round().clamp(0, 255).to(torch.uint8)
    return out


def coin(x: Tensor, reach: float) -> Tensor:
    """COIN (Wang et al., 2024): each pixel takes the bilinear color at a point up to ``reach``
    pixels away in each direction, drawn per pixel and image."""
    out, (height, width) = torch.empty_like(x), x.shape[2:]
    g = generator("cpu", "COIN")
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    for i in torch.arange(len(x)).split(CHUNK):
        away = torch.empty(len(i), height, width, 2).uniform_(-reach, reach, generator=g)
        point = torch.stack([columns, rows], -1) + away
        point = (2 * point + 1) / torch.tensor([width, height]) - 1  # pixels to [-1, 1]
        y = F.grid_sample(
            x[i].float(), point, mode="bilinear", padding_mode="border", align_corners=False
        )
        out[i] = y.round().clamp(0, 255).to(torch.uint8)
    return out


def orthogonal_projection(x: Tensor, y: Tensor, epochs: int = 20, lr: float = 0.1) -> Tensor:
    """Orthogonal projection (Sandoval-Segura et al., 2023): train a linear classifier without bias
    on the images, labels y [N], and remove the span of its weight vectors from them."""
    pixels = x.flatten(1).float() / 255
    weight = torch.zeros(int(y.max()) + 1, x[0].numel(), requires_grad=True)
    optimizer, g = torch.optim.SGD([weight], lr=lr), generator("cpu", "projection")
    for _ in range(epochs):
        for i in torch.randperm(len(x), generator=g).split(128):
            optimizer.zero_grad()
            F.cross_entropy(pixels[i] @ weight.T, y[i]).backward()
            optimizer.step()
    _, size, basis = torch.linalg.svd(weight.detach(), full_matrices=False)
    # the weight vectors add up to 0: they span one direction less than there are classes
    basis = basis[size > 1e-4 * size.max().clamp(min=1e-4)]
    for i in torch.arange(len(x)).split(CHUNK):
        pixels[i] -= pixels[i] @ basis.T @ basis
    return (pixels.view(x.shape) * 255).round().clamp(0, 255).to(torch.uint8)


def _filtered(x: Tensor, weight: Tensor) -> Tensor:
    """Filter rows, then columns, with the same one-dimensional ``weight``."""
    out, edge = torch.empty_like(x), len(weight) // 2
    for i in torch.arange(len(x)).split(CHUNK):
        y = F.pad(x[i].float(), (edge,) * 4, mode="reflect").flatten(0, 1)[:, None]
        y = F.conv2d(F.conv2d(y, weight.view(1, 1, -1, 1)), weight.view(1, 1, 1, -1))
        out[i] = y.view_as(out[i]).round().clamp(0, 255).to(torch.uint8)
    return out


def _each(x: Tensor, through: Callable[[Image.Image], Image.Image]) -> Tensor:
    out = torch.empty(tuple(x.shape), dtype=torch.uint8)
    for k, image in enumerate(x):
        done = through(Image.fromarray(image.permute(1, 2, 0).numpy()))
        out[k] = torch.from_numpy(np.asarray(done).copy()).permute(2, 0, 1)
    return out


# ── the named ones: (x, labels) -> x ──

Named = Callable[[Tensor, Tensor], Tensor]


def _named(transform: Callable[..., Tensor], **settings: float) -> Named:
    """``transform`` at these settings; it does not look at the labels."""
    return lambda x, y: transform(x, **settings)


jpeg10, jpeg30, jpeg50 = (_named(jpeg, quality=q) for q in (10, 30, 50))
grayscale = _named(gray)
white_balance = _named(gray_world)
bits2 = _named(bit_depth, bits=2)
mean3 = _named(mean_filter, size=3)
gaussian3 = _named(gaussian_filter, size=3, sigma=0.8)
median3 = _named(median_filter, size=3)
bilateral = _named(bilateral_filter, size=9, color=75, space=75)
coin2 = _named(coin, reach=2.0)
projection: Named = orthogonal_projection
