"""Images as Pillow changes them one by one, JPEG above all: uint8 [N, 3, H, W] in and out, on the
CPU."""

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def jpeg(x: Tensor, quality: int) -> Tensor:
    """Compress as JPEG of that quality, with 4:2:0 colors as most programs write them."""
    return each_image(x, lambda image: as_jpeg(image, quality))


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Return an RGB image as a JPEG file of that quality gives it back."""
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=quality)
    return Image.open(file)


def each_image(x: Tensor, through: Callable[[Image.Image], Image.Image]) -> Tensor:
    """Send every image through ``through``, which keeps its size."""
    out = torch.empty(tuple(x.shape), dtype=torch.uint8)
    for k, image in enumerate(x):
        done = through(Image.fromarray(image.permute(1, 2, 0).numpy()))
        out[k] = torch.from_numpy(np.asarray(done).copy()).permute(2, 0, 1)
    return out
