"""The files in which the field exchanges noise: .npy, a pickle of one numpy array, and a tensor."""

import pickle
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write
from unlearnable.core.units import to_unit
from unlearnable.core.weights import UNREADABLE
from unlearnable.data.arrays import read_npy
from unlearnable.data.pickles import load_pickle


def read_noise(path: Path) -> Tensor:
    """Read int8 [N, 3, H, W] from a .npy file or from a pickle (numpy arrays only). Raises
    UserError for anything else."""
    noise: object
    if path.suffix == ".npy":
        noise = read_npy(path)
    else:
        noise = load_pickle(path)
        listed = isinstance(noise, list) and all(isinstance(x, np.ndarray) for x in noise)
        if isinstance(noise, list) and listed and len({x.shape for x in noise}) == 1:
            noise = np.stack(noise)  # one array per image
    if (
        not isinstance(noise, np.ndarray)
        or noise.dtype != np.int8
        or noise.ndim != 4
        or noise.shape[1] != 3
    ):
        what = (
            f"{noise.dtype} {list(noise.shape)}"
            if isinstance(noise, np.ndarray)
            else type(noise).__name__
        )
        raise UserError(
            f"{path} holds {what}, not noise: int8 [N, 3, H, W] in units of 1/255 is needed."
        )
    return torch.from_numpy(np.ascontiguousarray(noise))


def write_noise(noise: Tensor, path: Path) -> None:
    """Write int8 [N, 3, H, W]: as .npy by that suffix, as the authors' pickle otherwise."""
    with atomic_write(path) as tmp, open(tmp, "wb") as f:
        if path.suffix == ".npy":
            np.save(f, noise.numpy())
        else:
            pickle.dump(noise.numpy(), f)


def write_noise_tensor(noise: Tensor, path: Path) -> float:
    """Write noise int8 [N, 3, H, W] as Huang et al.'s program reads it: a float32 tensor in the
    unit of [0, 1], by ``torch.save``. Return the fraction of its values that are negative: that
    program sets them to 0."""
    with atomic_write(path) as tmp, open(tmp, "wb") as f:
        torch.save(to_unit(noise), f)
    return float((noise < 0).float().mean())


def holds_noise(path: Path, noise: Tensor) -> bool:
    """Return whether ``write_noise`` has written this noise to ``path``."""
    try:
        return torch.equal(read_noise(path), noise)
    except UserError:
        return False


def holds_noise_tensor(path: Path, noise: Tensor) -> bool:
    """Return whether ``write_noise_tensor`` has written this noise to ``path``."""
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE:
        return False
    return isinstance(kept, Tensor) and torch.equal(kept, to_unit(noise))
