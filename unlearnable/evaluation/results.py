"""What evaluations find, as values that can be written as JSON and read back. Accuracies are in %,
on clean test images."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Literal, Self

from unlearnable.core.errors import UserError
from unlearnable.core.files import read_json
from unlearnable.core.typed_json import Percent, mismatch
from unlearnable.data.card import Card
from unlearnable.evaluation.store import Json

Verdict = Literal["protected", "not protected", "no verdict"]


@dataclass(frozen=True)
class FromJson:
    """Read a dataclass from JSON: fields that it does not have are ignored, so that a file may hold
    more. Raises UserError where one without a default is missing or one is of another type."""

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls.from_json(read_json(path), str(path))

    @classmethod
    def from_json(cls, data: Json, where: str = "This result") -> Self:
        """where: what the message calls ``data``."""
        if problem := mismatch(data, cls):
            raise UserError(
                f"{where} is not a complete {cls.__name__} (it has {problem}); run the command "
                "that wrote it again."
            )
        return cls(**{f.name: data[f.name] for f in fields(cls) if f.name in data})

    def to_json(self) -> Json:
        return asdict(self)


@dataclass(frozen=True)
class Result(FromJson):
    """What one learner reached: its accuracy after the last step and the highest on the way.

    log: step, loss and accuracy of every test. by_class: the accuracy on every class after the last
    step; empty in a result of an earlier version. passes: forward and backward passes of one
    image. The rest says with what, how long and by which command it was measured. Weights are not
    kept: those of a hundred results fill a disk.
    """

    accuracy: Percent
    peak: Percent
    log: list[dict[str, float]]
    passes: int = 0
    seconds: float = 0.0
    hardware: str = ""
    torch: str = ""
    version: str = ""
    commit: str | None = None
    command: str = ""
    by_class: dict[str, Percent] = field(default_factory=dict)

    def accuracy_on(self, classes: Iterable[str]) -> float:
        """Return the mean accuracy on ``classes`` in %. Raises UserError where it is not known."""
        try:
            each = [self.by_class[name] for name in classes]
        except KeyError as e:
            raise UserError(
                "A result of an earlier version does not say the accuracy on each class; delete "
                "the folder of results, or give another --out."
            ) from e
        return sum(each) / len(each)

    @property
    def losses(self) -> list[float]:
        return [entry["loss"] for entry in self.log]


@dataclass(frozen=True)
class AuditRow(FromJson):
    """One learner of an audit: accuracy after training on clean and on protected images, and the
    peak on protected ones. flags: of docs/checks.md. seconds: of both trainings."""

    learner: str
    clean: Percent
    protected: Percent
    peak: Percent
    flags: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Detection(FromJson):
    """How well networks of two layers see a protection: balanced accuracies in % on images that
    they were not trained on.

    pixels, residuals: telling protected images from clean ones (guessing is 50), by their pixels
    and by what a 3 x 3 mean takes away, after training on half of the images. own_pairs: by
    residuals, after training on an attacker's own pairs; None: no attacker has any. classes_clean,
    classes_protected: telling the images' classes."""

    pixels: Percent
    residuals: Percent
    own_pairs: Percent | None
    classes_clean: Percent
    classes_protected: Percent

    @property
    def best(self) -> float:
        """The highest accuracy of telling protected images from clean ones."""
        return max(self.pixels, self.residuals, self.own_pairs or 0.0)


@dataclass(frozen=True)
class Audit(FromJson):
    """A suite's result on one protected set (audit.json).

    version: of the suites. rows: one per learner. chance: the accuracy of guessing. flags: of the
    protected images (docs/checks.md). method, settings, budget, psnr (dB), images: what was
    audited; digest: of the protected images. measured_with: hardware and versions. detection: None
    where the suite has no detector. pairs: where an attacker's own images come from, in words.
    form: of the method (``Method.form``). test_images: how many; 0 in one of an earlier version.
    """

    suite: str
    version: int
    chance: Percent
    rows: list[AuditRow]
    method: str
    budget: str
    psnr: float
    images: str
    recipe: Json
    seed: int
    flags: list[str] = field(default_factory=list)
    settings: Json = field(default_factory=dict)
    digest: str = ""
    measured_with: Json = field(default_factory=dict)
    detection: Detection | None = None
    pairs: str = ""
    form: int = 1
    test_images: int = 0

    @property
    def worst(self) -> AuditRow:
        """The row with the highest peak: what the protection is worth."""
        return max(self.rows, key=lambda row: row.peak)

    def to_json(self) -> Json:
        return asdict(self) | {"worst": asdict(self.worst)}

    @classmethod
    def from_json(cls, data: Json, where: str = "This audit") -> Self:
        audit = super().from_json(data, where)
        seen, rows = data.get("detection"), [AuditRow.from_json(row, where) for row in data["rows"]]
        if not rows or not {"model", "steps"} <= audit.recipe.keys() or audit.chance == 100:
            raise UserError(
                f"{where} is not a complete Audit; run the command that wrote it again."
            )
        return replace(audit, rows=rows, detection=seen and Detection.from_json(seen, where))


@dataclass(frozen=True)
class VerifiedRow(FromJson):
    """One learner of a verification: its accuracies after training on clean and on protected
    photos, one per seed. left: the part of what lies above chance that protected photos still
    teach, 0 to 1. Among others' photos these are on the owner's classes, and others_clean,
    others_protected on the others', whose photos are the same in both trainings. network: the
    learner's ImageNet weights, a key of ``PRETRAINED``; empty where it starts from scratch. known:
    whether the noise was made on that network."""

    learner: str
    clean: list[Percent]
    protected: list[Percent]
    left: float
    verdict: Verdict
    others_clean: list[Percent] = field(default_factory=list)
    others_protected: list[Percent] = field(default_factory=list)
    network: str = ""
    known: bool = False

    @property
    def named(self) -> str:
        """The learner, and whether the noise knew it, in words."""
        return f"{self.learner} (the noise was made on it)" if self.known else self.learner


@dataclass(frozen=True)
class Verified(FromJson):
    """The verification of one folder of photos (verify.json).

    verdict: over all rows. near_duplicates: photos that have one before them; those stay on one
    side of the split. size: pixels of a side at which the learners see the photos (a network with
    ImageNet weights: 224). digest: of the photos at the size at which the noise was made;
    written_digest: of the protected ones, as ``Card`` has it. test_photos: of the smallest split; 0
    in one of an earlier version. Among others' photos they are the owner's, and test_others the
    others'; own_classes: the owner's, on which the verdict is, empty without others. seed: the
    first of the ``seeds``. not_tried: learners of the suites, in words.
    """

    rows: list[VerifiedRow]
    verdict: Verdict
    chance: Percent
    flags: list[str]
    near_duplicates: int
    seeds: int
    size: int
    holdout: float
    recipe: Json
    photos: str
    protected: str
    digest: str
    written_digest: str = ""
    test_photos: int = 0
    test_others: int = 0
    seed: int = 0
    own_classes: list[str] = field(default_factory=list)
    not_tried: list[str] = field(default_factory=list)

    def is_of(self, card: Card) -> bool:
        """Whether these are the photos of ``card``, with the same noise."""
        return (self.digest, self.written_digest) == (card.digest, card.written_digest)

    @classmethod
    def from_json(cls, data: Json, where: str = "This verification") -> Self:
        verified = super().from_json(data, where)
        rows = [VerifiedRow.from_json(row, where) for row in data["rows"]]
        if any({len(row.clean), len(row.protected)} != {verified.seeds} for row in rows):
            raise UserError(f"{where} does not have an accuracy for every seed; run it again.")
        return replace(verified, rows=rows)
