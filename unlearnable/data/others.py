"""One's own photos among everybody else's, which cannot be changed: they stay as they are, are
never written, and stand for the rest of what a model learns to tell apart."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from unlearnable.core.errors import UserError
from unlearnable.core.files import inside
from unlearnable.core.text import printable
from unlearnable.data.card import OthersRecord
from unlearnable.data.folders import Scan, scan_photos
from unlearnable.data.image_files import NO_CLASSES, as_systems_compare
from unlearnable.data.images import Images
from unlearnable.data.subsets import near_duplicates


@dataclass(frozen=True, eq=False)
class Others:
    """Everybody else's photos. images: small copies, by their side in pixels. own_classes: what
    the owner's classes are called among theirs. problems: a sentence per file that was left
    out."""

    folder: Path
    own_classes: tuple[str, ...]
    images: dict[int, Images]
    problems: list[str]

    def __len__(self) -> int:
        return len(next(iter(self.images.values())))

    @property
    def classes(self) -> tuple[str, ...]:
        return next(iter(self.images.values())).classes

    def named(self, own: Images) -> Images:
        """Return the owner's photos with their classes' names; a flat folder's have none."""
        return replace(own, classes=self.own_classes)

    def joined(self, own: Images) -> Images:
        """Return the owner's photos and after them the others' of that size, in one set whose first
        classes are the owner's."""
        theirs, first = self.images[own.size], len(self.own_classes)
        x, y = torch.cat([own.x, theirs.x]), torch.cat([own.y, theirs.y + first])
        return replace(own, x=x, y=y, classes=self.own_classes + theirs.classes)

    def record(self, size: int) -> OthersRecord:
        """Return what a card says about them. size: the side at which the noise is made."""
        theirs = self.images[size]
        return OthersRecord(
            str(self.folder), self.own_classes, self.classes, len(self), theirs.digest()
        )


def read_others(
    folder: Path, photos: Path, own: Scan, size: int, *, skip_bad: bool = False
) -> Others:
    """Read everybody else's photos: one sub-folder per class, or one class directly in ``folder``.
    own: what was read from ``photos`` at ``size``. Raises UserError for a folder without photos,
    files that cannot be read (unless ``skip_bad``), a class of both, and photos of the owner's own
    among them."""
    _check_folder(folder)
    if folder.resolve() == photos.resolve():
        raise UserError(
            f"{printable(folder)} cannot be yours and the others'; give another folder."
        )
    if inside(folder, photos) or inside(photos, folder):
        raise UserError(
            f"{printable(folder)} and {printable(photos)} lie inside each other; put the others' "
            "photos into a folder elsewhere."
        )
    scan = scan_photos(folder, (size,), skip_bad=True)
    if (problems := scan.listing.problems) and not skip_bad:
        n = len(problems)
        files, mend = ("1 file", "it") if n == 1 else (f"{n} files", "them")
        raise UserError(
            f"{files} in {printable(folder)} cannot be used; repair {mend}, or give --skip-bad.",
            problems,
        )
    own_classes = _named(own.listing.classes, photos)
    found = _others(folder, own_classes, scan, _named(scan.listing.classes, folder))
    _refuse_shared_names(found, photos)
    _refuse_own_photos(found, scan, own, size)
    return found


def read_others_again(record: OthersRecord, sizes: tuple[int, ...], folder: Path | None) -> Others:
    """Read the others' photos that a card names, at several sizes, the first of which is that of
    the noise. folder: where they are now, if elsewhere. Raises UserError if they have changed."""
    folder = folder or Path(record.folder)
    _check_folder(folder, " or say with --others where they are now")
    scan = scan_photos(folder, sizes, skip_bad=True)
    flat = scan.listing.classes == NO_CLASSES and len(record.classes) == 1
    found = _others(
        folder, record.own_classes, scan, record.classes if flat else scan.listing.classes
    )
    if replace(found.record(sizes[0]), folder=record.folder) != record:
        raise UserError(
            f"The photos in {printable(folder)} are not the {record.count} among which yours were "
            "protected; put them back as they were, or protect yours again into another folder."
        )
    return found


def _others(
    folder: Path, own_classes: tuple[str, ...], scan: Scan, classes: tuple[str, ...]
) -> Others:
    images = {side: replace(x, classes=classes) for side, x in scan.images.items() if side}
    return Others(folder, own_classes, images, scan.listing.problems)


def _check_folder(folder: Path, else_: str = "") -> None:
    if not folder.is_dir():
        raise UserError(
            f"There is no folder {printable(folder)}; give the one that holds the others' photos"
            f"{else_}."
        )


def _named(classes: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    """The classes of a folder; one without sub-folders is one class and gives it its name."""
    return (Path(os.path.abspath(folder)).name,) if classes == NO_CLASSES else classes


def _refuse_shared_names(others: Others, photos: Path) -> None:
    own = {as_systems_compare(name) for name in others.own_classes}
    if shared := [name for name in others.classes if as_systems_compare(name) in own]:
        raise UserError(
            f"{printable(photos)} and {printable(others.folder)} both have a class "
            f"{printable(shared[0])}; a class is yours or theirs, so rename one, or take theirs "
            "out."
        )


def _refuse_own_photos(others: Others, scan: Scan, own: Scan, size: int) -> None:
    """A model that sees the same photos clean among the others' learns them from there."""
    first = len(own.listing.files)
    groups = near_duplicates(torch.cat([own.images[size].x, others.images[size].x]))
    # a group bears the number of its first photo, and the owner's come first
    pairs = [
        f"{printable(scan.listing.files[k][0])} is nearly the same photo as "
        f"{printable(own.listing.files[g][0])}"
        for k, g in enumerate(groups[first:].tolist())
        if g < first
    ]
    if pairs:
        more = f" (and {len(pairs) - 1} more)" if len(pairs) > 1 else ""
        raise UserError(
            f"{pairs[0]}{more}; take it out of the others', where it would stay unprotected.",
            [f"{pair}." for pair in pairs[1:]],
        )
