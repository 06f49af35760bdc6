"""The noise of the pattern methods: int8, or int16 where a pixel may change by more than 127, both
[N, 3, H, W] in /255."""

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.seeding import generator
from unlearnable.core.units import LEVELS, quantize
from unlearnable.data.images import Images
from unlearnable.protection.methods.patterns import AR, CUDA, LSP, OPS, Uniform

CHUNK = 512  # images handled at a time


def uniform_noise(m: Uniform, data: Images, seed: int) -> Tensor:
    """Draw every pixel, or every pixel of a class's noise, from the whole levels of the budget."""
    rows = len(data) if m.noise_type == "samplewise" else len(data.classes)
    noise = torch.empty(rows, *data.x.shape[1:], dtype=torch.int8)
    noise.random_(-int(m.eps), int(m.eps) + 1, generator=generator("cpu", seed, "uniform"))
    return noise if m.noise_type == "samplewise" else noise[data.y]


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


def ar(m: AR, data: Images, seed: int) -> Tensor:
    """Run every class's autoregressive process over its images."""
    height, width = data.x.shape[-2:]
    rules = ar_rules(len(data.classes), (height + m.border, width + m.border), seed)
    noise = torch.empty(data.x.shape, dtype=torch.int16)
    size = m.l2 * (height * width / 32**2) ** 0.5 * LEVELS
    for part, i in enumerate(torch.arange(len(data)).split(4 * CHUNK)):
        g = generator("cpu", seed, "ar", part)
        start = torch.randn(len(i), 3, height + m.border, width + m.border, generator=g)
        block = ar_process(start, rules[data.y[i]])[..., m.border :, m.border :]
        block *= size / block.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        noise[i] = block.round().to(torch.int16)
    return noise


AR_TAPS = [(dy, dx) for dy in (2, 1, 0) for dx in (2, 1, 0)][
    :-1
]  # up and left of the pixel, in a 3 x 3 window


def ar_process(start: Tensor, rules: Tensor) -> Tensor:
    """float [N, C, H, W]: the first two rows and columns of ``start``, every other pixel the sum of
    its eight neighbors up and to the left, weighted by rules [N, C, 8] (in the order of
    ``AR_TAPS``)."""
    x = start.permute(
        2, 3, 0, 1
    ).contiguous()  # [H, W, N, C]: a pixel of all images is one piece of memory
    weights = rules.permute(2, 0, 1).contiguous()
    for i in range(2, x.shape[0]):
        for j in range(2, x.shape[1]):
            window = torch.cat([x[i - 2, j - 2 : j + 1], x[i - 1, j - 2 : j + 1], x[i, j - 2 : j]])
            torch.sum(window * weights, 0, out=x[i, j])
    return x.permute(2, 3, 0, 1)


def ar_rules(classes: int, size: tuple[int, int], seed: int) -> Tensor:
    """[classes, 3, 8] coefficients that sum to 1, each stable over images of ``size``: the process
    neither explodes nor settles to a constant."""
    good = torch.empty(0, 8)
    attempt = 0
    while len(good) < 3 * classes:
        g = generator("cpu", seed, "ar rules", attempt)
        rule = torch.randn(512, 8, generator=g)
        rule = rule / rule.sum(1, keepdim=True)
        rule = rule[rule.abs().amax(1) < 3]
        trial = ar_process(torch.randn(len(rule), 1, *size, generator=g), rule[:, None])[:, 0]
        end = trial[:, -8:, -8:].flatten(1)
        fits = trial.isfinite().flatten(1).all(1) & (end.abs().amax(1) < 10) & (end.std(1) > 0.3)
        good = torch.cat([good, rule[fits]])
        attempt += 1
        if attempt > 200:
            raise UserError(
                f"No stable autoregressive rules were found for images of {size[0]} x {size[1]} "
                "pixels; use another size or seed."
            )
    return good[: 3 * classes].view(classes, 3, 8)


def ops(m: OPS, data: Images, seed: int) -> Tensor:
    """Give one pixel of every class the color that stands out most."""
    noise = torch.zeros(data.x.shape, dtype=torch.int16)
    for c in range(len(data.classes)):
        i = (data.y == c).nonzero()[:, 0]
        if len(i):
            place, color = shortcut(data.x[i])
            top, left = divmod(place, data.x.shape[-1])
            noise[i, :, top, left] = LEVELS * color - data.x[i, :, top, left].short()
    return noise


def shortcut(x: Tensor) -> tuple[int, Tensor]:
    """The place (row * W + column) and the color (int16 [3] of 0 and 1) with the largest mean over
    variance of the absolute change, over images uint8 [n, 3, H, W] of one class."""
    best, place, found = -1.0, 0, torch.zeros(3, dtype=torch.int16)
    x = x.flatten(2)
    for k in range(8):
        color = torch.tensor([k >> 2 & 1, k >> 1 & 1, k & 1], dtype=torch.int16)
        total, squares = (torch.zeros(x.shape[2], dtype=torch.float64) for _ in range(2))
        for part in x.split(CHUNK):
            change = (LEVELS * color[:, None] - part.short()).abs().sum(1).double() / LEVELS
            total += change.sum(0)
            squares += change.square().sum(0)
        mean = total / len(x)
        score = mean / (squares / len(x) - mean.square()).clamp(min=1e-6)
        if float(score.max()) > best:
            best, place, found = float(score.max()), int(score.argmax()), color
    return place, found


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
