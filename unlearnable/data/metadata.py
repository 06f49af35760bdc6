"""What image files hold beside pixels. Metadata never costs an image: what does not parse counts
as absent. Nothing that could hold the unprotected image (thumbnails, previews, maker notes) is
carried over.
"""

import zlib
from collections.abc import Iterator, Mapping

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
# a PNG's pixels, transparency and frames; every other chunk says something about them
_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT"}
_FIXED = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1}  # bytes
_MOST = 1 << 24  # bytes of unpacked metadata; a PNG's text can be made to fill the memory

_EXIF, _GPS, _ORIENTATION = 0x8769, 0x8825, 0x0112
# Sizes, strips, tiles and parts describe the file that was read; thumbnails, maker notes, and the
# layers, previews and resources of editors hold copies of the image.
_LEFT_OUT = {0xFE, 0xFF, 0x100, 0x101, 0x102, 0x103, 0x106, 0x10A, 0x111, _ORIENTATION, 0x115}
_LEFT_OUT |= {0x116, 0x117, 0x11C, 0x120, 0x121, 0x13D, 0x140, 0x142, 0x143, 0x144, 0x145, 0x14A}
_LEFT_OUT |= {0x152, 0x153, 0x15B, 0x201, 0x202, 0x211, 0x212, 0x213, 0x214, 0x2BC, 0x83BB, 0x8649}
_LEFT_OUT |= {0x8773, _EXIF, _GPS, 0x927C, 0x935C, 0xA002, 0xA003, 0xA005, 0xC4A5}
# the longest values kept, in bytes or characters, and in numbers: too few for an image
_LONGEST, _NUMBERS = 1024, 64


def png_without_metadata(data: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """Return a PNG file with its pixels and sound chunks on color only, and the sound others by
    name: iCCP, eXIf and cICP, unpacked. Decoders refuse whole files for the rest."""
    kept, found = [PNG], dict[bytes, bytes]()
    for name, body, whole, sound in _chunks(data):
        if name in _PIXELS or not name or (sound and len(body) == _FIXED.get(name)):
            kept.append(whole)
        elif sound and (name in (b"iCCP", b"eXIf") or (name == b"cICP" and len(body) == 4)):
            found[name] = _profile(body) if name == b"iCCP" else body
        elif sound and name in (b"tEXt", b"zTXt") and body.startswith(b"Raw profile type exif\0"):
            found.setdefault(b"eXIf", _raw_exif(name, body))
    return b"".join(kept), found


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes, bool]]:
    """Name, content, all bytes, and whether the checksum is right; a rest that is none without a
    name."""
    at = len(PNG)
    while at < len(data):
        n, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + n + 12
        if end > len(data):
            yield b"", b"", data[at:], False
            return
        known = name not in _PIXELS  # the decoder checks the pixels itself
        sound = known and zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end])
        yield name, data[at + 8 : end - 4] if known else b"", data[at:end], sound
        at = end


def _profile(body: bytes) -> bytes:
    return _unpacked(body.partition(b"\0")[2][1:])


def _raw_exif(name: bytes, body: bytes) -> bytes:
    """EXIF data as ImageMagick writes it: name, length and hexadecimal digits, in lines."""
    text = body.partition(b"\0")[2]
    lines = (_unpacked(text[1:]) if name == b"zTXt" else text).split(b"\n")
    try:
        return bytes.fromhex(b"".join(lines[3:]).decode("ascii"))
    except ValueError:
        return b"?"  # there, and does not parse


def _unpacked(packed: bytes) -> bytes:
    try:
        unpack = zlib.decompressobj()
        text = unpack.decompress(packed, _MOST)
        return text if unpack.eof else b""
    except zlib.error:
        return b""


def number_behind(data: bytes, mark: bytes, offset: int, size: int) -> int | None:
    """Return the big-endian number ``offset`` bytes behind ``mark``, if that is in ``data``."""
    at = data.find(mark)
    start = at + len(mark) + offset
    return int.from_bytes(data[start : start + size], "big") if at >= 0 else None


def exif_of(image: Image.Image, raw: bytes | None) -> tuple[Image.Exif | None, bool]:
    """Parse the EXIF data of an opened image (``raw``: found elsewhere in its file). Return it, or
    None if there is none, and whether it does not parse."""
    try:
        if raw is not None:
            exif = Image.Exif()
            exif.load(raw)
        else:
            exif = image.getexif()
        return (exif, False) if len(exif) else (None, bool(raw or image.info.get("exif")))
    except Exception:  # whatever a damaged directory makes of the parser
        return None, True


def orientation(exif: Image.Exif | None) -> Image.Transpose | None:
    """Return how the image is to be turned to stand upright."""
    turns = (None, *(Image.Transpose(t) for t in (0, 3, 1, 5, 4, 6, 2)))  # of 1 to 8
    value = exif.get(_ORIENTATION) if exif is not None else None
    return turns[value - 1] if isinstance(value, int) and 1 <= value <= len(turns) else None


def kept_exif(exif: Image.Exif) -> tuple[bytes | None, bool]:
    """Return the EXIF data that may be published with a protected photo (camera, time, place,
    exposure), and whether a tag that belongs there cannot be written again."""
    kept, lost = Image.Exif(), False
    for group in (None, _EXIF, _GPS):
        try:
            tags = _small(exif if group is None else exif.get_ifd(group))
        except Exception:  # whatever a damaged directory makes of the parser
            tags, lost = {}, True
        good = {tag: value for tag, value in tags.items() if _writable(tag, value, group)}
        lost |= len(good) < len(tags)
        for tag, value in good.items() if group is None else [(group, good)] if good else []:
            kept[tag] = value
    try:
        return (kept.tobytes() if len(kept) else None), lost
    except Exception:  # tags that are sound only one by one
        return None, True


def _small(tags: Mapping[int, object]) -> dict[int, object]:
    """The tags that are about the photo, and too small to hold an image."""

    def size(value: object) -> float:
        if isinstance(value, bytes | str):
            return len(value) / _LONGEST
        return len(value) / _NUMBERS if isinstance(value, tuple) else 0

    return {t: v for t, v in tags.items() if t not in _LEFT_OUT and size(v) <= 1}


def _writable(tag: int, value: object, group: int | None) -> bool:
    alone = Image.Exif()
    try:
        alone[group or tag] = {tag: value} if group else value
        return bool(alone.tobytes())
    except Exception:  # a value of another type than its tag's
        return False
