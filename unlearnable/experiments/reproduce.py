"""``reproduce``: make the cells of a table that are not there, one by one, and print it beside the
paper's figures."""

from collections.abc import Callable
from pathlib import Path

from unlearnable.core.errors import UserError, unknown
from unlearnable.core.progress import format_duration
from unlearnable.experiments.cell_values import markdown
from unlearnable.experiments.flagged import flags
from unlearnable.experiments.grid import Grid, Table, narrowed
from unlearnable.experiments.records import write_records
from unlearnable.experiments.runner import LearnerSpec, NoiseSpec, Runner, Spec
from unlearnable.experiments.scale import Scale
from unlearnable.experiments.tables import TABLES
from unlearnable.experiments.time_estimate import missing, seconds
from unlearnable.training.precision import Precision


def chosen(name: str) -> list[Table]:
    """The table of that name; ``all``: every one. Raises UserError."""
    if name != "all" and name not in TABLES:
        raise unknown("table", name, [*TABLES, "all"])
    return [TABLES[each].load() for each in (TABLES if name == "all" else [name])]


def reproduce(
    tables: list[Table],
    setting: Scale,
    *,
    seeds: tuple[int, ...] = (0,),
    results: Path | str = "results",
    show: bool = False,
    rows: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
    data_root: str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    say: Callable[[str], None] = print,
) -> str:
    """The tables as Markdown, every seed that is there. What is missing of ``seeds`` is made first,
    unless ``show``; a killed call goes on where it was. results: the folder of the cells, shared by
    all tables and by processes beside each other. rows, columns: only those. Raises UserError for a
    row or column that no table has."""
    lab = setting.lab(Path(results), data_root=data_root, device=device, precision=precision)
    _check_names(tables, setting, rows, columns)
    grids = [(table, narrowed(table.grid(setting), rows, columns)) for table in tables]
    grids = [(table, grid) for table, grid in grids if grid.rows and grid.columns]
    if not show:
        _make(lab, setting, grids, seeds, say)
    return "\n".join(markdown(table, grid, lab, setting, flags(grid, lab)) for table, grid in grids)


def write_record(tables: list[Table], setting: Scale, results: Path | str, file: Path) -> int:
    """Write every cell of these tables that is there into one file, to be kept beside the project;
    how many."""
    lab = setting.lab(Path(results))
    specs = dict.fromkeys(spec for table in tables for spec in table.grid(setting).specs())
    cells = [cell for spec in specs for cell in lab.book.of(lab.asked(spec, 0)).values()]
    if not cells:
        raise UserError(f"{results} has no result of these tables at that size; nothing to record.")
    write_records(cells, file)
    return len(cells)


def _check_names(
    tables: list[Table], setting: Scale, rows: tuple[str, ...], columns: tuple[str, ...]
) -> None:
    grids = [table.grid(setting) for table in tables]
    for kind, wanted, known in (
        ("row", rows, [row.name for grid in grids for row in grid.rows]),
        ("column", columns, [name for grid in grids for name in grid.columns]),
    ):
        if unknown := [name for name in wanted if name not in known]:
            raise UserError(
                f"There is no {kind} '{unknown[0]}'; there are {', '.join(dict.fromkeys(known))}."
            )


def _make(
    lab: Runner,
    setting: Scale,
    grids: list[tuple[Table, Grid]],
    seeds: tuple[int, ...],
    say: Callable[[str], None],
) -> None:
    specs = list(dict.fromkeys(spec for _, grid in grids for spec in grid.specs()))
    todo = missing(lab, specs, seeds)
    learners = sum(isinstance(spec, LearnerSpec) for _, spec in todo)
    say(
        f"{', '.join(table.name for table, _ in grids)}, size {setting.size} of {setting.data} ({setting.about}), "
        f"seeds {', '.join(map(str, seeds))}: {len(specs) * len(seeds)} cells, of which {len(todo)} are not there yet, "
        f"{learners} of those learners."
    )
    if todo:
        say(
            f"On this machine the rest takes about {format_duration(seconds(lab, todo))}. Stop it at any time: the same "
            "command goes on."
        )
    made = 0
    for wait in (False, True):  # what another process is at comes last
        for seed, spec in list(todo):
            if cell := lab.make(spec, seed, wait=wait):
                todo.remove((seed, spec))
                made += 1
                say(
                    f"[{made}/{made + len(todo)}] {described(spec)}, seed {seed}: {_outcome(spec, cell)}"
                )


def described(spec: Spec) -> str:
    """A spec in words: the method and what differs from its defaults, then the learner."""
    method = spec.method
    words = ["clean images"]
    if method is not None:
        changed = {k: v for k, v in vars(method).items() if v != getattr(type(method)(), k, None)}
        words = [f"{type(method).__name__}({', '.join(f'{k}={v}' for k, v in changed.items())})"]
    if isinstance(spec, NoiseSpec):
        return f"noise of {words[0]}"
    words += [f"{spec.fraction:.0%} protected"] * (spec.fraction != 1) + [
        "the rest alone"
    ] * spec.rest
    words += [spec.countermeasure] if spec.countermeasure else []
    return ", ".join(
        [*words, *(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in spec.recipe)]
    )


def _outcome(spec: Spec, cell: dict) -> str:
    return (
        f"{cell['accuracy']:.1f} %" if isinstance(spec, LearnerSpec) else f"{cell['seconds']:.0f} s"
    )
