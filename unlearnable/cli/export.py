"""``export``."""

import sys
from dataclasses import dataclass
from pathlib import Path

from unlearnable.cli.help import doc
from unlearnable.cli.options import Command, Protected, Verb
from unlearnable.core.errors import UserError
from unlearnable.data.sources import check_protected


@dataclass(frozen=True)
class Export(Verb):
    """Write the noise of a protected folder, or its images in the official CIFAR layout.

    unlearnable export protected/rem --noise noise.npy
    """

    folder: Protected
    """a protected folder"""
    noise: Path | None = None
    """write the noise here, int8 N x 3 x H x W in /255: as .npy, or with any other suffix as the
    pickle of Fu et al.'s program"""
    pt: Path | None = None
    """write the noise here as Huang et al.'s program reads it, a float tensor in the unit of
    [0, 1]; that program sets negative noise to 0"""
    cifar: Path | None = None
    """write protected training and clean test images into this folder, as cifar-10-batches-py"""
    data_root: str | None = None
    """where the named data sets lie (default: $UNLEARNABLE_DATA, else ./data)"""

    def run(self) -> None:
        if not self.noise and not self.pt and not self.cifar:
            raise UserError(
                "There is nothing to export; give --noise FILE, --pt FILE, or --cifar FOLDER."
            )
        check_protected(self.folder)
        from unlearnable.data.load import load
        from unlearnable.protection.cifar_files import export_cifar
        from unlearnable.protection.export import noise_of, originals_of
        from unlearnable.protection.methods.noise_files import write_noise, write_noise_tensor

        if self.noise:
            write_noise(noise_of(self.folder, self.data_root), self.noise)
            print(self.noise)
        if self.pt:
            lost = write_noise_tensor(noise_of(self.folder, self.data_root), self.pt)
            print(self.pt)
            if lost:
                print(
                    f"{100 * lost:.0f} % of the noise is negative: the released program that reads "
                    "such files sets it to 0, so that a weaker noise is trained on; use --cifar.",
                    file=sys.stderr,
                )
        if self.cifar:
            originals_of(self.folder, self.data_root)  # raises UserError where the card is broken
            test = load(self.folder, split="test", root=self.data_root)
            print(export_cifar(load(self.folder), test, self.cifar))


def command(args: list[str]) -> Command:
    return Command(doc(Export), Export)
