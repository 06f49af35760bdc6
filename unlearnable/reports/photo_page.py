"""``report``: one self-contained HTML page about a folder of protected photos. It only reads
results."""

from pathlib import Path
from typing import Any

import numpy as np

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write, read_json
from unlearnable.data.image_files import NO_CLASSES, listing, read
from unlearnable.evaluation.results import Verdict, VerifiedRow
from unlearnable.reports.html import image_uri, rendered
from unlearnable.reports.tables import mean_std

SIDE = 320  # pixels of a photo's longer side on the page
GAIN = 8  # the noise is shown times this, around gray
FLAGS = {
    "weak-baseline": "even from the clean photos the model learned little, so that its failing on the protected ones "
    "proves little. More photos or more training steps would tell more.",
    "few-seeds": "fewer than three splits into training and test photos were tried; one split differs from the next "
    "by many points.",
}


def report(
    protected: Path | str, proof: Path | str | None = None, *, out: Path | str, count: int = 3
) -> Path:
    """Write the page. proof: the folder that ``verify`` wrote (None: the page says that nothing was
    measured). count: photos shown. Raises UserError for what is no folder of protected photos, and
    for a proof of another one."""
    protected, out = Path(protected), Path(out)
    card = read_json(protected / "card.json") if (protected / "card.json").exists() else {}
    if "photos" not in card:
        raise UserError(
            f"{protected} is no folder of protected photos; make it with `unlearnable protect`."
        )
    if proof and not (Path(proof) / "verify.json").exists():
        raise UserError(f"{proof} is no folder that `unlearnable verify` wrote; check the path.")
    shown = read_json(Path(proof) / "verify.json") if proof else None
    if shown and shown["digest"] != card["digest"]:
        raise UserError(
            f"{proof} proves something about other photos than {protected}; run `unlearnable verify` again."
        )
    rows = [_row(VerifiedRow.from_json(row)) for row in shown["rows"]] if shown else []
    verdict, good = _verdict(shown["verdict"] if shown else None, rows)
    counts = card["measured"]["psnr_counts"]
    histogram = [
        (db, counts.get(str(db), 0))
        for db in range(min(map(int, counts)), max(map(int, counts)) + 1)
    ]
    text = rendered(
        "report.html",
        title=f"{protected.name}: what the protection is worth",
        verdict=verdict,
        good=good,
        name=protected,
        card=card,
        classes=[name for name in card["classes"] if name],  # none in a flat folder
        count=card["shape"][0],
        proof=shown,
        rows=rows,
        flags=[(flag, FLAGS[flag]) for flag in (shown["flags"] if shown else [])],
        photos=list(_photos(protected, card, count)),
        histogram=histogram,
        most=max(n for _, n in histogram),
        settings=_settings(card, shown),
    )
    with atomic_write(out) as tmp:
        tmp.write_text(text)
    return out


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


def _photos(protected: Path, card: dict, count: int):
    """(original, protected, noise) of one photo a class, as (data URI, label), where the original
    is still there."""
    originals = Path(card["data"]["source"])
    files = listing(protected).files
    firsts = [next(p for p, c in files if c == k) for k in range(min(count, len(card["classes"])))]
    if tuple(card["classes"]) == NO_CLASSES:
        firsts = [p for p, _ in files[:count]]
    for path in firsts:
        folder = originals / path.parent.relative_to(protected)
        found = [p for p in folder.iterdir() if p.stem == path.stem] if folder.is_dir() else []
        if not found:
            continue
        a, b = (np.asarray(read(p).convert("RGB")).astype(int) for p in (found[0], path))
        if a.shape == b.shape:
            noise = 128 + GAIN * (b - a)
            trio = ((a, "original"), (b, "protected"), (noise, f"the difference, times {GAIN}"))
            yield [(image_uri(x, SIDE), f"{path.parent.name}: {label}") for x, label in trio]


def _settings(card: dict, proof: dict | None) -> list[tuple[str, object]]:
    names = (
        "method",
        "method_settings",
        "photos",
        "seed",
        "seconds",
        "hardware",
        "torch",
        "version",
        "commit",
        "command",
    )
    lines = [(key, card[key]) for key in names if key in card]
    flat = []
    for key, value in lines:
        if isinstance(value, dict):
            flat += [
                (f"{key.split('_')[0]}: {k}", v)
                for k, v in value.items()
                if not isinstance(v, dict)
            ]
        else:
            flat.append((key, value))
    if proof:
        flat += [(f"proof: {k}", v) for k, v in proof["recipe"].items()]
        flat += [
            ("proof: seeds", proof["seeds"]),
            ("proof: near-duplicates kept together", proof["near_duplicates"]),
        ]
    return flat
