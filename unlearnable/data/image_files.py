"""Image files: which a folder holds, what is wrong with them, reading one, and writing one without
loss.

A file either reads as 8-bit color or is refused in one sentence. EXIF orientation is applied, so
that an image is seen here as every viewer shows it.
"""

import io
import os
import re
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from PIL import Image, ImageCms, ImageOps

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write
from unlearnable.core.progress import Progress

SUFFIXES = frozenset(
    end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN
)


LONGEST = 255 - len(".webp")  # bytes that file systems leave for a name without its ending
# of 9: a third of the time of the default 6 for files 1.1 times as large, measured at 12 megapixels
PNG_LEVEL = 3
THREADS = min(
    4, os.cpu_count() or 1
)  # each holds one image, up to 40 bytes a pixel while it is written


NO_CLASSES = (
    "",
)  # the classes of a flat folder: its images lie in it directly, and folder / "" is the folder


OWN_FILES = ("card.json", "generator.safetensors")  # what this program writes beside images
A, B = TypeVar("A"), TypeVar("B")
Format = Literal["png", "webp"]


@dataclass(frozen=True)
class Listing:
    """A folder with one sub-folder of images a class, or a flat one of images without classes
    (``NO_CLASSES``). files: (path, number of the class), by class and then by name; problems: one
    sentence a file that was left out."""

    classes: tuple[str, ...]
    files: list[tuple[Path, int]]
    problems: list[str] = field(default_factory=list)


def listing(folder: Path, *, check: bool = False) -> Listing:
    """What ``folder`` holds. Hidden files are passed over, symbolic links are refused (they may
    lead elsewhere). check: read every file to its end; those that do not read, or have the name of
    another but for its ending, become problems, as do images beside sub-folders, which are a
    UserError otherwise. Raises UserError for a folder without images, or with a class of fewer than
    two."""
    try:
        names = tuple(
            sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        )
        links = [folder / name for name in names if (folder / name).is_symlink()]
        names = tuple(name for name in names if folder / name not in links)
        names = names or (NO_CLASSES if _loose(folder) else ())
        ours = (folder / "card.json").exists()  # with its sheet, perhaps
        if not check and not ours and names not in ((), NO_CLASSES) and (loose := _loose(folder)):
            raise UserError(
                f"{folder} holds sub-folders and images beside them ({_shown(loose[0])}); put each image into the "
                "sub-folder of its class, or all into one folder without sub-folders."
            )
        found = [(p, c) for c, name in enumerate(names) for p in _files(folder / name)]
    except OSError as e:
        raise UserError(
            f"{e.filename} cannot be read ({e.strerror}); check its permissions."
        ) from e
    problems = [f"{_shown(p)} is a symbolic link; put the folder itself there." for p in links]
    problems += _elsewhere(folder, [folder / name for name in names]) if check else []
    if not names:
        raise UserError(
            f"{folder} holds no images and no sub-folders; put the images of each class into a sub-folder of its "
            "own."
        )
    wrong = in_threads(partial(problem_of, check=check), [p for p, _ in found], "reading images")
    files, stems = [], {}
    for (p, c), problem in zip(found, wrong):
        if (
            check
            and not p.is_symlink()
            and (twin := stems.setdefault((c, p.stem.casefold()), p)) != p
        ):
            problem = f"{_shown(p)} would get the same name as {twin.name}; rename it."
        if problem:
            problems.append(problem)
        else:
            files.append((p, c))
    for c, name in enumerate(names):
        if (n := sum(label == c for _, label in files)) < 2:
            which, whose = ("class folder", "every class needs") if name else ("folder", "it needs")
            raise UserError(
                f"The {which} {folder / name} has {n} readable images; {whose} two or more."
                + (f" First problem: {problems[0]}" if problems else "")
            )
    return Listing(names, files, problems)


def _files(folder: Path) -> list[Path]:
    files = (
        p
        for p in folder.iterdir()
        if (p.is_file() or p.is_symlink()) and not p.name.startswith(".")
    )
    return sorted(p for p in files if p.name not in OWN_FILES)


def _loose(folder: Path) -> list[Path]:
    """The files directly in ``folder`` that have the name of an image."""
    return [p for p in _files(folder) if p.suffix.lower() in SUFFIXES]


def _elsewhere(folder: Path, classes: list[Path]) -> list[str]:
    """A sentence for everything that is no file of a class and may hold images: nothing is passed
    over in silence."""
    loose = _loose(folder) if folder not in classes else []
    deep = [
        p
        for c in classes
        for p in c.iterdir()
        if not (p.is_file() or p.is_symlink() or p.name.startswith("."))
    ]
    return [f"{_shown(p)} lies beside the class folders; put it into one." for p in loose] + [
        f"{_shown(p)} is no file; put the images of a class directly into its folder."
        for p in sorted(deep)
    ]


