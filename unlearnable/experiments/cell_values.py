"""A table as it is read: our values, and the paper's figures beside them where they are of the
same scale, else below."""

from dataclasses import dataclass
from statistics import stdev

from unlearnable.evaluation.published import Figure
from unlearnable.experiments.grid import Cell, Grid, Table
from unlearnable.experiments.runner import Runner
from unlearnable.experiments.scale import Scale
from unlearnable.reports.tables import mean_std

ANOTHER = "another scale than ours: compare the order and the shape, not the numbers"


@dataclass(frozen=True)
class CellValue:
    """What a cell of a table shows: the values of its seeds, and what others printed, in words and
    (the paper) as a number."""

    values: tuple[float, ...] = ()
    paper: str = ""
    printed: float | None = None
    recalled: bool = False
    digits: int = 1

    @property
    def mean(self) -> float | None:
        return sum(self.values) / len(self.values) if self.values else None

    @property
    def deviation(self) -> float:
        return stdev(self.values) if len(self.values) > 1 else 0.0

    @property
    def ours(self) -> str:
        return mean_std(list(self.values), self.digits) if self.values else "-"


def cell_value(cell: Cell | None, runner: Runner) -> CellValue:
    """Return what has been measured for a cell: every seed's value."""
    if cell is None:
        return CellValue()
    results = runner.records.of(runner.config(cell.spec, 0))
    values = tuple(cell.read(results[seed]) for seed in sorted(results))
    figure = cell.paper or Figure()
    return CellValue(values, str(figure), figure.value, figure.recalled, cell.digits)


def filled(grid: Grid, runner: Runner) -> list[tuple[str, list[CellValue]]]:
    """Return each row's name and its values in the order of the columns."""
    return [(row.name, [cell_value(cell, runner) for cell in row.cells]) for row in grid.rows]


def same_scale(scale: Scale) -> bool:
    """Whether the paper's figures are of the same data, network and steps."""
    return scale.name == "paper"


def seeds(cells: list[CellValue]) -> str:
    """Return how many seeds a row has: 2, or 1-2 where its cells differ; - where there is none."""
    counts = sorted({len(cell.values) for cell in cells if cell.values})
    return "-".join(map(str, dict.fromkeys((counts[0], counts[-1])))) if counts else "-"


def markdown(
    table: Table, grid: Grid, runner: Runner, scale: Scale, flags: dict[str, list[str]]
) -> str:
    """The table with its heading, the paper's figures, and what to distrust."""
    rows, beside = filled(grid, runner), same_scale(scale)
    lines = [f"## {table.title}", "", table.about, ""]
    lines += [
        f"Measured with this program, scale {scale.name} of {scale.data}: {scale.about}. "
        "In the table: "
    ]
    lines[-1] += (
        f"{grid.unit}, mean ± sample standard deviation over the seeds; - was not measured. "
        f"{grid.note}".rstrip()
    )
    if beside and any(p.paper for _, places in rows for p in places):
        lines[-1] += " In brackets what others printed."

    def text(p: CellValue) -> str:
        return f"{p.ours} [{p.paper}]" if beside and p.paper else p.ours

    ours = [[name, *map(text, places), seeds(places)] for name, places in rows]
    lines += ["", *_lines(["", *grid.columns, "seeds"], ours)]
    printed = [
        [name, *(p.paper or "-" for p in places)]
        for name, places in rows
        if any(p.paper for p in places)
    ]
    if printed and not beside:
        lines += [
            "",
            f"**Printed by others**, ResNet-18 on all of {scale.data} with the authors' settings: "
            f"{ANOTHER}.",
        ]
        lines += ["", *_lines(["", *grid.columns], printed)]
    if any(p.recalled for _, places in rows for p in places):
        lines += ["", "A figure with ? is recalled, not seen in any source: for orientation only."]
    lines += [f"\n`{flag}` (docs/checks.md): {some(places)}." for flag, places in flags.items()]
    return "\n".join([*lines, ""])


def some(places: list[str]) -> str:
    """Return at most four of the cells, and how many more there are."""
    return "; ".join(places[:4]) + (f"; and {len(places) - 4} more" if len(places) > 4 else "")


def _lines(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table whose columns stand straight in a terminal too."""
    wide = [max(3, *(len(row[k]) for row in (head, *rows))) for k in range(len(head))]
    out = [head, ["-" * w for w in wide], *rows]
    return ["| " + " | ".join(text.ljust(w) for text, w in zip(row, wide)) + " |" for row in out]
