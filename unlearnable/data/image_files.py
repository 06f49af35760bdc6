"""Which image files a folder holds, and what keeps one from being protected."""

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from unlearnable.core.errors import UserError
from unlearnable.core.text import printable
from unlearnable.data.card import CARD, find_private
from unlearnable.data.decoding import SUFFIXES
from unlearnable.data.threads import in_processes

A = TypeVar("A")

LONGEST = 255 - len(".webp")  # bytes that file systems leave for a name without its ending
# the classes of a flat folder: its images lie directly in it, and folder / "" is the folder
NO_CLASSES = ("",)
# what this program writes beside images
OWN_FILES = ("card.json", "generator.safetensors", "metadata.jsonl", "croissant.json")
# what macOS, Windows, and network drives leave behind
_LITTER = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information"}
_LITTER |= {"thumbs.db", "ehthumbs.db", "desktop.ini", "picasa.ini", "lost+found", "icon\r"}
_SIDECARS = (".aae", ".xmp", ".thm", ".pp3")  # edits and previews that belong to a photo
_OTHERS = dict.fromkeys((".mov", ".mp4", ".m4v", ".avi", ".mkv", ".webm"), "a video")
# Decoders of TIFF take the small preview in a raw file for the photo.
_OTHERS |= dict.fromkeys(
    (".cr2", ".cr3", ".nef", ".nrw", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw"),
    "a camera's raw file",
)


@dataclass(frozen=True)
class Listing:
    """A folder with one sub-folder of images per class, or a flat one of images without classes
    (``NO_CLASSES``). files: (path, number of the class), by class and then by name. problems: one
    sentence per file that was left out."""

    classes: tuple[str, ...]
    files: list[tuple[Path, int]]
    problems: list[str]

    @property
    def labels(self) -> list[int]:
        """The number of every file's class."""
        return [c for _, c in self.files]


def listing(folder: Path, fewest: int = 2) -> Listing:
    """List the images of ``folder`` without opening them.

    Hidden files and system litter are skipped, symbolic links become problems (they may lead
    elsewhere). Raises UserError for images beside sub-folders, for a folder without images, and for
    a class of fewer than ``fewest``.
    """
    found = _layout(folder)
    ours = find_private(folder, CARD)  # perhaps with its contact sheet
    if not ours and (loose := _beside(folder, found.classes)):
        raise UserError(
            f"{printable(folder)} holds sub-folders and images beside them "
            f"({printable(loose[0])}); put each image into the sub-folder of its class, or all "
            "into one folder without sub-folders."
        )
    return _without(folder, found, [_link(path) for path, _ in found.files], fewest)


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the classes of a folder of images, ``NO_CLASSES`` for a flat one. Raises UserError for
    a folder without images."""
    return _layout(folder).classes


def count_files(folder: Path) -> int:
    """Return how many files ``examine`` would open. Raises UserError for a folder without
    images."""
    return len(_layout(folder).files)


def examine(
    folder: Path, look: Callable[[Path], A], fewest: int = 2, *, skip_bad: bool = False
) -> tuple[Listing, list[A]]:
    """Call ``look`` once per image of ``folder``; return the images for which it raised no
    UserError, and what it returned.

    Whatever is left out becomes a problem: a file that ``look`` refuses, a symbolic link, a name
    that is too long or that an earlier image takes, and images that lie in no class folder. Raises
    UserError for a folder without images, and for a class of fewer than ``fewest`` unless
    ``skip_bad``, which leaves out that class.
    """
    found = _layout(folder)
    _refuse_twin_classes(folder, found.classes)

    def attempt(file: tuple[Path, int]) -> A | UserError:
        path, _ = file
        if problem := _link(path) or _long_name(path) or _other(path):
            return UserError(problem)
        try:
            return look(path)
        except UserError as e:
            return UserError(str(e))  # without its traceback, which holds the decoded image

    seen = in_processes(attempt, found.files, "reading images")
    good = [file for file, s in zip(found.files, seen, strict=True) if not isinstance(s, UserError)]
    twins, taken = _twins(good), {_name(file) for file in good}
    problems = [
        str(s) if isinstance(s, UserError) else twins.get(file[0])
        for file, s in zip(found.files, seen, strict=True)
        if not _belongs(file, taken)
    ]
    others = found.problems + images_elsewhere(folder, found.classes)
    files = [file for file in found.files if not _belongs(file, taken)]
    every = Listing(found.classes, files, others)
    listed = _without(folder, every, problems, fewest, skip_bad=skip_bad)
    kept = {path for path, _ in listed.files}
    return listed, [
        s
        for (path, _), s in zip(found.files, seen, strict=True)
        if path in kept and not isinstance(s, UserError)
    ]


def _layout(folder: Path) -> Listing:
    """The class folders and the files in them. Raises UserError for a folder without images."""
    try:
        inner = [p for p in entries(folder) if p.is_dir()]
        links = [p for p in inner if p.is_symlink()]
        names = tuple(p.name for p in inner if p not in links)
        if links and not names:
            raise UserError(
                f"The class folders of {printable(folder)} are symbolic links, the first to "
                f"{printable(links[0].resolve())}; put the folders themselves there, or give the "
                "one that they lie in."
            )
        names = names or (NO_CLASSES if _image_names(folder) else ())
        files = [(p, c) for c, name in enumerate(names) for p in _files(folder / name)]
        _check_depth(folder, names, files)
    except OSError as e:
        raise UserError(
            f"{printable(e.filename)} cannot be read ({e.strerror}); check its permissions."
        ) from e
    if not names:
        raise UserError(
            f"{printable(folder)} holds no images and no sub-folders; put the images of each class "
            "into a sub-folder of its own."
        )
    problems = [f"{printable(p)} is a symbolic link; put the folder itself there." for p in links]
    return Listing(names, files, problems)


def _refuse_twin_classes(folder: Path, names: tuple[str, ...]) -> None:
    """Raise UserError for classes that Windows and macOS take for one folder."""
    first: dict[str, str] = {}
    for name in names:
        if (other := first.setdefault(as_systems_compare(name), name)) != name:
            raise UserError(
                f"{printable(folder)} has the classes {printable(other)} and {printable(name)}, "
                "which are one folder on Windows and macOS; rename one of them."
            )


def as_systems_compare(name: str) -> str:
    """A name as the file systems of Windows and macOS compare it."""
    return unicodedata.normalize("NFC", name).casefold()


def _check_depth(folder: Path, names: tuple[str, ...], files: Sequence[object]) -> None:
    """Raise UserError for classes that lie one level lower, as under train/ and val/."""
    if names == NO_CLASSES or files:
        return
    deep = [folder / name for name in names if any(p.is_dir() for p in entries(folder / name))]
    if deep:
        raise UserError(
            f"The sub-folders of {printable(folder)} ({', '.join(map(printable, names))}) hold "
            f"folders and no images; give one of them, for instance {printable(deep[0])}."
        )


def _without(
    folder: Path,
    found: Listing,
    problems: list[str | None],
    fewest: int,
    *,
    skip_bad: bool = False,
) -> Listing:
    """``found`` without the files that have a problem. Raises UserError for a class of fewer than
    ``fewest``, or leaves it out if ``skip_bad`` and another is left."""
    least = "two or more" if fewest == 2 else "one or more"
    files = [file for file, problem in zip(found.files, problems, strict=True) if not problem]
    said = found.problems + [problem for problem in problems if problem]
    count = Counter(c for _, c in files)
    for c, name in enumerate(found.classes):
        n = count[c]
        if n >= fewest:
            continue
        which = f"The class folder {printable(folder / name)}" if name else f"The folder {folder}"
        has = f"{which} has {n} readable image{'s' * (n != 1)}"
        if not skip_bad or max(count.values(), default=0) < fewest:
            needs = f"every class needs {least}" if name else f"it needs {least}"
            first = f" First problem: {said[0]}" if said else ""
            raise UserError(f"{has}; {needs}.{first}")
        few = ", ".join(printable(path.name) for path, k in files if k == c)
        few = f" ({few})" if few else ""
        said.append(f"{has}{few}, and every class needs {least}.")
    kept = [c for c in range(len(found.classes)) if count[c] >= fewest]
    number = {c: k for k, c in enumerate(kept)}
    files = [(path, number[c]) for path, c in files if c in number]
    return Listing(tuple(found.classes[c] for c in kept), files, said)


def entries(folder: Path) -> list[Path]:
    """What lies in ``folder``, by name, without hidden files and system litter."""
    names = (n for n in os.listdir(folder) if not n.startswith(".") and n.casefold() not in _LITTER)
    # as paths are sorted, in a tenth of the time
    return [folder / name for name in sorted(names, key=os.path.normcase)]


def _files(folder: Path) -> list[Path]:
    with os.scandir(folder) as found:  # knows the kinds without asking for each file
        names = {each.name for each in found if each.is_file() or each.is_symlink()}
    names.difference_update(OWN_FILES)
    return [p for p in entries(folder) if p.name in names and p.suffix.lower() not in _SIDECARS]


def _image_names(folder: Path) -> list[Path]:
    """The files directly in ``folder`` that have the name of an image."""
    return [p for p in _files(folder) if p.suffix.lower() in SUFFIXES]


def _beside(folder: Path, classes: tuple[str, ...]) -> list[Path]:
    """The images that lie beside the class folders."""
    return [] if classes == NO_CLASSES else _image_names(folder)


def images_elsewhere(folder: Path, classes: tuple[str, ...]) -> list[str]:
    """A sentence for everything outside the class folders that may be an image, so that nothing is
    left out in silence; the contact sheet in a protected folder is not."""
    inner = (p for name in classes for p in entries(folder / name))
    deep = [p for p in inner if not (p.is_file() or p.is_symlink())]
    beside = [] if find_private(folder, CARD) else _beside(folder, classes)
    return [f"{printable(p)} lies beside the class folders; put it into one." for p in beside] + [
        f"{printable(p)} is not a file; put the images of a class directly into its folder."
        for p in deep
    ]


def _link(path: Path) -> str | None:
    if path.is_symlink():
        return f"{printable(path)} is a symbolic link; put the image itself there."
    return None


def _long_name(path: Path) -> str | None:
    if len(os.fsencode(path.stem)) > LONGEST:
        return (
            f"{printable(path)} has too long a name to be written with another ending; shorten it."
        )
    return None


def _other(path: Path) -> str | None:
    if kind := _OTHERS.get(path.suffix.lower()):
        return f"{printable(path)} is {kind}, not an image; save what you want to protect as JPEG."
    return None


def _belongs(file: tuple[Path, int], taken: set[tuple[int, str]]) -> bool:
    """Whether a raw file or video is that of a photo beside it (IMG_1.CR2, IMG_1.JPG)."""
    return file[0].suffix.lower() in _OTHERS and _name(file) in taken


def _name(file: tuple[Path, int]) -> tuple[int, str]:
    """What may be there only once: the class and the name without its ending."""
    path, c = file
    return c, as_systems_compare(path.stem)


def _twins(files: list[tuple[Path, int]]) -> dict[Path, str]:
    """A sentence for every image whose name differs from an earlier one's by its ending only."""
    first: dict[tuple[int, str], Path] = {}
    twins = {}
    for path, c in files:
        if (other := first.setdefault(_name((path, c)), path)) != path:
            twins[path] = (
                f"{printable(path)} would get the same name as {printable(other.name)}; rename "
                "one of them (not one that is protected already)."
            )
    return twins
