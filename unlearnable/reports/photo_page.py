"""``report photos``: one self-contained HTML page about a folder of protected photos."""

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write, check_ours
from unlearnable.core.text import printable
from unlearnable.data.card import (
    CARD,
    Card,
    Measured,
    check_outside,
    check_unpublished,
    find_private,
)
from unlearnable.data.decoding import SUFFIXES, read
from unlearnable.data.folders import in_order_of_originals, incomplete
from unlearnable.data.image_files import NO_CLASSES, listing
from unlearnable.data.visibility import describe_shift
from unlearnable.evaluation.results import Verified, VerifiedRow
from unlearnable.evaluation.store import Json
from unlearnable.reports.contact_sheet import views
from unlearnable.reports.html import image_uri, render
from unlearnable.reports.tables import mean_std
from unlearnable.reports.verdict import FLAGS, describe_verdict

TITLE = "how well the photos are protected"
SIDE = 320  # pixels of a photo's longer side on the page
Trio = list[tuple[str, str]]  # of one photo: (data URI, caption) of original, protected, noise


def report(
    protected: Path | str, verified: Path | str | None = None, *, out: Path | str, count: int = 3
) -> Path:
    """Write the page and return its path.

    verified: the folder that ``verify`` wrote (None: the page says that nothing was measured).
    count: photos shown, one per class. Raises UserError for a folder without protected photos and
    for a verification of other photos."""
    protected, out = Path(protected), Path(out)
    card = Card.read(protected) if find_private(protected, CARD) else None
    if not (card and card.photos and {"lowest_psnr", "psnr_counts"} <= card.measured.keys()):
        raise UserError(
            f"{protected} is not a folder of protected photos; make one with `unlearnable "
            "protect-photos`."
        )
    if in_order_of_originals(protected, card) is None:
        raise incomplete(protected)
    check_unpublished(out)
    check_outside(card.data.get("source"), out)
    check_ours(out, TITLE.encode())
    shown = _verified(protected, card, verified)
    words = describe_verdict(shown)
    photos, missing = _photos(protected, card, shown, count)
    counts = {int(db): n for db, n in card.measured["psnr_counts"].items()}
    text = render(
        "report.html",
        title=f"{printable(protected.name)}: {TITLE}",
        words=words,
        name=printable(shlex.quote(str(protected))),
        card=card,
        pretrained=card.method == "class-uap",
        classes=[printable(name) for name in card.classes if name],  # none in a flat folder
        count=card.shape[0],
        verified=shown,
        others=card.others,
        rows=[_bars(row) for row in shown.rows] if shown else [],
        flags=[(f, FLAGS.get(f, "see docs/checks.md.")) for f in shown.flags] if shown else [],
        photos=photos,
        missing=missing,
        tint=_tint(card.measured),
        histogram=[(db, counts.get(db, 0)) for db in range(min(counts), max(counts) + 1)],
        most=max(counts.values()),
        settings=[(key, printable(str(value))) for key, value in _settings(card, shown)],
    )
    with atomic_write(out) as tmp:
        tmp.write_text(text, encoding="utf-8")
    return out


def _verified(protected: Path, card: Card, verified: Path | str | None) -> Verified | None:
    if not verified:
        return None
    if not (Path(verified) / "verify.json").exists():
        raise UserError(
            f"{verified} is not a folder that `unlearnable verify` wrote; check the path."
        )
    shown = Verified.read(Path(verified) / "verify.json")
    if not shown.is_of(card):
        raise UserError(
            f"{verified} is about other photos, or other noise, than {protected} now; run "
            "`unlearnable verify` again."
        )
    return shown


@dataclass(frozen=True)
class Bar:
    """The mean of a learner's accuracies in %, and their mean and deviation in words."""

    kind: str  # clean or protected
    mean: float
    text: str


def _bars(row: VerifiedRow) -> tuple[VerifiedRow, list[tuple[str, list[Bar]]]]:
    """A learner's bars in groups: of the owner's photos, and of the others', if there are any."""
    groups = {"": {"clean": row.clean, "protected": row.protected}}
    if row.others_clean:
        groups = {
            "your classes": groups[""],
            "the others' classes": {"clean": row.others_clean, "protected": row.others_protected},
        }
    return row, [
        (name, [Bar(k, round(sum(v) / len(v), 1), mean_std(v)) for k, v in values.items()])
        for name, values in groups.items()
    ]


