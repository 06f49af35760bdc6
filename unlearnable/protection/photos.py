"""The user's own photos: a folder of photos in, and the same folder with protected photos out.

The noise is made at a working size, at which training is affordable, and upsampled to every photo's
own size by bicubic interpolation: of the usual filters it loses least in a learner's resizing for
what it adds at full size (docs/results.md). A photo is decoded twice, once to check and shrink it
and once to write it with its noise. The contract is checked on the files as they were written.
"""

import os
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from unlearnable.core.checkpoint import Checkpoint, held
from unlearnable.core.errors import UserError
from unlearnable.core.files import remove_unfinished
from unlearnable.core.text import printable
from unlearnable.core.units import add_noise
from unlearnable.data.card import Card, Measured, PhotoSettings, holds_card
from unlearnable.data.decoding import WEBP_LONGEST, Format, is_gray, pixels, read, write
from unlearnable.data.folders import Scan, scan_photos
from unlearnable.data.image_files import NO_CLASSES, class_names, entries, inside, listing
from unlearnable.data.threads import THREADS, in_threads
from unlearnable.data.visibility import visibility
from unlearnable.protection.methods.base import Method
from unlearnable.protection.methods.clusters import UnlearnableClusters
from unlearnable.protection.methods.from_generator import Generated
from unlearnable.protection.methods.min_min import SEM, MinMin
from unlearnable.protection.protect import check_eps, check_images, protect, settings_of
from unlearnable.training.pace import seconds_per_pass
from unlearnable.training.precision import Precision

PhotoMethod = MinMin | Generated | UnlearnableClusters
Level = Literal["light", "normal", "strong"]
LEVELS: dict[Level, int] = {"light": 4, "normal": 8, "strong": 16}  # how far a pixel moves, in /255
SIZE = 32  # pixels, the side at which the noise is made
WINDOW = 256  # visibility is measured on the middle of large photos, at most this wide and high
# inside the output folder until all is done: the settings of the run, which come first, and under
# ``noise`` the noise at working size with its own state
WORK = ".work"


def method_for(
    folder: Path,
    *,
    level: Level | None = None,
    size: int | None = None,
    train_steps: int | None = None,
    gray_prob: float | None = None,
    generator: Path | None = None,
    model: str | None = None,
) -> tuple[PhotoMethod, int]:
    """Choose the method for a folder of photos, and the side in pixels at which it makes its noise:
    SEM, or Unlearnable Clusters if the folder has no sub-folders and so no classes.

    level: the budget (default: normal). size: default 32. train_steps: of the surrogate. gray_prob:
    fraction of gray views for which the noise is made. generator: generator.safetensors of an
    earlier run, whose settings it keeps. model: its network, where that is your own. Raises
    UserError for options that do not go together.
    """
    if generator:
        if level or size or train_steps or gray_prob is not None:
            raise UserError(
                "A generator keeps the settings that it was made with; leave out --level, --size, "
                "--train-steps and --gray-prob."
            )
        further = Generated.of(generator, model)
        return further, further.size
    size, changes = size or SIZE, {"eps": LEVELS[level or "normal"]}
    if class_names(folder) == NO_CLASSES:
        if gray_prob is not None:
            raise UserError("Unlearnable Clusters has no gray views; leave out --gray-prob.")
        changes |= {"train_steps": train_steps, "steps": train_steps} if train_steps else {}
        return UnlearnableClusters.preset("short", **changes), size
    changes |= {"train_steps": train_steps} if train_steps else {}
    return SEM.preset("short", gray_prob=gray_prob or 0.0, **changes), size


