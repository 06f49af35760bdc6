"""Tables of worst-case learnability from a folder of audits, as Markdown, CSV and one HTML page.

Audits of different suites, versions, images or recipes answer different questions and never share a
table.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write
from unlearnable.evaluation.results import Audit
from unlearnable.evaluation.suites import VERSION
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
LEAD = "Highest accuracy on clean test images during training, in %: lower is better protected."
# what the audits of a table share, beside their learners
QUESTION = ("suite", "version", "images", "test_images", "recipe", "chance")
CLEAN = "clean images"
DETECTOR = (
    "Detector: a network of two layers tells protected images from clean ones that often, in %; "
    "guessing reaches 50."
)
RANKS = (
    "Noise over the budget of 8/255 has no rank. “clean images” is what the same learners reach "
    "there after their last step."
)
OLDER = (
    f"The suites are at version {VERSION} by now; audits made today stand in a table of their own."
)
SUBMIT = (  # what stands between backticks is typed
    "Protect a table's images with your method: as a file of your own, `unlearnable protect "
    "my_module:Method --data cifar10 --limit 5000 --out protected/mine`, or as noise made "
    "elsewhere, `unlearnable protect imported --file noise.pkl --data cifar10 --limit 5000 --out "
    "protected/mine`.",
    "Run `unlearnable audit protected/mine --suite standard --test-limit 2000`. Repeat both for "
    "other seeds: `--seed 1`, and `--out protected/mine-1` of the first.",
    "Copy each `audit.json` that it writes under `audits/` to `docs/audits/mine-0.json` in a clone "
    "of the repository, one file per method and seed, and run `unlearnable report audits "
    "docs/audits`.",
    "Offer the change with a link to the method's paper or program. An audit holds no image; it "
    "names the data (a folder by its path), the machine, and the versions.",
)


@dataclass(frozen=True)
class Standing:
    """A method's audits over their seeds. peaks: by learner, the highest accuracies on the
    protected images, in %, one per audit. files: where the audits were found."""

    method: str
    audits: tuple[Audit, ...]
    peaks: dict[str, tuple[float, ...]]
    files: tuple[str, ...]

    @property
    def by(self) -> str:
        """The learner with the highest mean peak."""
        return max(self.peaks, key=lambda name: fmean(self.peaks[name]))

    @property
    def worst(self) -> float:
        return fmean(self.peaks[self.by])

    @property
    def seeds(self) -> int:
        return len({audit.seed for audit in self.audits})

    @property
    def flags(self) -> tuple[str, ...]:
        of_rows = {f for audit in self.audits for row in audit.rows for f in row.flags}
        return tuple(sorted(of_rows.union(*(audit.flags for audit in self.audits))))

    @property
    def ranked(self) -> bool:
        return "over-8" not in self.flags

    @property
    def date(self) -> str:
        """The day of the latest audit, - where none says it (those of earlier versions)."""
        return max((str(a.measured_with.get("date", "")) for a in self.audits), default="") or "-"

    @property
    def card(self) -> dict[str, str]:
        """What tells this row's audits from others, in words."""
        first = self.audits[0]
        found = {
            "settings": _listed(first.settings),
            "budget": first.budget,
            "flags": ", ".join(self.flags),
            "learners": _listed(first.recipe),
            "seeds": ", ".join(str(audit.seed) for audit in self.audits),
            "measured with": "; ".join(
                dict.fromkeys(_listed(a.measured_with) for a in self.audits)
            ),
            "attacker's pairs": first.pairs,
            "protected images (SHA-256)": ", ".join(a.digest for a in self.audits),
            "audits": ", ".join(self.files),
        }
        return {name: text for name, text in found.items() if text}


@dataclass(frozen=True)
class Board:
    """Standings that can be compared, the best protection first; those without a rank last. clean:
    by learner, the accuracies after training on clean images in %, one per seed."""

    title: str
    chance: float
    clean: dict[str, tuple[float, ...]]
    standings: tuple[Standing, ...]
    version: int

    @property
    def learners(self) -> tuple[str, ...]:
        return tuple(self.clean)


