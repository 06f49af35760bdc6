"""Images and their labels as one tensor."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from unlearnable.core.device import to_device
from unlearnable.core.errors import UserError
from unlearnable.core.units import to_unit
from unlearnable.data.image_files import NO_CLASSES

Size = tuple[int, int]
"""height and width in pixels"""


@dataclass(frozen=True, eq=False)
class Images:
    """x: uint8 [N, 3, H, W], possibly memory-mapped. y: int64 [N]. source: the arguments with which
    ``load`` gives them, empty for images made in Python. unclipped: x is float32 in the unit of
    [0, 1] instead and may leave it, as a countermeasure makes images for a learner.

    Raises UserError for other types and shapes, and for labels that are not numbers of classes.
    """

    x: Tensor
    y: Tensor
    classes: tuple[str, ...]
    source: dict[str, Any] = field(default_factory=dict)
    unclipped: bool = False

    def __post_init__(self) -> None:
        dtype = torch.float32 if self.unclipped else torch.uint8
        if self.x.dtype != dtype or self.x.ndim != 4 or self.x.shape[1] != 3:
            raise UserError(
                f"Images must be {str(dtype)[6:]} [N, 3, H, W]; these are {self.x.dtype} "
                f"{list(self.x.shape)}."
            )
        if self.y.dtype != torch.int64:
            raise UserError(f"Labels must be int64, not {self.y.dtype}; convert them with .long().")
        if self.x.device.type != "cpu" or self.y.device.type != "cpu":
            raise UserError("Images and labels lie on the CPU; move them with .cpu().")
        if self.y.shape != (len(self.x),):
            raise UserError(
                f"{len(self.x)} images but {len(self.y)} labels; give one label per image."
            )
        if len(self.y) and not 0 <= int(self.y.min()) <= int(self.y.max()) < len(self.classes):
            raise UserError(
                f"Labels must lie in 0..{len(self.classes) - 1}; these reach {int(self.y.max())}."
            )

    def __len__(self) -> int:
        return len(self.x)

    @property
    def size(self) -> int:
        """The shorter side, in pixels."""
        return min(self.x.shape[-2:])

    @property
    def labeled(self) -> bool:
        """False for the images of a flat folder, whose labels are all 0 and mean nothing."""
        return self.classes != NO_CLASSES

    def for_learning(self) -> Self:
        """Return these images. Raises UserError if they have no classes to learn."""
        if not self.labeled:
            raise UserError(
                "These images have no classes to learn; put the images of each class into a "
                "sub-folder of its own."
            )
        return self

    def subset(self, rows: Tensor) -> Self:
        """Select images by a mask, bool [N], or by their indices, int64."""
        return replace(self, x=self.x[rows], y=self.y[rows])

    def in_classes_of(self, other: "Images") -> Self:
        """Return the images with their labels counted as in ``other``, whose classes may stand in
        another order: a folder's come by name. Where the classes are not the same, unchanged."""
        if self.classes == other.classes or {*self.classes} != {*other.classes}:
            return self
        at = torch.tensor([other.classes.index(name) for name in self.classes])
        return replace(self, y=at[self.y], classes=other.classes)

    def pixels(self, i: Tensor | slice, device: torch.device | str) -> Tensor:
        """Return the images ``i`` as float32 in [0, 1] on ``device``."""
        x, _ = self._copy_on(torch.device(device))
        x = to_device(x[_index(i, x.device)], device)
        return x if self.unclipped else to_unit(x)

    def labels(self, i: Tensor | slice, device: torch.device | str) -> Tensor:
        """Return the labels of the images ``i``, int64, on ``device``."""
        _, y = self._copy_on(torch.device(device))
        return to_device(y[_index(i, y.device)], device)

    def _copy_on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """The tensors from which batches are picked: a copy on a CUDA device with room for the
        whole set, else the set itself."""
        if device not in self._copies:
            fits = device.type == "cuda" and 4 * self.x.nbytes < torch.cuda.mem_get_info(device)[0]
            self._copies[device] = (
                (self.x.to(device), self.y.to(device)) if fits else (self.x, self.y)
            )
        return self._copies[device]

    @cached_property
    def _copies(self) -> dict[torch.device, tuple[Tensor, Tensor]]:
        return {}

    def digest(self) -> str:
        """Return the sha256 of images, labels and class names. Computed once, because every
        training and audit asks for it."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        h = hashlib.sha256(repr((tuple(self.x.shape), self.classes)).encode())
        for a in range(0, len(self), 4096):
            h.update(np.ascontiguousarray(self.x[a : a + 4096].numpy()).data)
        h.update(np.ascontiguousarray(self.y.numpy()).data)
        return h.hexdigest()


def at_once(x: Tensor, images: int) -> int:
    """How many images like those of ``x``, [N, C, H, W], have at most the pixels of ``images`` of
    32 x 32; at least one. Hundreds of photos at a time take gigabytes."""
    return max(1, images * 32 * 32 // x.shape[-2:].numel())


def chunks(x: Tensor, images: int) -> tuple[Tensor, ...]:
    """Split the row numbers of ``x``, [N, C, H, W], into parts of ``at_once`` images."""
    return torch.arange(len(x)).split(at_once(x, images))


def _index(i: Tensor | slice, device: torch.device) -> Tensor | slice:
    return i if isinstance(i, slice) else to_device(i, device)
