"""The noise of the pattern methods: int8, or int16 where a pixel may change by more than 127, both
[N, 3, H, W] in /255."""

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.seeding import generator
from unlearnable.core.units import LEVELS, in_unit, quantize
from unlearnable.data.images import Images
from unlearnable.protection.methods.patterns import CUDA, LSP, OPS, Gratings, Uniform

CHUNK = 512  # images handled at a time
COLORS = torch.cartesian_prod(*3 * [torch.tensor([0, 1], dtype=torch.int16)])
"""int16 [8, 3]: the corners of the color cube, red changing slowest"""

WAVES = (
    (4, "rows"),  # the first six are those that were measured
    (4, "columns"),
    (4, "diagonal"),
    (8, "rows"),
    (8, "columns"),
    (8, "diagonal"),
    (4, "rows", "columns"),
    (8, "rows", "columns"),
    (6, "rows"),
    (6, "columns"),
    (6, "diagonal"),
    (6, "rows", "columns"),
    (12, "rows"),
    (12, "columns"),
    (12, "diagonal"),
    (12, "rows", "columns"),
)
"""how many waves cross the image, and along what; along two: a checkerboard. One diagonal only,
because the other is its mirror image"""


def uniform_noise(m: Uniform, data: Images, seed: int) -> Tensor:
    """Draw every pixel, or every pixel of a class's noise, from the whole levels of the budget."""
    rows = len(data) if m.noise_type == "samplewise" else len(data.classes)
    noise = torch.empty(rows, *data.x.shape[1:], dtype=torch.int8)
    noise.random_(-int(m.eps), int(m.eps) + 1, generator=generator("cpu", seed, "uniform"))
    return noise if m.noise_type == "samplewise" else noise[data.y]


def gratings(m: Gratings, data: Images, seed: int) -> Tensor:
    """Return the noise of every class, [classes, 3, H, W] in pixels of [0, 1]: square waves of its
    own number and direction, which ``seed`` deals out."""
    classes = len(data.classes)
    if classes > len(WAVES):
        raise UserError(
            f"gratings tells {len(WAVES)} classes apart, and there are {classes}; take another "
            "method."
        )
    g = generator("cpu", seed, "gratings")
    order, start = torch.randperm(classes, generator=g), torch.rand(classes, generator=g)
    height, width = data.x.shape[-2:]
    y = (torch.arange(height)[:, None] + 0.5) / height
    x = (torch.arange(width)[None, :] + 0.5) / width
    at = {"rows": y, "columns": x, "diagonal": (x + y) / 2**0.5}
    each = []
    for k, phase in zip(order.tolist(), start, strict=True):
        waves, *along = WAVES[k]
        wave = torch.ones(height, width)
        for direction in along:
            turns = waves * at[direction] + phase
            wave = wave * torch.where(turns % 1 < 0.5, 1.0, -1.0)
        each.append(torch.stack([wave, wave, -wave]))
    return in_unit(m.eps) * torch.stack(each)


def lsp(m: LSP, data: Images, seed: int) -> Tensor:
    """Blow up linearly separable vectors to a grid of colors."""
    g = generator("cpu", seed, "lsp")
    vectors = separable(data.y, len(data.classes), 3 * m.cells**2, m.separation, g)
    grid = vectors.view(len(data), 3, m.cells, m.cells)
    noise = torch.empty(data.x.shape, dtype=torch.int16)
    for i in torch.arange(len(data)).split(CHUNK):
        block = F.interpolate(grid[i], size=tuple(data.x.shape[-2:]), mode="nearest")
        block *= m.l2 / block.square().mean((1, 2, 3), keepdim=True).sqrt()
        noise[i] = block.round().to(torch.int16)
    return noise


def separable(y: Tensor, classes: int, size: int, separation: float, g: torch.Generator) -> Tensor:
    """Vectors [N, size], normally distributed around a corner of a cube for every class, each class
    with random correlations; their sign pattern tells the class."""
    if classes > 2 ** min(size, 62):
        raise UserError(
            f"{classes} classes need more corners than a cube in {size} dimensions has; raise "
            "cells."
        )
    corners: dict[tuple[int, ...], None] = {}
    while len(corners) < classes:
        corners[tuple((torch.randint(0, 2, (size,), generator=g) * 2 - 1).tolist())] = None
    center = separation * torch.tensor(list(corners), dtype=torch.float32)
    vectors = torch.randn(len(y), size, generator=g)
    for c in range(classes):
        mix = torch.empty(size, size).uniform_(-1, 1, generator=g)
        vectors[y == c] = vectors[y == c] @ mix
    return vectors + center[y]


def ops(m: OPS, data: Images, seed: int) -> Tensor:
    """Give one pixel of every class the color that stands out most, a pair of its own per class."""
    noise = torch.zeros(data.x.shape, dtype=torch.int16)
    taken: set[tuple[int, int]] = set()
    for c in range(len(data.classes)):
        i = (data.y == c).nonzero()[:, 0]
        if len(i):
            score = shortcut_scores(data.x[i])
            for place, k in taken:
                score[place, k] = -1
            place, k = divmod(int(score.argmax()), len(COLORS))
            taken.add((place, k))
            top, left = divmod(place, data.x.shape[-1])
            noise[i, :, top, left] = LEVELS * COLORS[k] - data.x[i, :, top, left].short()
    return noise


def shortcut_scores(x: Tensor) -> Tensor:
    """[H W, 8]: for every place (row * W + column) and color of ``COLORS``, the mean over the
    standard deviation of the absolute change, over all channels of the images uint8 [n, 3, H, W] of
    one class."""
    x = x.flatten(2)
    score = torch.empty(x.shape[2], len(COLORS), dtype=torch.float64)
    for k, color in enumerate(COLORS):
        total, squares = (torch.zeros(x.shape[2], dtype=torch.float64) for _ in range(2))
        for part in x.split(CHUNK):
            change = (LEVELS * color[:, None] - part.short()).abs().double() / LEVELS
            total += change.sum((0, 1))
            squares += change.square().sum((0, 1))
        mean = total / (3 * len(x))
        variance = squares / (3 * len(x)) - mean.square()
        score[:, k] = mean / variance.clamp(min=1e-12).sqrt()
    return score


def cuda(m: CUDA, data: Images, seed: int) -> Tensor:
    """Blur every class by its own filter."""
    filters = class_filters(len(data.classes), m.kernel, m.blur, seed)
    noise = torch.empty(data.x.shape, dtype=torch.int16)
    for c in range(len(data.classes)):
        for i in (data.y == c).nonzero()[:, 0].split(CHUNK):
            blurred = class_blur(data.pixels(i, "cpu"), filters[c])
            noise[i] = quantize(blurred, torch.int16) - data.x[i]
    return noise


def class_filters(classes: int, kernel: int, blur: float, seed: int) -> Tensor:
    """[classes, kernel, kernel]: U(0, blur), one random entry 1."""
    g = generator("cpu", seed, "cuda")
    filters = torch.empty(classes, kernel * kernel).uniform_(0, blur, generator=g)
    filters.scatter_(1, torch.randint(kernel * kernel, (classes, 1), generator=g), 1.0)
    return filters.view(classes, kernel, kernel)


def class_blur(x: Tensor, weight: Tensor) -> Tensor:
    """x [N, C, H, W] in [0, 1], every channel cross-correlated with ``weight`` [k, k] (black
    outside), then each image divided by its maximum."""
    y = F.conv2d(
        x.flatten(0, 1)[:, None], weight[None, None], padding=weight.shape[0] // 2
    ).view_as(x)
    return y / y.amax((1, 2, 3), keepdim=True).clamp(min=1e-6)
