"""Folders of image files: one sub-folder per class, flat, or ImageNet."""

from pathlib import Path

import numpy as np
import torch

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write
from unlearnable.data.image_files import in_threads, listing, pixels, read
from unlearnable.data.images import Images

# ── folders of images ──


def imagenet100(root: Path, split: str, seed: int, limit: int | None) -> Images:
    """The first 100 synsets of ILSVRC2012 at 256 x 256 (training: aspect not kept; test: resized,
    center-cropped)."""
    folder = root / "imagenet" / {"train": "train", "test": "val"}[split]
    if not folder.is_dir():
        raise UserError(
            f"Put ILSVRC2012 as {folder}/<synset>/*.JPEG (it cannot be downloaded freely)."
        )
    names = tuple(sorted(p.name for p in folder.iterdir() if p.is_dir())[:100])
    files = [(p, c) for c, name in enumerate(names) for p in sorted((folder / name).iterdir())]
    cache = root / "imagenet" / f"imagenet100-{split}-256.npy"
    if not cache.exists():
        with atomic_write(cache) as tmp:
            table = np.lib.format.open_memmap(tmp, "w+", np.uint8, (len(files), 3, 256, 256))
            for k, (p, _) in enumerate(files):
                table[k] = pixels(read(p), 256, keep_aspect=split == "test")
            table.flush()
    x = np.load(cache, mmap_mode="c")
    if len(x) != len(files):
        raise UserError(
            f"{cache} was made from {len(x)} images, but there are {len(files)} now; delete it."
        )
    return Images(torch.from_numpy(x), torch.tensor([c for _, c in files]), names)


def read_folder(folder: Path, size: int | None, skip_bad: bool = False) -> Images:
    found = listing(folder, check=skip_bad)
    arrays = in_threads(lambda file: pixels(read(file[0]), size), found.files, "reading images")
    if len({a.shape for a in arrays}) > 1:
        raise UserError(
            f"The images in {folder} differ in size; choose one with --size, for instance --size 64."
        )
    return Images(
        torch.from_numpy(np.stack(arrays)), torch.tensor([c for _, c in found.files]), found.classes
    )