def protect_photos(
    folder: Path | str,
    out: Path | str,
    method: Method,
    *,
    size: int = SIZE,
    kind: Format = "png",
    keep_metadata: bool = False,
    skip_bad: bool = False,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    scan: Scan | None = None,
) -> Card:
    """Protect the photos of ``folder`` at their own sizes and return the card. ``folder`` is never
    written to.

    out: gets the same sub-folders and names, lossless (``kind``), card.json and, if the method has
    a surrogate, generator.safetensors. The same call resumes.
    size: the side at which the noise is made, in pixels.
    scan: what ``scan_photos`` read from ``folder`` at this size, if that was done before.

    Raises UserError for folders that overlap, another run's folder, a broken contract, and for
    files that are not photos unless ``skip_bad`` (its ``details`` list them all).
    """
    folder, out = Path(folder), Path(out)
    check_places(folder, out)
    check_eps(method)
    scan = scan or scan_photos(folder, (size,), skip_bad=skip_bad)
    check_format(scan, kind)
    clean, found = scan.images[size], scan.listing
    photos = PhotoSettings(size, kind, keep_metadata)
    check_images(clean, method)
    run = {"method": settings_of(method), "digest": clean.digest(), "seed": seed}
    with held(out):
        if holds_card(out):
            return _finished(out, run | {"photos": photos})
        # Every setting belongs into it: written photos are not looked at again.
        Checkpoint(out / WORK, run | {"photos": asdict(photos)}, out).claim()
        remove_unfinished(out)
        work = out / WORK / "noise"
        done = protect(clean, method, work, seed=seed, device=device, precision=precision)
        delta = done.images.x.short() - clean.x.short()
        measured, lost = _write_all(out, scan, delta, method.eps, kind, keep_metadata)
        if (generator := work / "generator.safetensors").exists():
            os.replace(generator, out / generator.name)
        files = tuple(str(path.relative_to(folder)) for path, _ in found.files)
        card = replace(
            done.card,
            measured=measured,
            photos=photos,
            left_out=tuple(found.problems),
            files=files,
            lost_metadata=tuple(files[k] for k in lost),
        )
        card.write(out)
        shutil.rmtree(out / WORK)
    return card


def _finished(out: Path, run: dict[str, Any]) -> Card:
    """The card of the same run, which is done. Raises UserError for another run's."""
    card = Card.read(out)
    done = {"method": card.settings, "digest": card.digest, "seed": card.seed}
    if done | {"photos": card.photos} != run:
        raise UserError(
            f"{out} holds another run's protected photos; give another folder, or delete it."
        )
    if (out / WORK).exists():  # where it was killed between its card and the end of its state
        shutil.rmtree(out / WORK, ignore_errors=True)
        remove_unfinished(out)
    return card


def check_places(folder: Path, out: Path) -> None:
    """Raise UserError unless ``folder`` exists, ``out`` lies elsewhere and can be written, and
    ``out`` is new or this program's."""
    if not folder.is_dir():
        raise UserError(
            f"There is no folder {folder}; give one with a sub-folder of photos per class."
        )
    if inside(out, folder) or inside(folder, out):
        raise UserError(
            f"{out} and {folder} lie inside each other; give an output folder elsewhere."
        )
    ours = holds_card(out) or (out / WORK).exists()
    if out.exists() and not ours and not (out.is_dir() and _is_empty(out)):
        raise UserError(
            f"{out} exists and is not this run's output; give another folder, or delete it."
        )
    parent = next(p for p in (out, *out.absolute().parents) if p.exists())
    if not os.access(parent, os.W_OK | os.X_OK):  # now, and not after the noise is made
        raise UserError(
            f"Cannot write into {parent}; check its permissions, or give another output folder."
        )


def _is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing but what systems leave in it."""
    hidden = (p.name for p in folder.iterdir() if p.name.startswith("."))
    return not entries(folder) and all(n == ".DS_Store" or n.startswith("._") for n in hidden)


def check_format(scan: Scan, kind: Format) -> None:
    """Raise UserError for photos that are too large for the files to be written."""
    for (path, _), size in zip(scan.listing.files, scan.sizes, strict=True):
        if kind == "webp" and max(size) > WEBP_LONGEST:
            raise UserError(
                f"{printable(str(path))} has {size[0]} x {size[1]} pixels, and WebP holds at most "
                f"{WEBP_LONGEST} per side; give --format png."
            )


def upsample_noise(noise: Tensor, height: int, width: int, eps: float) -> Tensor:
    """Upsample noise [3, s, s] in /255 to a photo's size: int8 [3, height, width] within eps."""
    up = F.interpolate(noise[None].float(), (height, width), mode="bicubic", align_corners=False)[0]
    return up.round_().clamp_(-eps, eps).to(torch.int8)


