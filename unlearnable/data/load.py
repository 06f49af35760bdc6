"""Images and their labels as one tensor: ``load`` reads every source into the same ``Images``.

A source is a name of ``DATA``, a folder of images with one sub-folder a class, a flat folder of
images without classes, or a protected folder. A protected set loads exactly like a clean one.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from unlearnable.core.errors import UserError
from unlearnable.core.files import read_json
from unlearnable.data import shapes
from unlearnable.data.folders import read_folder
from unlearnable.data.images import Images
from unlearnable.data.sources import DATA, check_source
from unlearnable.data.subsets import select


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
) -> Images:
    """Images of a source.

    source: a name of ``DATA``, an image folder with one sub-folder a class or with images only, or
    a protected folder (its "test" split is its source's).  limit: at most this many images, the
    same number of every class, chosen by ``seed``.  classes: only these, relabeled 0.. in the order
    given.  seed: also generates ``shapes``. size: resize a folder's images to size x size (default
    for protected photographs: that at which their noise was made).  root: where the named sets lie
    (default: $UNLEARNABLE_DATA, else ./data).  skip_bad: leave out a folder's files that do not
    read.
    """
    if limit is not None and limit < 1:
        raise UserError(f"The limit of images must be at least 1, not {limit}.")
    asked = {
        "source": str(source),
        "limit": limit,
        "classes": classes and list(classes),
        "seed": seed,
        "size": size,
    }
    asked |= {"skip_bad": True} if skip_bad else {}
    check_source(source)
    path, root = Path(source), Path(root or os.environ.get("UNLEARNABLE_DATA", "data"))
    if str(source) in DATA:
        images = DATA[str(source)].load()(root, split, seed, limit)
    elif (path / "card.json").exists():
        card = read_json(path / "card.json")
        if split == "test":
            return load(**card["data"] | {"limit": limit}, split="test", root=root)
        images = (
            read_folder(path, size or card["photos"]["size"])
            if "photos" in card
            else _read_protected(path, card)
        )
    else:
        if split == "test":
            raise UserError(
                f"The image folder {path} has no test split; give test images with --test FOLDER."
            )
        images = read_folder(path, size, skip_bad)
    return replace(select(images, limit, classes, seed), source=asked)


# ── the embedded set ──


def generated_shapes(root: Path, split: str, seed: int, limit: int | None) -> Images:
    """Draw ten textured shapes on cluttered backgrounds, 32 px; needs no files."""
    n = limit or {"train": 4000, "test": 1000}[split]
    x, y = shapes.generate(-(-n // 10) * 10, 2 * seed + (split == "test"))
    return Images(torch.from_numpy(x), torch.from_numpy(y), shapes.CLASSES)


def _read_protected(folder: Path, card: dict) -> Images:
    try:
        x = np.load(folder / "images.npy", mmap_mode="c")
        y = np.load(folder / "labels.npy")
    except (OSError, ValueError) as e:
        raise UserError(
            f"The protected folder {folder} is incomplete ({e}); protect the images again."
        ) from e
    return Images(torch.from_numpy(x), torch.from_numpy(y), tuple(card["classes"]))
