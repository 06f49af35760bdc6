"""What the page and the process that works send each other: jobs one way, answers the other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Level = Literal["light", "normal", "strong"]
VerdictWord = Literal["protected", "not protected", "no verdict"]


@dataclass(frozen=True)
class Effort:
    """How much is computed; None is what the commands do by themselves. preview_steps: training
    steps of the noise that is shown beforehand."""

    train_steps: int | None = None
    preview_steps: int = 150
    measure_steps: int | None = None
    seeds: int = 3


# ── jobs ──


@dataclass(frozen=True)
class Look:
    """Look at the photos of ``folder``, and at what ``out`` holds of them already."""

    folder: Path
    out: Path
    level: Level
    effort: Effort


@dataclass(frozen=True)
class Preview:
    """Show one photo (the ``photo``-th of a few) before and after, with unfinished noise."""

    folder: Path
    level: Level
    photo: int
    effort: Effort


@dataclass(frozen=True)
class Protect:
    """As ``unlearnable protect-photos FOLDER OUT --level LEVEL``; leave_out: ``--skip-bad``."""

    folder: Path
    out: Path
    level: Level
    leave_out: bool
    effort: Effort


@dataclass(frozen=True)
class Measure:
    """As ``unlearnable verify FOLDER OUT``, and the page of ``unlearnable report photos OUT``."""

    folder: Path
    out: Path
    effort: Effort


Job = Look | Preview | Protect | Measure

# ── answers ──


@dataclass(frozen=True)
class Found:
    """What a folder holds. classes: their names and numbers of photos; problems: a sentence per
    file that cannot be protected."""

    folder: Path
    classes: tuple[tuple[str, int], ...]
    problems: tuple[str, ...]

    @property
    def count(self) -> int:
        return sum(n for _, n in self.classes)


@dataclass(frozen=True)
class ProtectedPhotos:
    """Protected photos. left_out: how many files were; page: the report on them."""

    out: Path
    private: Path
    count: int
    left_out: int
    page: Path


@dataclass(frozen=True)
class Tried:
    """One learner of a measurement, as a person: the share of new photos that it names rightly, in
    %, after clean and after protected ones."""

    who: str
    verdict: VerdictWord
    clean: float
    protected: float


@dataclass(frozen=True)
class Measured:
    """What was measured. chance: the share that guessing names rightly, in %; care: reasons to
    distrust the numbers; notes: what they rest on."""

    headline: str
    good: bool
    tried: tuple[Tried, ...]
    chance: float
    care: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Ready:
    """What is to be done with a folder. new, kept: photos to protect, and those that are already;
    unfinished: whether an earlier run is to be resumed; level: the strength of that run or of what
    ``out`` holds; seconds and the like: what it takes here; problem: why nothing can be done;
    done, measured: what earlier runs left, if nothing is to be done."""

    out: Path
    new: int
    kept: int
    unfinished: bool
    level: Level | None
    seconds: float
    measure_seconds: float
    preview_seconds: float
    problem: str = ""
    done: ProtectedPhotos | None = None
    measured: Measured | None = None


@dataclass(frozen=True)
class Picture:
    """One photo before and after at its own size, or the middle of it: PNG files. more: whether
    there are others to show."""

    name: str
    level: Level
    before: bytes
    after: bytes
    width: int
    height: int
    more: bool


@dataclass(frozen=True)
class Working:
    """How far a job is. what: in words; share: 0 to 1, None where it is not known."""

    what: str
    share: float | None = None
    seconds_left: float | None = None


@dataclass(frozen=True)
class Failed:
    """What is wrong, where, and what to do. details: a sentence per file."""

    sentence: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stopped:
    """The work was interrupted; what was done is kept."""


@dataclass(frozen=True)
class Finished:
    """The job is done."""


Answer = (
    Found | Ready | Picture | ProtectedPhotos | Measured | Working | Failed | Stopped | Finished
)
