"""One photo with its noise: written at its own size without loss, read back, and measured."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.data.card import Measured, PhotoRecord, PhotoSettings
from unlearnable.data.image_files import pixels, read, write
from unlearnable.data.visibility import color_difference, color_shift, visibility

WINDOW = 256  # visibility is measured on the middle of large photos, at most this wide and high


def fingerprint(x: np.ndarray) -> str:
    """Return what tells one photo, uint8 [3, S, S] at the noise's size, from others."""
    return hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()[:16]


def upsample_noise(noise: Tensor, height: int, width: int, eps: float) -> Tensor:
    """Upsample noise [3, s, s] in /255 to a photo's size: int8 [3, height, width] within eps."""
    up = F.interpolate(noise[None].float(), (height, width), mode="bicubic", align_corners=False)[0]
    return up.round_().clamp_(-eps, eps).to(torch.int8)


def write_photo(
    path: Path,
    to: Path,
    noise: Tensor,
    eps: float,
    photos: PhotoSettings,
    *,
    work: Path,
) -> tuple[str, Measured]:
    """Write the photo ``path`` with its noise to ``to``, unless it is there already; return the
    fingerprint of what was written, and how far it is from the original.

    work: a folder on the same disk in which the file is made, so that a killed run leaves nothing
    unfinished beside photos that are to be published.
    """
    clean = read(path)
    x = torch.from_numpy(pixels(clean, None))
    if not to.exists():
        height, width = x.shape[1:]
        y = (x.short() + upsample_noise(noise, height, width, eps)).clamp_(0, 255).to(torch.uint8)
        made = work / to.parent.name / to.name
        write(
            y.permute(1, 2, 0).numpy(),
            clean,
            made,
            kind="webp" if photos.format == "webp" else "png",
            keep_metadata=photos.keep_metadata,
        )
        _move(made, to)
    written = read(to)
    measured = _measured(x, torch.from_numpy(pixels(written, None)), to, eps)
    return fingerprint(pixels(written, photos.size)), measured


def _move(made: Path, to: Path) -> None:
    if to.parent.is_symlink():
        raise UserError(f"{to.parent} is a symbolic link now; delete it and run the command again.")
    to.parent.mkdir(parents=True, exist_ok=True)
    os.replace(made, to)


def _measured(clean: Tensor, written: Tensor, path: Path, eps: float) -> Measured:
    """Measure the noise in one written file. Raises UserError if the file breaks the contract."""
    if clean.shape != written.shape:
        raise UserError(
            f"{path} has another size than its original; delete it and run the same command again."
        )
    linf = int((clean.short() - written.short()).abs().max())
    if linf > eps:
        raise UserError(
            f"{path} differs from its original by {linf}/255, above {eps:g}/255; delete it and run "
            "the same command again."
        )
    h, w = clean.shape[1:]
    top, left = max(0, h - WINDOW) // 2, max(0, w - WINDOW) // 2
    window = (slice(None), slice(top, top + WINDOW), slice(left, left + WINDOW))
    seen = visibility(clean[window][None], written[window][None])
    difference = color_difference(clean[window][None], written[window][None])
    return {
        "linf": linf,  # of the whole photo, like the shift
        "psnr": seen["psnr"],
        "ssim": seen["ssim"],
        "color_difference": round(float(difference.mean()), 3),
        "color_difference_95": round(float(np.quantile(difference.numpy(), 0.95)), 3),
        "color_shift": round(color_shift(clean, written), 3),
    }


def measured_over(files: Sequence[PhotoRecord]) -> Measured:
    """Return what was measured, over all photos."""
    each = [f.measured for f in files]

    def mean(values: list[float], digits: int) -> float:
        return round(float(np.mean(values)), digits)

    counts = Counter(str(int(m["psnr"])) for m in each)  # by whole dB, for the report
    return {
        "linf": max(m["linf"] for m in each),
        "psnr": mean([m["psnr"] for m in each], 4),
        "ssim": mean([m["ssim"] for m in each], 4),
        "lowest_psnr": round(min(m["psnr"] for m in each), 2),
        "psnr_counts": dict(sorted(counts.items())),
        "color_difference": mean([m["color_difference"] for m in each], 2),
        "color_difference_95": mean([m["color_difference_95"] for m in each], 2),
        "color_shift": mean([m["color_shift"] for m in each], 2),
    }