def _tint(m: Measured) -> str:
    """Return what PSNR and SSIM do not see; nothing of a card of an earlier version."""
    if not {"color_shift", "color_difference", "color_difference_95"} <= m.keys():
        return ""
    return (
        f"{describe_shift(m['color_shift'])}. Color difference (CIEDE2000): "
        f"{m['color_difference']:.1f} on average, {m['color_difference_95']:.1f} at the 95th "
        "percentile; about 1 is the least that people see side by side."
    )


# ── photos ──


def _photos(
    protected: Path, card: Card, verified: Verified | None, count: int
) -> tuple[list[Trio], str]:
    """Return what is shown of ``count`` photos, one per class, and (if an original is missing) the
    folder that was looked in."""
    files = listing(protected, 1).files
    flat = card.classes == NO_CLASSES
    firsts = {label: path for path, label in reversed(files)}
    chosen = [p for p, _ in files] if flat else [firsts[label] for label in sorted(firsts)]
    folders = _folders_of_originals(protected, card, verified)
    trios = []
    for path in chosen[:count]:
        within = (path.parent.relative_to(protected) / path.stem).as_posix()
        originals = [f / n for f in folders for n in _originals(card, within)] or [
            p for f in folders for p in _same_stem((f / within).parent, path.stem)
        ]
        found = _pair(path, originals, card.measured["linf"])
        if found:
            shown = views(*found).items()
            name = "" if flat else f"{printable(path.parent.name)}: "
            trios.append(
                [(image_uri(Image.fromarray(x), SIDE), name + title) for title, x in shown]
            )
    shown_all = len(trios) == len(chosen[:count])
    return trios, "" if shown_all else printable(folders[0].absolute())


def _folders_of_originals(protected: Path, card: Card, verified: Verified | None) -> list[Path]:
    """Return where the originals may lie. Card and verification hold the path as it was typed,
    which is tried from here and from every folder above the protected photos."""
    typed = [card.originals(protected)["source"], *([verified.photos] if verified else [])]
    starts = [Path(), *protected.resolve().parents]
    return list(dict.fromkeys(start / name for name in typed for start in starts))


def _originals(card: Card, within: str) -> list[str]:
    """The original of a photo as the card says it: CLASS/NAME, with another ending."""
    names = [PurePosixPath(f.original) for f in card.files]
    return [str(name) for name in names if str(name.with_suffix("")) == within]


def _same_stem(folder: Path, stem: str) -> list[Path]:
    """The images that may be the original of a photo whose card does not say it."""
    inner = sorted(folder.iterdir()) if folder.is_dir() else []
    return [p for p in inner if p.stem == stem and p.suffix.lower() in SUFFIXES]


def _pair(path: Path, originals: list[Path], linf: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the original and the protected photo, uint8 [H, W, 3]. A file counts as the original
    only if it is within the budget."""
    protected = np.asarray(read(path).convert("RGB"))
    for candidate in originals:
        try:
            original = np.asarray(read(candidate).convert("RGB"))
        except UserError:
            continue
        if (
            original.shape == protected.shape
            and np.abs(protected.astype(np.int16) - original).max() <= linf
        ):
            return original, protected
    return None


def _settings(card: Card, verified: Verified | None) -> list[tuple[str, object]]:
    """Return what is needed to repeat the run, (name, value)."""
    about = {k: getattr(card, k) for k in ("seed", "seconds", "hardware", "torch", "version")}
    about |= {"commit": card.commit, "command": card.command}
    photos = asdict(card.photos) if card.photos else {}
    flat = [("method", card.method), *_named("method", card.settings), *_named("photos", photos)]
    if card.others:
        flat += [("others: folder", card.others.folder), ("others: photos", card.others.count)]
    flat += about.items()
    if verified:
        flat += _named("verification", verified.recipe)
        flat += [
            ("verification: seeds", verified.seeds),
            ("verification: near-duplicates kept together", verified.near_duplicates),
        ]
    return flat


def _named(group: str, values: Json) -> list[tuple[str, object]]:
    return [(f"{group}: {k}", v) for k, v in values.items() if not isinstance(v, dict)]
