"""Originals, protected images and magnified noise side by side."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from unlearnable.core.files import atomic_write
from unlearnable.data.images import Images


def contact_sheet(
    clean: Images, protected: Images, path: Path, *, count: int = 10, gain: int = 8, seed: int = 0
) -> None:
    """Write a PNG with three rows: originals, protected images, noise times ``gain`` around gray;
    one image a class while they last."""
    order = np.random.default_rng(seed).permutation(len(clean))
    seen = np.zeros(len(clean.classes), int)
    rank = np.empty(len(clean), int)  # the how-manieth of its class an image is
    for k in order:
        label = int(clean.y[k])
        rank[k], seen[label] = seen[label], seen[label] + 1
    chosen = sorted(order, key=lambda k: (rank[k], int(clean.y[k])))[:count]
    a, b = clean.x[chosen].short(), protected.x[chosen].short()
    rows = [a, b, 128 + gain * (b - a)]
    zoom, gap, head = max(1, 96 // clean.size), 6, 18
    h, w = a.shape[-2] * zoom, a.shape[-1] * zoom
    page = Image.new("RGB", (gap + len(chosen) * (w + gap), 3 * (head + h) + gap), "white")
    draw = ImageDraw.Draw(page)
    titles = ("original", "protected", f"noise x {gain}")
    for r, (title, row) in enumerate(zip(titles, rows, strict=True)):
        draw.text((gap, r * (head + h) + 4), title, fill="black")
        for c, image in enumerate(row):
            tile = Image.fromarray(image.clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy())
            page.paste(
                tile.resize((w, h), Image.Resampling.NEAREST),
                (gap + c * (w + gap), r * (head + h) + head),
            )
    with atomic_write(path) as tmp:
        page.save(tmp, format="PNG")
