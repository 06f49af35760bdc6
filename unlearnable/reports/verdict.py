"""The verdict of ``verify`` in plain words, the same on the terminal and on the page."""

from dataclasses import dataclass
from statistics import fmean, stdev

from unlearnable.core.text import printable
from unlearnable.evaluation.results import Verdict, Verified, VerifiedRow
from unlearnable.reports.tables import Cell, Table, mean_std, measured, to_text

TITLES: dict[Verdict, str] = {
    "protected": "It holds against (at most half of what lies above guessing is left)",
    "not protected": "It does not hold against",
    "no verdict": "No verdict on (they learn too little even from the clean photos)",
}
NOT_TRIED = "Not tried"
UNTRIED = 6  # named at most


FLAGS = {
    "weak-baseline": "even from the clean photos the models learned little, so their failure on "
    "the protected ones proves little. More photos or more training steps would tell more.",
    "ruins-clean": "one learner learned less than half of what the best one did even from the "
    "clean photos (of those that start from scratch): what it does to the photos takes them away "
    "too, so its failure proves little.",
    "small-test": "fewer than 100 photos were held out for testing, so one photo is over a point, "
    "and chance alone moves the result by several.",
    "one-class": "all photos are of one class, so there is nothing to tell apart.",
    "no-pretrained": "no network that was trained elsewhere was tried, and with few photos that is "
    "how most people train. Install the weights that `unlearnable ls models` names.",
    "known-networks": "the only networks trained elsewhere that were tried are those that the "
    "noise was made on, and it may do less to others. Install the weights of one more that "
    "`unlearnable ls models` names.",
    "uneven-splits": "one learner is held back on average, but not on every split into training "
    "and test photos. More splits would tell more.",
    "few-seeds": "fewer than three splits into training and test photos were tried, and one split "
    "differs from the next by many points.",
}


@dataclass(frozen=True)
class Part:
    """A heading and what stands under it, one phrase per learner."""

    title: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """A verification in words. headline: the verdict as a sentence; good: whether that is good
    news; parts: against which learners it holds, against which not, and which were not tried;
    notes: what the numbers rest on, a sentence each."""

    headline: str
    good: bool
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()


def describe_verdict(verified: Verified | None) -> Words:
    """Say what a verification found (None: nothing was measured)."""
    if verified is None:
        return Words("Protected; whether it works was not measured yet.", False)
    headline, good = _headline(verified)
    if not verified.rows:
        return Words(headline, good)
    parts = [
        Part(title, tuple(_row(row) for row in verified.rows if row.verdict == verdict))
        for verdict, title in TITLES.items()
    ]
    parts.append(Part(NOT_TRIED, _untried(verified)))
    return Words(headline, good, tuple(p for p in parts if p.items), _notes(verified))


def verify_table(verified: Verified) -> str:
    """Return the verification as plain text: the numbers, then what they say."""
    return "\n".join(p if isinstance(p, str) else f"{to_text(p)}\n" for p in verify_parts(verified))


def verify_parts(verified: Verified) -> list[Table | str]:
    """Return the verification in parts: the table of accuracies, where anything was trained, and
    what it says, line by line."""
    words = describe_verdict(verified)
    said = [words.headline]
    for part in words.parts:
        said += [f"{part.title}:", *(f"  - {item}" for item in part.items)]
    said += words.notes
    if verified.flags:
        said.append(f"Flags: {', '.join(verified.flags)} (docs/checks.md).")
    return [*([_numbers(verified)] if verified.rows else []), *said]


def _numbers(verified: Verified) -> Table:
    """The table of accuracies."""
    mixed = bool(verified.own_classes)
    rows = tuple(
        (
            Cell(row.named),
            *map(measured, (row.clean, row.protected)),
            Cell(row.verdict if row.verdict == "protected" else row.verdict.upper()),
            *map(measured, (row.others_clean, row.others_protected) if mixed else ()),
        )
        for row in verified.rows
    )
    title = "Accuracy on clean photos that were held out, in %, by the photos trained on"
    more = ("others', clean", "others', protected") if mixed else ()
    title += "; yours, then the others'" if mixed else ""
    columns = ("learner", "clean", "protected", "verdict", *more)
    return Table(title, columns, rows)


