"""Own photos: a folder with one sub-folder a class in, or a flat one, and the same with protected
photos out.

The noise is made at a working size, at which training is affordable, and carried to every photo's
own size by bicubic interpolation: of the usual filters it loses least in a learner's resizing for
what it adds at full size (docs/results.md). The contract is checked on the files as they were
written.
"""

import json
import os
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.files import read_json, write_json
from unlearnable.data.image_files import (
    THREADS,
    Format,
    Listing,
    in_threads,
    inside,
    listing,
    pixels,
    read,
    write,
)
from unlearnable.data.load import load
from unlearnable.data.visibility import visibility
from unlearnable.protection.methods.base import Method
from unlearnable.protection.methods.clusters import UnlearnableClusters
from unlearnable.protection.methods.from_generator import Generated
from unlearnable.protection.methods.min_min import MinMin
from unlearnable.protection.protect import protect
from unlearnable.training.pace import seconds_per_pass
from unlearnable.training.precision import Precision

WINDOW = 256  # visibility is measured on the middle of large photos, at most this wide and high
# all reads and the write of a photo, as a multiple of reading, writing and reading back
READS = 1.3
# inside the output folder until all is done: the noise at working size, and the state of the run
WORK = ".work"


def protect_photos(
    folder: Path | str,
    out: Path | str,
    method: Method,
    *,
    size: int = 32,
    kind: Format = "png",
    keep_metadata: bool = False,
    skip_bad: bool = False,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
) -> dict:
    """Protect the photos of ``folder`` at their own sizes; ``folder`` is never written to.

    out: gets the same sub-folders and names, lossless (``kind``), card.json and, where the method
    has a surrogate, generator.safetensors. size: the side at which the noise is made, in pixels.
    The same call resumes. Returns the card.

    Raises UserError for places that overlap, another run's folder, a broken contract, and for files
    that are no photos unless ``skip_bad`` (its ``details`` list them all).
    """
    folder, out = Path(folder), Path(out)
    check_places(folder, out)
    found = check_files(folder, skip_bad=skip_bad)
    data = load(folder, size=size, skip_bad=True)
    asked = {
        "method_settings": json.loads(json.dumps(asdict(method))),
        "digest": data.digest(),
        "seed": seed,
        "photos": {"size": size, "format": kind, "keep_metadata": keep_metadata},
    }
    if (out / "card.json").exists():
        card = read_json(out / "card.json")
        if {k: card.get(k) for k in asked} != asked:
            raise UserError(
                f"{out} holds another run's protected photos; give another folder, or delete it."
            )
        return card
    done = protect(data, method, out / WORK, seed=seed, device=device, precision=precision)
    delta = done.images.x.short() - data.x.short()
    measured = _write_all(folder, out, found, delta, method.eps, kind, keep_metadata)
    if (generator := out / WORK / "generator.safetensors").exists():
        os.replace(generator, out / generator.name)
    card = done.card | asked | {"measured": measured, "left_out": found.problems}
    write_json(out / "card.json", card)
    shutil.rmtree(out / WORK)
    return card


def check_places(folder: Path, out: Path) -> None:
    """Raises UserError unless ``folder`` is there, ``out`` is elsewhere, and ``out`` is new or this
    program's."""
    if not folder.is_dir():
        raise UserError(
            f"There is no folder {folder}; give one with a sub-folder of photos for every class."
        )
    if inside(out, folder) or inside(folder, out):
        raise UserError(
            f"{out} and {folder} lie inside each other; give an output folder elsewhere."
        )
    ours = (out / "card.json").exists() or (out / WORK).exists()
    if out.exists() and not ours and (not out.is_dir() or any(out.iterdir())):
        raise UserError(
            f"{out} exists and is not this run's output; give another folder, or delete it."
        )
    there = next(p for p in (out, *out.absolute().parents) if p.exists())
    if not os.access(there, os.W_OK | os.X_OK):  # said now, and not after the noise is made
        raise UserError(
            f"Cannot write into {there}; check its permissions, or give another output folder."
        )


def check_files(folder: Path, *, skip_bad: bool) -> Listing:
    """The listing of ``folder``, every file read once. Raises UserError for bad files unless
    ``skip_bad``."""
    found = listing(folder, check=True)
    if found.problems and not skip_bad:
        n = len(found.problems)
        files = f"{n} file{'s' * (n > 1)}"
        mend = "repair them" if n > 1 else "repair it"
        raise UserError(
            f"{files} in {folder} cannot be protected; {mend}, or give --skip-bad.", found.problems
        )
    return found


