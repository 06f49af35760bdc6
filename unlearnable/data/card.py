"""The card of a protected folder, ``card.json``: what was done and what was measured.

Protected photos are made to be published, and their card and generator are not: those lie beside
them, in ``private_folder``.
"""

import hashlib
import json
import re
from collections import Counter
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any, NotRequired, Self, TypedDict

from unlearnable.core.errors import UserError
from unlearnable.core.files import inside, read_json, run_marker, write_json
from unlearnable.core.typed_json import mismatch

CARD = "card.json"
MARKER = "run.json"  # in the private folder until all photos are done: what the run is
# of card.json at these values
_LEFT_OUT = {"form": 1, "processes": 1, "file_digest": "", "own_code": ""}
_OF_PHOTOS = ("photos", "left_out", "files", "lost_metadata")  # keys of a card for photos only


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


class PhotoMeasured(TypedDict):
    """How far one protected photo is from its original, in the units of ``Measured``."""

    linf: float
    psnr: float
    ssim: float
    color_difference: float
    color_difference_95: float
    color_shift: float


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
class PhotoRecord:
    """One protected photo. original, written: its files, as CLASS/NAME (NAME in a flat folder).
    original_pixels, written_pixels: what tells them from others, at the noise's size.
    original_digests: of the original's file and of what is in it, as ``decoding.Digests`` says; the
    photo is as it was where one of them is still the same. Empty in a card of an earlier version.
    """

    original: str
    written: str
    original_pixels: str
    written_pixels: str
    measured: PhotoMeasured
    original_digests: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        given = {f.name: value[f.name] for f in fields(cls) if f.name in value}
        return cls(**given | {"original_digests": tuple(value.get("original_digests", ()))})


@dataclass(frozen=True)
class OthersRecord:
    """Everybody else's photos, among which one's own were protected. folder: where they lay, as it
    was typed. own_classes: what the owner's classes are called among ``classes``, theirs (a flat
    folder: its name). digest: of the others' photos at the size at which the noise was made."""

    folder: str
    own_classes: tuple[str, ...]
    classes: tuple[str, ...]
    count: int
    digest: str

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        given = {f.name: value[f.name] for f in fields(cls)}
        return cls(**given | {k: tuple(given[k]) for k in ("own_classes", "classes")})


def private_folder(protected: Path) -> Path:
    """Return the folder beside protected photos that holds what must not be published with them:
    the card, the generator, and the state of a run that is not done. It lies beside the folder
    itself where ``protected`` is a link."""
    if protected.name in ("", "..") or protected.is_symlink():
        protected = protected.resolve()
    return protected.parent / f"{protected.name}.private"  # the root has no name


def find_private(protected: Path, name: str) -> Path | None:
    """Return where the file ``name`` of a protected folder lies: in it (images) or in the private
    folder beside it (photos). None if it is in neither; a card.json of the owner's own is not
    ours."""
    for place in (protected, private_folder(protected)):
        if holds_card(place) if name == CARD else (place / name).is_file():
            return place / name
    return None


def check_finished(protected: Path) -> None:
    """Raise UserError where a run that writes into ``protected`` has not finished."""
    if run_marker(protected).is_file() or (private_folder(protected) / MARKER).is_file():
        raise UserError(
            f"The run that writes into {protected} has not finished; its command, typed again, "
            "resumes it."
        )


def find_card(protected: Path) -> Path:
    """Return where the card of a protected folder lies. Raises UserError if there is none."""
    if card := find_private(protected, CARD):
        return card
    check_finished(protected)
    raise UserError(
        f"{protected} is not a protected folder (it has no card.json); make one with `unlearnable "
        f"protect`, or of photos with protect-photos. If photos were moved or renamed, "
        f"{private_folder(protected)} has to lie beside them."
    )


def check_unpublished(*outs: Path | None) -> None:
    """Raise UserError where something is to be written among protected photos, or as their folder:
    it would be published with them."""
    for out in filter(None, outs):
        if photos := _published_folder(out):
            raise UserError(
                f"{out} lies in {photos.name}, whose protected photos are to be published, and "
                "what is written there with them; choose a place elsewhere."
            )


def _published_folder(path: Path) -> Path | None:
    """Return the folder of protected photos, finished or not, that ``path`` is or lies in."""
    path = path.resolve()
    for folder in (path, *path.parents):
        private = private_folder(folder)
        if holds_card(private) or (private / MARKER).is_file():
            return folder
    return None


