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

CHUNK = 512  # images handled at a time


def jpeg(x: Tensor, quality: int) -> Tensor:
    """x uint8 [N, 3, H, W] through JPEG files of that quality (4:2:0 colors, as programs write by
    default)."""

    def through(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, format="JPEG", quality=quality)
        return Image.open(file)

    return _each(x, through)


def gray(x: Tensor) -> Tensor:
    """The luma of ITU-R 601 in all three channels."""
    weight = torch.tensor(LUMA).view(1, 3, 1, 1)
    return (
        (x.float() * weight).sum(1, keepdim=True).round().to(torch.uint8).expand_as(x).contiguous()
    )


def bit_depth(x: Tensor, bits: int) -> Tensor:
    """The nearest of 2^bits levels a channel, which reach from 0 to 255."""
    top = 2**bits - 1
    return ((x.float() * (top / 255)).round() * (255 / top)).round().to(torch.uint8)


def mean_filter(x: Tensor, size: int) -> Tensor:
    """The mean over size x size pixels; the border is mirrored."""
    return _filtered(x, torch.full((size,), 1 / size))


def gaussian_filter(x: Tensor, size: int, sigma: float) -> Tensor:
    """A Gaussian of ``size`` x ``size`` pixels and standard deviation ``sigma``; the border is
    mirrored."""
    weight = torch.exp(-(torch.arange(size) - size // 2).float().square() / (2 * sigma**2))
    return _filtered(x, weight / weight.sum())


def median_filter(x: Tensor, size: int) -> Tensor:
    """The median over size x size pixels, channel by channel."""
    return _each(x, lambda image: image.filter(ImageFilter.MedianFilter(size)))


def bilateral_filter(x: Tensor, size: int, color: float, space: float) -> Tensor:
    """The mean over size x size pixels, weighted by likeness of color (``color``, in /255) and
    nearness (pixels)."""
    from kornia.filters import bilateral_blur  # takes seconds to import

    out, chunk = (
        torch.empty_like(x),
        max(1, 2**18 // (x.shape[2] * x.shape[3])),
    )  # it needs size^2 copies of a chunk
    for i in torch.arange(len(x)).split(chunk):
        y = bilateral_blur(x[i].float() / 255, size, color / 255, (space, space))
        out[i] = (y * 255).round().clamp(0, 255).to(torch.uint8)
    return out


def coin(x: Tensor, reach: float) -> Tensor:
    """COIN: every pixel takes the (bilinear) color at a place up to ``reach`` pixels away in each
    direction, drawn anew for every pixel and image."""
    out, (height, width) = torch.empty_like(x), x.shape[2:]
    g = generator("cpu", "COIN")
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    for i in torch.arange(len(x)).split(CHUNK):
        away = torch.empty(len(i), height, width, 2).uniform_(-reach, reach, generator=g)
        place = torch.stack([columns, rows], -1) + away
        place = (2 * place + 1) / torch.tensor([width, height]) - 1
        y = F.grid_sample(
            x[i].float(), place, mode="bilinear", padding_mode="border", align_corners=False
        )
        out[i] = y.round().clamp(0, 255).to(torch.uint8)
    return out


def orthogonal_projection(x: Tensor, y: Tensor, epochs: int = 20, lr: float = 0.1) -> Tensor:
    """Orthogonal projection (Sandoval-Segura et al., 2023): a linear classifier without bias is
    trained on the images, and the span of its weight vectors taken out of them."""
    pixels, weight = (
        x.flatten(1).float() / 255,
        torch.zeros(int(y.max()) + 1, x[0].numel(), requires_grad=True),
    )
    optimizer, g = torch.optim.SGD([weight], lr=lr), generator("cpu", "projection")
    for _ in range(epochs):
        for i in torch.randperm(len(x), generator=g).split(128):
            optimizer.zero_grad()
            F.cross_entropy(pixels[i] @ weight.T, y[i]).backward()
            optimizer.step()
    _, size, basis = torch.linalg.svd(weight.detach(), full_matrices=False)
    basis = basis[
        size > 1e-4 * size.max().clamp(min=1e-4)
    ]  # the weight vectors add up to 0, and span one less
    for i in torch.arange(len(x)).split(CHUNK):
        pixels[i] -= pixels[i] @ basis.T @ basis
    return (pixels.view(x.shape) * 255).round().clamp(0, 255).to(torch.uint8)


def _filtered(x: Tensor, weight: Tensor) -> Tensor:
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
bits2 = _named(bit_depth, bits=2)
mean3 = _named(mean_filter, size=3)
gaussian3 = _named(gaussian_filter, size=3, sigma=0.8)
median3 = _named(median_filter, size=3)
bilateral = _named(bilateral_filter, size=9, color=75, space=75)
coin2 = _named(coin, reach=2.0)
projection: Named = orthogonal_projection
