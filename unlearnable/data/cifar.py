"""CIFAR-10 and CIFAR-100 in the official Python layout (Krizhevsky, 2009)."""

import hashlib
import tarfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write
from unlearnable.data.images import Images
from unlearnable.data.pickles import load_pickle


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
        if (
            not isinstance(data, np.ndarray)
            or data.dtype != np.uint8
            or data.shape != (len(labels), 3072)
        ):
            raise UserError(
                f"{path} is not a complete CIFAR batch (uint8 N x 3072 with N labels); "
                "fetch it again."
            )
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
            raise UserError(
                f"{url} could not be downloaded; put its folder {self.folder} into {root}/ by hand."
            ) from e
        with open(archive, "rb") as f:
            if hashlib.file_digest(f, "md5").hexdigest() != self.md5:
                archive.unlink()
                raise UserError(f"{url} arrived damaged (md5 differs); run the command again.")
        with tarfile.open(archive) as tar:
            tar.extractall(root, filter="data")
        archive.unlink()


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