def _listed(values: dict[str, object]) -> str:
    """Settings in one line, without those that are off."""
    shown = {k: f"{v:g}" if isinstance(v, float) else v for k, v in values.items()}
    return ", ".join(f"{k} {v}" for k, v in shown.items() if v not in (None, "", [], {}))


def leaderboard(folder: Path | str, out: Path | str) -> list[Path]:
    """Write leaderboard.md, .csv and .html into ``out`` from every audit under ``folder``; return
    their paths. Raises UserError where there is no audit, or an incomplete one."""
    boards = collect(Path(folder))
    texts = {"md": _markdown(boards), "csv": to_csv(_long(boards)), "html": _html(boards)}
    paths = {kind: Path(out) / f"leaderboard.{kind}" for kind in texts}
    for kind, path in paths.items():
        with atomic_write(path) as tmp:
            tmp.write_text(texts[kind], encoding="utf-8")
    return list(paths.values())


# ── reading ──


def collect(folder: Path) -> list[Board]:
    """Return the boards; audits of the same method and settings are joined over their seeds."""
    groups: dict[str, dict[str, list[tuple[str, Audit]]]] = {}
    for path in audit_files(folder):
        audit = Audit.read(path)
        asked = {k: getattr(audit, k) for k in QUESTION}
        asked["learners"] = sorted(row.learner for row in audit.rows)
        question = json.dumps(asked, sort_keys=True)
        method = json.dumps([audit.method, audit.form, audit.settings], sort_keys=True)
        found = groups.setdefault(question, {}).setdefault(method, [])
        found.append((path.relative_to(folder).as_posix(), audit))
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
        if p.is_file()
        and p.name != "audit.json"
        and '"suite"' in p.read_text(encoding="utf-8", errors="replace")
    )
    return sorted([*folder.rglob("audit.json"), *others])


def _board(methods: list[list[tuple[str, Audit]]]) -> Board:
    first = methods[0][0][1]
    names = _names([found[0][1] for found in methods])
    standings = [_standing(name, found) for name, found in zip(names, methods)]
    title = (
        f"Suite {first.suite}, version {first.version}: {first.images}, {first.recipe['model']}, "
        f"{first.recipe['steps']} steps"
    )
    if first.test_images:
        title += f", {first.test_images:,} test images"
    standings.sort(key=lambda s: (not s.ranked, s.worst))
    clean = _clean([audit for found in methods for _, audit in found])
    return Board(title, first.chance, clean, tuple(standings), first.version)


def _names(audits: list[Audit]) -> list[str]:
    """Return the methods' names, with the settings in which those of the same name differ."""
    names = []
    for audit in audits:
        same = [a.settings for a in audits if a.method == audit.method]
        own = audit.settings
        differ = [f"{k} {own[k]}" for k in own if any(s.get(k) != own[k] for s in same)]
        names.append(audit.method + (f" ({', '.join(differ)})" if differ else ""))
    return names


def _standing(name: str, found: list[tuple[str, Audit]]) -> Standing:
    files, audits = zip(*found)
    rows = [row for audit in audits for row in audit.rows]
    learners = [row.learner for row in audits[0].rows]
    peaks = {n: tuple(row.peak for row in rows if row.learner == n) for n in learners}
    return Standing(name, audits, peaks, files)


def _clean(audits: list[Audit]) -> dict[str, tuple[float, ...]]:
    """By learner, its accuracy on clean images for every seed. Audits of one seed share those
    trainings; where others made them again, on another machine, it is their mean."""
    found: dict[str, dict[int, list[float]]] = {}
    for audit in audits:
        for row in audit.rows:
            found.setdefault(row.learner, {}).setdefault(audit.seed, []).append(row.clean)
    return {
        learner: tuple(fmean(tuple(values)) for values in by_seed.values())
        for learner, by_seed in found.items()
    }


# ── writing ──


def _markdown(boards: list[Board]) -> str:
    """The page as Markdown: the tables, each with its rows' cards below it, and how to add one."""
    parts = [f"# {TITLE}\n\n{LEAD} [A page that sorts](leaderboard.html).\n"]
    for k, board in enumerate(boards):
        cards = [
            f"{s.method}: " + "; ".join(f"{name}: {text}" for name, text in s.card.items())
            for s in board.standings
        ]
        table = _table(board, k)
        parts.append(to_markdown(replace(table, footnotes=(*table.footnotes, *cards))))
    steps = [f"{k}. {step}" for k, step in enumerate(SUBMIT, 1)]
    return "\n".join([*parts, "## Add a row\n", *steps]) + "\n"


