"""Image files: which ones a folder holds, reading one, and writing one without loss.

A file either reads as 8-bit color or is refused in one sentence. EXIF orientation is applied, so
that an image is read as every viewer shows it.
"""

import io
import os
import re
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from PIL import Image, ImageCms, ImageOps

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write
from unlearnable.core.progress import Progress

try:  # an extra: HEIC, which phones write
    from pillow_heif import register_heif_opener
except ImportError:
    HEIF = False
else:
    register_heif_opener()
    HEIF = True

Format = Literal["png", "webp"]
A = TypeVar("A")
B = TypeVar("B")

SUFFIXES = frozenset(
    end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN
) | {".heic", ".heif"}
LONGEST = 255 - len(".webp")  # bytes that file systems leave for a name without its ending
# of 9: a third of the time of the default 6 for files 1.1 times as large, measured at 12 megapixels
PNG_LEVEL = 3
# each holds one image, up to 40 bytes per pixel while it is written
THREADS = min(4, os.cpu_count() or 1)
# the classes of a flat folder: its images lie directly in it, and folder / "" is the folder
NO_CLASSES = ("",)
OWN_FILES = ("card.json", "generator.safetensors")  # what this program writes beside images


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

    Hidden files are skipped, symbolic links become problems (they may lead elsewhere). Raises
    UserError for images beside sub-folders, for a folder without images, and for a class of fewer
    than ``fewest``.
    """
    found = _layout(folder)
    ours = (folder / "card.json").exists()  # perhaps with its contact sheet
    if not ours and (loose := _beside(folder, found.classes)):
        raise UserError(
            f"{folder} holds sub-folders and images beside them ({_shown(loose[0])}); put each "
            "image into the sub-folder of its class, or all into one folder without sub-folders."
        )
    return _without(folder, found, [_link(path) for path, _ in found.files], fewest)


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the classes of a folder of images, ``NO_CLASSES`` for a flat one. Raises UserError for
    a folder without images."""
    return _layout(folder).classes


def examine(folder: Path, look: Callable[[Path], A], fewest: int = 2) -> tuple[Listing, list[A]]:
    """Call ``look`` once per image of ``folder``; return the images for which it raised no
    UserError, and what it returned.

    Whatever is left out becomes a problem: a file that ``look`` refuses, a symbolic link, a name
    that is too long or that another file would get, and images that lie in no class folder. Raises
    UserError for a folder without images, and for a class of fewer than ``fewest``.
    """
    found = _layout(folder)
    twins = _twins(found.files)

    def attempt(file: tuple[Path, int]) -> A | UserError:
        path, _ = file
        if problem := _link(path) or twins.get(path) or _long_name(path):
            return UserError(problem)
        try:
            return look(path)
        except UserError as e:
            return UserError(str(e))  # without its traceback, which holds the decoded image

    seen = in_threads(attempt, found.files, "reading images")
    problems = [str(s) if isinstance(s, UserError) else None for s in seen]
    others = _elsewhere(folder, found.classes)
    every = replace(found, problems=found.problems + others)
    listed = _without(folder, every, problems, fewest)
    return listed, [s for s in seen if not isinstance(s, UserError)]


def _layout(folder: Path) -> Listing:
    """The class folders and the files in them. Raises UserError for a folder without images."""
    try:
        inner = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        links = [p for p in inner if p.is_symlink()]
        names = tuple(p.name for p in inner if p not in links)
        names = names or (NO_CLASSES if _image_names(folder) else ())
        files = [(p, c) for c, name in enumerate(names) for p in _files(folder / name)]
    except OSError as e:
        raise UserError(
            f"{e.filename} cannot be read ({e.strerror}); check its permissions."
        ) from e
    if not names:
        raise UserError(
            f"{folder} holds no images and no sub-folders; put the images of each class into a "
            "sub-folder of its own."
        )
    problems = [f"{_shown(p)} is a symbolic link; put the folder itself there." for p in links]
    return Listing(names, files, problems)


