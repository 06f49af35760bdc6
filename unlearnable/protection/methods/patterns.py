"""Noise that needs no surrogate: patterns that tell the class at a glance, so that a network learns
them instead; ``pattern_noise`` makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.core.units import LEVELS
from unlearnable.protection.methods.base import ClassTableMethod, Context, Method, Noise

if TYPE_CHECKING:
    from unlearnable.data.images import Images


@dataclass(frozen=True)
class Uniform(Method):
    """the control: uniform random noise of the same budget. Protects nothing per image; per class
    it is a shortcut that ordinary training takes."""

    name = "uniform"

    eps: float = 8.0
    """budget, in /255"""
    noise_type: Literal["samplewise", "classwise"] = "samplewise"
    """one noise per image, or one per class"""

    @property
    def needs_labels(self) -> bool:
        return self.noise_type == "classwise"

    def __post_init__(self) -> None:
        require(self, positive="eps")

    def craft(self, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.pattern_noise import uniform_noise

        return Noise(uniform_noise(self, data, run.seed))


@dataclass(frozen=True)
class Gratings(ClassTableMethod):
    """gratings (this project's): every class has its own stripes, as wide as an eighth or a
    sixteenth of the image, yellow where they are bright and blue where they are dark: red and green
    move together and blue against them, so that color and brightness both tell the class. Nothing
    is trained. Measured on photos alone: holds against ordinary training, mostly against
    adversarial training, hardly in gray copies, and not against pretrained networks; subtracting
    the mean image of each class undoes it. Plain to see."""

    name = "gratings"

    eps: float = 8.0
    """budget, in /255"""

    def __post_init__(self) -> None:
        require(self, positive="eps")

    def craft(self, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.class_table import ClassTable
        from unlearnable.protection.methods.pattern_noise import gratings

        table = ClassTable(gratings(self, data, run.seed))
        return Noise(table.of(data.y), table)


@dataclass(frozen=True)
class LSP(Method):
    """linearly separable perturbations (Yu et al., KDD 2022): a coarse grid of colors from linearly
    separable vectors. Milliseconds per image; collapses ordinary training; undone by adversarial
    training, grayscale, JPEG."""

    name = "lsp"
    eps: ClassVar[float] = LEVELS
    l2: float = 6.0
    """root mean square of the noise, in /255: its L2 norm is l2/255 sqrt(3 H W)"""
    cells: int = 4
    """color patches per side"""
    separation: float = 10.0
    """distance of the class centers from 0 along every axis, in units of the vectors' own normal
    draws"""

    def __post_init__(self) -> None:
        require(self, positive="l2 cells separation")

    @property
    def budget(self) -> str:
        return f"L2: {self.l2:g}/255 root mean square, single pixels above 8/255"

    def craft(self, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.pattern_noise import lsp

        return Noise(lsp(self, data, run.seed))


@dataclass(frozen=True)
class AR(Method):
    """autoregressive noise (Sandoval-Segura et al., NeurIPS 2022): every class has its own rule by
    which a pixel follows from its neighbors, accepted as the authors' program does. Collapses
    ordinary training in its paper, and not in a short one here (docs/results.md); undone by
    adversarial training and by JPEG."""

    name = "ar"
    form = 2
    eps: ClassVar[float] = LEVELS
    l2: float = 1.0
    """L2 norm of an image's noise, in [0, 1] units at 32 px (larger images: the same root mean
    square)"""
    border: int = 4
    """rows and columns at the top and left that are dropped while the process settles"""
    min_response: float | None = None
    """what the filter of every other class answers at least to a pattern of norm 1; default: 10 up
    to 10 classes, 3 for more, as the authors' files"""

    def __post_init__(self) -> None:
        require(self, positive="l2", whole="border min_response")

    @property
    def budget(self) -> str:
        return f"L2 {self.l2:g} at 32 px, single pixels above 8/255"

    def craft(self, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.autoregressive import ar

        return Noise(ar(self, data, run.seed))


@dataclass(frozen=True)
class OPS(Method):
    """one-pixel shortcut (Wu et al., ICLR 2023): one pixel per class takes one color; no two
    classes share both. In its paper it collapses ordinary and adversarial training; here it takes
    20 points of ordinary training and none of adversarial (docs/results.md). Undone by Cutout,
    random augmentation and a median filter. One pixel changes by up to 255."""

    name = "ops"
    form = 2
    eps: ClassVar[float] = LEVELS

    @property
    def budget(self) -> str:
        return "L0: one pixel, by up to 255/255"

    def craft(self, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.pattern_noise import ops

        return Noise(ops(self, data, run.seed))


@dataclass(frozen=True)
class CUDA(Method):
    """convolution-based (Sadasivan et al., CVPR 2023): every class is blurred by a filter of its
    own. Visible, and outside every ball; said to hold against adversarial training, which here
    takes most of it back (docs/results.md); undone by random displacement of pixels (COIN)."""

    name = "cuda"
    eps: ClassVar[float] = LEVELS
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
        from unlearnable.protection.methods.pattern_noise import cuda

        return Noise(cuda(self, data, run.seed))
