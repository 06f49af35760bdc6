"""The card of a protected folder, ``card.json``: what was done and what was measured.

Protected photos are made to be published, and their card and generator are not: those lie beside
them, in ``private_folder``.
"""

from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, NotRequired, Self, TypedDict

from unlearnable.core.errors import UserError
from unlearnable.core.files import read_json, write_json


class Measured(TypedDict):
    """How far the protected images are from the originals (visibility.py). Photos have the lowest
    PSNR, the number of photos per whole dB, the CIEDE2000 difference (mean, and the mean of the
    photos' 95th percentiles) and the shift of the mean color in /255; other images have the L2
    norm."""

    linf: float
    l2: NotRequired[float]
    psnr: float
    ssim: float
    lowest_psnr: NotRequired[float]
    psnr_counts: NotRequired[dict[str, int]]
    color_difference: NotRequired[float]
    color_difference_95: NotRequired[float]
    color_shift: NotRequired[float]


@dataclass(frozen=True)
class PhotoSettings:
    """size: the side at which the noise was made, in pixels. format: "png" or "webp"."""

    size: int
    format: str
    keep_metadata: bool


@dataclass(frozen=True)
class PhotoRecord:
    """One protected photo. original, written: its files, as CLASS/NAME (NAME in a flat folder).
    original_pixels, written_pixels: what tells them from others, at the noise's size."""

    original: str
    written: str
    original_pixels: str
    written_pixels: str
    measured: Measured


def private_folder(protected: Path) -> Path:
    """Return the folder beside protected photos that holds what must not be published with them:
    the card, the generator, and the state of a run that is not done."""
    protected = protected if protected.name not in ("", "..") else protected.resolve()
    return protected.with_name(f"{protected.name}.private")


def find_private(protected: Path, name: str) -> Path | None:
    """Return where the file ``name`` of a protected folder lies: in it (images) or in the private
    folder beside it (photos), with links followed. None if it is in neither."""
    places = (protected, private_folder(protected), private_folder(protected.resolve()))
    return next((p / name for p in places if (p / name).is_file()), None)


def is_protected(folder: Path) -> bool:
    """Whether ``folder`` has a card of this program."""
    try:
        Card.read(folder)
    except UserError:
        return False
    return True


@dataclass(frozen=True)
class Card:
    """One field per key of card.json, in the same order.

    settings: every field of the method. digest: of the originals. data: the arguments of ``load``
    that give the originals, empty if they were made in Python. shape: [N, 3, H, W]. passes: forward
    and backward passes of one image that the noise cost. photos: None unless these are photos at
    their own sizes. left_out: one sentence per photo that was not protected. files: every
    protected photo, in the order of the originals.
    """

    method: str
    settings: dict[str, Any]
    digest: str
    seed: int
    bfloat16: bool
    data: dict[str, Any]
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    budget: str
    passes: int
    measured: Measured
    seconds: float
    hardware: str
    torch: str
    version: str
    commit: str | None
    command: str
    photos: PhotoSettings | None = None
    left_out: tuple[str, ...] = ()
    files: tuple[PhotoRecord, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the card of a protected folder. Raises UserError if there is none, or if it lacks a
        key."""
        path = find_private(folder, "card.json")
        if path is None:
            raise UserError(f"{folder} is not a protected folder (it has no card.json).")
        try:
            return cls.from_json(read_json(path))
        except (KeyError, TypeError) as e:
            lacks = f"no {e}" if isinstance(e, KeyError) else "no keys"
            raise UserError(
                f"{path} is not a complete card (it has {lacks}); protect the images again."
            ) from e

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Build a card from the content of card.json. Raises KeyError for a missing key."""
        given = {f.name: value[f.name] for f in fields(cls) if f.default is MISSING}
        for key in ("classes", "shape"):
            given[key] = tuple(given[key])
        if photos := value.get("photos"):
            size, kind, keep = (photos[f.name] for f in fields(PhotoSettings))
            given["photos"] = PhotoSettings(size, kind, keep)
            given["left_out"] = tuple(value["left_out"])
            names = [f.name for f in fields(PhotoRecord)]
            given["files"] = tuple(
                PhotoRecord(*(each[name] for name in names)) for each in value.get("files", ())
            )
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """Return the content of card.json."""
        value = asdict(self) | {"classes": [*self.classes], "shape": [*self.shape]}
        photos, left_out, files = (value.pop(k) for k in ("photos", "left_out", "files"))
        if photos:
            value |= {"method_settings": self.settings, "photos": photos}
            value |= {"left_out": [*left_out]} | ({"files": [*files]} if files else {})
        return value

    def write(self, folder: Path) -> None:
        """Write card.json; in ``protect`` the last file, so that where it is everything is."""
        write_json(folder / "card.json", self.to_json())

    def originals(self, folder: Path) -> dict[str, Any]:
        """Return the arguments with which ``load`` gives the originals of ``folder``. Raises
        UserError if they were made in Python."""
        if "source" not in self.data:
            raise UserError(
                f"{folder} was protected from Python without a named source; its originals are not "
                "known."
            )
        return self.data
