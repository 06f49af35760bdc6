"""Noise that needs no surrogate: patterns that tell the class at a glance, so that a network learns
them instead."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.core.seeding import generator
from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context, Method, Noise

CHUNK = 512  # images handled at a time


@dataclass(frozen=True)
class Uniform(Method):
    """the control: uniform random noise of the same budget. Protects nothing per image; per class
    it is a shortcut that ordinary training takes."""

    eps: float = 8.0
    """budget, in /255"""
    noise_type: Literal["samplewise", "classwise"] = "samplewise"
    """one noise an image, or one a class"""

    @property
    def needs_labels(self) -> bool:
        return self.noise_type == "classwise"

    def __post_init__(self) -> None:
        require(self, positive="eps")

    def craft(self, data: Images, run: Context) -> Noise:
        rows = len(data) if self.noise_type == "samplewise" else len(data.classes)
        noise = torch.empty(rows, *data.x.shape[1:], dtype=torch.int8)
        noise.random_(
            -int(self.eps), int(self.eps) + 1, generator=generator("cpu", run.seed, "uniform")
        )
        return Noise(noise if self.noise_type == "samplewise" else noise[data.y])


@dataclass(frozen=True)
class LSP(Method):
    """linearly separable perturbations (Yu et al., KDD 2022): a coarse grid of colors from linearly
    separable vectors. Milliseconds an image; collapses ordinary training; undone by adversarial
    training, grayscale, JPEG."""

    eps: ClassVar[float] = 255.0
    l2: float = 6.0
    """root mean square of the noise, in /255: its L2 norm is l2/255 sqrt(3 H W)"""
    cells: int = 4
    """color patches a side"""
    separation: float = 10.0
    """distance of the class centers from 0 along every axis, in units of the vectors' own normal
    draws"""

    def __post_init__(self) -> None:
        require(self, positive="l2 cells separation")

    @property
    def budget(self) -> str:
        return f"L2: {self.l2:g}/255 root mean square, single pixels above 8/255"

    def craft(self, data: Images, run: Context) -> Noise:
        g = generator("cpu", run.seed, "lsp")
        vectors = separable(data.y, len(data.classes), 3 * self.cells**2, self.separation, g)
        grid = vectors.view(len(data), 3, self.cells, self.cells)
        noise = torch.empty(data.x.shape, dtype=torch.int16)
        for i in torch.arange(len(data)).split(CHUNK):
            block = F.interpolate(grid[i], size=tuple(data.x.shape[-2:]), mode="nearest")
            block *= self.l2 / block.square().mean((1, 2, 3), keepdim=True).sqrt()
            noise[i] = block.round().to(torch.int16)
        return Noise(noise)


def separable(y: Tensor, classes: int, size: int, separation: float, g: torch.Generator) -> Tensor:
    """Vectors [N, size], normally distributed around a corner of a cube for every class, each class
    with random correlations; their sign pattern tells the class."""
    if classes > 2 ** min(size, 62):
        raise UserError(
            f"{classes} classes need more corners than a cube in {size} dimensions has; raise cells."
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


@dataclass(frozen=True)
class AR(Method):
    """autoregressive noise (Sandoval-Segura et al., NeurIPS 2022): every class has its own rule by
    which a pixel follows from its neighbors. Collapses ordinary training; undone by adversarial
    training and by JPEG."""

    eps: ClassVar[float] = 255.0
    l2: float = 1.0
    """L2 norm of an image's noise, in [0, 1] units at 32 px (larger images: the same root mean
    square)"""
    border: int = 4
    """rows and columns at the top and left that are dropped while the process settles"""

    def __post_init__(self) -> None:
        require(self, positive="l2", whole="border")

    @property
    def budget(self) -> str:
        return f"L2 {self.l2:g} at 32 px, single pixels above 8/255"

    def craft(self, data: Images, run: Context) -> Noise:
        height, width = data.x.shape[-2:]
        rules = ar_rules(len(data.classes), (height + self.border, width + self.border), run.seed)
        noise = torch.empty(data.x.shape, dtype=torch.int16)
        size = self.l2 * (height * width / 32**2) ** 0.5 * 255
        for part, i in enumerate(torch.arange(len(data)).split(4 * CHUNK)):
            g = generator("cpu", run.seed, "ar", part)
            start = torch.randn(len(i), 3, height + self.border, width + self.border, generator=g)
            block = ar_process(start, rules[data.y[i]])[..., self.border :, self.border :]
            block *= size / block.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            noise[i] = block.round().to(torch.int16)
        return Noise(noise)


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
                f"No stable autoregressive rules were found for images of {size[0]} x {size[1]} pixels."
            )
    return good[: 3 * classes].view(classes, 3, 8)


@dataclass(frozen=True)
class OPS(Method):
    """one-pixel shortcut (Wu et al., ICLR 2023): one pixel a class takes one color. Collapses
    ordinary and adversarial training; undone by Cutout, random augmentation and a median filter.
    One pixel changes by up to 255."""

    eps: ClassVar[float] = 255.0

    @property
    def budget(self) -> str:
        return "L0: one pixel, by up to 255/255"

    def craft(self, data: Images, run: Context) -> Noise:
        noise = torch.zeros(data.x.shape, dtype=torch.int16)
        for c in range(len(data.classes)):
            i = (data.y == c).nonzero()[:, 0]
            if len(i):
                place, color = shortcut(data.x[i])
                top, left = divmod(place, data.x.shape[-1])
                noise[i, :, top, left] = 255 * color - data.x[i, :, top, left].short()
        return Noise(noise)


def shortcut(x: Tensor) -> tuple[int, Tensor]:
    """The place (row * W + column) and the color (int16 [3] of 0 and 1) with the largest mean over
    variance of the absolute change, over images uint8 [n, 3, H, W] of one class."""
    best, place, found = -1.0, 0, torch.zeros(3, dtype=torch.int16)
    x = x.flatten(2)
    for k in range(8):
        color = torch.tensor([k >> 2 & 1, k >> 1 & 1, k & 1], dtype=torch.int16)
        total, squares = (torch.zeros(x.shape[2], dtype=torch.float64) for _ in range(2))
        for part in x.split(CHUNK):
            change = (255 * color[:, None] - part.short()).abs().sum(1).double() / 255
            total += change.sum(0)
            squares += change.square().sum(0)
        mean = total / len(x)
        score = mean / (squares / len(x) - mean.square()).clamp(min=1e-6)
        if float(score.max()) > best:
            best, place, found = float(score.max()), int(score.argmax()), color
    return place, found


@dataclass(frozen=True)
class CUDA(Method):
    """convolution-based (Sadasivan et al., CVPR 2023): every class is blurred by a filter of its
    own. Visible, and outside every ball; holds against adversarial training; undone by random
    displacement of pixels (COIN)."""

    eps: ClassVar[float] = 255.0
    kernel: int = 3
    """filter width, odd"""
    blur: float = 0.3
    """filter entries are drawn from U(0, blur); one of them is 1"""

    presets: ClassVar[dict[str, dict]] = {"paper": {}, "imagenet": {"kernel": 9, "blur": 0.06}}

    def __post_init__(self) -> None:
        require(self, positive="kernel blur")
        if self.kernel % 2 == 0:
            raise UserError(f"kernel must be odd, not {self.kernel}.")

    @property
    def budget(self) -> str:
        return "none: a visible blur"

    def craft(self, data: Images, run: Context) -> Noise:
        filters = class_filters(len(data.classes), self.kernel, self.blur, run.seed)
        noise = torch.empty(data.x.shape, dtype=torch.int16)
        for c in range(len(data.classes)):
            for i in (data.y == c).nonzero()[:, 0].split(CHUNK):
                blurred = class_blur(data.pixels(i, "cpu"), filters[c])
                noise[i] = (255 * blurred).round().to(torch.int16) - data.x[i]
        return Noise(noise)


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
