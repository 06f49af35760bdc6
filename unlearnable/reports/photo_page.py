"""``report photos``: one self-contained HTML page about a folder of protected photos."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write, read_json
from unlearnable.core.text import printable
from unlearnable.data.card import find_private
from unlearnable.data.image_files import NO_CLASSES, SUFFIXES, listing, read
from unlearnable.data.visibility import describe_shift
from unlearnable.evaluation.results import Verdict, VerifiedRow
from unlearnable.reports.contact_sheet import views
from unlearnable.reports.html import image_uri, render
from unlearnable.reports.tables import mean_std

SIDE = 320  # pixels of a photo's longer side on the page
FLAGS = {
    "weak-baseline": "even from the clean photos the models learned little, so their failure on "
    "the protected ones proves little. More photos or more training steps would tell more.",
    "small-test": "fewer than 100 photos were held out for testing, so one photo is over a point, "
    "and chance alone moves the result by several.",
    "one-class": "all photos are of one class, so there is nothing to tell apart.",
    "few-seeds": "fewer than three splits into training and test photos were tried, and one split "
    "differs from the next by many points.",
}
Trio = list[tuple[str, str]]  # of one photo: (data URI, caption) of original, protected, noise


def report(
    protected: Path | str, proof: Path | str | None = None, *, out: Path | str, count: int = 3
) -> Path:
    """Write the page and return its path.

    proof: the folder that ``verify`` wrote (None: the page says that nothing was measured). count:
    photos shown, one per class. Raises UserError for a folder without protected photos and for a
    proof about other photos."""
    protected, out = Path(protected), Path(out)
    path = find_private(protected, "card.json")
    card = read_json(path) if path else {}
    if "photos" not in card:
        raise UserError(
            f"{protected} is not a folder of protected photos; make one with `unlearnable "
            "protect-photos`."
        )
    shown = _proof(protected, card, proof)
    rows = [_row(VerifiedRow.from_json(row)) for row in shown["rows"]] if shown else []
    verdict, good = _verdict(shown["verdict"] if shown else None, rows)
    photos, missing = _photos(protected, card, shown, count)
    counts = {int(db): n for db, n in card["measured"]["psnr_counts"].items()}
    text = render(
        "report.html",
        title=f"{printable(protected.name)}: how well the photos are protected",
        verdict=verdict,
        good=good,
        name=printable(shlex.quote(str(protected))),
        card=card,
        classes=[name for name in card["classes"] if name],  # none in a flat folder
        count=card["shape"][0],
        proof=shown,
        rows=rows,
        flags=[(flag, FLAGS.get(flag, "see docs/checks.md.")) for flag in shown["flags"]]
        if shown
        else [],
        photos=photos,
        missing=missing,
        tint=describe_shift(shift) if (shift := card["measured"].get("color_shift")) else "",
        histogram=[(db, counts.get(db, 0)) for db in range(min(counts), max(counts) + 1)],
        most=max(counts.values()),
        settings=[(key, printable(str(value))) for key, value in _settings(card, shown)],
    )
    with atomic_write(out) as tmp:
        tmp.write_text(text, encoding="utf-8")
    return out


def _proof(protected: Path, card: dict, proof: Path | str | None) -> dict | None:
    if not proof:
        return None
    if not (Path(proof) / "verify.json").exists():
        raise UserError(f"{proof} is not a folder that `unlearnable verify` wrote; check the path.")
    shown = read_json(Path(proof) / "verify.json")
    if shown["digest"] != card["digest"]:
        raise UserError(
            f"{proof} is about other photos than {protected}; run `unlearnable verify` again."
        )
    return shown


def _row(row: VerifiedRow) -> dict[str, Any]:
    def cell(values: list[float]) -> dict[str, Any]:
        return {"mean": round(sum(values) / len(values), 1), "text": mean_std(values)}

    return {
        "learner": row.learner,
        "verdict": row.verdict,
        "clean": cell(row.clean),
        "protected": cell(row.protected),
        "left": round(100 * row.left),
    }


def _verdict(verdict: Verdict | None, rows: list[dict[str, Any]]) -> tuple[str, bool]:
    """Return the verdict of verify.json (None: there is none) as a sentence, and whether it is good
    news."""
    if verdict is None:
        return "Protected; whether it works was not measured yet.", False
    if verdict == "no verdict" and not rows:
        return "No verdict: with one class there is nothing that a model could tell apart.", False
    if verdict == "no verdict":
        return "No verdict: the test models learn too little even from the clean photos.", False
    judged = [row for row in rows if row["verdict"] != "no verdict"]
    least, most = (f(row["left"] for row in judged) for f in (min, max))
    # the numbers are not to be divided over two lines
    left = f"{most}\u00a0%" if most == least else f"{least} to {most}\u00a0%"
    said = f"models that train on these photos learn {left} of what clean ones would teach them."
    if verdict == "protected":
        return f"Protected: {said}", True
    failed = [row["learner"] for row in judged if row["verdict"] == "not protected"]
    if len(failed) == len(rows):
        return f"Not protected: {said}", False
    return f"Not protected from {', '.join(failed)}: {said}", False


# ── photos ──


def _photos(protected: Path, card: dict, proof: dict | None, count: int) -> tuple[list[Trio], str]:
    """Return what is shown of ``count`` photos, one per class, and (if an original is missing) the
    folder that was looked in."""
    files = listing(protected, 1).files
    flat = tuple(card["classes"]) == NO_CLASSES
    firsts = {label: path for path, label in reversed(files)}
    chosen = [p for p, _ in files] if flat else [firsts[label] for label in sorted(firsts)]
    folders = _folders_of_originals(protected, card, proof)
    known = {file["written"]: file["original"] for file in card.get("files", ())}
    trios = []
    for path in chosen[:count]:
        within = path.relative_to(protected)
        original = known.get(within.as_posix())  # None in a card of an earlier version
        names = (f / original if original else f / within for f in folders)
        found = _pair(path, names, card["measured"]["linf"], exact=original is not None)
        if found:
            shown = views(*found).items()
            name = "" if flat else f"{printable(path.parent.name)}: "
            trios.append(
                [(image_uri(Image.fromarray(x), SIDE), name + title) for title, x in shown]
            )
    shown_all = len(trios) == len(chosen[:count])
    return trios, "" if shown_all else printable(str(folders[0].absolute()))


def _folders_of_originals(protected: Path, card: dict, proof: dict | None) -> list[Path]:
    """Return where the originals may lie. Card and proof hold the path as it was typed, which is
    tried from here and from every folder above the protected photos."""
    typed = [card["data"]["source"], *([proof["photos"]] if proof and "photos" in proof else [])]
    starts = [Path(), *protected.resolve().parents]
    return list(dict.fromkeys(start / name for name in typed for start in starts))


def _pair(
    path: Path, names: Iterator[Path], linf: int, *, exact: bool
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the original and the protected photo, uint8 [H, W, 3]. names: where the original may
    lie, perhaps (not ``exact``) with another ending. A file counts as the original only if it is
    within the budget."""
    protected = np.asarray(read(path).convert("RGB"))
    for name in names:
        for candidate in [name] if exact else _other_endings(name):
            if not candidate.is_file():
                continue
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


def _other_endings(name: Path) -> list[Path]:
    folder = sorted(name.parent.iterdir()) if name.parent.is_dir() else []
    return [p for p in folder if p.stem == name.stem and p.suffix.lower() in SUFFIXES]


def _settings(card: dict, proof: dict | None) -> list[tuple[str, object]]:
    """Return what is needed to repeat the run, dictionaries of the card spread out."""
    names = ("method", "method_settings", "photos", "seed", "seconds", "hardware", "torch")
    flat: list[tuple[str, object]] = []
    for key in (*names, "version", "commit", "command"):
        value = card.get(key)
        if isinstance(value, dict):
            group = key.split("_")[0]
            flat += [(f"{group}: {k}", v) for k, v in value.items() if not isinstance(v, dict)]
        elif key in card:
            flat.append((key, value))
    if proof:
        flat += [(f"proof: {k}", v) for k, v in proof["recipe"].items()]
        flat += [
            ("proof: seeds", proof["seeds"]),
            ("proof: near-duplicates kept together", proof["near_duplicates"]),
        ]
    return flat
