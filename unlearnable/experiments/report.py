"""``report results``: every table that has a result, as Markdown, CSV and one HTML page."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from markupsafe import Markup

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write
from unlearnable.experiments.cell_values import (
    CellValue,
    cell_rows,
    filled,
    markdown,
    result_tables,
    same_scale,
)
from unlearnable.experiments.flags import CHANCE, grid_flags
from unlearnable.experiments.grid import Chart, Grid, Spec, Table
from unlearnable.experiments.runner import Runner
from unlearnable.experiments.scale import Scale, get_scale
from unlearnable.experiments.tables import TABLES
from unlearnable.protection.methods.base import Method
from unlearnable.reports import tables
from unlearnable.reports.contact_sheet import GAIN, choose, sheet
from unlearnable.reports.html import image_uri, render
from unlearnable.reports.plots import (
    NOT_INSTALLED,
    Line,
    Plot,
    Point,
    can_plot,
    to_page,
    to_pdf,
    to_svg,
)

SCALES, SETS = ("paper", "gpu", "full", "small"), ("cifar10", "cifar100", "imagenet100", "shapes")
logger = logging.getLogger(__name__)

PIXELS = 560  # width of the plots in tables.md
COUNT = 4  # images shown of every protected set
Found = tuple[Table, Scale, Grid, Runner]


def report_results(
    folder: Path, out: Path, *, root: str | None = None, plots: Path | None = None
) -> list[Path]:
    """Write tables.md, .csv and .html into ``out`` and the plots of tables.md into ``out``/plots;
    return the three paths. Without matplotlib there are no plots, and the log says so.

    root: where the named data sets lie, to show images of the protected sets in ``folder``. plots:
    a folder for every plot as PDF and SVG, as wide as a column of a paper. Raises UserError where
    no table has a result, and for ``plots`` without matplotlib."""
    if not can_plot():
        if plots:
            raise UserError(NOT_INSTALLED)
        logger.warning(NOT_INSTALLED)
    found = list(_found(folder, root))
    if not found:
        raise UserError(
            f"{folder} has no result of any table; make some with `unlearnable reproduce`."
        )
    texts = {
        "md": "\n".join(_markdown(*one, out) for one in found),
        "csv": _csv(found),
        "html": _html(found),
    }
    for kind, text in texts.items():
        with atomic_write(out / f"tables.{kind}") as tmp:
            tmp.write_text(text, encoding="utf-8")
    if plots:
        for one in found:
            _write_plots(plots, *one)
    return [out / f"tables.{kind}" for kind in texts]


def _write_plots(folder: Path, table: Table, scale: Scale, grid: Grid, runner: Runner) -> None:
    """Write the table's plots for a paper."""
    for name, _, about, p in _named_plots(table, scale, grid, runner):
        with atomic_write(folder / f"{name}.pdf") as tmp:
            tmp.write_bytes(to_pdf(p))
        with atomic_write(folder / f"{name}.svg") as tmp:
            tmp.write_text(to_svg(p, about), encoding="utf-8")


def _named_plots(
    table: Table, scale: Scale, grid: Grid, runner: Runner
) -> Iterator[tuple[str, str, str, Plot]]:
    """Yield (name of the file, title, description, plot); nothing without matplotlib."""
    for k, (title, p) in enumerate(plots_of(grid, scale, runner)):
        yield f"{table.name}-{scale.name}-{scale.data}-{k}", title, f"{table.title}: {title}", p


def _found(folder: Path, root: str | None) -> Iterator[Found]:
    """Yield every table that has something to say, at every scale and on every data set: tables
    share cells, and one that is hardly begun is left out where fuller ones show its few."""
    for name in SCALES:
        for data in SETS:
            scale = get_scale(name, data)
            runner = Runner(scale, folder, data_root=root)
            grids = {table: table.grid(scale) for table in (e.load() for e in TABLES.values())}
            specs = {table: [*grid.specs()] for table, grid in grids.items()}
            known = {t: {spec for spec in own if runner.found(spec)} for t, own in specs.items()}
            share = {table: len(known[table]) / max(1, len(specs[table])) for table in grids}
            shown: set[Spec] = set()
            told = []
            for table in sorted(grids, key=lambda table: -share[table]):
                if known[table] - shown or share[table] >= 1 / 2:
                    shown |= known[table]
                    told.append(table)
            yield from ((t, scale, grid, runner) for t, grid in grids.items() if t in told)


def _markdown(table: Table, scale: Scale, grid: Grid, runner: Runner, out: Path) -> str:
    """Return the table as Markdown; write its plots as files, shown below it."""
    text = markdown(table, grid, runner, scale, grid_flags(grid, runner))
    for name, title, about, p in _named_plots(table, scale, grid, runner):
        file = f"plots/{name}.svg"
        with atomic_write(out / file) as tmp:
            tmp.write_text(to_svg(p, about, width=PIXELS), encoding="utf-8")
        text += f"\n{title}:\n\n![{about}]({file})\n"
    return text


def _csv(found: list[Found]) -> str:
    """One row per cell."""
    rows = [row for one in found for row in cell_rows(*one)]
    shown = {
        "mean": lambda mean: "" if mean is None else f"{mean:.2f}",
        "values": lambda values: " ".join(f"{v:.2f}" for v in values),
    }
    cells = tuple(
        tuple(tables.Cell(shown.get(key, str)(value)) for key, value in row.items()) for row in rows
    )
    columns = (*tuple(rows[0])[:-1], "printed by others")
    return tables.to_csv(tables.Table("", columns, cells))


