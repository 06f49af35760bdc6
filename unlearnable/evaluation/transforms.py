"""The transforms behind ``COUNTERMEASURES``: uint8 [N, 3, H, W] in and out, on the CPU; only the
projection returns floats. The named ones have the settings of the field's comparisons."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from unlearnable.core.seeding import generator
from unlearnable.core.units import LEVELS, round_pixels, to_unit
from unlearnable.data.jpeg import as_jpeg, each_image, jpeg
from unlearnable.training.augment import gray

CHUNK = 512  # images processed at a time
SITE_SIDE, SITE_QUALITY = 1080, 85  # longer side in pixels, JPEG quality


def from_site(image: Image.Image) -> Image.Image:
    """Return an RGB image as a site passes it on: shrunk until the longer side has ``SITE_SIDE``
    pixels (Lanczos), if it has more, then JPEG of ``SITE_QUALITY``."""
    scale = SITE_SIDE / max(image.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return as_jpeg(image, SITE_QUALITY)


def site(x: Tensor, y: Tensor) -> Tensor:
    """``from_site`` for images that have their final size: only JPEG up to ``SITE_SIDE`` pixels;
    larger ones are brought back to the size that they had."""
    size = x.shape[3], x.shape[2]
    return each_image(x, lambda image: _resized(from_site(image), size))


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)


def gray_world(x: Tensor) -> Tensor:
    """White balance under the assumption that the world is gray on average (Buchsbaum, 1980): scale
    each channel of an image so that its mean is that of all three."""
    out = torch.empty_like(x)
    for i in torch.arange(len(x)).split(CHUNK):
        y = x[i].float()
        means = y.mean((2, 3), keepdim=True)
        gain = means.mean(1, keepdim=True) / means.clamp(min=1)
        out[i] = round_pixels(y * gain)
    return out


def bit_depth(x: Tensor, bits: int) -> Tensor:
    """Round each channel to the nearest of 2^bits levels from 0 to 255."""
    top, out = 2**bits - 1, torch.empty_like(x)
    for i in torch.arange(len(x)).split(CHUNK):
        out[i] = round_pixels((x[i].float() * (top / LEVELS)).round() * (LEVELS / top))
    return out


def posterize(x: Tensor, bits: int) -> Tensor:
    """Keep the ``bits`` highest bits of each channel and set the others to 0: the bit depth
    reduction of Image Shortcut Squeezing (Liu et al., ICML 2023), which darkens the image."""
    return x & (0xFF << (8 - bits) & 0xFF)


def mean_filter(x: Tensor, size: int) -> Tensor:
    """Average over size x size pixels; the border is mirrored."""
    return _filtered(x, torch.full((size,), 1 / size))


def gaussian_filter(x: Tensor) -> Tensor:
    """Blur with OpenCV's Gaussian of 3 x 3 pixels and no stated standard deviation, as Fu et al.'s
    program does: [0.25 0.5 0.25] in each direction. The border is mirrored."""
    return _filtered(x, torch.tensor([0.25, 0.5, 0.25]))


def median_filter(x: Tensor, size: int) -> Tensor:
    """Take the median over size x size pixels, channel by channel."""
    return each_image(x, lambda image: image.filter(ImageFilter.MedianFilter(size)))


def bilateral_filter(x: Tensor, diameter: int, color: float, space: float) -> Tensor:
    """OpenCV's bilateral filter: average over the disc of ``diameter`` pixels, weighted by
    similarity of color (the channels' absolute differences added up; standard deviation ``color``,
    in /255) and by distance (``space``, in pixels). The border is mirrored."""
    r = diameter // 2
    disc = [(v, u) for v in range(-r, r + 1) for u in range(-r, r + 1) if v * v + u * u <= r * r]
    out, (height, width) = torch.empty_like(x), x.shape[-2:]
    for i in torch.arange(len(x)).split(max(1, 2**20 // (height * width))):
        center = x[i].float()
        padded = F.pad(center, (r, r, r, r), mode="reflect")
        total, weights = torch.zeros_like(center), torch.zeros_like(center[:, :1])
        for v, u in disc:
            near = padded[..., r + v : r + v + height, r + u : r + u + width]
            apart = (near - center).abs().sum(1, keepdim=True) / color
            weight = torch.exp(-(apart**2 + (v * v + u * u) / space**2) / 2)
            total += weight * near
            weights += weight
        out[i] = round_pixels(total / weights)
    return out


def without_class_means(x: Tensor, y: Tensor) -> Tensor:
    """Take the mean image of its class out of each image and put that of all images in: what undoes
    noise that a class shares. Labels y [N]."""
    total = torch.zeros(int(y.max()) + 1, *x.shape[1:])
    for i in torch.arange(len(x)).split(CHUNK):
        total.index_add_(0, y[i], x[i].float())
    each = y.bincount(minlength=len(total)).clamp(min=1)
    shift = total.sum(0) / len(x) - total / each[:, None, None, None]
    out = torch.empty_like(x)
    for i in torch.arange(len(x)).split(CHUNK):
        out[i] = round_pixels(x[i].float() + shift[y[i]])
    return out


def orthogonal_projection(x: Tensor, y: Tensor) -> Tensor:
    """Orthogonal projection (Sandoval-Segura et al., NeurIPS 2023): remove the directions that a
    linear classifier of the images uses, one per class, from x; labels y [N]. Returns float32 in
    the unit of [0, 1], which values may leave on both sides: clipping them would put class
    information back."""
    pixels = to_unit(x).flatten(1)
    basis = torch.linalg.qr(F.normalize(projection_classifier(pixels, y)).T).Q  # [3 H W, classes]
    for i in torch.arange(len(x)).split(CHUNK):
        pixels[i] -= pixels[i] @ basis @ basis.T
    return pixels.view(x.shape)


def projection_classifier(
    x: Tensor, y: Tensor, epochs: int = 20, lr: float = 0.1, batch: int = 1024
) -> Tensor:
    """Weights [classes, D] of a linear classifier without bias of x [N, D], trained as the authors
    train theirs: SGD at a rate of 0.1, a tenth of it from half of the epochs on, a hundredth from
    three quarters on. At the full rate alone it does not converge. Sets smaller than the 50,000
    images of CIFAR-10 take more epochs, so that they have its 980 steps."""
    steps = -(-len(x) // batch)
    epochs = max(epochs, -(-epochs * 49 // steps))
    g = generator("cpu", "projection")
    weight = torch.empty(int(y.max()) + 1, x.shape[1])
    bound = x.shape[1] ** -0.5  # as torch.nn.Linear starts
    weight.uniform_(-bound, bound, generator=g).requires_grad_()
    optimizer = torch.optim.SGD([weight], lr=lr)
    decay = torch.optim.lr_scheduler.MultiStepLR(optimizer, [epochs // 2, epochs * 3 // 4])
    for _ in range(epochs):
        for i in torch.randperm(len(x), generator=g).split(batch):
            optimizer.zero_grad()
            F.cross_entropy(x[i] @ weight.T, y[i]).backward()
            optimizer.step()
        decay.step()
    return weight.detach()


def _filtered(x: Tensor, weight: Tensor) -> Tensor:
    """Filter rows, then columns, with the same one-dimensional ``weight``."""
    out, edge = torch.empty_like(x), len(weight) // 2
    for i in torch.arange(len(x)).split(CHUNK):
        y = F.pad(x[i].float(), (edge,) * 4, mode="reflect").flatten(0, 1)[:, None]
        y = F.conv2d(F.conv2d(y, weight.view(1, 1, -1, 1)), weight.view(1, 1, 1, -1))
        out[i] = round_pixels(y.view_as(out[i]))
    return out


# ── the named ones: (x, labels) -> x ──

Named = Callable[[Tensor, Tensor], Tensor]


def _named(transform: Callable[..., Tensor], **settings: float) -> Named:
    """``transform`` at these settings; it does not look at the labels."""
    return lambda x, y: transform(x, **settings)


jpeg10, jpeg30, jpeg50, jpeg70, jpeg90 = (_named(jpeg, quality=q) for q in (10, 30, 50, 70, 90))
grayscale = _named(gray)
white_balance = _named(gray_world)
bits2 = _named(bit_depth, bits=2)
posterize2 = _named(posterize, bits=2)
mean3 = _named(mean_filter, size=3)
gaussian3 = _named(gaussian_filter)
median3 = _named(median_filter, size=3)
bilateral = _named(bilateral_filter, diameter=9, color=75, space=75)
class_means: Named = without_class_means
projection: Named = orthogonal_projection
