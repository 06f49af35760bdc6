"""Decode an image file, and write one without loss.

A file either reads as 8-bit color or is refused in one sentence. EXIF orientation is applied, so
that an image is read as every viewer shows it.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from unlearnable.core.errors import UserError, install
from unlearnable.core.files import atomic_write
from unlearnable.core.memory import memory_of_machine
from unlearnable.core.text import printable
from unlearnable.data.card import CARD, find_private
from unlearnable.data.color import Space, to_srgb
from unlearnable.data.metadata import (
    PNG,
    exif_of,
    kept_exif,
    number_behind,
    orientation,
    png_without_metadata,
)
from unlearnable.data.threads import claim

try:  # an extra: HEIC, which phones write
    from pillow_heif import register_heif_opener
except ImportError:
    HEIF = False
else:
    register_heif_opener()
    HEIF = True

Format = Literal["png", "webp"]

# What people's photos come in. Pillow knows many more; some of its decoders start other programs
# (EPS runs Ghostscript).
FORMATS: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP", "JPEG2000", "PPM")
FORMATS += ("QOI", "TGA", "HEIF") if HEIF else ("QOI", "TGA")
Image.init()
SUFFIXES = frozenset(
    end for end, kind in Image.registered_extensions().items() if kind in (*FORMATS, "MPO")
) | {".heic", ".heif"}
# The largest photos are of 200 megapixels (phones). Pillow warns above its limit, and refuses
# twice as much.
MOST_PIXELS = 1 << 28
Image.MAX_IMAGE_PIXELS = MOST_PIXELS
BYTES_PER_PIXEL = 31  # of memory, while an image is protected: 30.9 measured at 30 megapixels
# of 9: a third of the time of the default 6 for files 1.1 times as large, measured at 12 megapixels
PNG_LEVEL = 3
WEBP_LONGEST = 16383  # pixels


@dataclass(frozen=True)
class _File:
    """An image file. data: its bytes, where it lies in another file and ``path`` is only a name."""

    path: Path
    data: bytes | None = None

    def open(self) -> BinaryIO:
        return open(self.path, "rb") if self.data is None else io.BytesIO(self.data)

    def head(self, size: int) -> bytes:
        with self.open() as file:
            return file.read(size)

    def content(self) -> bytes:
        return self.path.read_bytes() if self.data is None else self.data


def read(path: Path, data: bytes | None = None) -> Image.Image:
    """Decode an image file: RGB or RGBA, 8 bits per channel, upright, with the colors of sRGB or of
    its profile. ``info`` keeps icc_profile, exif (what may be published of it), and whether some of
    that was ``lost``. data: the bytes of a file that is not on the disk; ``path`` is then its name
    for messages. Raises UserError for anything else, and for animations."""
    source = _File(path, data)
    try:
        image, found = _opened(source)
        with image:
            claim(image.width * image.height)
            _check(image, source)
            return _upright(image, found, source)
    except Image.DecompressionBombError as e:
        # a small file could fill the memory
        raise UserError(
            f"{printable(path)} has more pixels than any photo; make it smaller."
        ) from e
    except PermissionError as e:
        raise UserError(f"{printable(path)} may not be read; check its permissions.") from e
    except UserError:
        raise
    except Exception as e:
        if not HEIF and _is_heif(source):
            raise UserError(
                f"{printable(path)} is HEIC, which needs an extra: {install('heif')}, or save "
                "it as JPEG."
            ) from e
        # On broken files decoders also raise RuntimeError (AVIF), IndexError (GIF) and others.
        mend = "repair it, save it as JPEG or PNG, or take it out"
        if any(find_private(folder, CARD) for folder in path.parents[:2]):
            mend = "delete it and protect the same folder again, which writes it anew"
        raise UserError(f"{printable(path)} cannot be read as an image; {mend}.") from e


def _is_heif(source: _File) -> bool:
    """Whether the file says that it is HEIF (ISO 23008-12), whatever its name."""
    try:
        head = source.head(12)
    except OSError:
        return False
    return head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"heim", b"heis", b"mif1")


def _opened(source: _File) -> tuple[ImageFile.ImageFile, dict[bytes, bytes]]:
    """Open a file without decoding it; of a PNG also return the metadata that was taken out."""
    if source.head(len(PNG)) == PNG:
        data, found = png_without_metadata(source.content())
        return Image.open(io.BytesIO(data), formats=("PNG",)), found
    try:
        file = source.path if source.data is None else io.BytesIO(source.data)
        return Image.open(file, formats=FORMATS), {}
    except ValueError as e:
        if "Exif" not in str(e):  # libavif refuses the image for it
            raise
        data = source.content().replace(b"Exif", b"none", 1)  # an item of no known type
        return Image.open(io.BytesIO(data), formats=("AVIF",)), {b"eXIf": b"?"}


def _check(image: ImageFile.ImageFile, source: _File) -> None:
    """Raise UserError for what is not one image of 8 bits per channel that fits the memory."""
    if image.width * image.height > MOST_PIXELS:
        raise Image.DecompressionBombError
    name = printable(source.path)
    frames = getattr(image, "n_frames", 1)
    # Phones store a second view or a brightness map behind the photo (MPO,
    # HEIF); viewers show the first.
    if frames > 1 and isinstance(image, TiffImageFile) and not _previews(image, frames):
        raise UserError(f"{name} has {frames} pages; save the one you mean as a file of its own.")
    if frames > 1 and image.format not in ("MPO", "TIFF", "HEIF"):
        raise UserError(f"{name} is an animation; save the image you mean as a file of its own.")
    if _bits(image, source) > 8:
        raise UserError(f"{name} has more than 8 bits per channel; convert it to 8 bits.")
    if (need := image.width * image.height * BYTES_PER_PIXEL) > (memory := memory_of_machine()):
        raise UserError(
            f"{name} has {image.width} x {image.height} pixels, which takes {need >> 30} GiB of "
            f"memory of which this machine has {memory >> 30}; make it smaller."
        )


def _previews(image: TiffImageFile, pages: int) -> bool:
    """Whether all pages but the first are smaller: previews of a scan, not pages of a document."""
    size, others = image.size, []
    for page in range(1, pages):
        image.seek(page)
        others.append(image.size)
    image.seek(0)
    return all(width < size[0] and height < size[1] for width, height in others)


def _bits(image: ImageFile.ImageFile, source: _File) -> int:
    """Bits per channel in the file, wherever its format says so: most decoders cut to 8 in
    silence."""
    if image.mode.startswith(("I", "F")) or ";16" in str(image.tile):
        return 16
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(258, (8,)))
    head = source.head(1 << 16)
    match image.format:
        case "PPM":
            most = image.tile[0].args
            return int(most[-1] if isinstance(most, tuple) else 255).bit_length()
        case "JPEG2000":  # SIZ, the first segment: the number of channels, then 3 bytes for each
            siz = b"\xff\x4f\xff\x51"
            ends = range(38, 38 + 3 * (number_behind(head, siz, 36, 2) or 0), 3)
            return 1 + max((number_behind(head, siz, at, 1) or 0) & 127 for at in (38, *ends))
        case "AVIF":  # av1C says "high bit depth"
            return 10 if (number_behind(head, b"av1C", 2, 1) or 0) & 64 else 8
        case "HEIF":
            return int(image.info.get("bit_depth", 8))
    return 8


def _space(image: ImageFile.ImageFile, source: _File, found: dict[bytes, bytes]) -> Space:
    """What a PNG, AVIF or HEIF says about its colors without a profile."""
    try:
        if codes := found.get(b"cICP"):
            return Space.of_code(codes[0], codes[1])
        if image.format in ("AVIF", "HEIF"):
            head = source.head(1 << 16)
            primaries, transfer = (number_behind(head, b"colrnclx", at, 2) for at in (0, 2))
            return Space.of_code(primaries or 2, transfer or 2)  # 2: unspecified
    except UserError as e:
        raise UserError(f"{printable(source.path)} {e}") from e
    if image.format != "PNG" or "srgb" in image.info:
        return Space()
    return Space.of_png(image.info.get("gamma"), image.info.get("chromaticity"))


def _upright(image: ImageFile.ImageFile, found: dict[bytes, bytes], source: _File) -> Image.Image:
    exif, lost = exif_of(image, found.get(b"eXIf"))
    profile = found.get(b"iCCP") if image.format == "PNG" else image.info.get("icc_profile") or None
    space = Space() if profile and b"cICP" not in found else _space(image, source, found)
    image.load()
    mode = "RGBA" if image.has_transparency_data else "RGB"
    plain, fate = to_srgb(image, profile, space)
    plain = plain.convert(mode)  # always a copy, which does not hang on the file
    if (turn := orientation(exif)) is not None:
        plain = plain.transpose(turn)
    kept, unwritable = kept_exif(exif) if exif else (None, False)
    plain.info = {
        "icc_profile": profile if fate == "kept" else None,
        "exif": kept,
        "lost": lost or unwritable or (profile is not None and fate == "dropped"),
    }
    return plain


def pixels(image: Image.Image, size: int | None) -> np.ndarray:
    """Return the pixels of an image, uint8 [3, H, W], resized to size x size (bilinear,
    antialiased) unless ``size`` is None."""
    image = image.convert("RGB")
    if size:
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).transpose(2, 0, 1).copy()


@dataclass(frozen=True)
class Digests:
    """What tells an image file from an edited one, at its own size. file: of its bytes. content: of
    its pixels, transparency and color profile. metadata: of the metadata that may be published. An
    edit of a few pixels does not show in a small copy."""

    file: str
    content: str
    metadata: str

    def of_kept(self, keep_metadata: bool) -> tuple[str, str]:
        """The digest of the file, and that of what a protected copy has of it."""
        return self.file, self.content + self.metadata * keep_metadata


def digests(path: Path, image: Image.Image) -> Digests:
    """Return the digests of the image file ``path``, which ``image`` was read from."""

    def digest(*parts: bytes) -> str:
        whole = hashlib.sha256()
        for part in parts:
            whole.update(part)
        return whole.hexdigest()[:16]

    about = f"{image.mode} {image.size}".encode()
    profile = image.info["icc_profile"] or b""
    return Digests(
        digest(path.read_bytes()),
        digest(about, profile, image.tobytes()),
        digest(image.info["exif"] or b""),
    )


def is_gray(x: np.ndarray) -> bool:
    """Whether the three channels of x, uint8 [3, H, W], are the same."""
    return bool((x[0] == x[1]).all() and (x[1] == x[2]).all())


def write(
    x: np.ndarray,
    like: Image.Image,
    path: Path,
    *,
    kind: Format = "png",
    keep_metadata: bool = False,
) -> None:
    """Write x, uint8 [3, H, W], without loss, with the alpha channel and the color profile of
    ``like`` (and its EXIF data if ``keep_metadata``)."""
    profile = like.info["icc_profile"]
    gray = kind == "png" and not profile and is_gray(x)
    image = Image.fromarray(x[0] if gray else x.transpose(1, 2, 0))
    if like.mode == "RGBA":
        image.putalpha(like.getchannel("A"))
    options: dict[str, Any] = (
        {"lossless": True, "exact": True} if kind == "webp" else {"compress_level": PNG_LEVEL}
    )
    if profile:
        options["icc_profile"] = profile
    if keep_metadata and (exif := like.info["exif"]):
        options["exif"] = exif
    with atomic_write(path) as tmp:
        image.save(tmp, format=kind, **options)
