"""Pictures and their labels as one tensor: ``load`` reads every source into the same ``Images``.

A source is a name of ``DATA``, a folder of pictures with one sub-folder a class, a flat folder of pictures without
classes, or a protected folder. A protected set loads exactly like a clean one.
"""

import hashlib
import os
import tarfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from unlearnable import shapes
from unlearnable.core.device import to_device
from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write, read_json
from unlearnable.pickles import load_pickle
from unlearnable.pictures import NO_CLASSES, in_threads, listing, pixels, read


@dataclass(frozen=True, eq=False)
class Images:
    """x: uint8 [N, 3, H, W], 0..255 (may be memory-mapped); y: int64 [N]; ``source``: what ``load`` was asked for."""

    x: Tensor
    y: Tensor
    classes: tuple[str, ...]
    source: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.x.dtype != torch.uint8 or self.x.ndim != 4 or self.x.shape[1] != 3:
            raise UserError(f"Pictures must be uint8 [N, 3, H, W]; these are {self.x.dtype} {list(self.x.shape)}.")
        if self.y.shape != (len(self.x),):
            raise UserError(f"{len(self.x)} pictures but {len(self.y)} labels; give one label a picture.")
        if len(self.y) and not 0 <= int(self.y.min()) <= int(self.y.max()) < len(self.classes):
            raise UserError(f"Labels must lie in 0..{len(self.classes) - 1}; these reach {int(self.y.max())}.")

    def __len__(self) -> int:
        return len(self.x)

    @property
    def size(self) -> int:
        """The shorter side, in pixels."""
        return min(self.x.shape[-2:])

    @property
    def labelled(self) -> bool:
        """False for the pictures of a flat folder: all of y is 0 and means nothing."""
        return self.classes != NO_CLASSES

    def for_learning(self) -> Self:
        """Itself. Raises UserError where there are no classes to learn."""
        if not self.labelled:
            raise UserError(
                "These pictures have no classes to learn; put those of each class into a sub-folder of its own."
            )
        return self

    def pixels(self, i: Tensor | slice, device: torch.device | str) -> Tensor:
        """Pictures ``i`` as float32 in [0, 1] on ``device``."""
        x, _ = self._held(torch.device(device))
        return to_device(x[_index(i, x.device)], device).float() / 255

    def labels(self, i: Tensor | slice, device: torch.device | str) -> Tensor:
        """Labels of the pictures ``i``, int64, on ``device``."""
        _, y = self._held(torch.device(device))
        return to_device(y[_index(i, y.device)], device)

    def _held(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Where batches are picked: on a CUDA device that has room for the whole set, else where the set is."""
        if device not in self._copies:
            fits = device.type == "cuda" and 4 * self.x.nbytes < torch.cuda.mem_get_info(device)[0]
            self._copies[device] = (self.x.to(device), self.y.to(device)) if fits else (self.x, self.y)
        return self._copies[device]

    @cached_property
    def _copies(self) -> dict[torch.device, tuple[Tensor, Tensor]]:
        return {}

    def digest(self) -> str:
        """sha256 of pictures, labels and class names; taken once, because every training and audit asks for it."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        h = hashlib.sha256(repr((tuple(self.x.shape), self.classes)).encode())
        for a in range(0, len(self), 4096):
            h.update(np.ascontiguousarray(self.x[a : a + 4096].numpy()))
        h.update(np.ascontiguousarray(self.y.numpy()))
        return h.hexdigest()


def _index(i: Tensor | slice, device: torch.device) -> Tensor | slice:
    return i if isinstance(i, slice) else to_device(i, device)


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
    """Pictures of a source.

    source: a name of ``DATA``, a picture folder with one sub-folder a class or with pictures only, or a protected
    folder (its "test" split is its source's).  limit: at most this many pictures, the same number of every class,
    chosen by ``seed``.  classes: only these, relabelled 0.. in the order given.  seed: also generates ``shapes``.
    size: resize a folder's pictures to size x size (default for protected photographs: that at which their noise was
    made).  root: where the named sets lie (default: $UNLEARNABLE_DATA, else ./data).  skip_bad: leave out a folder's
    files that do not read.
    """
    if limit is not None and limit < 1:
        raise UserError(f"The limit of pictures must be at least 1, not {limit}.")
    asked = {"source": str(source), "limit": limit, "classes": classes and list(classes), "seed": seed, "size": size}
    asked |= {"skip_bad": True} if skip_bad else {}
    path, root = Path(source), Path(root or os.environ.get("UNLEARNABLE_DATA", "data"))
    if str(source) in DATA:
        images = DATA[str(source)](root, split, seed, limit)
    elif (path / "card.json").exists():
        card = read_json(path / "card.json")
        if split == "test":
            return load(**card["data"] | {"limit": limit}, split="test", root=root)
        images = _folder(path, size or card["photos"]["size"]) if "photos" in card else _protected(path, card)
    elif path.is_dir():
        if split == "test":
            raise UserError(f"The picture folder {path} has no test split; give test pictures with --test FOLDER.")
        images = _folder(path, size, skip_bad)
    else:
        known = ", ".join(DATA)
        raise UserError(f"There is no folder {path} and no dataset of that name (known: {known}).")
    return replace(_select(images, limit, classes, seed), source=asked)


def _select(images: Images, limit: int | None, classes: tuple[str, ...] | None, seed: int) -> Images:
    x, y, names = images.x, images.y, images.classes
    if classes:
        if unknown := [c for c in classes if c not in names]:
            raise UserError(f"No class '{unknown[0]}' in this set; it has {', '.join(names)}.")
        table = torch.full((len(names),), -1)
        table[[names.index(c) for c in classes]] = torch.arange(len(classes))
        keep = table[y] >= 0
        x, y, names = x[keep], table[y][keep], tuple(classes)
    if limit is not None and limit < len(y):
        random = np.random.default_rng(seed)
        share = [limit // len(names) + (c < limit % len(names)) for c in range(len(names))]
        rows = [random.permutation(np.flatnonzero(y.numpy() == c))[: share[c]] for c in range(len(names))]
        keep = torch.from_numpy(np.sort(np.concatenate(rows)))  # the order of the source stays
        x, y = x[keep], y[keep]
    return Images(x, y, names)


# ── the embedded set ──


def _shapes(root: Path, split: str, seed: int, limit: int | None) -> Images:
    """ten textured shapes on cluttered backgrounds, 32 px, generated from the seed: no files needed"""
    n = limit or {"train": 4000, "test": 1000}[split]
    x, y = shapes.generate(-(-n // 10) * 10, 2 * seed + (split == "test"))
    return Images(torch.from_numpy(x), torch.from_numpy(y), shapes.CLASSES)


# ── CIFAR in the official python layout ──


@dataclass(frozen=True)
class _Cifar:
    archive: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    names: bytes
    labels: bytes
    md5: str

    def __call__(self, root: Path, split: str, seed: int, limit: int | None) -> Images:
        folder = root / self.folder
        if not folder.is_dir():
            self._download(root)
        batches = [self._batch(folder / f) for f in (self.train if split == "train" else self.test)]
        x = np.concatenate([b[0] for b in batches])
        y = np.concatenate([b[1] for b in batches])
        meta = load_pickle(folder / self.meta)
        names = meta.get(self.names, ()) if isinstance(meta, dict) else ()
        return Images(torch.from_numpy(x), torch.from_numpy(y), tuple(n.decode() for n in names))

    def _batch(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        batch = load_pickle(path)
        data = batch.get(b"data") if isinstance(batch, dict) else None
        labels = batch.get(self.labels, []) if isinstance(batch, dict) else []
        whole = isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 2 and data.shape[1] == 3072
        if not whole or len(labels) != len(data):
            raise UserError(f"{path} is no complete CIFAR batch (uint8 N x 3072 with N labels); fetch it again.")
        return data.reshape(-1, 3, 32, 32), np.asarray(labels, np.int64)

    def _download(self, root: Path) -> None:
        url = f"https://www.cs.toronto.edu/~kriz/{self.archive}"
        archive = root / self.archive
        try:
            with (
                urllib.request.urlopen(url, timeout=20) as response,
                atomic_write(archive) as tmp,
                open(tmp, "wb") as f,
            ):
                while block := response.read(1 << 20):
                    f.write(block)
        except OSError as e:
            raise UserError(f"{url} could not be fetched; put its folder {self.folder} into {root}/ by hand.") from e
        with open(archive, "rb") as f:
            if hashlib.file_digest(f, "md5").hexdigest() != self.md5:
                archive.unlink()
                raise UserError(f"{url} arrived damaged (md5 differs); run the command again.")
        with tarfile.open(archive) as tar:
            tar.extractall(root, filter="data")
        archive.unlink()


_cifar10 = _Cifar(
    archive="cifar-10-python.tar.gz",
    folder="cifar-10-batches-py",
    train=tuple(f"data_batch_{i}" for i in range(1, 6)),
    test=("test_batch",),
    meta="batches.meta",
    names=b"label_names",
    labels=b"labels",
    md5="c58f30108f718f92721af3b95e74349a",
)


_cifar100 = _Cifar(
    archive="cifar-100-python.tar.gz",
    folder="cifar-100-python",
    train=("train",),
    test=("test",),
    meta="meta",
    names=b"fine_label_names",
    labels=b"fine_labels",
    md5="eb9058c3a382ffc7106e4002c42a8d85",
)


# ── folders of pictures ──


def _imagenet100(root: Path, split: str, seed: int, limit: int | None) -> Images:
    """The first 100 synsets of ILSVRC2012 at 256 x 256 (training: aspect not kept; test: resized, centre-cropped)."""
    folder = root / "imagenet" / {"train": "train", "test": "val"}[split]
    if not folder.is_dir():
        raise UserError(f"Put ILSVRC2012 as {folder}/<synset>/*.JPEG (it cannot be downloaded freely).")
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
        raise UserError(f"{cache} was made from {len(x)} pictures, but there are {len(files)} now; delete it.")
    return Images(torch.from_numpy(x), torch.tensor([c for _, c in files]), names)


def _folder(folder: Path, size: int | None, skip_bad: bool = False) -> Images:
    found = listing(folder, check=skip_bad)
    arrays = in_threads(lambda file: pixels(read(file[0]), size), found.files, "reading pictures")
    if len({a.shape for a in arrays}) > 1:
        raise UserError(f"The pictures in {folder} differ in size; choose one with --size, for instance --size 64.")
    return Images(torch.from_numpy(np.stack(arrays)), torch.tensor([c for _, c in found.files]), found.classes)


def _protected(folder: Path, card: dict) -> Images:
    try:
        x = np.load(folder / "images.npy", mmap_mode="c")
        y = np.load(folder / "labels.npy")
    except (OSError, ValueError) as e:
        raise UserError(f"The protected folder {folder} is incomplete ({e}); protect the pictures again.") from e
    return Images(torch.from_numpy(x), torch.from_numpy(y), tuple(card["classes"]))


Reader = Callable[[Path, str, int, int | None], Images]


DATA: dict[str, Reader] = {
    "shapes": _shapes,
    "cifar10": _cifar10,
    "cifar100": _cifar100,
    "imagenet100": _imagenet100,
}


DESCRIPTIONS = {
    "shapes": "10 classes of textured shapes on clutter, 32 px, generated from the seed (no files needed)",
    "cifar10": "CIFAR-10, 50,000 + 10,000 pictures of 32 px (Krizhevsky 2009)",
    "cifar100": "CIFAR-100, 50,000 + 10,000 pictures of 32 px (Krizhevsky 2009)",
    "imagenet100": "the first 100 classes of ILSVRC2012 at 256 px (the paper's ImageNet subset)",
}
