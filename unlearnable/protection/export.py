"""What can be taken out of a protected folder: its originals, its noise, the official CIFAR layout."""

import pickle
from pathlib import Path

import torch
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write, read_json
from unlearnable.data.images import Images
from unlearnable.data.load import load
from unlearnable.data.sources import check_protected

# ── out of a protected folder ──


def originals_of(folder: Path, root: Path | str | None = None) -> Images:
    """The images from which a protected folder was made. Raises UserError where they cannot be
    found or changed."""
    check_protected(folder)
    card = read_json(folder / "card.json")
    if not isinstance(card, dict) or not {"data", "digest", "settings", "measured"} <= card.keys():
        raise UserError(f"{folder / 'card.json'} is no whole card; protect the images again.")
    if "source" not in card["data"]:
        raise UserError(
            f"{folder} was protected from Python without a named source; its originals are not known."
        )
    clean = load(**card["data"], root=root)
    if clean.digest() != card["digest"]:
        raise UserError(
            f"The images of {card['data']['source']} have changed since {folder} was made from them."
        )
    return clean


def noise_of(folder: Path, root: Path | str | None = None) -> Tensor:
    """int8 [N, 3, H, W]: protected minus original. Raises UserError where int8 does not hold it
    (OPS, CUDA)."""
    noise = load(folder).x.short() - originals_of(folder, root).x.short()
    if (worst := int(noise.abs().max())) > 127:
        raise UserError(
            f"The noise of {folder} reaches {worst}/255, more than int8 holds; use the images themselves."
        )
    return noise.to(torch.int8)


def export_cifar(train: Images, test: Images, root: Path) -> Path:
    """Write 32 x 32 images in CIFAR-10's official python layout (five training batches, one test
    batch)."""
    if tuple(train.x.shape[1:]) != (3, 32, 32):
        raise UserError(
            f"The CIFAR layout holds 32 x 32 images; these are {list(train.x.shape[1:])}."
        )
    folder = root / "cifar-10-batches-py"
    if folder.exists():
        raise UserError(f"{folder} exists already; choose another folder for the export.")
    parts = {
        f"data_batch_{k + 1}": i for k, i in enumerate(torch.arange(len(train)).tensor_split(5))
    }
    for name, images, i in [
        *((n, train, i) for n, i in parts.items()),
        ("test_batch", test, slice(None)),
    ]:
        batch = {
            b"data": images.x[i].flatten(1).numpy(),
            b"labels": images.y[i].tolist(),
            b"batch_label": name.encode(),
        }
        with atomic_write(folder / name) as tmp:
            tmp.write_bytes(pickle.dumps(batch, protocol=2))
    with atomic_write(folder / "batches.meta") as tmp:
        tmp.write_bytes(
            pickle.dumps(
                {b"label_names": [c.encode() for c in train.classes], b"num_vis": 3072}, protocol=2
            )
        )
    return folder
