"""CIFAR-10 and CIFAR-100 in the official Python layout (Krizhevsky, 2009)."""

import hashlib
import tarfile
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write, lock
from unlearnable.data.images import Images
from unlearnable.data.pickles import load_pickle

MOST_LABEL = np.iinfo(np.int64).max  # which classes there are, Images checks


@dataclass(frozen=True)
class Cifar:
    """Where one of the two sets lies, and what its files are called. Called, it reads the set from
    ``root``, after a download if it is not there."""

    archive: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    names: bytes
    labels: bytes
    md5: str

    def __call__(
        self,
        root: Path,
        split: str,
        seed: int,
        limit: int | None,
        classes: tuple[str, ...] | None,
    ) -> Images:
        folder = root / self.folder
        if not folder.is_dir():
            with lock(root, wait=True):  # against processes that ask for the same images
                self._fetch(folder, root / self.archive)
        batches = [self._batch(folder / f) for f in (self.train if split == "train" else self.test)]
        x = np.concatenate([b[0] for b in batches])
        y = np.concatenate([b[1] for b in batches])
        names = _read(folder / self.meta).get(self.names, ())
        names = tuple(n.decode(errors="replace") if isinstance(n, bytes) else str(n) for n in names)
        return Images(torch.from_numpy(x), torch.from_numpy(y), names)

    def _batch(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        batch = _read(path)
        data, labels = batch.get(b"data"), batch.get(self.labels, [])
        if (
            not isinstance(data, np.ndarray)
            or data.dtype != np.uint8
            or not isinstance(labels, list | np.ndarray)
            or not all(isinstance(k, int | np.integer) and 0 <= k <= MOST_LABEL for k in labels)
            or data.shape != (len(labels), 3072)
        ):
            raise UserError(
                f"{path} is not a complete CIFAR batch (uint8 N x 3072 with N labels); "
                "fetch it again."
            )
        return data.reshape(-1, 3, 32, 32), np.asarray(labels, np.int64)

    def _fetch(self, folder: Path, archive: Path) -> None:
        """Unpack the archive, downloaded unless it is there already."""
        if folder.is_dir():  # another process was faster
            return
        downloaded = not archive.exists()
        if downloaded:
            self._download(archive)
        self._unpack(archive)
        if downloaded:
            archive.unlink()

    def _download(self, archive: Path) -> None:
        url = f"https://www.cs.toronto.edu/~kriz/{self.archive}"
        digest = hashlib.md5(usedforsecurity=False)
        with atomic_write(archive) as tmp, open(tmp, "wb") as f:
            for block in self._blocks(url, archive.parent):
                f.write(block)
                digest.update(block)
            if digest.hexdigest() != self.md5:
                raise UserError(f"{url} arrived damaged (md5 differs); run the command again.")

    def _blocks(self, url: str, root: Path) -> Iterator[bytes]:
        """What the server sends. Raises UserError where it does not."""
        try:
            with urllib.request.urlopen(url, timeout=20) as response:
                while block := response.read(1 << 20):
                    yield block
        except (OSError, HTTPException) as e:
            raise UserError(
                f"{url} could not be downloaded; put its folder {self.folder} into {root}/ by hand."
            ) from e

    def _unpack(self, archive: Path) -> None:
        """Unpack the archive beside itself, the folder in one step."""
        try:
            with TemporaryDirectory(dir=archive.parent, prefix=".cifar-") as scratch:
                with tarfile.open(archive) as tar:
                    tar.extractall(scratch, filter="data")
                (Path(scratch) / self.folder).rename(archive.parent / self.folder)
        except (tarfile.TarError, EOFError, zlib.error, OSError) as e:
            raise UserError(
                f"{archive} cannot be unpacked ({e}); delete it, and it is downloaded again."
            ) from e


def _read(path: Path) -> dict[bytes, Any]:
    """The dictionary in a batch, its keys as Python 2 wrote them; those of Python 3 are text."""
    batch = load_pickle(path)
    if not isinstance(batch, dict):
        return {}
    return {key.encode() if isinstance(key, str) else key: value for key, value in batch.items()}


cifar10 = Cifar(
    archive="cifar-10-python.tar.gz",
    folder="cifar-10-batches-py",
    train=tuple(f"data_batch_{i}" for i in range(1, 6)),
    test=("test_batch",),
    meta="batches.meta",
    names=b"label_names",
    labels=b"labels",
    md5="c58f30108f718f92721af3b95e74349a",
)


cifar100 = Cifar(
    archive="cifar-100-python.tar.gz",
    folder="cifar-100-python",
    train=("train",),
    test=("test",),
    meta="meta",
    names=b"fine_label_names",
    labels=b"fine_labels",
    md5="eb9058c3a382ffc7106e4002c42a8d85",
)
