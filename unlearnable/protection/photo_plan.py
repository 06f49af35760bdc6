"""What is to be done with a folder of photos: which places are fit, what is protected already, what
is new, and by which method that is protected."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from unlearnable.core.errors import UserError
from unlearnable.core.files import existing, inside, refuse_links
from unlearnable.core.text import printable
from unlearnable.data.card import (
    CARD,
    MARKER,
    Card,
    PhotoRecord,
    PhotoSettings,
    check_finished,
    check_unpublished,
    find_private,
    private_folder,
)
from unlearnable.data.decoding import SUFFIXES, WEBP_LONGEST, pixels, read
from unlearnable.data.folders import Scan
from unlearnable.data.image_files import entries
from unlearnable.data.images import Images
from unlearnable.data.others import Others
from unlearnable.data.threads import in_threads
from unlearnable.protection.methods.base import GeneratorMethod, Method
from unlearnable.protection.methods.from_generator import GENERATOR, Generated
from unlearnable.protection.photo_files import fingerprint, is_unchanged, refuse_originals
from unlearnable.protection.protect import check_images, settings_of


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be done with a folder. files: its photos, of which ``names`` are within it; rows:
    the numbers of those to protect, by ``method``; fingerprints, digests: what tells each from
    others, and from itself after an edit; kept: those that are protected already, by name;
    before: the card of an earlier run, if any; others: whose photos they are among, if any."""

    files: list[Path]
    names: list[str]
    fingerprints: list[str]
    digests: list[tuple[str, ...]]
    rows: list[int]
    method: Method
    kept: dict[str, PhotoRecord]
    before: Card | None
    others: Others | None = None

    @property
    def done(self) -> bool:
        return not self.rows and (not self.before or len(self.kept) == len(self.before.files))


def plan(
    folder: Path,
    out: Path,
    method: Method,
    scan: Scan,
    photos: PhotoSettings,
    *,
    others: Others | None = None,
    seed: int = 0,
) -> Plan:
    """Find out which photos are to be protected, and by which method: ``method``, or, if ``out``
    holds some already, the generator that was kept. Raises UserError where that cannot be done."""
    check_format(scan, photos.format)
    files, clean = [path for path, _ in scan.listing.files], scan.images[photos.size]
    names = [path.relative_to(folder).as_posix() for path in files]
    prints = [fingerprint(x) for x in clean.x.numpy()]
    own: list[tuple[str, ...]] = [each.of_kept(photos.keep_metadata) for each in scan.digests]
    _refuse_protected(folder, out, files, prints)
    before = Card.read(out) if find_private(out, CARD) else None
    if before is None:
        _check_images(shown(clean, method, others), method)
        return Plan(files, names, prints, own, [*range(len(files))], method, {}, None, others)
    run = (method.name, settings_of(method), seed, photos)
    key = method.further_key
    noted = {"file_digest": before.file_digest, "own_code": before.own_code}
    other_key = any(was and was != key.get(name, was) for name, was in noted.items())
    if (before.method, before.settings, before.seed, before.photos) != run or (
        other_key or (not before.files and before.digest != clean.digest())
    ):
        raise UserError(
            f"{out} holds another run's protected photos; give another folder, or delete it and "
            f"{private_folder(out)}."
        )
    others = _same_others(before, others, clean, out)
    if not before.files:  # of a version that did not list them
        return Plan(files, names, prints, own, [], method, {}, before)
    kept = _kept(before, dict(zip(names, zip(prints, own))), folder, out)
    rows = [k for k, name in enumerate(names) if name not in kept]
    if rows and not isinstance(method, Generated):
        method = _kept_generator(out, method)
    if rows:
        _check_images(shown(clean.subset(torch.tensor(rows)), method, others), method)
    return Plan(files, names, prints, own, rows, method, kept, before, others)


def _check_images(images: Images, method: Method) -> None:
    """Raise UserError for images that the method cannot protect, before any work."""
    if isinstance(method, Generated):
        method.check_classes(images)
    check_images(images, method)


def shown(own: Images, method: Method, others: Others | None) -> Images:
    """Return what ``method`` is to see: the owner's photos, and after them the others' unless its
    surrogate knows those already."""
    if others is None:
        return own
    return others.named(own) if isinstance(method, Generated) else others.joined(own)


def _same_others(before: Card, now: Others | None, own: Images, out: Path) -> Others | None:
    """The others; a flat folder that was renamed keeps the name of its class. Raises UserError for
    others than those among which ``out`` was protected."""
    if before.others is None and now is None:
        return None
    if before.others is None:
        raise UserError(
            f"{out} was protected without others; leave --others out, or give another folder."
        )
    if now is None:
        folder = printable(before.others.folder)
        raise UserError(
            f"{out} was protected among the photos in {folder}; give --others {folder} again."
        )
    if now.images[own.size].digest() != before.others.digest:
        raise UserError(
            f"The photos in {printable(now.folder)} are not the {before.others.count} among "
            f"which {out} was protected; put them back as they were, or give another output folder."
        )
    return now if own.labeled else replace(now, own_classes=before.others.own_classes)


def _kept(
    card: Card, now: dict[str, tuple[str, tuple[str, ...]]], folder: Path, out: Path
) -> dict[str, PhotoRecord]:
    """The photos that are protected already, by name. Raises UserError for protected photos whose
    originals (``now``: name -> fingerprint, digests) were changed or taken away."""
    there = [f for f in card.files if (out / f.written).exists()]
    if stale := [f for f in there if not is_unchanged(f, *now.get(f.original, ("", ())))]:
        first = stale[0]
        what = "changed" if first.original in now else "taken away"
        more = f" (and {len(stale) - 1} more)" if len(stale) > 1 else ""
        original, written = (printable(p) for p in (folder / first.original, out / first.written))
        raise UserError(
            f"{original}{more} was {what} after it was protected; put it back as it was, or delete "
            f"{written} and run the same command again."
        )
    return {f.original: f for f in there}


