"""What can be taken out of a protected folder: its originals, its noise, the CIFAR layout."""

import pickle
from pathlib import Path

import torch
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write
from unlearnable.data.card import Card
from unlearnable.data.folders import read_folder
from unlearnable.data.images import Images
from unlearnable.data.load import load


def originals_of(folder: Path, root: Path | str | None = None) -> Images:
    """Load the images from which a protected folder was made. root: where the named sets lie.
    Raises UserError if they are not known, not there, or have changed."""
    card = Card.read(folder)
    where = card.originals(folder)
    clean = (
        read_folder(Path(where["source"]), card.photos.size, skip_bad=True, fewest=1)
        if card.photos
        else load(**where, root=root)
    )
    if clean.digest() != card.digest:
        raise UserError(
            f"The images of {card.data['source']} have changed since {folder} was made from them; "
            "protect them again."
        )
    return clean


def noise_of(folder: Path, root: Path | str | None = None) -> Tensor:
    """Return protected minus original, int8 [N, 3, H, W]. Raises UserError if the noise exceeds
    127/255 (OPS, CUDA)."""
    noise = load(folder).x.short() - originals_of(folder, root).x.short()
    if (worst := int(noise.abs().max())) > 127:
        raise UserError(
            f"The noise of {folder} reaches {worst}/255, more than int8 holds; use the images "
            "themselves."
        )
    return noise.to(torch.int8)


def export_cifar(train: Images, test: Images, root: Path) -> Path:
    """Write 32 x 32 images in CIFAR-10's official Python layout (five training batches, one test
    batch) and return its folder. Raises UserError for other sizes, and if the folder exists."""
    if tuple(train.x.shape[1:]) != (3, 32, 32):
        raise UserError(
            f"The CIFAR layout holds 32 x 32 images; these are {list(train.x.shape[1:])}."
        )
    folder = root / "cifar-10-batches-py"
    if folder.exists():
        raise UserError(f"{folder} exists already; choose another folder for the export.")
    for k, rows in enumerate(torch.arange(len(train)).tensor_split(5)):
        _write_batch(folder, f"data_batch_{k + 1}", train.subset(rows))
    _write_batch(folder, "test_batch", test)
    names = {b"label_names": [c.encode() for c in train.classes], b"num_vis": 3072}
    _write_pickle(folder / "batches.meta", names)
    return folder


def _write_batch(folder: Path, name: str, images: Images) -> None:
    batch = {
        b"data": images.x.flatten(1).numpy(),
        b"labels": images.y.tolist(),
        b"batch_label": name.encode(),
    }
    _write_pickle(folder / name, batch)


def _write_pickle(path: Path, value: object) -> None:
    with atomic_write(path) as tmp:
        tmp.write_bytes(pickle.dumps(value, protocol=2))
