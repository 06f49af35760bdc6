"""One photo with its noise: written at its own size without loss, read back, and measured."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.files import (
    file_digest,
    inside,
    move,
    read_json,
    refuse_links,
    write_json,
)
from unlearnable.core.text import printable
from unlearnable.core.units import add_noise
from unlearnable.data.card import (
    Card,
    Measured,
    PhotoMeasured,
    PhotoRecord,
    PhotoSettings,
    private_folder,
)
from unlearnable.data.decoding import Format, is_gray, pixels, read, write
from unlearnable.data.folders import Scan
from unlearnable.data.threads import in_threads
from unlearnable.data.visibility import color_difference, color_shift, visibility

WORK = "work"  # in the private folder until all is done: photos, noise and state of the run
NOTES = (
    "written"  # in ``WORK``: of each photo that was written, its name and the digest of the file
)
WINDOW = 256  # visibility is measured on the middle of large photos, at most this wide and high


def fingerprint(x: np.ndarray) -> str:
    """Return what tells one photo, uint8 [3, S, S] at the noise's size, from others."""
    return hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()[:16]


def is_unchanged(record: PhotoRecord, pixels: str, digests: tuple[str, ...]) -> bool:
    """Whether the original of a protected photo is as it was. pixels: its fingerprint now; digests:
    those of the file and of its content now. Another decoder may read the same file differently,
    and the same photo may be saved anew."""
    if not record.original_digests:  # a card of an earlier version
        return record.original_pixels == pixels
    return record.original_pixels == pixels and not {*digests}.isdisjoint(record.original_digests)


def changed_since(card: Card, scan: Scan) -> bool:
    """Whether a photo was edited since it was protected, however little. scan: of the originals, in
    the order of ``card.files``."""
    own = [
        each.of_kept(card.photos is not None and card.photos.keep_metadata) for each in scan.digests
    ]
    return any(
        f.original_digests and {*now}.isdisjoint(f.original_digests)
        for f, now in zip(card.files, own)
    )


def refuse_originals(protected: Path, files: Sequence[PhotoRecord], prints: Sequence[str]) -> None:
    """Raise UserError where a protected photo is its original instead. prints: the fingerprints of
    ``files`` as they are now. Photos that were changed otherwise are taken as they are."""
    for f, now in zip(files, prints):
        if now == f.original_pixels != f.written_pixels:
            raise UserError(
                f"{printable(protected / f.written)} is not protected any more: it is the "
                "original. Delete it, and run `unlearnable protect-photos` with both folders again."
            )


def upsample_noise(noise: Tensor, height: int, width: int, eps: float) -> Tensor:
    """Upsample noise [3, s, s] in /255 to a photo's size: int8 [3, height, width] within eps."""
    up = F.interpolate(noise[None].float(), (height, width), mode="bicubic", align_corners=False)[0]
    return up.round_().clamp_(-eps, eps).to(torch.int8)


@dataclass(frozen=True)
class Written:
    """What is known of a photo that was written. pixels: its fingerprint. lost_metadata: whether
    its original has metadata that could not be kept."""

    pixels: str
    measured: PhotoMeasured
    lost_metadata: bool


def write_photo(
    path: Path, out: Path, name: str, noise: Tensor, eps: float, photos: PhotoSettings
) -> Written:
    """Write the photo ``path`` with its noise to ``out / name``, unless this run has done so, and
    read it back. A gray photo stays gray: its noise is the mean of the channels.

    The file is made in the private folder, which is on the same disk, so that a killed run leaves
    nothing unfinished beside photos that are to be published."""
    to, private = out / name, private_folder(out)
    clean = read(path)
    x = torch.from_numpy(pixels(clean, None))
    refuse_links(to, out)
    if not to.exists():
        height, width = x.shape[1:]
        if is_gray(x.numpy()):
            noise = noise.float().mean(0, keepdim=True).expand(3, -1, -1)
        y = add_noise(x, upsample_noise(noise, height, width, eps)).numpy()
        made = private / WORK / "photos" / name
        refuse_links(made, private.parent)
        kind: Format = "webp" if photos.format == "webp" else "png"
        write(y, clean, made, kind=kind, keep_metadata=photos.keep_metadata)
        # first: a file without a note is not ours
        write_json(_note(out, name), {"name": name, "digest": file_digest(made)})
        move(made, to, out)
    written = read(to)
    measured = _measured(x, torch.from_numpy(pixels(written, None)), to, eps)
    own = fingerprint(pixels(written, photos.size))
    return Written(own, measured, bool(clean.info["lost"]))


def _note(out: Path, name: str) -> Path:
    """The note of a photo, by the digest of its name, which may be as long as names can be."""
    of = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return private_folder(out) / WORK / NOTES / f"{of}.json"


def is_of_this_run(out: Path, name: str) -> bool:
    """Whether ``out / name`` is the file that the present run wrote there, to the byte."""
    note = _note(out, name)
    return note.is_file() and read_json(note) == {"name": name, "digest": file_digest(out / name)}


def drop_written(out: Path) -> None:
    """Delete what an unfinished run has written, which is not gone on with."""
    for note in (private_folder(out) / WORK / NOTES).glob("*.json"):
        name = str(read_json(note)["name"])
        refuse_links(out / name, out)
        if inside(out / name, out) and (out / name).is_file() and is_of_this_run(out, name):
            (out / name).unlink()


def refuse_foreign(out: Path, names: Sequence[str]) -> None:
    """Raise UserError where a photo that is to be written is there already, and the present run did
    not write it: it may be an original, or protected from one that was edited since."""

    def check(name: str) -> None:
        if not is_of_this_run(out, name):
            raise UserError(
                f"{printable(out / name)} was not written by this run; move it elsewhere, or "
                "delete it, and run the same command again."
            )

    for name in names:
        refuse_links(out / name, out)
    in_threads(check, [name for name in names if (out / name).exists()], "reading protected photos")


def _measured(clean: Tensor, written: Tensor, path: Path, eps: float) -> PhotoMeasured:
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


def measured_over(each: Sequence[PhotoMeasured]) -> Measured:
    """Return what was measured, over all photos."""

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