def refuse_unprotected(out: Path, kept: list[PhotoRecord], size: int) -> None:
    """Raise UserError where a photo that counts as protected is its original. size: of the noise,
    in pixels."""
    prints = in_threads(
        lambda f: fingerprint(pixels(read(out / f.written), size)), kept, "reading protected photos"
    )
    refuse_originals(out, kept, prints)


def refuse_strangers(out: Path, ours: set[str]) -> None:
    """Raise UserError where ``out`` holds files that are not ``ours``: nobody would know that they
    are not protected. Texts beside the class folders, as a license, are taken as they are."""
    there = {path.relative_to(out).as_posix(): path for path in _files(out)} if out.exists() else {}
    strange = sorted(
        name
        for name, path in there.items()
        if name not in ours and ("/" in name or path.suffix.lower() in SUFFIXES)
    )
    if strange:
        more = f" (and {len(strange) - 1} more)" if len(strange) > 1 else ""
        raise UserError(
            f"{printable(out / strange[0])}{more} has no original among the photos, or was "
            "not written by this program; move it elsewhere, or delete it, and run the same "
            "command again."
        )


def _files(folder: Path) -> Iterator[Path]:
    """Every file and link in ``folder``, however deep, but for hidden ones and system litter."""
    for path in entries(folder):
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        else:
            yield path


def _kept_generator(out: Path, method: Method) -> Generated:
    """The method that protects further photos as those of ``out``, which ``method`` made."""
    if not isinstance(method, GeneratorMethod):
        raise UserError(
            f"{out} was made by {method.name}, which cannot protect further photos in the same "
            "way; give another output folder."
        )
    generator = find_private(out, GENERATOR)
    if generator is None:
        raise UserError(
            f"{private_folder(out) / GENERATOR} is gone, and without it further photos cannot be "
            "protected as the others were; put it back, or give another output folder."
        )
    return Generated.of(generator, method.generator_model)


def _refuse_protected(folder: Path, out: Path, files: list[Path], prints: list[str]) -> None:
    """Raise UserError if the photos to protect are protected already: a second time the noise of
    both would add up, beyond what the card says."""
    again = "give the originals instead, because twice the noise is seen twice as well."
    if find_private(folder, CARD):
        raise UserError(f"{folder} holds photos that are protected already; {again}")
    for place in {folder.resolve().parent, out.resolve().parent}:
        for path in sorted(place.glob("*.private/card.json")):
            known = _known_prints(path.parent)
            for file, own in zip(files, prints):
                if own in known:
                    raise UserError(
                        f"{printable(file)} is a protected photo already ({path}); {again}"
                    )


def _known_prints(private: Path) -> set[str]:
    """The fingerprints of the protected photos that a card lists."""
    try:
        files = Card.read(private).files
    except UserError:
        return set()
    return {f.written_pixels for f in files if f.written_pixels != f.original_pixels}


def check_places(folder: Path, out: Path, others: Path | str | None = None) -> None:
    """Raise UserError unless ``folder`` exists and no run writes into it, ``out`` lies elsewhere
    (also than the ``others``' photos, and than protected ones) and can be written, and ``out`` is
    new or this program's."""
    if not folder.is_dir():
        raise UserError(
            f"There is no folder {folder}; give one with a sub-folder of photos per class."
        )
    check_finished(folder)
    check_unpublished(out.resolve().parent)
    private = private_folder(out)
    for place in (folder, *([Path(others)] if others else [])):
        if inside(out, place) or inside(place, out) or inside(place, private):
            raise UserError(
                f"{out} and {place} lie inside each other; give an output folder elsewhere."
            )
    refuse_links(private, private.parent)
    for path in private.rglob("*"):
        refuse_links(path, private)
    ours = find_private(out, CARD) or (private / MARKER).exists()
    for place in (out, private):
        if place.is_symlink() and not place.exists():
            raise UserError(f"{place} is a link to nothing; remove it, or give another folder.")
        if place.exists() and not ours and not (place.is_dir() and _is_empty(place)):
            raise UserError(
                f"{place} exists and is not this run's output; give another folder, or delete it."
            )
    parent = existing(private)
    # now, and not after the noise is made
    for place in (parent, out) if out.exists() else (parent,):
        if not os.access(place, os.W_OK | os.X_OK):
            raise UserError(
                f"Cannot write into {place}; check its permissions, or give another output folder."
            )
    if out.exists() and out.stat().st_dev != parent.stat().st_dev:
        raise UserError(f"{out} is a disk of its own; give a folder in it, as {out / 'protected'}.")


def _is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing but what systems leave in it."""
    hidden = (p.name for p in folder.iterdir() if p.name.startswith("."))
    return not entries(folder) and all(n == ".DS_Store" or n.startswith("._") for n in hidden)


def check_format(scan: Scan, kind: str) -> None:
    """Raise UserError for photos that are too large for the files to be written."""
    for (path, _), size in zip(scan.listing.files, scan.sizes, strict=True):
        if kind == "webp" and max(size) > WEBP_LONGEST:
            raise UserError(
                f"{printable(path)} has {size[0]} x {size[1]} pixels, and WebP holds at most "
                f"{WEBP_LONGEST} per side; give --format png."
            )