def upsample_noise(noise: Tensor, height: int, width: int, eps: float) -> Tensor:
    """Noise [3, s, s] in /255 at a photo's own size: int8 [3, height, width] within eps."""
    up = F.interpolate(noise[None].float(), (height, width), mode="bicubic", align_corners=False)[0]
    return up.round_().clamp_(-eps, eps).to(torch.int8)


def estimate(
    found: Listing,
    method: MinMin | Generated | UnlearnableClusters,
    *,
    size: int,
    kind: Format,
    device: str = "auto",
) -> float:
    """Estimate the seconds that ``protect_photos`` takes here."""
    n = len(found.files)
    pace = seconds_per_pass(
        method.probe(n), (size, size), images=n, classes=len(found.classes), device=device
    )
    return method.passes(n) * pace + _writing_seconds(found, kind)


def _writing_seconds(found: Listing, kind: Format) -> float:
    """Estimate what reading and writing the photos takes, by their pixels, from a made-up photo of
    one megapixel: of the photos themselves only the headers are read."""
    total = 0
    for path, _ in found.files:
        with Image.open(path) as image:
            total += image.width * image.height
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as scratch:
        photo = Path(scratch) / "photo.jpg"
        # blurred: photos are smooth, and coding takes longer for what is not
        Image.fromarray(noise).resize((1024, 1024), Image.Resampling.BICUBIC).save(photo)
        begin = time.monotonic()
        _one(photo, Path(scratch) / "out", torch.zeros(3, 32, 32), 0, kind, False)
        each = time.monotonic() - begin
    return READS * total / 2**20 * each / THREADS


def _write_all(
    folder: Path,
    out: Path,
    found: Listing,
    delta: Tensor,
    eps: float,
    kind: Format,
    keep_metadata: bool,
) -> dict:
    """Write every photo that is not there yet, read it back, check it; what was measured over all
    of them."""

    def one(k: int) -> dict:
        path, c = found.files[k]
        return _one(
            path, out / found.classes[c] / f"{path.stem}.{kind}", delta[k], eps, kind, keep_metadata
        )

    each = in_threads(one, range(len(found.files)), "writing photos")
    if len(listing(out).files) > len(each):
        raise UserError(
            f"{out} holds photos that this run did not write; give another folder, or delete it."
        )
    mean = {key: round(float(np.mean([m[key] for m in each])), 4) for key in ("psnr", "ssim")}
    worst = min(m["psnr"] for m in each)
    counts = Counter(str(int(m["psnr"])) for m in each)  # by whole dB, for the report
    return {
        "linf": max(m["linf"] for m in each),
        **mean,
        "lowest_psnr": round(worst, 2),
        "psnr_counts": dict(sorted(counts.items())),
    }


def _one(
    path: Path, to: Path, noise: Tensor, eps: float, kind: Format, keep_metadata: bool
) -> dict:
    """Write one photo with its noise, unless it is there, and measure what was written."""
    clean = read(path)
    x = torch.from_numpy(pixels(clean, None))
    if not to.exists():
        y = (x.short() + upsample_noise(noise, *x.shape[1:], eps)).clamp_(0, 255).to(torch.uint8)
        write(y.permute(1, 2, 0).numpy(), clean, to, kind=kind, keep_metadata=keep_metadata)
    return _measured(x, torch.from_numpy(pixels(read(to), None)), to, eps)


def _measured(clean: Tensor, written: Tensor, path: Path, eps: float) -> dict:
    """Visibility of the noise in one written file. Raises UserError where the file breaks the
    contract."""
    if clean.shape != written.shape:
        raise UserError(
            f"{path} has another size than its original; delete it and run the same command again."
        )
    linf = int((clean.short() - written.short()).abs().max())
    if linf > eps:
        raise UserError(
            f"{path} differs from its original by {linf}/255, above {eps:g}/255; delete it and run again."
        )
    h, w = clean.shape[1:]
    top, left = max(0, h - WINDOW) // 2, max(0, w - WINDOW) // 2
    window = (slice(None), slice(top, top + WINDOW), slice(left, left + WINDOW))
    return visibility(clean[window][None], written[window][None]) | {"linf": linf}
