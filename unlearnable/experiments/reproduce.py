"""``reproduce``: measure the cells of a table that are missing, one by one, and print it beside the
paper's figures."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from unlearnable.core.cluster import Cell, Cluster, Preparation, run_cells
from unlearnable.core.errors import UserError, unknown
from unlearnable.core.files import config_hash
from unlearnable.core.progress import format_duration
from unlearnable.evaluation.store import Json
from unlearnable.experiments.cell_values import cell_rows, markdown, result_tables
from unlearnable.experiments.flags import grid_flags
from unlearnable.experiments.grid import Grid, LearnerSpec, NoiseSpec, Spec, Table, narrowed
from unlearnable.experiments.records import canonical, read_records, write_records
from unlearnable.experiments.runner import Runner
from unlearnable.experiments.scale import Scale
from unlearnable.experiments.tables import TABLES
from unlearnable.experiments.time_estimate import missing, seconds
from unlearnable.protection.methods.base import Method
from unlearnable.reports import tables as written
from unlearnable.training.precision import Precision

logger = logging.getLogger(__name__)


def chosen(name: str) -> list[Table]:
    """Return the table of that name; ``all``: every one. Raises UserError for an unknown name."""
    if name != "all" and name not in TABLES:
        raise unknown("table", name, [*TABLES, "all"])
    return [TABLES[each].load() for each in (TABLES if name == "all" else [name])]


def reproduce(
    tables: list[Table],
    scale: Scale,
    *,
    seeds: tuple[int, ...] = (0,),
    results: Path | str = "results",
    show: bool = False,
    rows: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
    data_root: str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    cluster: Cluster | None = None,
    say: Callable[[str], None] = logger.info,
) -> str:
    """Return the tables as Markdown, with every seed that was measured.

    What is missing of ``seeds`` is measured first, unless ``show``; a call that was stopped
    resumes. results: the folder of the results, shared by all tables and by processes that run at
    the same time. rows, columns: only those, by name. cluster: of Ray, whose machines measure the
    cells (default: this process, one by one). say: receives a line per step (default: the log).
    Raises UserError for a row or column that no table has."""
    runner = Runner(scale, Path(results), data_root, device, precision)
    grids = _grids(tables, scale, rows, columns)
    if not show:
        _measure(runner, grids, seeds, say, cluster)
    return "\n".join(
        markdown(table, grid, runner, scale, grid_flags(grid, runner)) for table, grid in grids
    )


@dataclass(frozen=True, eq=False)
class Stored:
    """What is stored of some tables. cells: as in tables.csv; tables: the same, to be read."""

    cells: list[Json]
    tables: list[written.Table]


def read_tables(
    tables: list[Table],
    scale: Scale,
    results: Path | str,
    rows: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
) -> Stored:
    """Return what ``reproduce`` returns, as values; nothing is measured."""
    runner = Runner(scale, Path(results))
    cells: list[Json] = []
    found: list[written.Table] = []
    for table, grid in _grids(tables, scale, rows, columns):
        cells += cell_rows(table, scale, grid, runner)
        found += result_tables(table, grid, runner, scale, grid_flags(grid, runner))
    return Stored(cells, found)


def _grids(
    tables: list[Table], scale: Scale, rows: tuple[str, ...], columns: tuple[str, ...]
) -> list[tuple[Table, Grid]]:
    """Return the tables with what is asked of each. Raises UserError for a name that none has."""
    _check_names(tables, scale, rows, columns)
    grids = [(table, narrowed(table.grid(scale), rows, columns)) for table in tables]
    return [(table, grid) for table, grid in grids if grid.rows and grid.columns]


def write_record(tables: list[Table], scale: Scale, results: Path | str, file: Path) -> int:
    """Write every result of these tables into one file, to be kept with the project, beside those
    that it holds already, and return the number of all. Raises UserError where there is none."""
    runner = Runner(scale, Path(results))
    specs = dict.fromkeys(spec for table in tables for spec in table.grid(scale).specs())
    found = [result for spec in specs for result in runner.found(spec).values()]
    if not found:
        raise UserError(
            f"{results} has no result of these tables at that scale; nothing to record."
        )
    before = read_records(file) if file.exists() else []
    kept = {(canonical(r["config"]), r["config"].get("seed")): r for r in [*before, *found]}
    return write_records([*kept.values()], file)


def _check_names(
    tables: list[Table], scale: Scale, rows: tuple[str, ...], columns: tuple[str, ...]
) -> None:
    grids = [table.grid(scale) for table in tables]
    for kind, wanted, known in (
        ("row", rows, [row.name for grid in grids for row in grid.rows]),
        ("column", columns, [name for grid in grids for name in grid.columns]),
    ):
        if unknown := [name for name in wanted if name not in known]:
            raise UserError(
                f"There is no {kind} '{unknown[0]}'; there are {', '.join(dict.fromkeys(known))}."
            )


def _measure(
    runner: Runner,
    grids: list[tuple[Table, Grid]],
    seeds: tuple[int, ...],
    say: Callable[[str], None],
    cluster: Cluster | None,
) -> None:
    """Measure what is missing. What another process is measuring comes last."""
    specs = list(dict.fromkeys(spec for _, grid in grids for spec in grid.specs()))
    todo = missing(runner, specs, seeds)
    _say_plan(runner, [table.name for table, _ in grids], len(specs), seeds, todo, say)
    if todo and cluster:
        _ = runner.clean, runner.test  # sent along
    made: list[int] = []

    def done(k: int, result: Json) -> None:
        made.append(k)
        seed, spec = todo[k]
        runner.records.add(result)
        say(f"[{len(made)}/{len(todo)}] {described(spec)}, seed {seed}: {_outcome(spec, result)}")

    cells = [_cell(runner, seed, spec) for seed, spec in todo]
    run_cells(cells, runner, runner.folder, cluster=cluster, device=runner.device, done=done)


def _cell(runner: Runner, seed: int, spec: Spec) -> Cell[Runner, Json]:
    """One cell of a table; first its noise is made, which other cells have in common."""
    needs = None
    if (method := spec.method) is not None:
        card = runner.protected_folder(method, seed).relative_to(runner.folder) / "card.json"
        needs = Preparation(str(card), partial(_make_noise, method=method, seed=seed))
    file = f"{config_hash(runner.config(spec, seed))}/cell.json"
    return Cell(file, partial(_measured, spec=spec, seed=seed), needs)


def _measured(runner: Runner, store: Path, wait: bool, *, spec: Spec, seed: int) -> Json:
    return runner.at(store).measure(spec, seed, wait=wait)


def _make_noise(runner: Runner, store: Path, *, method: Method, seed: int) -> None:
    runner.at(store).protected(method, seed)


def _say_plan(
    runner: Runner,
    names: list[str],
    specs: int,
    seeds: tuple[int, ...],
    todo: list[tuple[int, Spec]],
    say: Callable[[str], None],
) -> None:
    scale, learners = runner.scale, sum(isinstance(spec, LearnerSpec) for _, spec in todo)
    say(
        f"{', '.join(names)}, scale {scale.name} of {scale.data} ({scale.about}), seeds "
        f"{', '.join(map(str, seeds))}: {specs * len(seeds)} cells, of which {len(todo)} are "
        f"missing, {learners} of them learners."
    )
    if todo:
        say(
            f"On this machine these take about {format_duration(seconds(runner, todo))}. Stop at "
            "any time: the same command resumes."
        )


def described(spec: Spec) -> str:
    """Return a spec in words: the method and what differs from its defaults, then the learner."""
    method = spec.method
    images = "clean images"
    if method is not None:
        changed = {k: v for k, v in vars(method).items() if v != getattr(type(method)(), k, None)}
        settings = ", ".join(f"{k}={v}" for k, v in changed.items())
        images = f"{type(method).__name__}({settings})"
    if isinstance(spec, NoiseSpec):
        return f"noise of {images}"
    words = [images]
    words += [f"{spec.fraction:.0%} protected"] * (spec.fraction != 1)
    words += ["the rest alone"] * spec.rest
    words += [spec.learner.countermeasure] if spec.learner.countermeasure else []
    words += [f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in spec.learner.changes]
    return ", ".join(words)


def _outcome(spec: Spec, result: Json) -> str:
    if isinstance(spec, LearnerSpec):
        return f"{result['accuracy']:.1f} %"
    return f"{result['seconds']:.0f} s"
