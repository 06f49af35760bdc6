"""A table as it is read: our numbers, with the paper's beside them where the scale is the same,
else in a table of their own."""

from dataclasses import dataclass
from statistics import stdev

from unlearnable.evaluation.published import Figure
from unlearnable.evaluation.store import Json
from unlearnable.experiments.flags import CHANCE
from unlearnable.experiments.grid import Cell, Grid, LearnerSpec, Table
from unlearnable.experiments.runner import Runner
from unlearnable.experiments.scale import Scale
from unlearnable.reports import tables

ANOTHER = "another scale than ours: compare the order and the shape, not the numbers"


@dataclass(frozen=True)
class CellValue:
    """What a table shows in one cell: the value of each seed, and what others printed, as text and
    (the paper's) as a number."""

    values: tuple[float, ...] = ()
    paper: str = ""
    printed: float | None = None
    digits: int = 1

    @property
    def mean(self) -> float | None:
        return sum(self.values) / len(self.values) if self.values else None

    @property
    def deviation(self) -> float:
        return stdev(self.values) if len(self.values) > 1 else 0.0

    @property
    def ours(self) -> str:
        return tables.mean_std(list(self.values), self.digits) if self.values else "-"


def cell_value(cell: Cell | None, runner: Runner) -> CellValue:
    """Return what is stored of a cell: the value of each seed."""
    if cell is None:
        return CellValue()
    results = runner.found(cell.spec)
    values = tuple(cell.read(results[seed]) for seed in sorted(results))
    figure = cell.paper or Figure()
    return CellValue(values, str(figure), figure.value, cell.digits)


def filled(grid: Grid, runner: Runner) -> list[tuple[str, list[CellValue]]]:
    """Return (row, its values in the order of the columns)."""
    return [(row.name, [cell_value(cell, runner) for cell in row.cells]) for row in grid.rows]


def cell_rows(table: Table, scale: Scale, grid: Grid, runner: Runner) -> list[Json]:
    """Return every cell of which anything is known, with the columns of tables.csv as keys."""
    return [
        {
            "table": table.name,
            "scale": scale.name,
            "data": scale.data,
            "row": name,
            "column": column,
            "seeds": len(p.values),
            "mean": p.mean,
            "values": [*p.values],
            "printed": p.paper,
        }
        for name, places in filled(grid, runner)
        for column, p in zip(grid.columns, places)
        if p.values or p.paper
    ]


def same_scale(scale: Scale) -> bool:
    """Whether the paper's figures are of the same data, network and steps."""
    return scale.name == "paper"


def seeds(places: list[CellValue]) -> str:
    """Return how many seeds a row has: 2, or 1-2 where its values differ; - where there is none."""
    counts = sorted({len(p.values) for p in places if p.values})
    return "-".join(map(str, dict.fromkeys((counts[0], counts[-1])))) if counts else "-"


def result_tables(
    table: Table, grid: Grid, runner: Runner, scale: Scale, flags: dict[str, list[str]]
) -> list[tables.Table]:
    """Return the table as it is read and, where others' figures are of another scale, a second one
    with those."""
    rows, beside = filled(grid, runner), same_scale(scale)
    printed = [_printed(grid, scale, rows)] if _has_printed(rows) and not beside else []
    flagged = [f"{flag} (docs/checks.md): {some(places)}." for flag, places in flags.items()]
    about = [table.about, _how_measured(grid, scale)]
    if beside and _has_printed(rows):
        about[1] += " In brackets what others printed."
    chance = CHANCE.get(scale.data, 10.0)
    percent = [any(map(_is_accuracy, column)) for column in zip(*(row.cells for row in grid.rows))]
    ours = tables.Table(
        table.title,
        (grid.heading, *grid.columns, "seeds"),
        tuple(
            (
                tables.Cell(name),
                *(_cell(p, beside, chance if heat else None) for p, heat in zip(places, percent)),
                tables.Cell(seeds(places)),
            )
            for name, places in rows
        ),
        notes=tuple(about),
        footnotes=tuple(flagged),
        heat_ends=tables.heat_ends(chance) if any(percent) else ("", ""),
    )
    return [ours, *printed]


def markdown(
    table: Table, grid: Grid, runner: Runner, scale: Scale, flags: dict[str, list[str]]
) -> str:
    """Return ``result_tables`` as Markdown."""
    found = result_tables(table, grid, runner, scale, flags)
    return "\n".join(tables.to_markdown(t, level=2 + (k > 0)) for k, t in enumerate(found))


def some(places: list[str]) -> str:
    """Return at most four of the places and how many more there are."""
    return "; ".join(places[:4]) + (f"; and {len(places) - 4} more" if len(places) > 4 else "")


def _how_measured(grid: Grid, scale: Scale) -> str:
    return (
        f"Measured with this program, scale {scale.name} of {scale.data}: {scale.about}. In "
        f"the table: {grid.unit}, mean ± sample standard deviation over the seeds; - was not "
        f"measured. {grid.note}"
    ).rstrip()


def _cell(p: CellValue, beside: bool, chance: float | None) -> tables.Cell:
    text = f"{p.ours} [{p.paper}]" if beside and p.paper else p.ours
    if p.mean is None:
        return tables.Cell(text)
    several = f"seeds: {', '.join(f'{v:,.{p.digits}f}' for v in p.values)}"
    return tables.Cell(
        text,
        p.mean,
        heat=None if chance is None else tables.heat(p.mean, chance),
        tooltip=several if len(p.values) > 1 else "",
    )


def _printed(grid: Grid, scale: Scale, rows: list[tuple[str, list[CellValue]]]) -> tables.Table:
    about = f"ResNet-18 on all of {scale.data} with the authors' settings, {ANOTHER}."
    if any("others" in p.paper for _, places in rows for p in places):
        about += " Others are later groups, named in docs/choosing-a-method.md."
    return tables.Table(
        "Printed by others",
        (grid.heading, *grid.columns),
        tuple(
            (tables.Cell(name), *(tables.Cell(p.paper or "-", p.printed) for p in places))
            for name, places in rows
            if any(p.paper for p in places)
        ),
        notes=(about,),
    )


def _has_printed(rows: list[tuple[str, list[CellValue]]]) -> bool:
    return any(p.paper for _, places in rows for p in places)


def _is_accuracy(cell: Cell | None) -> bool:
    return cell is not None and isinstance(cell.spec, LearnerSpec)
