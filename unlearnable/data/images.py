"""Images and their labels as one tensor."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from unlearnable.core.device import to_device
from unlearnable.core.errors import UserError
from unlearnable.data.image_files import NO_CLASSES


@dataclass(frozen=True, eq=False)
class Images:
    """x: uint8 [N, 3, H, W], 0..255 (may be memory-mapped); y: int64 [N]; ``source``: what ``load``
    was asked for."""

    x: Tensor
    y: Tensor
    classes: tuple[str, ...]
    source: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.x.dtype != torch.uint8 or self.x.ndim != 4 or self.x.shape[1] != 3:
            raise UserError(
                f"Images must be uint8 [N, 3, H, W]; these are {self.x.dtype} {list(self.x.shape)}."
            )
        if self.y.shape != (len(self.x),):
            raise UserError(
                f"{len(self.x)} images but {len(self.y)} labels; give one label an image."
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
        """False for the images of a flat folder: all of y is 0 and means nothing."""
        return self.classes != NO_CLASSES

    def for_learning(self) -> Self:
        """Itself. Raises UserError where there are no classes to learn."""
        if not self.labeled:
            raise UserError(
                "These images have no classes to learn; put those of each class into a sub-folder of its own."
            )
        return self

    def pixels(self, i: Tensor | slice, device: torch.device | str) -> Tensor:
        """Images ``i`` as float32 in [0, 1] on ``device``."""
        x, _ = self._held(torch.device(device))
        return to_device(x[_index(i, x.device)], device).float() / 255

    def labels(self, i: Tensor | slice, device: torch.device | str) -> Tensor:
        """Labels of the images ``i``, int64, on ``device``."""
        _, y = self._held(torch.device(device))
        return to_device(y[_index(i, y.device)], device)

    def _held(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Where batches are picked: on a CUDA device that has room for the whole set, else where
        the set is."""
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
        """sha256 of images, labels and class names; taken once, because every training and audit
        asks for it."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        h = hashlib.sha256(repr((tuple(self.x.shape), self.classes)).encode())
        for a in range(0, len(self), 4096):
            h.update(np.ascontiguousarray(self.x[a : a + 4096].numpy()))
        h.update(np.ascontiguousarray(self.y.numpy()))
        return h.hexdigest()


def _index(i: Tensor | slice, device: torch.device) -> Tensor | slice:
    return i if isinstance(i, slice) else to_device(i, device)
