"""What a table consists of: rows and columns of cells, each a measurement and the number that is
read off it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from unlearnable.evaluation.learners import Changes, Learner
from unlearnable.evaluation.published import Figure
from unlearnable.evaluation.store import Json

if TYPE_CHECKING:  # the list of tables must not load torch
    from unlearnable.experiments.scale import Scale
    from unlearnable.protection.methods.base import Method


@dataclass(frozen=True)
class LearnerSpec:
    """A training to be measured: the noise on the images (None: clean ones), and the learner.

    fraction: of every class is protected, the rest is clean. rest: only that clean rest is used.
    """

    method: "Method | None" = None
    fraction: float = 1.0
    rest: bool = False
    learner: Learner = Learner()


@dataclass(frozen=True)
class NoiseSpec:
    """A noise to be measured: what making it costs, and how visible it is."""

    method: "Method"


Spec = LearnerSpec | NoiseSpec


@dataclass(frozen=True)
class Cell:
    """One cell of a table. read: the number in the spec's result (JSON). paper: what others printed
    for it."""

    spec: Spec
    read: Callable[[Json], float]
    paper: Figure | None = None
    digits: int = 1


def learner(
    method: "Method | None",
    radius: float = 0.0,
    *,
    paper: Figure | None = None,
    fraction: float = 1.0,
    rest: bool = False,
    countermeasure: str | None = None,
    changes: Changes = (),
) -> Cell:
    """Return the cell of a learner's accuracy after its last step, on clean test images.

    radius: of its adversarial training, in /255. changes: further fields of the recipe. The rest is
    as in ``LearnerSpec``."""
    if radius:
        changes = (("adv_eps", float(radius)), *changes)
    by = Learner(changes=changes, countermeasure=countermeasure)
    return Cell(LearnerSpec(method, fraction, rest, by), lambda result: result["accuracy"], paper)


def passes(method: "Method | None") -> Cell | None:
    """Return the cell of the forward and backward passes per image that a noise cost."""
    if method is None:
        return None
    return Cell(NoiseSpec(method), lambda card: card.get("passes", 0) / card["shape"][0], digits=0)


def minutes(method: "Method | None", paper: Figure | None = None) -> Cell | None:
    """Return the cell of the minutes that making a noise took."""
    if method is None:
        return None
    return Cell(NoiseSpec(method), lambda card: card["seconds"] / 60, paper)


def psnr(method: "Method | None") -> Cell | None:
    """Return the cell of the mean PSNR of a noise, in dB."""
    if method is None:
        return None
    return Cell(NoiseSpec(method), lambda card: card["measured"]["psnr"])


@dataclass(frozen=True)
class Row:
    """A row of a table. series: the line of the plot to which it belongs, where every row is one
    point."""

    name: str
    cells: tuple[Cell | None, ...]
    series: str = ""


@dataclass(frozen=True)
class Chart:
    """The plot of a table. x: the columns' numbers (one line per row), or the name of the column
    with a row's x (one point per row and ``y`` column, joined by series). log: a logarithmic x
    axis."""

    label: str
    x: tuple[float, ...] | str
    y: tuple[str, ...] = ()
    log: bool = False


@dataclass(frozen=True)
class Grid:
    """A table at one scale. unit: of its numbers, in words. note: what a reader must know too."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    chart: Chart | None = None
    unit: str = "accuracy on clean test images, %"
    note: str = ""
    heading: str = "trained on"  # of the column that names the rows

    def __post_init__(self) -> None:
        assert all(len(row.cells) == len(self.columns) for row in self.rows)

    def specs(self) -> Iterator[Spec]:
        """Yield everything that has to be measured, once each, in the order of the rows."""
        yield from dict.fromkeys(cell.spec for row in self.rows for cell in row.cells if cell)


@dataclass(frozen=True)
class Table:
    """A table or figure of experiments/tables, named after its file.

    module: its module's name. text: its module's docstring, whose first line is the title."""

    module: str
    text: str
    grid: "Callable[[Scale], Grid]"

    @property
    def name(self) -> str:
        return self.module.rpartition(".")[2].replace("_", "-")

    @property
    def title(self) -> str:
        return self.text.splitlines()[0].rstrip(".")

    @property
    def about(self) -> str:
        """The docstring after its title."""
        return " ".join("\n".join(self.text.splitlines()[1:]).split())


def narrowed(grid: Grid, rows: tuple[str, ...], columns: tuple[str, ...]) -> Grid:
    """Return only those rows and columns (empty: all); a plot needs all columns. The caller refuses
    unknown names."""
    keep = [k for k, name in enumerate(grid.columns) if not columns or name in columns]
    kept = tuple(
        Row(row.name, tuple(row.cells[k] for k in keep), row.series)
        for row in grid.rows
        if not rows or row.name in rows
    )
    chart = grid.chart if len(keep) == len(grid.columns) else None
    columns_kept = tuple(grid.columns[k] for k in keep)
    return replace(grid, columns=columns_kept, rows=kept, chart=chart)
