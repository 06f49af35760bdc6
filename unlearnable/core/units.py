"""Two units and the way between them: whole steps of 1/255 on disk and in every setting, floats in
[0, 1] inside. The number stands here only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LEVELS = 255  # the largest value of an 8-bit pixel


def to_unit(levels: Tensor) -> Tensor:
    """Pixels 0..255, or noise in /255, as float32 in [0, 1] or [-1, 1]."""
    return levels.float() / LEVELS


def in_unit(value: float) -> float:
    """A setting in /255 (a budget, a radius, a step size) in the unit of ``to_unit``."""
    return value / LEVELS


def quantize(unit: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Noise of ``to_unit``'s range as the nearest whole steps of 1/255; ``dtype``: int8, or int16
    for noise that may exceed 127."""
    import torch

    return (unit * LEVELS).round().to(dtype or torch.int8)


def to_pixels(unit: Tensor) -> Tensor:
    """Images in [0, 1] as the nearest pixels, uint8; values outside are clipped."""
    return round_pixels(unit * LEVELS)


def round_pixels(levels: Tensor) -> Tensor:
    """Floats in 0..255 as the nearest pixels, uint8; values outside are clipped."""
    import torch

    return levels.round().clamp(0, LEVELS).to(torch.uint8)


def add_noise(pixels: Tensor, noise: Tensor) -> Tensor:
    """clip(pixels + noise, 0, 255) as uint8, for uint8 pixels and int8 or int16 noise in /255."""
    import torch

    # in place: of a large photo every copy counts
    return pixels.short().add_(noise).clamp_(0, LEVELS).to(torch.uint8)
