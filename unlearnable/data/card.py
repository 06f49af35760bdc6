"""The card of a protected folder, ``card.json``: what was done and what was measured."""

import json
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, NotRequired, Self, TypedDict

from unlearnable.core.errors import UserError
from unlearnable.core.files import read_json, write_json
from unlearnable.core.typed_json import mismatch

_OF_PHOTOS = ("photos", "left_out", "files", "lost_metadata")  # keys of a card for photos only


class Measured(TypedDict):
    """How far the protected images are from the originals (visibility.py). Photos have the lowest
    PSNR and the number of photos per whole dB, other images have the L2 norm."""

    linf: float
    l2: NotRequired[float]
    psnr: float
    ssim: float
    lowest_psnr: NotRequired[float]
    psnr_counts: NotRequired[dict[str, int]]


class Source(TypedDict):
    """The arguments of ``load`` that give the originals."""

    source: str
    limit: NotRequired[int | None]
    classes: NotRequired[list[str] | None]
    seed: NotRequired[int]
    size: NotRequired[int | None]
    skip_bad: NotRequired[bool]


@dataclass(frozen=True)
class PhotoSettings:
    """size: the side at which the noise was made, in pixels. format: "png" or "webp"."""

    size: int
    format: str
    keep_metadata: bool


@dataclass(frozen=True)
class Card:
    """One field per key of card.json, in the same order.

    settings: every field of the method. digest: of the originals. data: the arguments of ``load``
    that give the originals, empty if they were made in Python. shape: [N, 3, H, W]. passes: forward
    and backward passes of one image that the noise cost. photos: None unless these are photos at
    their own sizes. left_out: one sentence per photo that was not protected. files: where every
    photo came from, relative to the folder of the originals, in the order of the noise.
    lost_metadata: those of them whose metadata was to be kept and could not.
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
    files: tuple[str, ...] = ()
    lost_metadata: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the card of a protected folder. Raises UserError if there is none, or if a key is
        missing or of another type."""
        path = folder / "card.json"
        if not path.exists():
            raise UserError(f"{folder} is not a protected folder (it has no card.json).")
        value = read_json(path)
        if problem := mismatch(value, cls):
            raise UserError(
                f"{path} is not a complete card (it has {problem}); protect the images again."
            )
        return cls.from_json(value)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Build a card from the content of card.json. Raises KeyError for a missing key."""
        given = {f.name: value[f.name] for f in fields(cls) if f.default is MISSING}
        for key in ("classes", "shape"):
            given[key] = tuple(given[key])
        for key in ("settings", "data", "measured"):
            given[key] = dict(given[key])
        if missing := sorted(Measured.__required_keys__ - given["measured"].keys()):
            raise KeyError(missing[0])
        if photos := value.get("photos"):
            size, kind, keep = (photos[f.name] for f in fields(PhotoSettings))
            given["photos"] = PhotoSettings(size, kind, keep)
            given["left_out"] = tuple(value.get("left_out", ()))
            for key in ("files", "lost_metadata"):
                given[key] = tuple(value.get(key, ()))  # older cards have none
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """Return the content of card.json."""
        value = asdict(self) | {"classes": [*self.classes], "shape": [*self.shape]}
        of_photos = {key: value.pop(key) for key in _OF_PHOTOS}
        if self.photos:
            value |= {"method_settings": self.settings, "photos": of_photos.pop("photos")}
            value |= {key: [*names] for key, names in of_photos.items()}
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
        if problem := mismatch(self.data, Source):
            raise UserError(
                f"The card of {folder} does not say how to load its originals (data has {problem})."
            )
        return {key: self.data[key] for key in self.data if key in Source.__annotations__}


def holds_card(folder: Path) -> bool:
    """Whether ``folder`` has a card of this program, perhaps a damaged one; owners have a card.json
    of their own."""
    path = folder / "card.json"
    if not path.exists():
        return False
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    of_another = isinstance(value, dict) and value and value.keys().isdisjoint({"method", "digest"})
    return not of_another
