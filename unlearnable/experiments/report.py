"""``report`` of a folder of results: all tables that have something, as Markdown, CSV and one HTML
page with plots."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

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
from unlearnable.experiments.flagged import CHANCE, flags
from unlearnable.experiments.grid import Grid, Row, Table
from unlearnable.experiments.runner import LearnerSpec, Runner
from unlearnable.experiments.scale import Scale, get_scale
from unlearnable.experiments.tables import TABLES
from unlearnable.protection.methods.base import Method
from unlearnable.reports.html import image_uri, rendered
from unlearnable.reports.plots import Line, Plot, plot

SIZES, SETS = ("small", "paper"), ("cifar10", "cifar100", "imagenet100", "shapes")
GAIN, COUNT = 8, 4  # the noise is shown times GAIN, on COUNT images
Found = tuple[Table, Scale, Grid, Runner]


def has_results(folder: Path) -> bool:
    """Whether ``folder`` holds cells or records of them."""
    records = (p.read_text(errors="ignore")[:20] for p in folder.glob("*.json"))
    return any(folder.glob("*/cell.json")) or any(text.startswith('{"cells"') for text in records)


def report_results(folder: Path, out: Path, *, root: str | None = None) -> list[Path]:
    """Write tables.md, .csv and .html into ``out``, and the plots, which tables.md shows, into
    ``out``/plots. root: where the named sets lie, for the images of protected sets in ``folder``.
    Returns the three files. Raises UserError where no table has anything."""
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
    """Every table that has something at some size of some data."""
    for size in SIZES:
        for data in SETS:
            at = get_scale(size, data)
            lab = at.lab(folder, data_root=root)
            for table in (entry.load() for entry in TABLES.values()):
                grid = table.grid(at)
                if any(p.values for _, places in filled(grid, lab) for p in places):
                    yield table, at, grid, lab


def _markdown(table: Table, at: Scale, grid: Grid, lab: Runner, out: Path) -> str:
    """The table as text; its plots as files of their own, shown below it."""
    text = markdown(table, grid, lab, at, flags(grid, lab))
    for k, p in enumerate(_plots(grid, filled(grid, lab), same_scale(at))):
        name = f"plots/{table.name}-{at.size}-{at.data}-{k}.svg"
        with atomic_write(out / name) as tmp:
            tmp.write_text(
                rendered("plot.svg", plot=p["plot"], about=f"{table.title}, {p['title']}")
            )
        text += f"\n{p['title'][0].upper()}{p['title'][1:]}:\n\n![{table.title}, {p['title']}]({name})\n"
    return text


def _csv(found: list[Found]) -> str:
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(
        [
            "table",
            "size",
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
    for table, at, grid, lab in found:
        for name, places in filled(grid, lab):
            for column, p in zip(grid.columns, places):
                if p.values or p.paper:
                    mean = "" if p.mean is None else f"{p.mean:.2f}"
                    values = " ".join(f"{v:.2f}" for v in p.values)
                    ours = [len(p.values), mean, values]
                    lines.writerow(
                        [
                            table.name,
                            at.size,
                            at.data,
                            name,
                            column,
                            *ours,
                            p.paper,
                            int(p.recalled),
                        ]
                    )
    return file.getvalue()


def _html(found: list[Found]) -> str:
    labs = {lab.data + at.size: lab for _, at, _, lab in found}
    return rendered(
        "tables.html",
        title="Unlearnable images, measured",
        tables=[_table(*one) for one in found],
        hardware=sorted({h for lab in labs.values() for h in lab.book.hardware()}),
        sheets=[sheet for lab in labs.values() for sheet in _sheets(found, lab)],
        another=ANOTHER,
        gain=GAIN,
        some=some,
    )


def _table(table: Table, at: Scale, grid: Grid, lab: Runner) -> dict:
    rows, beside = filled(grid, lab), same_scale(at)
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
        "id": f"{table.name}-{at.size}-{at.data}",
        "title": table.title,
        "about": table.about,
        "setting": at,
        "grid": grid,
        "chance": CHANCE.get(at.data, 10.0),
        "rows": [
            (n, [place(k, p) for k, p in enumerate(places)], seeds(places)) for n, places in rows
        ],
        "printed": [] if beside else printed,
        "recalled": any(p.recalled for _, places in rows for p in places),
        "flags": flags(grid, lab),
        "plots": list(_plots(grid, rows, beside)),
    }


def _is_accuracy(row: Row, column: int) -> bool:
    entry = row.entries[column]
    return entry is not None and isinstance(entry.spec, LearnerSpec)


# ── plots ──


def _plots(grid: Grid, rows: list[tuple[str, list[CellValue]]], beside: bool) -> Iterator[dict]:
    """{title, plot}: ours, with the figures of others dashed where they are of the same scale, else
    theirs below."""
    if grid.chart is None:
        return
    if isinstance(grid.chart.x, str):
        for name in grid.chart.y:
            if lines := list(_points(grid, rows, name)):
                yield {"title": name, "plot": _plot(grid, lines, ())}
        return
    ours = [
        Line(n, _line(grid.chart.x, [(p.mean, p.deviation) for p in places])) for n, places in rows
    ]
    theirs = [
        Line(n, _line(grid.chart.x, [(p.printed, 0.0) for p in places]), dashed=True)
        for n, places in rows
    ]
    ours, theirs = ([line for line in kind if line.points] for kind in (ours, theirs))
    recalled = (
        ", some of them recalled" if any(p.recalled for _, places in rows for p in places) else ""
    )
    if ours:
        title = "measured with this program" + (
            f", dashed the paper's figures{recalled}" if beside and theirs else ""
        )
        yield {"title": title, "plot": _plot(grid, ours + (theirs if beside else []), grid.chart.x)}
    if theirs and not beside:
        yield {
            "title": f"the paper's figures{recalled}, {ANOTHER}",
            "plot": _plot(grid, theirs, grid.chart.x),
        }


def _plot(grid: Grid, lines: list[Line], ticks: tuple[float, ...]) -> Plot:
    names = tuple(dict.fromkeys(row.series or row.name for row in grid.rows))
    ticks, y = ticks if len(ticks) <= 10 else (), "accuracy on clean images, %"
    return plot(lines, grid.chart.label, y, names=names, ticks=ticks, log=grid.chart.log)


def _line(
    x: tuple[float, ...], values: list[tuple[float | None, float]]
) -> tuple[tuple[float, float, float], ...]:
    return tuple((at, mean, bar) for at, (mean, bar) in zip(x, values) if mean is not None)


def _points(grid: Grid, rows: list[tuple[str, list[CellValue]]], column: str) -> Iterator[Line]:
    """One line a series, each row a point of it."""
    x, y = grid.columns.index(grid.chart.x), grid.columns.index(column)
    for series in dict.fromkeys(row.series for row in grid.rows):
        own = [places for row, (_, places) in zip(grid.rows, rows) if row.series == series]
        points = tuple(
            (p[x].mean, p[y].mean, p[y].deviation)
            for p in own
            if p[x].mean and p[y].mean is not None
        )
        if points:
            yield Line(series, points)


# ── images ──


def _sheets(found: list[Found], lab: Runner) -> Iterator[tuple[str, str]]:
    """(method, image) of every protected set that still lies in the folder, seed 0; none without
    the originals."""
    named: dict[Method, str] = {}
    for _, _, grid, own in found:
        if own is not lab:
            continue
        for row in grid.rows:
            for entry in row.entries:
                if entry and entry.spec.method is not None:
                    method = entry.spec.method
                    named[method] = min(named.get(method, row.name), row.name, key=len)
    there = {m: n for m, n in named.items() if (lab.place(m, 0) / "card.json").exists()}
    if not there:
        return
    try:
        clean = lab.clean
    except UserError:
        return
    for method, name in there.items():
        hidden = np.load(lab.place(method, 0) / "images.npy", mmap_mode="r")
        yield name, image_uri(_sheet(clean, hidden))


def _sheet(clean: Images, hidden: np.ndarray) -> np.ndarray:
    """[H, W, 3]: a line of originals, of protected images, of noise; the first image of the first
    classes."""
    first = [int((clean.y == c).nonzero()[0]) for c in range(min(COUNT, len(clean.classes)))]
    a, b = clean.x[first].numpy().astype(int), hidden[first].astype(int)
    lines = [
        np.concatenate(list(x.transpose(0, 2, 3, 1)), axis=1) for x in (a, b, 128 + GAIN * (b - a))
    ]
    return np.concatenate(lines)
