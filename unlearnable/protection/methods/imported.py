"""Noise that was made elsewhere, and the two files in which the field exchanges noise."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write
from unlearnable.core.presets import require
from unlearnable.data.images import Images
from unlearnable.data.pickles import load_pickle
from unlearnable.protection.methods.base import Context, Method, Noise


@dataclass(frozen=True)
class Imported(Method):
    """noise from a file: int8 [N, 3, H, W] in /255 as .npy, or as the pickle that Fu et al.'s
    program writes."""

    needs_labels: ClassVar[bool] = False

    file: str = "noise.npy"
    """the noise file, .npy or a pickle of one numpy array"""
    eps: float = 8.0
    """the budget that the noise must keep, in /255"""

    def __post_init__(self) -> None:
        require(self, positive="eps")

    def craft(self, data: Images, run: Context) -> Noise:
        return Noise(read_noise(Path(self.file)))


def read_noise(path: Path) -> Tensor:
    """int8 [N, 3, H, W] from a .npy file or from a pickle (numpy arrays only)."""
    if path.suffix == ".npy":
        try:
            noise = np.load(path)
        except (OSError, ValueError) as e:
            raise UserError(f"{path} cannot be read as a numpy array ({e}); check the path.") from e
    else:
        noise = load_pickle(path)
        if isinstance(noise, list) and len({getattr(x, "shape", None) for x in noise}) == 1:
            noise = np.asarray(noise)  # one array an image
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
    """Write int8 [N, 3, H, W]: .npy by that suffix, the authors' pickle otherwise."""
    with atomic_write(path) as tmp, open(tmp, "wb") as f:
        if path.suffix == ".npy":
            np.save(f, noise.numpy())
        else:
            pickle.dump(noise.numpy(), f)
