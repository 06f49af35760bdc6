"""Noise that was made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from unlearnable.core.presets import require
from unlearnable.protection.methods.base import Context, Method, Noise

if TYPE_CHECKING:
    from unlearnable.data.images import Images


@dataclass(frozen=True)
class Imported(Method):
    """noise from a file: int8 [N, 3, H, W] in /255 as .npy, or as the pickle that Fu et al.'s
    program writes."""

    name = "imported"
    needs_labels: ClassVar[bool] = False

    file: str = "noise.npy"
    """the noise file, .npy or a pickle of one numpy array"""
    eps: float = 8.0
    """the budget that the noise must keep, in /255"""

    def __post_init__(self) -> None:
        require(self, positive="eps")

    @property
    def named_file(self) -> Path:
        return Path(self.file)

    def craft(self, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.noise_files import read_noise

        return Noise(read_noise(Path(self.file)))
