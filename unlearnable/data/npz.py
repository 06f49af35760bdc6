"""Images and labels in one .npz file, in the layouts of MedMNIST and of Keras; read without
trust."""

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from unlearnable.core.errors import UserError
from unlearnable.core.memory import memory_of_machine
from unlearnable.core.plugins import one_line
from unlearnable.core.text import printable
from unlearnable.data.convert import LoadOptions, from_arrays, numbered, whole_numbers
from unlearnable.data.images import Images

# images and labels of a split: MedMNIST's names, Keras's
LAYOUTS = (("{}_images", "{}_labels"), ("x_{}", "y_{}"))
SPLITS = ("train", "val", "test")
# A zip bomb: zeros are compressed to a thousandth, images seldom to a twentieth.
LARGE = 1 << 28  # bytes
MOST_RATIO = 100


def read_npz(source: str, options: LoadOptions) -> Images:
    """Read a split of an .npz file: ``train_images``, uint8 [N, H, W] or [N, H, W, 3], and
    ``train_labels``, whole numbers [N] or [N, 1], or the same as x_train and y_train; likewise for
    test. The classes are numbers, of all splits together. Raises UserError for a damaged file, and
    for one of other arrays; objects are never unpickled."""
    path = Path(source)
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive, path, options)
    except UserError:
        raise
    except Exception as e:  # a damaged archive can raise nearly anything
        raise UserError(
            f"{printable(source)} cannot be read as .npz ({printable(one_line(e))}); check the "
            "path, or fetch the file again."
        ) from e


def _read(archive: zipfile.ZipFile, path: Path, options: LoadOptions) -> Images:
    here = {name.removesuffix(".npy") for name in archive.namelist()}
    layout = next((each for each in LAYOUTS if {n.format("train") for n in each} <= here), None)
    if layout is None:
        found = ", ".join(map(printable, sorted(here)[:10])) or "nothing"
        raise UserError(
            f"{path} holds {found}, and not train_images and train_labels; save those arrays with "
            "numpy.savez."
        )
    images, labels = (name.format(options.split) for name in layout)
    if not {images, labels} <= here:
        raise UserError(
            f"{path} has no {images} and {labels}; give clean test images with --test SOURCE."
        )
    x = _array(archive, path, images)
    y = {k: _array(archive, path, name) for k, name in _label_names(layout[1], here)}
    most = max(int(whole_numbers(v, len(v), f"{path}, {k},").max(initial=0)) for k, v in y.items())
    return from_arrays(x, y[options.split], numbered(most + 1), f"{path}, {images},", options.size)


def _label_names(name: str, here: set[str]) -> Iterable[tuple[str, str]]:
    """The labels of every split that is there, so that all splits have the same classes."""
    return [(split, name.format(split)) for split in SPLITS if name.format(split) in here]


def _array(archive: zipfile.ZipFile, path: Path, name: str) -> np.ndarray:
    """Return one array. Its size is checked before memory is set aside for it."""
    member = archive.getinfo(f"{name}.npy")
    ratio = member.file_size / max(1, member.compress_size)
    if member.file_size > LARGE and ratio > MOST_RATIO:
        raise UserError(
            f"{path}, {name}, is compressed to {1 / ratio:.2%} of its size, as no images are; "
            "fetch the file again."
        )
    with archive.open(member) as file:
        shape, dtype = _header(file)
        if dtype.kind not in "iufb":
            raise UserError(
                f"{path}, {name}, holds {'objects' if dtype.hasobject else dtype}, which are not "
                "read; save numbers."
            )
        # what the header promises must be in the archive
        if math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
            raise ValueError(f"{name} is not as long as it says")
        if 4 * member.file_size > (memory := memory_of_machine()):
            raise UserError(
                f"{path}, {name}, takes {member.file_size >> 20} MiB of memory, and with its "
                f"copies more than the {memory >> 20} of this machine; save fewer images."
            )
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array, from the beginning of its file."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _, dtype = read(file)
    return shape, dtype
