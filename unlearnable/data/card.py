"""The card of a protected folder, ``card.json``: what was done and what was measured."""

from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, NotRequired, Self, TypedDict

from unlearnable.core.errors import UserError
from unlearnable.core.files import read_json, write_json
from unlearnable.core.typed_json import mismatch


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
    their own sizes. left_out: one sentence per photo that was not protected.
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
        if photos := value.get("photos"):
            size, kind, keep = (photos[f.name] for f in fields(PhotoSettings))
            given["photos"] = PhotoSettings(size, kind, keep)
            given["left_out"] = tuple(value.get("left_out", ()))
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """Return the content of card.json."""
        value = asdict(self) | {"classes": [*self.classes], "shape": [*self.shape]}
        photos, left_out = value.pop("photos"), value.pop("left_out")
        if photos:
            value |= {"method_settings": self.settings, "photos": photos}
            value |= {"left_out": [*left_out]}
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
