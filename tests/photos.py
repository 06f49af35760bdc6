"""Folders of random photos, each like no other."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

FORMATS = ("png", "jpg", "webp", "bmp")


def noisy(size: tuple[int, int], seed: int) -> Image.Image:
    """A photo of size (width, height), drawn by ``seed``."""
    width, height = size
    x = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(x)


def photo(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noisy((24, 30 + seed), seed).save(path)


def album(root: Path, classes: Sequence[str] = ("cat", "dog"), each: int = 4) -> Path:
    """A folder per class, of PNG files 0.png, 1.png, ..."""
    for c, name in enumerate(classes):
        for k in range(each):
            photo(root / name / f"{k}.png", 10 * c + k)
    return root


def mixed_album(root: Path, classes: Sequence[str] = ("cat", "dog"), each: int = 4) -> Path:
    """The same, of many sizes and formats, with spaces in the names."""
    for c, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for k in range(each):
            file = root / name / f"{k} my image.{FORMATS[k % len(FORMATS)]}"
            noisy((20 + 5 * k, 50 - 3 * k), 10 * c + k + 1).save(file)
    return root
