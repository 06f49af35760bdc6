"""What a table is made of: entries in rows and columns, each a cell of the lab and the number that
is read off it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from unlearnable.evaluation.published import Figure
from unlearnable.experiments.runner import LearnerSpec, NoiseSpec, Spec
from unlearnable.experiments.scale import Scale
from unlearnable.protection.methods.base import Method


@dataclass(frozen=True)
class Cell:
    """One place in a table. read: the number in the spec's cell; paper: what others printed for it."""

    spec: Spec
    read: Callable[[dict], float]
    paper: Figure | None = None
    digits: int = 1


def learner(
    method: Method | None,
    radius: float = 0.0,
    *,
    paper: Figure | None = None,
    fraction: float = 1.0,
    rest: bool = False,
    countermeasure: str | None = None,
    **recipe: object,
) -> Cell:
    """The clean accuracy of a learner under AT of that radius in /255, at its last step; more as in
    ``Lab.cell``."""
    changes = {"adv_eps": float(radius), **recipe} if radius else recipe
    return Cell(
        LearnerSpec(method, fraction, rest, countermeasure, tuple(changes.items())),
        lambda cell: cell["accuracy"],
        paper,
    )


def passes(method: Method | None) -> Cell | None:
    """Forward and backward passes of one image that its noise cost."""
    return method and Cell(
        NoiseSpec(method), lambda card: card.get("passes", 0) / card["shape"][0], digits=0
    )


def minutes(method: Method | None, paper: Figure | None = None) -> Cell | None:
    return method and Cell(NoiseSpec(method), lambda card: card["seconds"] / 60, paper)


def psnr(method: Method | None) -> Cell | None:
    return method and Cell(NoiseSpec(method), lambda card: card["measured"]["psnr"])


@dataclass(frozen=True)
class Row:
    """series: the line of the plot that a point belongs to, where every row is one point."""

    name: str
    entries: tuple[Cell | None, ...]
    series: str = ""


@dataclass(frozen=True)
class Chart:
    """x: the columns' numbers (a line a row), or the name of the column in which a row's x stands
    (a point a row and ``y`` column, joined by series); log: the x axis is logarithmic."""

    label: str
    x: tuple[float, ...] | str
    y: tuple[str, ...] = ()
    log: bool = False


@dataclass(frozen=True)
class Grid:
    """A table at one setting. unit: of what stands in it, in words. scale: whether the paper's
    figures are of the same data, network and steps."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    chart: Chart | None = None
    unit: str = "accuracy on clean test images, %"
    note: str = ""
    heading: str = "trained on"  # of the column that names the rows

    def __post_init__(self) -> None:
        assert all(len(row.entries) == len(self.columns) for row in self.rows)

    def specs(self) -> Iterator[Spec]:
        """Everything that has to be measured, once each, in the order of the rows."""
        yield from dict.fromkeys(entry.spec for row in self.rows for entry in row.entries if entry)


@dataclass(frozen=True)
class Table:
    """A table or figure. text: its module's docstring, the first line of which is the title."""

    name: str
    text: str
    grid: Callable[[Scale], Grid]

    @property
    def title(self) -> str:
        return self.text.splitlines()[0].rstrip(".")

    @property
    def about(self) -> str:
        """The docstring after its title."""
        return " ".join("\n".join(self.text.splitlines()[1:]).split())


def narrowed(grid: Grid, rows: tuple[str, ...], columns: tuple[str, ...]) -> Grid:
    """Only those rows and columns (empty: all); a plot needs all columns. Unknown names are the
    caller's to refuse."""
    keep = [k for k, name in enumerate(grid.columns) if not columns or name in columns]
    kept = tuple(
        Row(row.name, tuple(row.entries[k] for k in keep), row.series)
        for row in grid.rows
        if not rows or row.name in rows
    )
    chart = grid.chart if len(keep) == len(grid.columns) else None
    columns_kept = tuple(grid.columns[k] for k in keep)
    return replace(grid, columns=columns_kept, rows=kept, chart=chart)