def _headline(verified: Verified) -> tuple[str, bool]:
    if not verified.rows:
        return (
            "No verdict: all photos are of one class, so there is nothing that a model could learn "
            "to tell apart.",
            False,
        )
    judged = [row for row in verified.rows if row.verdict != "no verdict"]
    if verified.verdict == "no verdict" or not judged:
        return "No verdict: the test models learn too little even from the clean photos.", False
    least, most = (round(100 * f(row.left for row in judged)) for f in (min, max))
    # the numbers are not to be divided over two lines
    left = f"{most}\u00a0%" if most == least else f"{least} to {most}\u00a0%"
    about = " about your classes" if verified.own_classes else ""
    said = (
        f"models that train on these photos learn {left} of what clean ones would teach them{about}"
    )
    if verified.verdict == "protected":
        return f"Protected from the learners that were tried: {said}.", True
    failed = [row.named for row in judged if row.verdict == "not protected"]
    if len(failed) == len(verified.rows):
        return f"Not protected: {said}.", False
    return f"Not protected from {'; '.join(map(printable, failed))}: {said}.", False


def _row(row: VerifiedRow) -> str:
    """One learner: what it reached from protected and from clean photos, and what that leaves."""
    left = "" if row.verdict == "no verdict" else f"; {100 * row.left:.0f}\u00a0% is left"
    return (
        f"{printable(row.named)}: {mean_std(row.protected)}\u00a0% from protected photos, "
        f"{mean_std(row.clean)}\u00a0% from clean ones{left}"
    )


def _untried(verified: Verified) -> tuple[str, ...]:
    known = [printable(name) for name in verified.not_tried[:UNTRIED]]
    if (more := len(verified.not_tried) - len(known)) > 0:
        known.append(f"{more} more learners of `unlearnable audit` (verify.json names them)")
    return ("; ".join([*known, "image generators, and whatever else people train"]),)


def _notes(verified: Verified) -> tuple[str, ...]:
    return tuple(
        note for note in (_size(verified), _spread(verified), _collateral(verified)) if note
    )


def _size(verified: Verified) -> str:
    """What was tested on; one of an earlier version does not say it."""
    guessing = f"Guessing reaches {verified.chance:.1f}\u00a0%."
    if not verified.test_photos:
        return guessing
    whose = " of yours" if verified.own_classes else ""
    more = f" and {verified.test_others} of the others'" if verified.own_classes else ""
    splits = "in each split" if verified.seeds > 1 else "in one split"
    return (
        f"Tested on {verified.test_photos} clean photos{whose}{more} that were held out {splits}, "
        f"every class counted alike. {guessing}"
    )


def _spread(verified: Verified) -> str:
    """How far the accuracies vary over the splits."""
    if verified.seeds < 2:
        return "One split into training and test photos, so how far another would differ is open."
    most = max(stdev(values) for row in verified.rows for values in (row.clean, row.protected))
    return (
        f"Over {verified.seeds} splits into training and test photos an accuracy varies by up to "
        f"{most:.1f} points (standard deviation, after ±)."
    )


def _collateral(verified: Verified) -> str:
    """What the noise does to the others' classes; nothing where there are no others."""
    rows = [row for row in verified.rows if row.others_clean]
    if not rows:
        return ""
    lost = {row.learner: fmean(row.others_clean) - fmean(row.others_protected) for row in rows}
    row = max(rows, key=lambda row: abs(lost[row.learner]))
    moved = (
        f"{mean_std(row.others_protected)}\u00a0% instead of {mean_std(row.others_clean)}\u00a0%"
    )
    return (
        f"On the others' classes the same learners move by at most {abs(lost[row.learner]):.1f} "
        f"points ({printable(row.learner)}: {moved})."
    )