def check_outside(source: object, *outs: Path | None) -> None:
    """Raise UserError where something is to be written into a folder of images that is read: it
    would be taken for one of them, or take their place. source: as ``load`` takes it; of a
    protected folder, its originals are meant too."""
    if not isinstance(source, str | Path) or not Path(source).is_dir():
        return
    folders = [Path(source)]
    if find_private(Path(source), CARD):
        original = Card.read(Path(source)).data.get("source")
        if isinstance(original, str) and Path(original).is_dir():
            folders.append(Path(original))
    for out in filter(None, outs):
        for folder in folders:
            if inside(out, folder):
                raise UserError(
                    f"{out} lies in {folder}, whose images are read; choose a place elsewhere."
                )


@dataclass(frozen=True)
class Card:
    """One field per key of card.json, in the same order.

    settings: every field of the method. digest: of the originals. data: the arguments of ``load``
    that give the originals, empty if they were made in Python. shape: [N, 3, H, W]. passes: forward
    and backward passes of one image that the noise cost. photos: None unless these are photos at
    their own sizes. left_out: one sentence per photo that was not protected. files: every
    protected photo, in the order of the originals. lost_metadata: the originals whose metadata was
    to be kept and could not. protected_classes: the only classes that have noise, and over which
    ``measured`` is; empty if all have. others: whose photos the protected ones are among, if any.
    form: of the method (``Method.form``). processes: that made the noise. file_digest: 16 digits of
    the sha256 of the file that a setting names (weights of a surrogate, a generator, noise).
    own_code: a hash of the code of a person's own method or network, if any.
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
    lost_metadata: tuple[str, ...] = ()
    protected_classes: tuple[str, ...] = ()
    others: OthersRecord | None = None
    form: int = 1
    processes: int = 1
    file_digest: str = ""
    own_code: str = ""

    @property
    def written_digest(self) -> str:
        """What tells these protected photos from others of the same originals."""
        each = sorted((f.written, f.written_pixels) for f in self.files)
        return hashlib.sha256(json.dumps(each).encode()).hexdigest()[:16]

    @property
    def fewest(self) -> int:
        """Photos that every class had to have when these were protected (``scan_photos``)."""
        each = Counter(PurePosixPath(f.original).parent for f in self.files)
        return 1 if 1 in each.values() else 2

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the card of a protected folder. Raises UserError if there is none, or if a key is
        missing or of another type."""
        return cls.read_file(find_card(folder), "protect the images again")

    @classmethod
    def read_file(cls, path: Path, remedy: str) -> Self:
        """Read a card. remedy: what to do about one that is not complete. Raises UserError."""
        value = read_json(path)
        problem = mismatch(value, cls)
        if not problem and len(value["shape"]) != 4:
            problem = "wrong shape"
        if not problem and (photos := value.get("photos")):
            counts = value["measured"].get("psnr_counts", {"0": 0})
            if photos["size"] < 1:
                problem = "wrong photos.size"
            elif not counts or not all(re.fullmatch(r"-?\d{1,3}", db) for db in counts):
                problem = "wrong measured.psnr_counts"
        if problem:
            raise UserError(f"{path} is not a complete card (it has {problem}); {remedy}.")
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
        given |= {key: value.get(key, default) for key, default in _LEFT_OUT.items()}
        given["protected_classes"] = tuple(value.get("protected_classes", ()))
        if others := value.get("others"):
            given["others"] = OthersRecord.from_json(others)
        if photos := value.get("photos"):
            size, kind, keep = (photos[f.name] for f in fields(PhotoSettings))
            given["photos"] = PhotoSettings(size, kind, keep)
            given["left_out"] = tuple(value.get("left_out", ()))
            given["lost_metadata"] = tuple(value.get("lost_metadata", ()))
            # older cards have none
            given["files"] = tuple(map(PhotoRecord.from_json, value.get("files", ())))
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """Return the content of card.json."""
        value = asdict(self) | {"classes": [*self.classes], "shape": [*self.shape]}
        of_photos = {key: value.pop(key) for key in _OF_PHOTOS}
        some, others = value.pop("protected_classes"), value.pop("others")
        own = {key: value.pop(key) for key in _LEFT_OUT}
        value |= {key: found for key, found in own.items() if found != _LEFT_OUT[key]}
        value |= {"protected_classes": [*some]} if some else {}
        value |= {"others": others} if others else {}
        if self.photos:
            value |= {"method_settings": self.settings, "photos": of_photos.pop("photos")}
            value |= {key: [*names] for key, names in of_photos.items()}
            for each in value["files"]:
                each["original_digests"] = [*each["original_digests"]]
        return value

    def write(self, folder: Path) -> None:
        """Write card.json; in ``protect`` the last file, so that where it is everything is."""
        write_json(folder / CARD, self.to_json())

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
    path = folder / CARD
    if not path.is_file():
        return False
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return True
    of_another = isinstance(value, dict) and value and value.keys().isdisjoint({"method", "digest"})
    return not of_another
