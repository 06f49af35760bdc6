"""``load`` reads every source into the same ``Images``.

A source is a name of ``DATA``, a folder of images with one sub-folder per class, a flat folder of
images without classes, a protected folder, which loads exactly like a clean one, or what one of
``READERS`` reads: an .npz file, a data set of Hugging Face, a function of one's own.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from unlearnable.core.errors import UserError
from unlearnable.core.presets import require_seed
from unlearnable.core.text import printable
from unlearnable.data import shapes
from unlearnable.data.arrays import read_npy
from unlearnable.data.card import CARD, Card, find_private
from unlearnable.data.convert import LoadOptions
from unlearnable.data.folders import in_order_of_originals, read_folder, source_of
from unlearnable.data.images import Images
from unlearnable.data.sources import DATA, LOADER, READERS, check_source, find_reader
from unlearnable.data.subsets import check_classes, select


def load(
    source: str | Path,
    *,
    split: str = "train",
    limit: int | None = None,
    classes: tuple[str, ...] | None = None,
    seed: int = 0,
    size: int | None = None,
    root: str | Path | None = None,
    skip_bad: bool = False,
    originals: str | None = None,
) -> Images:
    """Load the images of a source. Raises UserError for a source that cannot be read.

    source: a name of ``DATA``, an image folder (one sub-folder per class, or images only), a
    protected folder, whose "test" split is that of its originals, or as in ``READERS``: FILE.npz,
    hf:NAME, my_module:loader.
    split: "train" or "test".
    limit: load at most this many images, the same number per class, drawn by ``seed``.
    classes: load only these, relabeled 0, 1, ... in the order given.
    seed: also generates ``shapes``.
    size: resize the images to size x size (named and protected sets have theirs); by default
    protected photos have the size at which their noise was made.
    root: where the named sets lie (default: $UNLEARNABLE_DATA, else ./data).
    skip_bad: leave out the files of a folder that cannot be read.
    originals: for the "test" split of a folder that was protected from my_module:loader, that name
    again, because a card must not choose what is imported.
    """
    seed = require_seed(seed)
    if limit is not None and limit < 1:
        raise UserError(f"The limit of images must be at least 1, not {limit}.")
    if split not in ("train", "test"):
        raise UserError(f"The split is train or test, not {split}.")
    check_source(source)
    path, root = Path(source), Path(root or os.environ.get("UNLEARNABLE_DATA", "data"))
    if str(source) in DATA:
        images = DATA[str(source)].load()(root, split, seed, limit, classes)
    elif reader := find_reader(source):
        images = READERS[reader].load()(str(source), LoadOptions(split, limit, classes, seed, size))
    elif find_private(path, CARD):
        card = Card.read(path)
        if split == "test":
            where = originals_source(card, path, originals) | {"limit": limit}
            return select(load(**where, split="test", root=root), None, classes, seed)
        images = (
            _read_photos(path, card, size or card.photos.size)
            if card.photos
            else _read_protected(path, card)
        )
    else:
        if split == "test":
            raise UserError(
                f"The image folder {path} has no test split; give test images with --test FOLDER."
            )
        images = read_folder(path, size, skip_bad)
    height, width = images.x.shape[-2:]
    if size and (height, width) != (size, size):
        raise UserError(
            f"The images of {source} have {width} x {height} pixels, and only those of image files "
            f"can be resized, not to {size}; leave --size out."
        )
    known = source_of(source, limit=limit, classes=classes, seed=seed, size=size, skip_bad=skip_bad)
    return replace(select(images, limit, classes, seed), source=known)


def originals_source(card: Card, folder: Path, typed: str | None) -> dict[str, Any]:
    """Return the arguments with which ``load`` gives the originals of ``folder``, whose card is
    ``card``. typed: their source, where it is a person's own function. Raises UserError if they are
    not known, and for a function that was not typed: a file must not choose what is imported."""
    where = card.originals(folder)
    source = where["source"]
    if find_reader(source) == LOADER and source != typed:
        raise UserError(
            f"The card of {folder} names the function {printable(source)}, and a file must not "
            f"choose what is run; if it is yours, give --originals {printable(source)}."
        )
    return where


def generated_shapes(
    root: Path, split: str, seed: int, limit: int | None, classes: tuple[str, ...] | None
) -> Images:
    """Generate the first images of ``shapes``, and of those only ``classes``: as many of each as
    ``limit`` images of them need."""
    check_classes(classes, shapes.CLASSES)
    n = limit or {"train": 4000, "test": 1000}[split]
    each = -(-n // len(classes or shapes.CLASSES)) if limit else n // len(shapes.CLASSES)
    whole = each * len(shapes.CLASSES)
    x, y = shapes.generate(whole, 2 * seed + (split == "test"), classes=classes or shapes.CLASSES)
    return Images(torch.from_numpy(x), torch.from_numpy(y), shapes.CLASSES)


def _read_photos(folder: Path, card: Card, size: int) -> Images:
    """Protected photos, in the order of their originals where all are there."""
    images, order = read_folder(folder, size, fewest=1), in_order_of_originals(folder, card)
    return images if order is None else images.subset(order)


def _read_protected(folder: Path, card: Card) -> Images:
    x = read_npy(folder / "images.npy", "uint8", 4)
    y = read_npy(folder / "labels.npy", "int64", 1).copy()
    if x.shape != tuple(card.shape) or len(y) != len(x):
        raise UserError(
            f"{folder} holds images of the shape {list(x.shape)} and {len(y)} labels, where its "
            f"card says {list(card.shape)}; it was damaged or changed: protect the images again."
        )
    return Images(torch.from_numpy(x), torch.from_numpy(y), card.classes)
