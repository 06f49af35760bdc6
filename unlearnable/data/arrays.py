"""Numpy's own file format, read without trust."""

from pathlib import Path

import numpy as np

from unlearnable.core.errors import UserError


def read_npy(path: Path, dtype: str | None = None, dimensions: int | None = None) -> np.ndarray:
    """Return the array in ``path``, memory-mapped; what is assigned to it is not written back.
    Raises UserError for a damaged file and, where they are given, for another type or number of
    dimensions."""
    try:
        with open(path, "rb") as f:
            if f.read(6) != b"\x93NUMPY":
                raise ValueError("not the .npy format")
        # mapped, a header that promises more than the file holds is refused before any allocation
        array = np.lib.format.open_memmap(path, mode="c")
    except Exception as e:  # a damaged header can raise nearly anything
        said = " ".join(str(e).split())[:200]
        raise UserError(
            f"{path} cannot be read as a numpy array ({said}); check the path, or make it again."
        ) from e
    if dtype and (array.dtype != dtype or array.ndim != dimensions):
        raise UserError(
            f"{path} holds {array.dtype} {list(array.shape)}, not {dtype} of "
            f"{dimensions} dimensions; make it again."
        )
    return array
