"""Folders of image files: one sub-folder per class, flat, or ImageNet."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.files import allocate, atomic_write, lock
from unlearnable.core.memory import memory_of_machine
from unlearnable.core.text import printable
from unlearnable.data.arrays import read_npy
from unlearnable.data.card import Card
from unlearnable.data.decoding import Digests, digests, pixels, read
from unlearnable.data.image_files import Listing, entries, examine, images_elsewhere, listing
from unlearnable.data.images import Images
from unlearnable.data.threads import in_threads


@dataclass(frozen=True, eq=False)
class Scan:
    """A folder of photos that was read in one pass. images: the photos that can be protected, per
    size at which they were asked for; only these small copies are held in memory. listing: their
    files, in the same order, and what was left out. sizes: their widths and heights, in pixels.
    digests: of every photo as it is now."""

    listing: Listing
    images: dict[int | None, Images]
    sizes: list[tuple[int, int]]
    digests: list[Digests]


def scan_photos(
    folder: Path | str,
    sizes: Iterable[int | None] = (32,),
    *,
    skip_bad: bool = False,
    fewest: int = 2,
) -> Scan:
    """Decode every photo of ``folder`` once: check it, and shrink it to size x size pixels for each
    of ``sizes`` (None: its own size). fewest: photos that every class must have.

    Raises UserError for a folder without photos, and for files that cannot be protected unless
    ``skip_bad`` (its ``details`` list them all).
    """
    folder, sizes = Path(folder), tuple(dict.fromkeys(sizes))

    def look(path: Path) -> tuple[list[np.ndarray], tuple[int, int], Digests]:
        image = read(path)
        return [pixels(image, size) for size in sizes], image.size, digests(path, image)

    found, seen = examine(folder, look, fewest, skip_bad=skip_bad)
    if found.problems and not skip_bad:
        n = len(found.problems)
        files, mend = ("1 file", "repair it") if n == 1 else (f"{n} files", "repair them")
        raise UserError(
            f"{files} in {printable(folder)} cannot be protected; {mend}, or give --skip-bad.",
            found.problems,
        )
    images = {
        size: _stacked(folder, found, [small[k] for small, *_ in seen], size, skip_bad=True)
        for k, size in enumerate(sizes)
    }
    return Scan(found, images, [size for _, size, _ in seen], [own for *_, own in seen])


def read_folder(
    folder: Path, size: int | None, skip_bad: bool = False, *, fewest: int = 2
) -> Images:
    """Read a folder of images, each one once. size: resize to size x size; None only for images of
    one size. skip_bad: leave out the files that cannot be read or protected, as ``scan_photos``
    does. fewest: images that every class must have. Raises UserError."""
    if skip_bad:
        return scan_photos(folder, (size,), skip_bad=True, fewest=fewest).images[size]
    return read_sizes(folder, (size,), fewest=fewest)[size]


def in_order_of_originals(folder: Path, card: Card) -> Tensor | None:
    """Return the numbers of protected photos, as ``read_folder`` reads them, in the order of their
    originals: with another ending, files may sort differently. None where a photo is missing, was
    renamed, or was added."""
    names = [p.relative_to(folder).as_posix() for p, _ in listing(folder, 1).files]
    if not card.files:  # of a version that did not list them
        return torch.arange(len(names))
    at = {name: k for k, name in enumerate(names)}
    written = [f.written for f in card.files]
    return torch.tensor([at[name] for name in written]) if at.keys() == {*written} else None


def incomplete(folder: Path) -> UserError:
    """The error where protected photos are not those that were written."""
    return UserError(
        f"Photos are missing from {folder}, were renamed, or were added to it; put back what was "
        "written, or protect them again."
    )


S = TypeVar("S", int, int | None)


def read_sizes(folder: Path, sizes: tuple[S, ...], *, fewest: int = 2) -> dict[S, Images]:
    """Read a folder of images, each one once, at several sizes as ``read_folder`` reads them.
    Raises UserError for what would be left out (its ``details`` list all)."""
    found = listing(folder, fewest)
    if left_out := found.problems + images_elsewhere(folder, found.classes):
        raise UserError(
            f"{len(left_out)} of what lies in {printable(folder)} would not be read; put the "
            "images themselves into the folders of their classes, and take the rest out.",
            left_out,
        )

    # the images, and once more while they are put together
    need = 2 * len(found.files) * sum(3 * (size or 0) ** 2 for size in sizes)
    if need > (memory := memory_of_machine()):
        raise UserError(
            f"{len(found.files)} images of {max(size or 0 for size in sizes)} pixels a side take "
            f"{need >> 30} GiB of memory, of which this machine has {memory >> 30}; choose a "
            "smaller --size."
        )

    def look(file: tuple[Path, int]) -> list[np.ndarray]:
        image = read(file[0])
        return [pixels(image, size) for size in sizes]

    seen = in_threads(look, found.files, "reading images")
    return {
        size: _stacked(folder, found, [arrays[k] for arrays in seen], size)
        for k, size in enumerate(sizes)
    }


def _stacked(
    folder: Path, found: Listing, arrays: list[np.ndarray], size: int | None, skip_bad: bool = False
) -> Images:
    if len({a.shape for a in arrays}) > 1:
        raise UserError(
            f"The images in {folder} differ in size; choose one with --size, for instance "
            "--size 64."
        )
    source = source_of(folder, size=size, skip_bad=skip_bad)
    x = torch.from_numpy(np.stack(arrays))
    return Images(x, torch.tensor(found.labels), found.classes, source)


def source_of(
    source: str | Path,
    *,
    limit: int | None = None,
    classes: tuple[str, ...] | None = None,
    seed: int = 0,
    size: int | None = None,
    skip_bad: bool = False,
) -> dict[str, Any]:
    """Return what ``load`` was asked for, as cards and results record it."""
    known = {"source": str(source), "limit": limit, "classes": classes and list(classes)}
    known |= {"seed": seed, "size": size}
    return known | {"skip_bad": True} if skip_bad else known


def imagenet100(
    root: Path, split: str, seed: int, limit: int | None, classes: tuple[str, ...] | None
) -> Images:
    """Read the first 100 synsets of ILSVRC2012, every image resized to 256 x 256 pixels whatever
    its aspect, as Fu et al.'s program does for training and test. The pixels are kept in one file
    beside the folder and memory-mapped. Raises UserError."""
    folder = root / "imagenet" / {"train": "train", "test": "val"}[split]
    if not folder.is_dir():
        raise UserError(
            f"Put ILSVRC2012 as {folder}/<synset>/*.JPEG (it cannot be downloaded freely)."
        )
    names = tuple(p.name for p in entries(folder) if p.is_dir())[:100]
    files = [(p, c) for c, name in enumerate(names) for p in entries(folder / name)]
    cache = root / "imagenet" / f"imagenet100-{folder.name}-256.npy"
    if not cache.exists():
        with lock(cache.parent, wait=True):  # against processes that ask for the same images
            if not cache.exists():
                shape = len(files), 3, 256, 256
                _write_npy(cache, (pixels(read(p), 256) for p, _ in files), shape)
    x = read_npy(cache, "uint8", 4)
    if len(x) != len(files):
        raise UserError(
            f"{cache} was made from {len(x)} images, but there are {len(files)} now; delete it."
        )
    return Images(torch.from_numpy(x), torch.tensor([c for _, c in files]), names)


def _write_npy(path: Path, images: Iterable[np.ndarray], shape: tuple[int, ...]) -> None:
    """Write images one after the other into one array, uint8 of that shape. Raises UserError where
    there is no room for all of them, before the first is made."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    # not memory-mapped: there, a full disk ends the process with SIGBUS
    with atomic_write(path) as tmp, open(tmp, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        allocate(file, math.prod(shape))
        for image in images:
            file.write(image.tobytes())