def _html(found: list[Found]) -> str:
    runners = {(scale.data, scale.name): runner for _, scale, _, runner in found}
    return render(
        "tables.html",
        title="Unlearnable images, measured",
        sections=[_section(*one) for one in found],
        hardware=sorted({h for runner in runners.values() for h in runner.records.hardware()}),
        sheets=[sheet for runner in runners.values() for sheet in _sheets(found, runner)],
        gain=GAIN,
    )


def _section(table: Table, scale: Scale, grid: Grid, runner: Runner) -> dict[str, object]:
    """What the page shows of a table."""
    ours, *printed = result_tables(table, grid, runner, scale, grid_flags(grid, runner))
    return {
        "id": f"{table.name}-{scale.name}-{scale.data}",
        "title": table.title,
        "scale": (where := f"{scale.name}, {scale.data}"),
        "table": tables.to_html(replace(ours, title=f"{ours.title} ({where})")),
        "printed": [
            (t.title, tables.to_html(replace(t, title=f"{table.title} ({where}): {t.title}")))
            for t in printed
        ],
        "plots": [
            (title, Markup(to_page(p, about)))
            for _, title, about, p in _named_plots(table, scale, grid, runner)
        ],
    }


# ── plots ──


def plots_of(grid: Grid, scale: Scale, runner: Runner) -> Iterator[tuple[str, Plot]]:
    """Yield (title, plot): ours, with the paper's figures dashed where the scale is the same, else
    those in a plot of their own. Nothing without matplotlib."""
    chart, rows, beside = grid.chart, filled(grid, runner), same_scale(scale)
    guessing = CHANCE.get(scale.data, 10.0)
    if chart is None or not can_plot():
        return
    if isinstance(chart.x, str):
        for name in chart.y:
            if lines := list(_points(grid, rows, chart.x, name)):
                yield _sentence(name), _plot(grid, chart, lines, (), guessing)
        return
    ours, theirs = _lines(grid, chart.x, rows)
    if ours:
        dashed = " (dashed: the paper's figures)" if beside and theirs else ""
        lines = [*ours, *(theirs if beside else [])]
        yield f"Measured with this program{dashed}", _plot(grid, chart, lines, chart.x, guessing)
    if theirs and not beside:
        title = "The paper's figures, at another scale"
        yield title, _plot(grid, chart, theirs, chart.x, guessing)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _plot(
    grid: Grid, chart: Chart, lines: list[Line], ticks: tuple[float, ...], guessing: float | None
) -> Plot:
    names = tuple(dict.fromkeys(row.series or row.name for row in grid.rows))
    ticks, y = ticks if len(ticks) <= 10 else (), "accuracy on clean images, %"
    return Plot(tuple(lines), chart.label, y, names, ticks, chart.log, guessing)


def _lines(
    grid: Grid, x: tuple[float, ...], rows: list[tuple[str, list[CellValue]]]
) -> tuple[list[Line], list[Line]]:
    """Return our lines, with the deviation as bars, and those of the paper."""
    ours, theirs = [], []
    for name, places in rows:
        at = list(zip(x, grid.columns, places))
        mine = tuple(
            Point(k, p.mean, p.deviation, f"{name}, {column}: {p.ours}")
            for k, column, p in at
            if p.mean is not None
        )
        other = tuple(
            Point(k, p.printed, title=f"{name}, {column}: {p.paper}")
            for k, column, p in at
            if p.printed is not None
        )
        ours += [Line(name, mine)] if mine else []
        theirs += [Line(name, other, dashed=True)] if other else []
    return ours, theirs


def _points(
    grid: Grid, rows: list[tuple[str, list[CellValue]]], x_column: str, y_column: str
) -> Iterator[Line]:
    """Yield one line per series, each row a point of it."""
    x, y = grid.columns.index(x_column), grid.columns.index(y_column)
    for series in dict.fromkeys(row.series for row in grid.rows):
        own = [places for row, (_, places) in zip(grid.rows, rows) if row.series == series]
        both = [(p[x].mean, p[y]) for p in own]
        points = tuple(
            Point(a, p.mean, p.deviation, f"{series}: {p.ours}")
            for a, p in both
            if a and p.mean is not None
        )
        if points:
            yield Line(series, points)


# ── images ──


def _sheets(found: list[Found], runner: Runner) -> Iterator[tuple[str, str]]:
    """Yield (method, image) of every protected set that still lies in the folder, seed 0; none
    without the originals."""
    named: dict[Method, str] = {}
    for _, _, grid, own in found:
        methods = [(row.name, c.spec.method) for row in grid.rows for c in row.cells if c]
        for name, method in methods if own is runner else ():
            if method is not None:
                named[method] = min(named.get(method, name), name, key=len)
    folders = [(name, runner.protected_folder(method, 0)) for method, name in named.items()]
    folders = [(name, folder) for name, folder in folders if (folder / "card.json").exists()]
    if not folders:
        return
    try:
        clean = runner.clean
    except UserError:
        return
    chosen = choose(clean, COUNT)
    for name, folder in folders:
        protected = np.load(folder / "images.npy", mmap_mode="r")[chosen]
        yield name, image_uri(sheet(clean.x[chosen], torch.from_numpy(protected)))