def _without(folder: Path, found: Listing, problems: list[str | None], fewest: int) -> Listing:
    """``found`` without the files that have a problem. Raises UserError for a class of fewer than
    ``fewest``."""
    files = [file for file, problem in zip(found.files, problems, strict=True) if not problem]
    said = found.problems + [problem for problem in problems if problem]
    for c, name in enumerate(found.classes):
        if (n := sum(label == c for _, label in files)) < fewest:
            which, whose = ("class folder", "every class needs") if name else ("folder", "it needs")
            raise UserError(
                f"The {which} {folder / name} has {n} readable images; {whose} "
                f"{'two' if fewest == 2 else 'one'} or more."
                + (f" First problem: {said[0]}" if said else "")
            )
    return Listing(found.classes, files, said)


def _files(folder: Path) -> list[Path]:
    files = (
        p
        for p in folder.iterdir()
        if (p.is_file() or p.is_symlink()) and not p.name.startswith(".")
    )
    return sorted(p for p in files if p.name not in OWN_FILES)


def _image_names(folder: Path) -> list[Path]:
    """The files directly in ``folder`` that have the name of an image."""
    return [p for p in _files(folder) if p.suffix.lower() in SUFFIXES]


def _beside(folder: Path, classes: tuple[str, ...]) -> list[Path]:
    """The images that lie beside the class folders."""
    return [] if classes == NO_CLASSES else _image_names(folder)


def _elsewhere(folder: Path, classes: tuple[str, ...]) -> list[str]:
    """A sentence for everything outside the class folders that may be an image, so that nothing is
    left out in silence."""
    deep = [
        p
        for name in classes
        for p in (folder / name).iterdir()
        if not (p.is_file() or p.is_symlink() or p.name.startswith("."))
    ]
    return [
        f"{_shown(p)} lies beside the class folders; put it into one."
        for p in _beside(folder, classes)
    ] + [
        f"{_shown(p)} is not a file; put the images of a class directly into its folder."
        for p in sorted(deep)
    ]


def _shown(path: Path) -> str:
    """A path on one line, whatever its name holds."""
    return str(path).encode("unicode_escape").decode() if not str(path).isprintable() else str(path)


def _link(path: Path) -> str | None:
    if path.is_symlink():
        return f"{_shown(path)} is a symbolic link; put the image itself there."
    return None


def _long_name(path: Path) -> str | None:
    if len(os.fsencode(path.stem)) > LONGEST:
        return f"{_shown(path)} has too long a name to be written with another ending; shorten it."
    return None


def _twins(files: list[tuple[Path, int]]) -> dict[Path, str]:
    """A sentence for every file whose name differs from an earlier one's by its ending only."""
    first: dict[tuple[int, str], Path] = {}
    twins = {}
    for path, c in files:
        other = path if path.is_symlink() else first.setdefault((c, path.stem.casefold()), path)
        if other != path:
            twins[path] = f"{_shown(path)} would get the same name as {other.name}; rename it."
    return twins


def read(path: Path) -> Image.Image:
    """Decode an image file: RGB or RGBA, 8 bits per channel, upright. ``info`` keeps icc_profile
    and exif. Raises UserError for anything else, and for animations."""
    try:
        with Image.open(path) as image:
            # Phones store a second view or a brightness map behind the photo (MPO, HEIF); viewers
            # show the first.
            if getattr(image, "n_frames", 1) > 1 and image.format not in ("MPO", "HEIF"):
                raise UserError(
                    f"{_shown(path)} is an animation; save the image you mean as a file of its own."
                )
            # Pillow reads 16-bit color as 8 bits in silence; only its decoder's arguments tell.
            if (
                image.mode.startswith(("I", "F"))
                or re.search(";16[BLN]", str(getattr(image, "tile", "")))
                or image.info.get("bit_depth", 8) > 8  # HEIF
            ):
                raise UserError(
                    f"{_shown(path)} has more than 8 bits per channel; convert it to 8 bits."
                )
            return _upright(image)
    except Image.DecompressionBombError as e:
        # above about 180 million pixels; a small file could fill the memory
        raise UserError(f"{_shown(path)} has more pixels than any photo; make it smaller.") from e
    except PermissionError as e:
        raise UserError(f"{_shown(path)} may not be read; check its permissions.") from e
    except UserError:
        raise
    except Exception as e:
        if not HEIF and _is_heif(path):
            raise UserError(
                f"{_shown(path)} is HEIC, which needs an extra: pip install 'unlearnable[heif]' "
                "(in a clone: pip install '.[heif]'), or save it as JPEG."
            ) from e
        # On broken files decoders also raise RuntimeError (AVIF), IndexError (GIF) and others.
        raise UserError(
            f"{_shown(path)} cannot be read as an image; repair it, save it as JPEG or PNG, or "
            "take it out."
        ) from e


