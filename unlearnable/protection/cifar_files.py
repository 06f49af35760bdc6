"""CIFAR-10's official Python layout, written as the original files were, by Python 2: its readers
open them with ``encoding="latin1"`` and find text as keys (torchvision and what is built on it) or
with ``encoding="bytes"`` and find bytes. What Python 3's ``pickle`` writes suits only one of them.
"""

import struct
from pathlib import Path

import numpy as np
import torch

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_folder
from unlearnable.core.text import printable
from unlearnable.data.images import Images
from unlearnable.protection.image_sets import require_text

FOLDER = "cifar-10-batches-py"


def export_cifar(train: Images, test: Images, root: Path) -> Path:
    """Write 32 x 32 images in CIFAR-10's official Python layout (five training batches, one test
    batch) and return its folder. torchvision reads it once its check of the files' md5 is off.
    Raises UserError for other sizes, for test images of other classes, for names of classes that
    are not text, and if the folder exists."""
    if tuple(train.x.shape[1:]) != (3, 32, 32):
        raise UserError(
            f"The CIFAR layout holds 32 x 32 images; these are {list(train.x.shape[1:])}."
        )
    test = test.in_classes_of(train)
    if test.classes != train.classes:
        raise UserError(
            f"The test images have the classes {', '.join(map(printable, test.classes[:5]))}, not "
            "those of the protected images; give test images of the same classes."
        )
    require_text(train.classes)
    folder = root / FOLDER
    names = list(train.classes)
    with atomic_folder(folder) as tmp:
        for k, rows in enumerate(torch.arange(len(train)).tensor_split(5), start=1):
            title = f"training batch {k} of 5"
            _write(tmp / f"data_batch_{k}", _batch(train, rows, title, "train"))
        rows = torch.arange(len(test))
        _write(tmp / "test_batch", _batch(test, rows, "testing batch 1 of 1", "test"))
        largest = -(-len(train) // 5)
        meta = {"num_cases_per_batch": largest, "label_names": names, "num_vis": 3072}
        _write(tmp / "batches.meta", meta)
    return folder


def _batch(images: Images, rows: torch.Tensor, title: str, split: str) -> dict[str, object]:
    part = images.subset(rows)
    return {
        "batch_label": title,
        "labels": part.y.tolist(),
        "data": part.x.flatten(1).numpy(),
        "filenames": [f"{split}_{k:05d}.png" for k in rows.tolist()],
    }


def _write(path: Path, value: dict[str, object]) -> None:
    path.write_bytes(b"\x80\x02" + python2(value) + b".")


def python2(value: object) -> bytes:
    """Return the opcodes (protocol 2) by which Python 2 pickles text, whole numbers, lists, and
    dictionaries of them and of uint8 arrays [N, D]; ``pickletools`` explains them."""
    if isinstance(value, str):
        return _string(value.encode())
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(python2, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(python2(k) + python2(v) for k, v in value.items()) + b"u"
    if isinstance(value, np.ndarray) and value.dtype == np.uint8:
        return _array(value)
    raise TypeError(f"{type(value).__name__} has no place in a CIFAR file")


def _string(value: bytes) -> bytes:
    """A string of Python 2, which knows no encoding."""
    return b"T" + struct.pack("<i", len(value)) + value


def _array(x: np.ndarray) -> bytes:
    """_reconstruct(ndarray, (0,), "b"), then its state: version, shape, dtype, order, raw bytes."""
    empty = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        + python2(0)
        + b"\x85"
        + _string(b"b")
        + b"\x87R"
    )
    dtype = b"cnumpy\ndtype\n" + _string(b"u1") + python2(0) + python2(1) + b"\x87R"
    dtype += b"(" + python2(3) + _string(b"|") + 3 * b"N" + 2 * python2(-1) + python2(0) + b"tb"
    shape = python2(x.shape[0]) + python2(x.shape[1]) + b"\x86"
    return empty + b"(" + python2(1) + shape + dtype + b"\x89" + _string(x.tobytes()) + b"tb"
