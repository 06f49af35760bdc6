"""Tables of worst-case learnability from a folder of audits, as Markdown, CSV and one HTML page.

Audits of different suites, versions, images or recipes answer different questions and never share a
table.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write
from unlearnable.evaluation.results import Audit
from unlearnable.reports.html import render
from unlearnable.reports.tables import (
    Cell,
    Table,
    heat_ends,
    mean_std,
    measured,
    to_csv,
    to_html,
    to_markdown,
)

TITLE = "Worst-case learnability"
QUESTION = ("suite", "version", "images", "recipe", "chance")  # what the audits of a table share
DETECTOR = (
    "Detector: a network of two layers tells protected images from clean ones that often, in %; "
    "guessing reaches 50."
)
UNRANKED = "Noise over the budget of 8/255 has no rank."


@dataclass(frozen=True)
class Standing:
    """A method's audits over their seeds. clean: accuracies of the first learner on clean images;
    peaks: by learner, the highest accuracies on the protected images; all in %. by: the learner
    with the highest mean peak. detected: how well protected images were told from clean ones, in
    %; empty where the suite has no detector."""

    method: str
    budget: str
    psnr: tuple[float, ...]
    seeds: int
    clean: tuple[float, ...]
    peaks: dict[str, tuple[float, ...]]
    flags: tuple[str, ...]
    detected: tuple[float, ...] = ()

    @property
    def by(self) -> str:
        return max(self.peaks, key=lambda name: sum(self.peaks[name]))

    @property
    def worst(self) -> float:
        return sum(self.peaks[self.by]) / len(self.peaks[self.by])

    @property
    def ranked(self) -> bool:
        return "over-8" not in self.flags


@dataclass(frozen=True)
class Board:
    """Standings that can be compared, the best protection first; those without a rank last."""

    title: str
    chance: float
    learners: tuple[str, ...]
    standings: tuple[Standing, ...]


def leaderboard(folder: Path | str, out: Path | str) -> list[Path]:
    """Write leaderboard.md, .csv and .html into ``out`` from every audit under ``folder``; return
    their paths. Raises UserError where there is no audit, or an incomplete one."""
    boards = collect(Path(folder))
    tables = [_table(board) for board in boards]
    lead = "Highest accuracy on clean test images during training, in %: lower is better protected."
    texts = {
        "md": "\n".join([f"# {TITLE}\n\n{lead}\n", *map(to_markdown, tables)]),
        "csv": to_csv(_long(boards)),
        "html": render(
            "leaderboard.html", title=TITLE, tables=[(t.title, to_html(t)) for t in tables]
        ),
    }
    paths = {kind: Path(out) / f"leaderboard.{kind}" for kind in texts}
    for kind, path in paths.items():
        with atomic_write(path) as tmp:
            tmp.write_text(texts[kind], encoding="utf-8")
    return list(paths.values())


# ── reading ──


def collect(folder: Path) -> list[Board]:
    """Return the boards; audits of the same method and settings are joined over their seeds."""
    groups: dict[str, dict[str, list[Audit]]] = {}
    for path in audit_files(folder):
        audit = Audit.read(path)
        question = json.dumps({k: getattr(audit, k) for k in QUESTION}, sort_keys=True)
        method = json.dumps([audit.method, audit.settings], sort_keys=True)
        groups.setdefault(question, {}).setdefault(method, []).append(audit)
    if not groups:
        raise UserError(
            f"There is no audit.json under {folder}; make one with `unlearnable audit`."
        )
    return [_board(list(group.values())) for _, group in sorted(groups.items())]


def audit_files(folder: Path) -> list[Path]:
    """Return every audit.json under ``folder`` and the audits of other names directly in it."""
    others = (
        p
        for p in folder.glob("*.json")
        if p.name != "audit.json" and '"suite"' in p.read_text(errors="replace")
    )
    return sorted([*folder.rglob("audit.json"), *others])


def _board(methods: list[list[Audit]]) -> Board:
    first = methods[0][0]
    learners = tuple(row.learner for row in first.rows)
    names = _names([audits[0] for audits in methods])
    standings = [_standing(n, audits, learners) for n, audits in zip(names, methods)]
    title = (
        f"Suite {first.suite}, version {first.version}: {first.images}, {first.recipe['model']}, "
        f"{first.recipe['steps']} steps"
    )
    standings.sort(key=lambda s: (not s.ranked, s.worst))
    return Board(title, first.chance, learners, tuple(standings))


def _names(audits: list[Audit]) -> list[str]:
    """Return the methods' names, with the settings in which those of the same name differ."""
    names = []
    for audit in audits:
        same = [a.settings for a in audits if a.method == audit.method]
        own = audit.settings
        differ = [f"{k} {own[k]}" for k in own if any(s.get(k) != own[k] for s in same)]
        names.append(audit.method + (f" ({', '.join(differ)})" if differ else ""))
    return names


def _standing(name: str, audits: list[Audit], learners: tuple[str, ...]) -> Standing:
    rows = [row for audit in audits for row in audit.rows]
    flags = {f for a in audits for f in a.flags} | {f for row in rows for f in row.flags}
    peaks = {n: tuple(row.peak for row in rows if row.learner == n) for n in learners}
    return Standing(
        name,
        audits[0].budget,
        tuple(audit.psnr for audit in audits),
        len({audit.seed for audit in audits}),
        tuple(audit.rows[0].clean for audit in audits),
        peaks,
        tuple(sorted(flags)),
        tuple(audit.detection.best for audit in audits if audit.detection),
    )


# ── writing ──


def _table(board: Board) -> Table:
    rows = []
    detector = any(s.detected for s in board.standings)
    for k, s in enumerate(board.standings):
        lead = [
            Cell(str(k + 1), k + 1) if s.ranked else Cell("-"),
            Cell(s.method),
            measured(s.peaks[s.by], chance=board.chance, emphasis=True),
            Cell(s.by),
            measured(s.clean),
            Cell(s.budget),
            Cell(mean_std(s.psnr), s.psnr[0]),
            Cell(str(s.seeds), s.seeds),
        ]
        if detector:
            lead.append(measured(s.detected) if s.detected else Cell("-"))
        rows.append((*lead, *(measured(s.peaks[n], chance=board.chance) for n in board.learners)))
    head = ["rank", "method", "worst case", "by", "clean", "budget", "PSNR, dB", "seeds"]
    notes = [f"Chance is {board.chance:g} %. {UNRANKED}"]
    if detector:
        head.append("detector")
        notes.append(DETECTOR)
    return Table(
        board.title,
        (*head, *board.learners),
        tuple(rows),
        notes=tuple(notes),
        footnotes=tuple(
            f"{s.method}: {', '.join(s.flags)} (docs/checks.md)" for s in board.standings if s.flags
        ),
        heading=1,
        heat_ends=heat_ends(board.chance),
    )


def _long(boards: list[Board]) -> Table:
    """One row per method and learner, for the CSV file."""
    rows = [
        (board.title, s.method, s.budget, str(s.seeds), n, f"{sum(p) / len(p):.2f}")
        for board in boards
        for s in board.standings
        for n, p in s.peaks.items()
    ]
    columns = ("table", "method", "budget", "seeds", "learner", "peak")
    return Table(TITLE, columns, tuple(tuple(map(Cell, row)) for row in rows))