def _html(boards: list[Board]) -> str:
    tables = [
        {
            "table": to_html(table),
            "title": table.title,
            "cards": [
                (_anchor(k, row), s.method, s.date, s.card.items())
                for row, s in enumerate(board.standings)
            ],
        }
        for k, board in enumerate(boards)
        for table in (_table(board, k),)
    ]
    return render("leaderboard.html", title=TITLE, tables=tables, steps=SUBMIT)


def _anchor(k: int, row: int) -> str:
    """Where the page has the card of a row of table k."""
    return f"card-{k + 1}-{row + 1}"


def _table(board: Board, k: int) -> Table:
    detector = any(a.detection for s in board.standings for a in s.audits)
    rows = [
        _row(board, s, row + 1 if s.ranked else None, detector, _anchor(k, row))
        for row, s in enumerate(board.standings)
    ]
    head = ["rank", "method", "worst case", "by", "clean", "budget", "PSNR, dB", "seeds", "date"]
    notes = [
        f"Chance is {board.chance:g} %. {RANKS}",
        *([OLDER] if board.version < VERSION else []),
    ]
    if detector:
        head.append("detector")
        notes.append(DETECTOR)
    return Table(
        board.title,
        (*head, *board.learners),
        (*rows, _clean_row(board, len(head))),
        notes=tuple(notes),
        footnotes=tuple(
            f"{s.method}: {', '.join(s.flags)} (docs/checks.md)" for s in board.standings if s.flags
        ),
        heading=1,
        heat_ends=heat_ends(board.chance),
    )


def _row(
    board: Board, s: Standing, rank: int | None, detector: bool, anchor: str
) -> tuple[Cell, ...]:
    psnr = tuple(audit.psnr for audit in s.audits)
    lead = [
        Cell(str(rank), rank) if rank else Cell("-"),
        Cell(s.method, link=anchor),
        measured(s.peaks[s.by], chance=board.chance, emphasis=True),
        Cell(s.by),
        measured([audit.rows[0].clean for audit in s.audits]),
        Cell(s.audits[0].budget),
        Cell(mean_std(psnr), psnr[0]),
        Cell(str(s.seeds), s.seeds),
        Cell(s.date),
    ]
    if detector:
        seen = [audit.detection.best for audit in s.audits if audit.detection]
        lead.append(measured(seen) if seen else Cell("-"))
    return (*lead, *(measured(s.peaks[n], chance=board.chance) for n in board.learners))


def _clean_row(board: Board, lead: int) -> tuple[Cell, ...]:
    """What the learners reach where nothing is protected. lead: columns before the learners."""
    best = max(board.clean, key=lambda name: fmean(board.clean[name]))
    accuracies = [measured(values, chance=board.chance) for values in board.clean.values()]
    worst = measured(board.clean[best], chance=board.chance)
    ordinary = replace(accuracies[0], heat=None)
    first = (Cell("-"), Cell(CLEAN), worst, Cell(best), ordinary, Cell("none"))
    seeds = len(board.clean[best])
    rest = (Cell("-"), Cell(str(seeds), seeds), *[Cell("-")] * (lead - 8))
    return (*first, *rest, *accuracies)


def _long(boards: list[Board]) -> Table:
    """One row per method and learner, for the CSV file."""
    rows = []
    for board in boards:
        of_clean = {n: f"{fmean(values):.2f}" for n, values in board.clean.items()}
        for s in board.standings:
            about = (board.title, s.method, s.audits[0].budget, str(s.seeds))
            rows += [
                (*about, n, f"{fmean(p):.2f}", of_clean[n], s.date) for n, p in s.peaks.items()
            ]
    columns = ("table", "method", "budget", "seeds", "learner", "peak", "clean", "date")
    return Table(TITLE, columns, tuple(tuple(map(Cell, row)) for row in rows))
