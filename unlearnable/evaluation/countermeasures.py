"""Countermeasures: what a learner does to images before training, to undo their protection.

Adversarial training and augmentation belong to the learner's ``Recipe``. Settings are those of the
field's comparisons. Images are uint8 [N, 3, H, W] throughout.
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

from unlearnable.core.errors import UserError
from unlearnable.core.plugins import load_object
from unlearnable.core.seeding import generator
from unlearnable.data.images import Images
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


@dataclass(frozen=True)
class Countermeasure:
    """A countermeasure: in words, and as a function of the images, or of images and labels."""

    about: str
    change: Callable[..., Tensor]
    labels: bool = False


COUNTERMEASURES: dict[str, Countermeasure] = {
    "jpeg10": Countermeasure("JPEG compression of quality 10", partial(jpeg, quality=10)),
    "jpeg30": Countermeasure("JPEG compression of quality 30", partial(jpeg, quality=30)),
    "jpeg50": Countermeasure("JPEG compression of quality 50", partial(jpeg, quality=50)),
    "gray": Countermeasure("grayscale", gray),
    "bits2": Countermeasure("2 bits per channel", partial(bit_depth, bits=2)),
    "mean3": Countermeasure("mean over 3 x 3 pixels", partial(mean_filter, size=3)),
    "gaussian3": Countermeasure(
        "Gaussian filter of 3 x 3 pixels, sigma 0.8", partial(gaussian_filter, size=3, sigma=0.8)
    ),
    "median3": Countermeasure("median over 3 x 3 pixels", partial(median_filter, size=3)),
    "bilateral": Countermeasure(
        "bilateral filter (9, 75, 75)", partial(bilateral_filter, size=9, color=75, space=75)
    ),
    "coin": Countermeasure(
        "each pixel from a point up to 2 pixels away (COIN)", partial(coin, reach=2.0)
    ),
    "projection": Countermeasure(
        "without the directions that a linear classifier uses", orthogonal_projection, labels=True
    ),
}


def describe_countermeasure(name: str) -> str:
    """Return what the countermeasure ``name`` does, in words; a user's own goes by its name. Raises
    UserError for an unknown name."""
    if name not in COUNTERMEASURES and ":" not in name:
        raise UserError(
            f"There is no countermeasure '{name}'; there are {', '.join(COUNTERMEASURES)}."
        )
    return name if ":" in name else COUNTERMEASURES[name].about


def apply_countermeasure(name: str, data: Images) -> Images:
    """Return ``data`` after the countermeasure ``name`` of ``COUNTERMEASURES`` or a user's own
    ``my_module:function``, which takes and returns uint8 [N, 3, H, W]; labels and order stay.
    Raises UserError for an unknown name and for a result of another shape or type."""
    describe_countermeasure(name)  # raises for an unknown name
    if ":" in name:
        own, _ = load_object("countermeasure", name)
        if not callable(own):
            raise UserError(f"{name} is not a function; name one that takes and returns images.")
        x = own(data.x.clone())
        if not isinstance(x, Tensor) or x.dtype != torch.uint8 or x.shape != data.x.shape:
            raise UserError(
                f"{name} must return uint8 {list(data.x.shape)}, as it receives them; correct the "
                "function."
            )
    else:
        line = COUNTERMEASURES[name]
        x = line.change(data.x, data.y) if line.labels else line.change(data.x)
    return replace(data, x=x, source={**data.source, "countermeasure": name})
