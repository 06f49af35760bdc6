"""Random transformations of the training images: the paper's T. Batched, drawn per image,
differentiable.

Flip, crop and resize are all linear and separable: a transformed image is R x C^T, with one row
matrix R and one column matrix C an image. So a batch is two batched matrix products, the gradient
flows through them by itself, and there is no Python loop over images.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.core.units import round_pixels
from unlearnable.data.images import chunks

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R 601


@dataclass(frozen=True)
class Identity:
    """The identity."""

    def __call__(self, x: Tensor, g: torch.Generator) -> Tensor:
        return x

    def test(self, x: Tensor) -> Tensor:
        return x


@dataclass(frozen=True)
class FlipCrop:
    """Horizontal flip with probability 1/2, then a crop of the image's own size out of its
    black-padded self."""

    padding: int = 4

    def __call__(self, x: Tensor, g: torch.Generator) -> Tensor:
        """x: [N, C, H, W] in [0, 1]; ``g`` on x's device."""
        n, _, height, width = x.shape
        top, left = (self._offset(n, x.device, g) for _ in range(2))
        flip = torch.rand(n, device=x.device, generator=g) < 0.5
        return _apply(_shift(top, height), _flipped(_shift(left, width), flip), x)

    def _offset(self, n: int, device: torch.device, g: torch.Generator) -> Tensor:
        return torch.randint(-self.padding, self.padding + 1, (n,), device=device, generator=g)

    def test(self, x: Tensor) -> Tensor:
        return x


@dataclass(frozen=True)
class ResizedCrop:
    """RandomResizedCrop and horizontal flip: a box of 8 to 100 % of the area and aspect 3/4 to 4/3,
    resized to ``size``, one side or height and width (bilinear, antialiased). Test images get the
    center crop."""

    size: int | tuple[int, int] = 224
    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)

    def __call__(self, x: Tensor, g: torch.Generator) -> Tensor:
        """x: [N, C, H, W] in [0, 1] -> [N, C, *sides]."""
        n, _, height, width = x.shape
        top, left, h, w = self.boxes(n, height, width, x.device, g)
        flip = torch.rand(n, device=x.device, generator=g) < 0.5
        columns = _flipped(_resize(left, w, width, self.sides[1]), flip)
        return _apply(_resize(top, h, height, self.sides[0]), columns, x)

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of what comes out, in pixels."""
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    def boxes(
        self, n: int, height: int, width: int, device: torch.device | str, g: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """n random boxes (top, left, height, width), int64 [n]: the first of ten tries that fits,
        else the largest centered box of an allowed aspect."""
        tries = (n, 10)
        area = torch.empty(tries, device=device).uniform_(*self.area, generator=g) * height * width
        lo, hi = (math.log(a) for a in self.aspect)
        aspect = torch.empty(tries, device=device).uniform_(lo, hi, generator=g).exp()
        w = (area * aspect).sqrt().round().long()
        h = (area / aspect).sqrt().round().long()
        fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
        first = fits.int().argmax(1, keepdim=True)
        whole = min(max(width / height, self.aspect[0]), self.aspect[1])
        none = ~fits.any(1)
        w = w.gather(1, first)[:, 0].where(
            ~none, torch.tensor(min(width, round(height * whole)), device=device)
        )
        h = h.gather(1, first)[:, 0].where(
            ~none, torch.tensor(min(height, round(width / whole)), device=device)
        )
        place = torch.rand(2, n, device=device, generator=g)
        top = torch.where(none, (height - h) // 2, (place[0] * (height - h + 1)).long())
        left = torch.where(none, (width - w) // 2, (place[1] * (width - w + 1)).long())
        return top, left, h, w

    def test(self, x: Tensor) -> Tensor:
        height, width = self.sides
        top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
        return x[..., top : top + height, left : left + width]


@dataclass(frozen=True)
class Resized:
    """Images of any size at the ``size`` x ``size`` pixels of a network: a random crop of it with a
    flip, as ``ResizedCrop``, or (``crop`` False) the whole image. Test images come whole."""

    size: int
    crop: bool = True

    def __call__(self, x: Tensor, g: torch.Generator) -> Tensor:
        return ResizedCrop(self.size)(x, g) if self.crop else self.test(x)

    def test(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W] -> [N, C, size, size], bilinear, antialiased."""
        size = self.size, self.size
        return (
            F.interpolate(x, size, mode="bilinear", antialias=True) if x.shape[-2:] != size else x
        )


