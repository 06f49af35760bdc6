"""Read pickles from outside: arrays and plain containers, nothing that can run code.

CIFAR's official files and the noise files of the field are pickles. A pickle may name any function
to call; this reader resolves only what numpy arrays and Python 2 byte strings need and refuses
everything else.
"""

import pickle
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from unlearnable.core.errors import UserError


class _Refused(pickle.UnpicklingError):
    """A type that plain arrays do not need."""


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Stand in for ``_codecs.encode(text, 'latin1')``, which Python 3 writes for bytes under
    protocol 2; no other codec is allowed."""
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"the codec {encoding}")
    return text.encode("latin1")


def _allowed() -> dict[tuple[str, str], object]:
    from numpy._core.multiarray import _reconstruct, scalar
    from numpy._core.numeric import _frombuffer  # type: ignore[attr-defined]  # not in the stubs

    table: dict[tuple[str, str], object] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _latin1,
    }
    for core in ("numpy.core", "numpy._core"):
        table[f"{core}.multiarray", "_reconstruct"] = _reconstruct
        table[f"{core}.multiarray", "scalar"] = scalar
        table[f"{core}.numeric", "_frombuffer"] = _frombuffer
    return table


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        try:
            return _allowed()[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None


def _other(file: BinaryIO) -> str:
    """What a file is instead of a pickle, by how it begins, and what to do; empty for a pickle."""
    begin = file.read(8)
    file.seek(0)
    if begin.startswith(b"PK\3\4") and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            arrays = all(name.endswith(".npy") for name in archive.namelist())
        if arrays:
            return "an archive of numpy arrays (.npz); save the array by itself with numpy.save"
        return "a file of torch.save; save its tensor with numpy.save"
    file.seek(0)
    kinds = {
        b"\x93NUMPY": "a numpy array; give it the ending .npy",
        b"\x1f\x8b": "compressed (gzip); unpack it first",
    }
    return next((kind for mark, kind in kinds.items() if begin.startswith(mark)), "")


def load_pickle(path: Path) -> object:
    """Return the object in ``path``. Raises UserError for a truncated file and for anything but
    arrays and plain containers."""
    try:
        with open(path, "rb") as f:
            if other := _other(f):
                raise UserError(f"{path} is {other}.")
            return _Reader(f, encoding="bytes").load()
    except OSError as e:
        raise UserError(
            f"{path} cannot be read ({e.strerror}); check the path and its permissions."
        ) from e
    except UserError:
        raise
    except _Refused as e:
        raise UserError(
            f"{path} is not a pickle of plain arrays (it holds {e}); fetch the file again."
        ) from e
    except Exception as e:  # a damaged pickle can raise nearly anything
        raise UserError(
            f"{path} is truncated or damaged ({type(e).__name__}); fetch the file again."
        ) from e
