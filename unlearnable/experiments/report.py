"""``report results``: every table that has a result, as Markdown, CSV and one HTML page."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write
from unlearnable.experiments.cell_values import (
    CellValue,
    filled,
    markdown,
    result_tables,
    same_scale,
)
from unlearnable.experiments.flags import grid_flags
from unlearnable.experiments.grid import Chart, Grid, Table
from unlearnable.experiments.runner import Runner
from unlearnable.experiments.scale import Scale, get_scale
from unlearnable.experiments.tables import TABLES
from unlearnable.protection.methods.base import Method
from unlearnable.reports import tables
from unlearnable.reports.contact_sheet import GAIN, choose, sheet
from unlearnable.reports.html import image_uri, render
from unlearnable.reports.plots import Line, Plot, plot

SCALES, SETS = ("small", "full", "paper"), ("cifar10", "cifar100", "imagenet100", "shapes")
COUNT = 4  # images shown of every protected set
Found = tuple[Table, Scale, Grid, Runner]


def has_results(folder: Path) -> bool:
    """Whether ``folder`` holds cells or records of them."""
    records = (p.read_text(errors="ignore")[:20] for p in folder.glob("*.json"))
    return any(folder.glob("*/cell.json")) or any(text.startswith('{"cells"') for text in records)


def report_results(folder: Path, out: Path, *, root: str | None = None) -> list[Path]:
    """Write tables.md, .csv and .html into ``out`` and the plots of tables.md into ``out``/plots;
    return the three paths. root: where the named data sets lie, to show images of the protected
    sets in ``folder``. Raises UserError where no table has a result."""
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
    return [out / f"tables.{kind}" for kind in texts]


def _found(folder: Path, root: str | None) -> Iterator[Found]:
    """Yield every table of which anything was measured, at every scale and on every data set."""
    for name in SCALES:
        for data in SETS:
            scale = get_scale(name, data)
            runner = Runner(scale, folder, data_root=root)
            for table in (entry.load() for entry in TABLES.values()):
                grid = table.grid(scale)
                if any(p.values for _, places in filled(grid, runner) for p in places):
                    yield table, scale, grid, runner


def _markdown(table: Table, scale: Scale, grid: Grid, runner: Runner, out: Path) -> str:
    """Return the table as Markdown; write its plots as files, shown below it."""
    text = markdown(table, grid, runner, scale, grid_flags(grid, runner))
    for k, (title, p) in enumerate(_plots(grid, filled(grid, runner), same_scale(scale))):
        name = f"plots/{table.name}-{scale.name}-{scale.data}-{k}.svg"
        about = f"{table.title}: {title}"
        with atomic_write(out / name) as tmp:
            tmp.write_text(render("plot.svg", plot=p, about=about), encoding="utf-8")
        text += f"\n{title}:\n\n![{about}]({name})\n"
    return text


def _csv(found: list[Found]) -> str:
    """One row per cell."""
    columns = ("table", "scale", "data", "row", "column", "seeds", "mean", "values")
    rows = [
        (
            *(table.name, scale.name, scale.data, name, column, str(len(p.values))),
            "" if p.mean is None else f"{p.mean:.2f}",
            " ".join(f"{v:.2f}" for v in p.values),
            p.paper,
        )
        for table, scale, grid, runner in found
        for name, places in filled(grid, runner)
        for column, p in zip(grid.columns, places)
        if p.values or p.paper
    ]
    cells = tuple(tuple(map(tables.Cell, row)) for row in rows)
    return tables.to_csv(tables.Table("", (*columns, "printed by others"), cells))


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
        "plots": list(_plots(grid, filled(grid, runner), same_scale(scale))),
    }


# ── plots ──


def _plots(
    grid: Grid, rows: list[tuple[str, list[CellValue]]], beside: bool
) -> Iterator[tuple[str, Plot]]:
    """Yield (title, plot): ours, with the paper's figures dashed where the scale is the same, else
    those in a plot of their own."""
    chart = grid.chart
    if chart is None:
        return
    if isinstance(chart.x, str):
        for name in chart.y:
            if lines := list(_points(grid, rows, chart.x, name)):
                yield _sentence(name), _plot(grid, chart, lines, ())
        return
    ours, theirs = _lines(chart.x, rows)
    if ours:
        dashed = " (dashed: the paper's figures)" if beside and theirs else ""
        lines = [*ours, *(theirs if beside else [])]
        yield f"Measured with this program{dashed}", _plot(grid, chart, lines, chart.x)
    if theirs and not beside:
        yield "The paper's figures, at another scale", _plot(grid, chart, theirs, chart.x)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _plot(grid: Grid, chart: Chart, lines: list[Line], ticks: tuple[float, ...]) -> Plot:
    names = tuple(dict.fromkeys(row.series or row.name for row in grid.rows))
    ticks, y = ticks if len(ticks) <= 10 else (), "accuracy on clean images, %"
    return plot(lines, chart.label, y, names=names, ticks=ticks, log=chart.log)


def _lines(
    x: tuple[float, ...], rows: list[tuple[str, list[CellValue]]]
) -> tuple[list[Line], list[Line]]:
    """Return our lines, with the deviation as bars, and those of the paper."""
    ours, theirs = [], []
    for name, places in rows:
        at = list(zip(x, places))
        mine = tuple((k, p.mean, p.deviation) for k, p in at if p.mean is not None)
        other = tuple((k, p.printed, 0.0) for k, p in at if p.printed is not None)
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
        both = [(p[x].mean, p[y].mean, p[y].deviation) for p in own]
        points = tuple((a, b, bar) for a, b, bar in both if a and b is not None)
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
