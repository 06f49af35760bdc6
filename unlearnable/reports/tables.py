"""One table value, written as Markdown, CSV, HTML and terminal text. Every table of this program is
a ``Table``."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import stdev
from typing import TYPE_CHECKING

from markupsafe import Markup

from unlearnable.core.text import printable
from unlearnable.reports.html import render

if TYPE_CHECKING:
    from unlearnable.evaluation.results import Audit, Detection


@dataclass(frozen=True)
class Cell:
    """One value. text: what is shown; number: what a page sorts by (None: the text); heat: 0 (no
    color) to 1, on pages only, like the tooltip and the link to an anchor of the page."""

    text: str
    number: float | None = None
    emphasis: bool = False
    heat: float | None = None
    tooltip: str = ""
    link: str = ""


@dataclass(frozen=True)
class Table:
    """A table as a reader sees it. notes: paragraphs above the rows; footnotes: below them;
    heading: the column that names the rows; heat_ends: what no color and full color mean."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    footnotes: tuple[str, ...] = ()
    heading: int = 0
    heat_ends: tuple[str, str] = ("", "")


# ── cells ──


def mean_std(values: Sequence[float], digits: int = 1) -> str:
    """Return mean ± sample standard deviation with that many decimals; of one value, the value."""
    text = f"{sum(values) / len(values):,.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {stdev(values):,.{digits}f}"


def number(value: float, digits: int = 1) -> Cell:
    return Cell(f"{value:.{digits}f}", value)


def measured(
    values: Sequence[float], *, chance: float | None = None, emphasis: bool = False
) -> Cell:
    """Return a cell of mean ± deviation over seeds; chance, in %: colored by what is above it."""
    mean = sum(values) / len(values)
    tooltip = f"seeds: {', '.join(f'{v:.1f}' for v in values)}" if len(values) > 1 else ""
    level = None if chance is None else heat(mean, chance)
    return Cell(mean_std(values), mean, emphasis, level, tooltip)


def heat(accuracy: float, chance: float) -> float:
    """Return 0 at or below chance, 1 at 100 %."""
    return max(0.0, accuracy - chance) / (100 - chance)


def heat_ends(chance: float) -> tuple[str, str]:
    return f"guessing ({chance:g} %)", "100 %"


# ── the four forms ──


def to_markdown(table: Table, level: int = 2) -> str:
    """Return the table under a heading of that level; its columns line up in a terminal too."""
    table = _safe(table)
    head = [_markdown(name) for name in table.columns]
    rows = [[_bold(_markdown(c.text), c.emphasis) for c in row] for row in table.rows]
    wide = [max(3, *(len(row[k]) for row in (head, *rows))) for k in range(len(head))]
    grid = [
        f"| {' | '.join(text.ljust(w) for text, w in zip(row, wide))} |"
        for row in (head, ["-" * w for w in wide], *rows)
    ]
    before = [f"{'#' * level} {_markdown(table.title)}", *map(_markdown, table.notes)]
    return "\n\n".join([*before, "\n".join(grid), *map(_markdown, table.footnotes)]) + "\n"


def to_csv(table: Table) -> str:
    """Return the columns and rows alone, the cells' texts as they are shown."""
    table, file = _safe(table), io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(table.columns)
    lines.writerows([c.text for c in row] for row in table.rows)
    return file.getvalue()


def to_html(table: Table) -> Markup:
    """Return the fragment for a page: notes, a table that sorts, the color's legend, footnotes. The
    page writes the heading."""
    return Markup(render("table.html", table=_safe(table)))


def to_text(table: Table) -> str:
    """Return the table for a terminal, numbers to the right."""
    table = _safe(table)
    cells = [[c.text for c in row] for row in table.rows]
    columns = list(zip(table.columns, *cells))
    wide = [max(map(len, column)) for column in columns]
    right = [any(row[k].number is not None for row in table.rows) for k in range(len(columns))]
    lines = [
        "  ".join(
            text.rjust(w) if r else text.ljust(w) for text, w, r in zip(row, wide, right)
        ).rstrip()
        for row in (table.columns, *cells)
    ]
    title = [table.title] if table.title else []
    return "\n".join([*title, *table.notes, *lines, *table.footnotes])


def _safe(table: Table) -> Table:
    """Return the table without control characters; names and others' audits may hold some."""

    def texts(values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(printable, values))

    rows = tuple(
        tuple(replace(c, text=printable(c.text), tooltip=printable(c.tooltip)) for c in row)
        for row in table.rows
    )
    return replace(
        table,
        title=printable(table.title),
        columns=texts(table.columns),
        rows=rows,
        notes=texts(table.notes),
        footnotes=texts(table.footnotes),
    )


def _markdown(text: str) -> str:
    """Return text that Markdown shows as it is: no HTML, no further column, no link or image."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return re.sub(r"\](?=[(\[:])", "\\]", text)


def _bold(text: str, emphasis: bool) -> str:
    return f"**{text}**" if emphasis else text


# ── the tables of the commands ──


def audit_rows(done: "Audit") -> Table:
    """Return the audit as a table, the worst case below it."""
    accuracies = ("clean", "protected", "peak")
    rows = tuple(
        (
            Cell(row.learner),
            *map(number, (row.clean, row.protected, row.peak)),
            Cell(" ".join(row.flags)),
        )
        for row in done.rows
    )
    notes = [
        f"Worst-case learnability: {done.worst.peak:.1f} % ({done.worst.learner}); "
        f"chance {done.chance:.1f} %, clean images {done.rows[0].clean:.1f} %."
    ]
    if done.flags:
        notes.insert(0, f"The protected images: {', '.join(done.flags)} (docs/checks.md).")
    if done.pairs:
        notes.append(f"The purifiers' pairs: {done.pairs}, protected with another seed.")
    if done.detection:
        notes += detection_lines(done.detection, done.chance)
    return Table("", ("learner", *accuracies, "flags"), rows, footnotes=tuple(notes))


def detection_lines(seen: "Detection", chance: float) -> list[str]:
    """Return what a detector sees, in sentences. chance: of guessing a class, in %."""
    ways = [f"from pixels {seen.pixels:.1f} %", f"from residuals {seen.residuals:.1f} %"]
    if seen.own_pairs is not None:
        ways.append(f"after training on its own pairs {seen.own_pairs:.1f} %")
    return [
        f"Detector: two layers tell protected images from clean ones with {seen.best:.1f} % "
        f"({', '.join(ways)}; guessing 50 %).",
        f"Two layers learn the classes of protected images to {seen.classes_protected:.1f} %, of "
        f"clean ones to {seen.classes_clean:.1f} % (guessing {chance:.1f} %).",
    ]