def _shown(path: Path) -> str:
    """A path on one line, whatever its name holds."""
    return str(path).encode("unicode_escape").decode() if not str(path).isprintable() else str(path)


def problem_of(path: Path, *, check: bool) -> str | None:
    """Why the file is not taken, in one sentence, or None. check: whether it reads as an image,
    too."""
    if path.is_symlink():
        return f"{_shown(path)} is a symbolic link; put the image itself there."
    if check and len(os.fsencode(path.stem)) > LONGEST:
        return f"{_shown(path)} has too long a name to be written with another ending; shorten it."
    try:
        _ = check and read(path)
    except UserError as e:
        return str(e)
    return None


def read(path: Path) -> Image.Image:
    """The image as RGB or RGBA, 8 bits a channel, upright. ``info`` keeps icc_profile and exif.
    Raises UserError."""
    try:
        with Image.open(path) as image:
            # phones keep a second view or a brightness map behind the photograph (MPO); what
            # viewers show is the first
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
                raise UserError(
                    f"{_shown(path)} is an animation; save the image you mean as a file of its own."
                )
            # Pillow reads 16-bit color as 8 bits without a word; only its decoder's arguments tell
            if image.mode.startswith(("I", "F")) or re.search(
                ";16[BLN]", str(getattr(image, "tile", ""))
            ):
                raise UserError(
                    f"{_shown(path)} has more than 8 bits a channel; convert it to 8 bits."
                )
            return _upright(image)
    except (
        Image.DecompressionBombError
    ) as e:  # about 180 million pixels: a small file may fill the memory
        raise UserError(
            f"{_shown(path)} has more pixels than any photograph; make it smaller."
        ) from e
    except PermissionError as e:
        raise UserError(f"{_shown(path)} may not be read; check its permissions.") from e
    except UserError:
        raise
    except (
        Exception
    ) as e:  # on broken files decoders also raise RuntimeError (AVIF), IndexError (GIF) and others
        raise UserError(
            f"{_shown(path)} cannot be read as an image; repair it, save it as JPEG or PNG, or take it out."
        ) from e


def _upright(image: Image.Image) -> Image.Image:
    profile, mode = image.info.get("icc_profile"), image.mode
    image = ImageOps.exif_transpose(image)
    exif = image.getexif()
    seen_through = mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if mode in ("CMYK", "LAB") and profile:
        # its colors mean something only through its own profile
        try:
            image = ImageCms.profileToProfile(
                image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except ImageCms.PyCMSError:
            image = image.convert("RGB")
    image = image.convert("RGBA" if seen_through else "RGB")
    kept = (
        profile if mode in ("RGB", "RGBA", "P", "PA") else None
    )  # a gray or CMYK profile does not fit RGB pixels
    image.info = {"icc_profile": kept, "exif": exif.tobytes() if len(exif) else None}
    return image


def pixels(image: Image.Image, size: int | None, *, keep_aspect: bool = False) -> np.ndarray:
    """uint8 [3, H, W]. size: resized to size x size (bilinear, antialiased); keep_aspect: by the
    shorter side, and the center cut out."""
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
    """Write uint8 [H, W, 3] without loss, with the alpha channel and the color profile of ``like``
    (and its EXIF data if ``keep_metadata``)."""
    image = Image.fromarray(x)
    if like.mode == "RGBA":
        image.putalpha(like.getchannel("A"))
    extra = {
        "icc_profile": like.info["icc_profile"],
        "exif": like.info["exif"] if keep_metadata else None,
    }
    extra = {k: v for k, v in extra.items() if v}
    lossless = (
        {"lossless": True, "exact": True} if kind == "webp" else {"compress_level": PNG_LEVEL}
    )
    with atomic_write(path) as tmp:
        image.save(tmp, format=kind, **lossless, **extra)


def in_threads(work: Callable[[A], B], items: Sequence[A], title: str) -> list[B]:
    """``[work(item) for item in items]``, some at a time: coding and decoding images leaves Python
    free."""
    done = []
    quiet = warnings.catch_warnings(
        action="ignore"
    )  # Pillow's, about odd metadata and size; here, as they are global
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
    """Whether ``path`` is ``folder`` or lies in it, through all links."""
    path, folder = (Path(os.path.realpath(p)) for p in (path, folder))
    return path == folder or folder in path.parents
