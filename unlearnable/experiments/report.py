"""``report`` of a folder of results: every table of which anything was measured, as Markdown, CSV
and one HTML page with plots."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write
from unlearnable.data.images import Images
from unlearnable.experiments.cell_values import (
    ANOTHER,
    CellValue,
    filled,
    markdown,
    same_scale,
    seeds,
    some,
)
from unlearnable.experiments.flags import CHANCE, grid_flags
from unlearnable.experiments.grid import Chart, Grid, LearnerSpec, Row, Table
from unlearnable.experiments.runner import Runner
from unlearnable.experiments.scale import Scale, get_scale
from unlearnable.experiments.tables import TABLES
from unlearnable.protection.methods.base import Method
from unlearnable.reports.html import image_uri, rendered
from unlearnable.reports.plots import Line, Plot, plot

SCALES, SETS = ("small", "paper"), ("cifar10", "cifar100", "imagenet100", "shapes")
GAIN, COUNT = 8, 4  # the noise is amplified GAIN times, and shown for COUNT images
Found = tuple[Table, Scale, Grid, Runner]


def has_results(folder: Path) -> bool:
    """Whether ``folder`` holds results or records of them."""
    records = (p.read_text(errors="ignore")[:20] for p in folder.glob("*.json"))
    return any(folder.glob("*/cell.json")) or any(text.startswith('{"cells"') for text in records)


def report_results(folder: Path, out: Path, *, root: str | None = None) -> list[Path]:
    """Write tables.md, .csv and .html into ``out``, and the plots that tables.md shows into
    ``out``/plots; return the three files.

    root: where the named data sets lie, for the images of protected sets in ``folder``. Raises
    UserError where nothing of any table was measured."""
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
            tmp.write_text(text)
    return [out / f"tables.{kind}" for kind in texts]


def _found(folder: Path, root: str | None) -> Iterator[Found]:
    """Yield every table of which anything was measured, at every scale and on every data set."""
    for name in SCALES:
        for data in SETS:
            scale = get_scale(name, data)
            runner = Runner(scale, folder, data_root=root)
            for table in TABLES.values():
                grid = table.grid(scale)
                if any(p.values for _, places in filled(grid, runner) for p in places):
                    yield table, scale, grid, runner


def _markdown(table: Table, scale: Scale, grid: Grid, runner: Runner, out: Path) -> str:
    """Return the table as text, and write its plots as files of their own, shown below it."""
    text = markdown(table, grid, runner, scale, grid_flags(grid, runner))
    for k, p in enumerate(_plots(grid, filled(grid, runner), same_scale(scale))):
        name = f"plots/{table.name}-{scale.name}-{scale.data}-{k}.svg"
        with atomic_write(out / name) as tmp:
            tmp.write_text(
                rendered("plot.svg", plot=p["plot"], about=f"{table.title}, {p['title']}")
            )
        heading = f"{p['title'][0].upper()}{p['title'][1:]}"
        text += f"\n{heading}:\n\n![{table.title}, {p['title']}]({name})\n"
    return text


def _csv(found: list[Found]) -> str:
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(
        [
            "table",
            "scale",
            "data",
            "row",
            "column",
            "seeds",
            "mean",
            "values",
            "printed by others",
            "recalled",
        ]
    )
    for table, scale, grid, runner in found:
        for name, places in filled(grid, runner):
            for column, p in zip(grid.columns, places):
                if p.values or p.paper:
                    mean = "" if p.mean is None else f"{p.mean:.2f}"
                    values = " ".join(f"{v:.2f}" for v in p.values)
                    ours = [len(p.values), mean, values]
                    lines.writerow(
                        [
                            table.name,
                            scale.name,
                            scale.data,
                            name,
                            column,
                            *ours,
                            p.paper,
                            int(p.recalled),
                        ]
                    )
    return file.getvalue()


def _html(found: list[Found]) -> str:
    runners = {(scale.data, scale.name): runner for _, scale, _, runner in found}
    return rendered(
        "tables.html",
        title="Unlearnable images, measured",
        tables=[_table(*one) for one in found],
        hardware=sorted({h for runner in runners.values() for h in runner.records.hardware()}),
        sheets=[sheet for runner in runners.values() for sheet in _sheets(found, runner)],
        another=ANOTHER,
        gain=GAIN,
        some=some,
    )


def _table(table: Table, scale: Scale, grid: Grid, runner: Runner) -> dict:
    rows, beside = filled(grid, runner), same_scale(scale)
    percent = {
        n for n, c in enumerate(grid.columns) if any(_is_accuracy(row, n) for row in grid.rows)
    }

    def place(n: int, p: CellValue) -> dict:
        heat = p.mean if n in percent else None
        return {"ours": p.ours, "beside": p.paper if beside else "", "heat": heat}

    printed = [
        (n, [p.paper or "-" for p in places]) for n, places in rows if any(p.paper for p in places)
    ]
    return {
        "id": f"{table.name}-{scale.name}-{scale.data}",
        "title": table.title,
        "about": table.about,
        "scale": scale,
        "grid": grid,
        "chance": CHANCE.get(scale.data, 10.0),
        "rows": [
            (n, [place(k, p) for k, p in enumerate(places)], seeds(places)) for n, places in rows
        ],
        "printed": [] if beside else printed,
        "recalled": any(p.recalled for _, places in rows for p in places),
        "flags": grid_flags(grid, runner),
        "plots": list(_plots(grid, rows, beside)),
    }


def _is_accuracy(row: Row, column: int) -> bool:
    cell = row.cells[column]
    return cell is not None and isinstance(cell.spec, LearnerSpec)


# ── plots ──


def _plots(
    grid: Grid, rows: list[tuple[str, list[CellValue]]], beside: bool
) -> Iterator[dict[str, Any]]:
    """Yield {title, plot}: ours, with the figures of others dashed where they are of the same
    scale, else theirs below."""
    chart = grid.chart
    if chart is None:
        return
    names = tuple(dict.fromkeys(row.series or row.name for row in grid.rows))
    if isinstance(chart.x, str):
        for column in chart.y:
            if lines := list(_points(grid, chart.x, rows, column)):
                yield {"title": column, "plot": _plot(chart, names, lines, ())}
        return
    ours, theirs = _lines(chart.x, rows)
    recalled = any(p.recalled for _, cells in rows for p in cells)
    recalled_too = ", some of them recalled" if recalled else ""
    if ours:
        dashed = theirs if beside else []
        title = "measured with this program"
        title += f", dashed the paper's figures{recalled_too}" if dashed else ""
        yield {"title": title, "plot": _plot(chart, names, ours + dashed, chart.x)}
    if theirs and not beside:
        title = f"the paper's figures{recalled_too}, {ANOTHER}"
        yield {"title": title, "plot": _plot(chart, names, theirs, chart.x)}


def _lines(
    x: tuple[float, ...], rows: list[tuple[str, list[CellValue]]]
) -> tuple[list[Line], list[Line]]:
    """One line per row: our means with their deviations, and the paper's figures, dashed."""
    ours, theirs = [], []
    for name, cells in rows:
        pairs = list(zip(x, cells))
        own = tuple((at, p.mean, p.deviation) for at, p in pairs if p.mean is not None)
        paper = tuple((at, p.printed, 0.0) for at, p in pairs if p.printed is not None)
        ours += [Line(name, own)] if own else []
        theirs += [Line(name, paper, dashed=True)] if paper else []
    return ours, theirs


