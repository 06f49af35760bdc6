"""Original, protected image and magnified noise side by side."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from unlearnable.core.files import atomic_write
from unlearnable.core.units import LEVELS
from unlearnable.data.images import Images

GAIN = 8  # the noise is shown times this, around gray
SOFTWARE = "Software", "unlearnable"  # what the PNG says of its origin,
MARK = "\0".join(SOFTWARE).encode()  # and how that stands near its beginning
GAP, HEAD = 6, 18  # pixels between images, and for a row's title


def contact_sheet(
    clean: Images,
    protected: Images,
    path: Path,
    *,
    count: int = 10,
    gain: int = GAIN,
    seed: int = 0,
) -> None:
    """Write a PNG with three rows: originals, protected images, noise; ``count`` images as in
    ``choose``."""
    chosen = choose(clean, count, seed)
    zoom = max(1, 96 // clean.size)
    page = sheet(clean.x[chosen], protected.x[chosen], gain=gain, zoom=zoom, titles=True)
    with atomic_write(path) as tmp:
        about = PngInfo()
        about.add_text(*SOFTWARE)
        page.save(tmp, format="PNG", pnginfo=about)


def choose(images: Images, count: int, seed: int = 0) -> list[int]:
    """Return the numbers of ``count`` random images, one per class while they last."""
    order = np.random.default_rng(seed).permutation(len(images))
    seen = np.zeros(len(images.classes), int)
    rank = np.empty(len(images), int)  # how many of its class come before an image
    for k in order:
        label = int(images.y[k])
        rank[k], seen[label] = seen[label], seen[label] + 1
    return [int(k) for k in sorted(order, key=lambda k: (rank[k], int(images.y[k])))[:count]]


def views(original: np.ndarray, protected: np.ndarray, gain: int = GAIN) -> dict[str, np.ndarray]:
    """Return what is shown of uint8 images of one shape, by its title; the noise around gray,
    clipped."""
    noise = protected.astype(np.int16) - original
    shown = (128 + gain * noise).clip(0, LEVELS).astype(np.uint8)
    return {"original": original, "protected": protected, f"noise times {gain}": shown}


def sheet(
    original: Tensor, protected: Tensor, *, gain: int = GAIN, zoom: int = 1, titles: bool = False
) -> Image.Image:
    """Draw uint8 [N, 3, H, W] originals and protected images as a row of each and a row of noise,
    every pixel ``zoom`` wide."""
    a, b = (x.permute(0, 2, 3, 1).numpy() for x in (original, protected))
    head, (h, w) = HEAD if titles else GAP, (zoom * side for side in a.shape[1:3])
    page = Image.new("RGB", (GAP + len(a) * (w + GAP), 3 * (head + h) + GAP), "white")
    draw = ImageDraw.Draw(page)
    for r, (title, row) in enumerate(views(a, b, gain).items()):
        top = r * (head + h)
        if titles:
            draw.text((GAP, top + 4), title, fill="black")
        for c, image in enumerate(row):
            tile = Image.fromarray(image).resize((w, h), Image.Resampling.NEAREST)
            page.paste(tile, (GAP + c * (w + GAP), top + head))
    return page