@dataclass(frozen=True)
class Contrastive:
    """The augmentation of contrastive learners, differentiable, at ``strength`` 0 to 1: a crop down
    to 1 - 0.9 strength of the area and a flip, then with probability 0.8 strength brightness,
    contrast and saturation multiplied by 1 +- 0.4 strength and hue changed by up to 0.1 strength,
    then gray with probability 0.2 strength (the last two by kornia)."""

    size: tuple[int, int]
    strength: float

    @property
    def crop(self) -> ResizedCrop:
        return ResizedCrop(self.size, area=(1 - 0.9 * self.strength, 1.0))

    def __call__(self, x: Tensor, g: torch.Generator) -> Tensor:
        x = self.crop(x, g)
        if not self.strength:
            return x
        jitter, gray = _colors(self.strength)
        with torch.random.fork_rng(
            [x.device] if x.is_cuda else []
        ):  # kornia draws from torch's global generator
            torch.manual_seed(int(torch.randint(2**31, (), device=x.device, generator=g)))
            return gray(jitter(x)).clamp(0, 1)

    def test(self, x: Tensor) -> Tensor:
        return x


def luma(x: Tensor) -> Tensor:
    """Return the images x [n, 3, H, W], float, with their luma in all three channels."""
    return (x * x.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True).expand_as(x)


def gray(x: Tensor) -> Tensor:
    """Return gray copies of the images x [N, 3, H, W], uint8."""
    out = torch.empty_like(x)
    for i in chunks(x, 500):
        out[i] = round_pixels(luma(x[i].float()))
    return out


@dataclass(frozen=True)
class Gray:
    """``t``, and then the luma in all three channels with probability ``p``."""

    t: "Augmentation"
    p: float

    def __call__(self, x: Tensor, g: torch.Generator) -> Tensor:
        z = self.t(x, g)
        gone = torch.rand(len(z), device=z.device, generator=g) < self.p
        return torch.where(gone[:, None, None, None], luma(z), z)

    def test(self, x: Tensor) -> Tensor:
        return self.t.test(x)


@cache
def _colors(strength: float) -> tuple[nn.Module, nn.Module]:
    import kornia.augmentation as K  # takes seconds

    change = 0.4 * strength
    jitter = K.ColorJitter(change, change, change, 0.1 * strength, p=min(0.99, 0.8 * strength))
    return jitter, K.RandomGrayscale(p=0.2 * strength)


Augmentation = Identity | FlipCrop | ResizedCrop | Resized | Contrastive | Gray


def for_size(height: int, width: int) -> Augmentation:
    """The paper's T: padded crop and flip for small images (4 of 32 pixels), RandomResizedCrop from
    256 to 224."""
    size = min(height, width)
    return FlipCrop(padding=size // 8) if size < 128 else ResizedCrop(size=size * 7 // 8)


def size_after(t: Augmentation, height: int, width: int) -> tuple[int, int]:
    """Return height and width of what ``t`` makes of an image."""
    seen = t.test(torch.empty(1, 1, height, width))
    return seen.shape[-2], seen.shape[-1]


def _apply(rows: Tensor, columns: Tensor, x: Tensor) -> Tensor:
    """rows [N, h, H] and columns [N, w, W] on x [N, C, H, W] -> [N, C, h, w]."""
    n, c, height, width = x.shape
    # all channels share the matrices: rows act on [N, H, C W], columns on [N, C h, W]
    tall = torch.bmm(rows, x.permute(0, 2, 1, 3).reshape(n, height, c * width))
    tall = tall.view(n, -1, c, width).transpose(1, 2).reshape(n, -1, width)
    return torch.bmm(tall, columns.transpose(1, 2)).view(n, c, rows.shape[1], columns.shape[1])


def _shift(offset: Tensor, size: int) -> Tensor:
    """[N, size, size]: row i takes input i + offset, and black where that lies outside."""
    grid = torch.arange(size, device=offset.device)
    return (grid[None, None, :] == grid[None, :, None] + offset[:, None, None]).float()


def _flipped(columns: Tensor, flip: Tensor) -> Tensor:
    return torch.where(flip[:, None, None], columns.flip(1), columns)


def _resize(start: Tensor, length: Tensor, source: int, target: int) -> Tensor:
    """[N, target, source]: antialiased bilinear resize of ``length`` pixels from ``start`` to
    ``target`` pixels.

    The triangle filter of torch's ``interpolate(antialias=True)``: output i is centered on (i +
    1/2) length / target and reaches max(1, length / target) input pixels to each side, without
    looking over the box's edge.
    """
    start, length = start[:, None, None].float(), length[:, None, None].float()
    scale = length / target
    center = (torch.arange(target, device=start.device)[None, :, None] + 0.5) * scale
    pixel = (
        torch.arange(source, device=start.device)[None, None, :] - start
    )  # position inside the box
    weight = (1 - (pixel + 0.5 - center).abs() / scale.clamp(min=1)).clamp(min=0)
    weight = torch.where((pixel >= 0) & (pixel < length), weight, 0.0)
    return weight / weight.sum(2, keepdim=True)
