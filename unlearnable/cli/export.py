"""``export``."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unlearnable.cli.help import doc
from unlearnable.cli.options import Command, Protected, Verb
from unlearnable.cli.output import Done, written
from unlearnable.core.errors import UserError
from unlearnable.core.files import inside, require_new_folder
from unlearnable.data.card import check_outside, check_unpublished
from unlearnable.data.sources import check_protected, require_hf

if TYPE_CHECKING:
    from torch import Tensor

    from unlearnable.data.images import Images

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
    test: str | None = None
    """clean test images for --cifar: a name or a folder (default: the test split of the originals'
    source)"""
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
        if self.test and not self.cifar:
            raise UserError("--test gives the test images of --cifar; give that too.")
        check_protected(self.folder)
        if self.hf:
            require_hf()
        self._check_places()
        test = self._test() if self.cifar else None  # raises before anything is written
        noise = self._noise() if self.noise or self.pt else None
        if noise is not None:
            self._check_files(noise)
        files = self._images() if any(shared) else []
        if self.cifar and test is not None:
            files.append(self._cifar(test, self.cifar))
        if noise is not None:
            files += self._write_noise(noise)
        return written(files)

    def _check_places(self) -> None:
        """Raise UserError for folders that are there, for places among images that are read, or
        that are published, and for two exports to one place."""
        outs = (self.imagefolder, self.webdataset, self.hf, self.cifar, self.noise, self.pt)
        check_unpublished(*outs)
        check_outside(self.folder, *outs)
        typed = [out for out in outs if out]
        for k, one in enumerate(typed):
            for other in typed[:k]:
                if inside(one, other) or inside(other, one):
                    raise UserError(
                        f"{other} and {one} are one place or lie inside each other; give every "
                        "export a place of its own."
                    )
        for folder in (self.imagefolder, self.webdataset, self.hf):
            if folder:
                require_new_folder(folder)
        if self.cifar:
            from unlearnable.protection.cifar_files import FOLDER

            require_new_folder(self.cifar / FOLDER)

    def _check_files(self, noise: "Tensor") -> None:
        """Raise UserError for files that are there, but for what the same command wrote before it
        was killed."""
        from unlearnable.protection.methods.noise_files import holds_noise, holds_noise_tensor

        for file, holds in ((self.noise, holds_noise), (self.pt, holds_noise_tensor)):
            if file and file.exists() and not holds(file, noise):
                raise UserError(f"{file} exists already; choose another name, or delete it.")

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

    def _test(self) -> "Images":
        from unlearnable.protection.originals import clean_test_images, originals_of

        clean = originals_of(self.folder, self.data_root, self.originals)  # raises where it changed
        return clean_test_images(
            self.folder, self.test, clean.size, root=self.data_root, originals=self.originals
        )

    def _cifar(self, test: "Images", folder: Path) -> Path:
        from unlearnable.data.load import load
        from unlearnable.protection.cifar_files import export_cifar

        return export_cifar(load(self.folder), test, folder)

    def _noise(self) -> "Tensor":
        from unlearnable.protection.originals import noise_of

        return noise_of(self.folder, self.data_root, self.originals)

    def _write_noise(self, noise: "Tensor") -> list[Path]:
        from unlearnable.protection.methods.noise_files import write_noise, write_noise_tensor

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