def _is_heif(path: Path) -> bool:
    """Whether the file says that it is HEIF (ISO 23008-12), whatever its name."""
    with open(path, "rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"heim", b"heis", b"mif1")


def _upright(image: Image.Image) -> Image.Image:
    profile, mode = image.info.get("icc_profile"), image.mode
    image = ImageOps.exif_transpose(image)
    exif = image.getexif()
    seen_through = mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if mode in ("CMYK", "LAB") and profile:
        # these colors have a meaning only through their own profile
        try:
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(
                image, io.BytesIO(profile), srgb, outputMode="RGB"
            )
            image = converted or image
        except ImageCms.PyCMSError:
            pass  # a damaged profile; the conversion below does without it
    image = image.convert("RGBA" if seen_through else "RGB")
    # a gray or CMYK profile does not fit RGB pixels
    kept = profile if mode in ("RGB", "RGBA", "P", "PA") else None
    image.info = {"icc_profile": kept, "exif": exif.tobytes() if len(exif) else None}
    return image


def pixels(image: Image.Image, size: int | None, *, keep_aspect: bool = False) -> np.ndarray:
    """Return the pixels of an image, uint8 [3, H, W].

    size: resize to size x size (bilinear, antialiased). keep_aspect: resize the shorter side to
    ``size`` and crop the center.
    """
    image = image.convert("RGB")
    if size and keep_aspect:
        scale = size / min(image.size)
        image = image.resize(
            [max(size, round(s * scale)) for s in image.size], Image.Resampling.BILINEAR
        )
        left, top = ((s - size) // 2 for s in image.size)
        image = image.crop((left, top, left + size, top + size))
    elif size:
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).transpose(2, 0, 1).copy()


def write(
    x: np.ndarray,
    like: Image.Image,
    path: Path,
    *,
    kind: Format = "png",
    keep_metadata: bool = False,
) -> None:
    """Write x, uint8 [H, W, 3], without loss, with the alpha channel and the color profile of
    ``like`` (and its EXIF data if ``keep_metadata``)."""
    image = Image.fromarray(x)
    if like.mode == "RGBA":
        image.putalpha(like.getchannel("A"))
    options: dict[str, Any] = (
        {"lossless": True, "exact": True} if kind == "webp" else {"compress_level": PNG_LEVEL}
    )
    if profile := like.info["icc_profile"]:
        options["icc_profile"] = profile
    if keep_metadata and (exif := like.info["exif"]):
        options["exif"] = exif
    with atomic_write(path) as tmp:
        image.save(tmp, format=kind, **options)


def in_threads(work: Callable[[A], B], items: Sequence[A], title: str) -> list[B]:
    """Compute ``[work(item) for item in items]`` in threads: Pillow releases Python's lock while it
    codes and decodes images."""
    done = []
    # Pillow warns of odd metadata and sizes; silenced here, because filters are global.
    quiet = warnings.catch_warnings(action="ignore")
    with quiet, ThreadPoolExecutor(THREADS) as pool, Progress(title, len(items)) as progress:
        try:
            for result in pool.map(work, items):
                done.append(result)
                progress.at(len(done))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return done


def inside(path: Path, folder: Path) -> bool:
    """Return whether ``path`` is ``folder`` or lies in it, with all links followed."""
    path, folder = (Path(os.path.realpath(p)) for p in (path, folder))
    return path == folder or folder in path.parents
