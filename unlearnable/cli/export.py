"""``export``."""

import logging
from dataclasses import dataclass
from pathlib import Path

from unlearnable.cli.help import doc
from unlearnable.cli.options import Command, Protected, Verb
from unlearnable.cli.output import Done, written
from unlearnable.core.errors import UserError
from unlearnable.data.sources import check_protected, require_hf

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Export(Verb):
    """Write the images of a protected folder as others read them, or its noise.

    unlearnable export protected/rem --imagefolder rem/
    unlearnable export protected/rem --noise noise.npy
    """

    folder: Protected
    """a protected folder"""
    imagefolder: Path | None = None
    """write the images into this folder: PNG files in a folder per class, metadata.jsonl, and a
    description in Croissant"""
    webdataset: Path | None = None
    """write the images into this folder, as WebDataset's tar files"""
    hf: Path | None = None
    """write the images into this folder, as Hugging Face datasets saves them to disk (needs the
    extra hf)"""
    cifar: Path | None = None
    """write protected training and clean test images into this folder, as cifar-10-batches-py"""
    noise: Path | None = None
    """write the noise here, int8 N x 3 x H x W in /255: as .npy, or with any other suffix as the
    pickle of Fu et al.'s program"""
    pt: Path | None = None
    """write the noise here as Huang et al.'s program reads it, a float tensor in the unit of
    [0, 1]; that program sets negative noise to 0"""
    data_root: str | None = None
    """where the named data sets lie (default: $UNLEARNABLE_DATA, else ./data)"""
    originals: str | None = None
    """my_module:loader again, where the originals come from that function of yours: a card alone
    must not choose what is run"""

    def run(self) -> Done:
        shared = [self.imagefolder, self.webdataset, self.hf]
        if not any([*shared, self.cifar, self.noise, self.pt]):
            raise UserError(
                "There is nothing to export; give --imagefolder, --webdataset, --hf, or --cifar "
                "FOLDER, or --noise or --pt FILE."
            )
        check_protected(self.folder)
        if self.hf:
            require_hf()
        files = self._images() if any(shared) else []
        if self.cifar:
            files.append(self._cifar(self.cifar))
        if self.noise or self.pt:
            files += self._noise()
        return written(files)

    def _images(self) -> list[Path]:
        """The protected images alone, in the layouts that they are shared in."""
        from unlearnable.protection.image_sets import (
            export_hf,
            export_imagefolder,
            export_webdataset,
            read_for_export,
        )

        images, card = read_for_export(self.folder)
        files = []
        if self.imagefolder:
            files.append(export_imagefolder(images, card, self.imagefolder))
        if self.webdataset:
            files.append(export_webdataset(images, self.webdataset))
        if self.hf:
            files.append(export_hf(images, card, self.hf))
        return files

    def _cifar(self, folder: Path) -> Path:
        from unlearnable.data.load import load
        from unlearnable.protection.cifar_files import export_cifar
        from unlearnable.protection.export import originals_of

        originals_of(
            self.folder, self.data_root, self.originals
        )  # raises UserError where the card is broken
        test = load(self.folder, split="test", root=self.data_root, originals=self.originals)
        return export_cifar(load(self.folder), test, folder)

    def _noise(self) -> list[Path]:
        from unlearnable.protection.export import noise_of
        from unlearnable.protection.methods.noise_files import write_noise, write_noise_tensor

        noise = noise_of(self.folder, self.data_root, self.originals)
        if self.noise:
            write_noise(noise, self.noise)
        if self.pt:
            lost = write_noise_tensor(noise, self.pt)
            if lost:
                logger.warning(
                    "%.0f %% of the noise is negative: the released program that reads such files "
                    "sets it to 0, so that a weaker noise is trained on; use --cifar.",
                    100 * lost,
                )
        return [file for file in (self.noise, self.pt) if file]


def command(args: list[str]) -> Command:
    return Command(doc(Export), Export)
