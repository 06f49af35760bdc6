"""What the numbers in an image file mean as colors. Pixels whose meaning is written beside them
are converted to sRGB before that is dropped; the profile of an RGB image is kept instead.
"""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageCms

from unlearnable.core.errors import UserError

Chromaticities = tuple[float, ...]  # x and y of white, red, green and blue
SRGB: Chromaticities = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
# by their codes in ITU-T H.273, which PNG (cICP) and AVIF (nclx) use
_PRIMARIES: dict[int, Chromaticities] = {
    9: (0.3127, 0.329, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    12: (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
_GAMMAS = {4: 1 / 2.2, 5: 1 / 2.8, 8: 1.0}
_HDR = (16, 18)
_NEAR = 0.05  # relative; closer gammas are taken for that of sRGB, as libpng does
_CLOSE = 0.002  # of x and y
_MODES = {"GRAY": ("1", "L", "LA", "La"), "CMYK": ("CMYK",), "Lab": ("LAB",)}
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


@dataclass(frozen=True)
class Space:
    """gamma: the exponent by which light becomes numbers, None for the curve of sRGB."""

    gamma: float | None = None
    chromaticities: Chromaticities = SRGB

    @classmethod
    def of_png(cls, gamma: object, chromaticities: object) -> "Space":
        """The space of the chunks gAMA and cHRM, each None if it is not there."""
        exponent = float(gamma) if isinstance(gamma, int | float) and gamma > 0 else None
        if exponent and abs(exponent * 2.2 - 1) < _NEAR:
            exponent = None
        corners = chromaticities if isinstance(chromaticities, tuple) else SRGB
        near = np.allclose(corners, SRGB, rtol=0, atol=_CLOSE)
        return cls(exponent, SRGB if near or not _spans(corners) else corners)

    @classmethod
    def of_code(cls, primaries: int, transfer: int) -> "Space":
        """The space of two codes of H.273. Raises UserError for HDR, which does not fit 8 bits."""
        if transfer in _HDR:
            raise UserError("has HDR colors; save it as an ordinary 8-bit image.")
        return cls.of_png(_GAMMAS.get(transfer), _PRIMARIES.get(primaries))


def to_srgb(
    image: Image.Image, profile: bytes | None, space: Space
) -> tuple[Image.Image, Literal["kept", "used", "dropped"]]:
    """Return the image with the meaning of sRGB, and what became of its profile.

    An RGB image with a sound profile stays as it is and keeps it. Gray, CMYK and Lab images are
    converted by theirs; images without one by ``space``.
    """
    try:
        fits = _kind(profile) if profile else ""
        if fits == "RGB" and image.mode in ("RGB", "RGBA", "P", "PA"):
            return image, "kept"
        if profile and image.mode in _MODES.get(fits, ()):
            return _by_profile(image, profile), "used"
    except (ImageCms.PyCMSError, OSError, ValueError):
        pass  # a damaged profile counts as absent
    if space != Space() and image.mode not in ("CMYK", "LAB"):
        return _by_space(image, space), "dropped"
    return image, "dropped"


def _kind(profile: bytes) -> str:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    source, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    if image.mode in _MODES["GRAY"]:
        ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        exact = ImageCms.Flags.NOOPTIMIZE  # else dark grays are off by up to 10 of 255
        shown = ImageCms.profileToProfile(ramp, source, srgb, outputMode="RGB", flags=exact)
        return _mapped(image, np.asarray(shown)[0, :, 1]) if shown else image
    return ImageCms.profileToProfile(image, source, srgb, outputMode="RGB") or image


def _by_space(image: Image.Image, space: Space) -> Image.Image:
    light = np.linspace(0, 1, 256)
    light = light ** (1 / space.gamma) if space.gamma else _decoded(light)
    if image.mode in _MODES["GRAY"] or space.chromaticities == SRGB:
        return _mapped(image, _encoded(light))
    color, alpha = _apart(image, "RGB")
    x = np.array(color)
    matrix = np.linalg.inv(_to_xyz(SRGB)) @ _to_xyz(space.chromaticities)
    for a in range(0, len(x), 64):  # rows, so that the floats stay few
        x[a : a + 64] = _encoded(light[x[a : a + 64]] @ matrix.T)
    return _together(Image.fromarray(x), alpha)


def _mapped(image: Image.Image, table: np.ndarray) -> Image.Image:
    """Every channel but alpha through a table of 256 values."""
    color, alpha = _apart(image, "L" if image.mode in _MODES["GRAY"] else "RGB")
    return _together(color.point(table.tolist() * len(color.getbands())), alpha)


def _apart(image: Image.Image, mode: str) -> tuple[Image.Image, Image.Image | None]:
    seen_through = image.has_transparency_data
    alpha = image.convert("RGBA").getchannel("A") if seen_through else None
    return image.convert(mode), alpha


def _together(color: Image.Image, alpha: Image.Image | None) -> Image.Image:
    if alpha:
        color.putalpha(alpha)
    return color


def _decoded(v: np.ndarray) -> np.ndarray:
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def _encoded(light: np.ndarray) -> np.ndarray:
    light = light.clip(0, 1)
    v = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * v).round().astype(np.uint8)


def _spans(corners: Chromaticities) -> bool:
    """Whether white and the three primaries make a space at all."""
    if len(corners) != 8 or corners[1] <= 0:
        return False
    return abs(float(np.linalg.det(_primaries(corners)))) > 1e-3


def _primaries(corners: Chromaticities) -> np.ndarray:
    xy = np.array(corners).reshape(4, 2)[1:]
    return np.column_stack([xy, 1 - xy.sum(1)]).T


def _to_xyz(corners: Chromaticities) -> np.ndarray:
    """The matrix from linear RGB to XYZ under the white of sRGB (Bradford)."""
    white, target = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in (corners[:2], SRGB[:2]))
    primaries = _primaries(corners)
    scale = np.diag(_BRADFORD @ target / (_BRADFORD @ white))
    adapted = np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD
    return adapted @ primaries @ np.diag(np.linalg.solve(primaries, white))