def _plot(
    chart: Chart, names: tuple[str, ...], lines: list[Line], ticks: tuple[float, ...]
) -> Plot:
    ticks = ticks if len(ticks) <= 10 else ()
    y_label = "accuracy on clean images, %"
    return plot(lines, chart.label, y_label, names=names, ticks=ticks, log=chart.log)


def _points(
    grid: Grid, x_column: str, rows: list[tuple[str, list[CellValue]]], y_column: str
) -> Iterator[Line]:
    """Yield one line per series, each row a point of it."""
    x, y = grid.columns.index(x_column), grid.columns.index(y_column)
    for series in dict.fromkeys(row.series for row in grid.rows):
        own = [cells for row, (_, cells) in zip(grid.rows, rows) if row.series == series]
        points = tuple(
            (p[x].mean or 0.0, p[y].mean or 0.0, p[y].deviation)
            for p in own
            if p[x].mean and p[y].mean is not None  # a logarithmic axis has no 0
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
    for name, folder in folders:
        protected = np.load(folder / "images.npy", mmap_mode="r")
        yield name, image_uri(_sheet(clean, protected))


def _sheet(clean: Images, protected: np.ndarray) -> np.ndarray:
    """Return [H, W, 3]: a line of originals, of protected images, of noise; the first image of each
    of the first classes."""
    first = [int((clean.y == c).nonzero()[0]) for c in range(min(COUNT, len(clean.classes)))]
    a, b = clean.x[first].numpy().astype(int), protected[first].astype(int)
    lines = [
        np.concatenate(list(x.transpose(0, 2, 3, 1)), axis=1) for x in (a, b, 128 + GAIN * (b - a))
    ]
    return np.concatenate(lines)