def estimate(
    scan: Scan,
    method: MinMin | Generated | UnlearnableClusters,
    *,
    size: int,
    kind: Format,
    device: str = "auto",
) -> float:
    """Estimate the seconds that ``protect_photos`` takes here."""
    check_format(scan, kind)
    n = len(scan.sizes)
    pace = seconds_per_pass(
        method.probe(n), (size, size), images=n, classes=len(scan.listing.classes), device=device
    )
    return method.passes(n) * pace + _writing_seconds(scan, kind)


def _writing_seconds(scan: Scan, kind: Format) -> float:
    """Estimate what reading and writing the photos takes, by their pixels, from a made-up photo of
    one megapixel."""
    total = sum(width * height for width, height in scan.sizes)
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as scratch:
        photo = Path(scratch) / "photo.jpg"
        # blurred: photos are smooth, and coding takes longer for what is not
        Image.fromarray(noise).resize((1024, 1024), Image.Resampling.BICUBIC).save(photo)
        begin = time.monotonic()
        _one(photo, Path(scratch) / "out", torch.zeros(3, 32, 32), 0, kind, False)
        each = time.monotonic() - begin
    return total / 2**20 * each / THREADS


def _write_all(
    out: Path,
    scan: Scan,
    delta: Tensor,
    eps: float,
    kind: Format,
    keep_metadata: bool,
) -> tuple[Measured, list[int]]:
    """Write every photo that is not there yet, read it back and check it; return what was measured
    over all of them, and which of them lost metadata that was to be kept."""
    found = scan.listing

    def one(k: int) -> tuple[Measured, bool]:
        path, c = found.files[k]
        return _one(
            path, out / found.classes[c] / f"{path.stem}.{kind}", delta[k], eps, kind, keep_metadata
        )

    done = in_threads(one, range(len(found.files)), "writing photos")
    each = [measured for measured, _ in done]
    if len(listing(out).files) > len(each):
        raise UserError(
            f"{out} holds photos that this run did not write; give another folder, or delete it."
        )
    counts = Counter(str(int(m["psnr"])) for m in each)  # by whole dB, for the report
    measured: Measured = {
        "linf": max(m["linf"] for m in each),
        "psnr": round(float(np.mean([m["psnr"] for m in each])), 4),
        "ssim": round(float(np.mean([m["ssim"] for m in each])), 4),
        "lowest_psnr": round(min(m["psnr"] for m in each), 2),
        "psnr_counts": dict(sorted(counts.items())),
    }
    return measured, [k for k, (_, lost) in enumerate(done) if lost and keep_metadata]


def _one(
    path: Path, to: Path, noise: Tensor, eps: float, kind: Format, keep_metadata: bool
) -> tuple[Measured, bool]:
    """Write one photo with its noise, unless it is there already. Return what was measured on the
    file that was written, and whether metadata was lost. A gray photo stays gray: its noise is the
    mean of the channels."""
    clean = read(path)
    x = torch.from_numpy(pixels(clean, None))
    if not to.exists():
        height, width = x.shape[1:]
        if is_gray(x.numpy()):
            noise = noise.float().mean(0, keepdim=True).expand(3, -1, -1)
        y = add_noise(x, upsample_noise(noise, height, width, eps))
        write(y.numpy(), clean, to, kind=kind, keep_metadata=keep_metadata)
    lost = bool(clean.info["lost"])
    return _measured(x, torch.from_numpy(pixels(read(to), None)), to, eps), lost


def _measured(clean: Tensor, written: Tensor, path: Path, eps: float) -> Measured:
    """Measure the noise in one written file. Raises UserError if the file breaks the contract."""
    if clean.shape != written.shape:
        raise UserError(
            f"{path} has another size than its original; delete it and run the same command again."
        )
    rows = zip(clean.split(256, 1), written.split(256, 1), strict=True)  # few at a time, in int16
    linf = max(int((a.short() - b).abs().max()) for a, b in rows)
    if linf > eps:
        raise UserError(
            f"{path} differs from its original by {linf}/255, above {eps:g}/255; delete it and run "
            "the same command again."
        )
    h, w = clean.shape[1:]
    top, left = max(0, h - WINDOW) // 2, max(0, w - WINDOW) // 2
    window = (slice(None), slice(top, top + WINDOW), slice(left, left + WINDOW))
    measured = visibility(clean[window][None], written[window][None])
    measured["linf"] = linf  # of the whole photo
    return measured
