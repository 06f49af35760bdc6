"""Cells as tasks of Ray: one task per cell, results in the store or returned to it."""

import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import ray
import torch
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from unlearnable.core.cluster import RETRIES, Cell, Cluster, Preparation
from unlearnable.core.errors import UserError
from unlearnable.core.files import unfinished
from unlearnable.core.plugins import one_line
from unlearnable.core.progress import Progress
from unlearnable.core.ray_cluster import (
    able_nodes,
    all_see,
    connected,
    gpus_per_cell,
)
from unlearnable.core.ray_task import Outcome, Place, add_files, files_in, read_files, run_task

logger = logging.getLogger(__name__)

C = TypeVar("C")
T = TypeVar("T")
PATIENCE = 5.0  # seconds for canceled cells to end


def on_ray(
    cells: dict[int, Cell[C, T]], context: C, store: Path, cluster: Cluster, device: str
) -> Generator[tuple[int, T], None, None]:
    """Yield the number and the result of each cell, as they are done. At the end, canceled cells
    have stopped, and a cluster that was started here has ended. Raises UserError where there is no
    such cluster, and that of the first cell that fails."""
    store = store.absolute()
    store.mkdir(parents=True, exist_ok=True)
    with connected(cluster.address), _token(store) as token:
        threads, gpus = cluster.threads or torch.get_num_threads(), gpus_per_cell(cluster, device)
        nodes = able_nodes(threads, gpus)
        place = Place(store, token, os.getcwd(), threads, all_see(nodes, token))
        _say_where(nodes, place, gpus)
        submit = ray.remote(run_task).options(num_cpus=threads, num_gpus=gpus, max_retries=RETRIES)
        start = partial(submit.remote, place, [_sent(context)])
        left, pending = dict(cells), set[Any]()
        try:
            with Progress("cells on Ray", len(cells)) as progress:
                for wait in (False, True):
                    numbers = _started(start, place, left, wait)
                    pending |= numbers.keys()
                    for k, value in _finished(numbers, pending, place):
                        del left[k]
                        yield k, value
                        progress.at(len(cells) - len(left))
        finally:
            _cancel(pending)


def _sent(context: object) -> Any:
    """A reference to what all cells read, sent once."""
    try:
        return ray.put(context)
    except (RayError, MemoryError) as e:
        raise UserError(
            f"The images do not fit into the memory of Ray ({one_line(e)}); give fewer, or start "
            "the cluster with a larger --object-store-memory."
        ) from e


def _started(
    start: Callable[..., Any], place: Place, cells: dict[int, Cell[C, T]], wait: bool
) -> dict[Any, int | None]:
    """Hand all cells to Ray, and what they need before them. Return the number of each task's cell,
    None for a preparation."""
    numbers: dict[Any, int | None] = {}
    made: dict[str, list[Any]] = {}
    for k, cell in cells.items():
        need, given = cell.needs, []
        if need is not None:
            if need.file not in made:
                made[need.file] = _there(need, place)
                if not (place.store / need.file).exists():
                    made[need.file] = [start(need.work)]
                    numbers[made[need.file][0]] = None
            given = made[need.file]
        numbers[start(_Waiting(cell.work, wait), *given)] = k
    return numbers


def _finished(
    numbers: dict[Any, int | None], pending: set[Any], place: Place
) -> Iterator[tuple[int, Any]]:
    """Yield the results as they come, but for those that another process is computing."""
    while pending:
        ready, _ = ray.wait([*pending], timeout=1.0)
        for task in ready:
            pending.discard(task)
            outcome, k = _outcome(task), numbers[task]
            if outcome.problem:
                raise outcome.problem
            add_files(outcome.files, place.store)
            if k is not None and not outcome.busy:
                yield k, outcome.value


@dataclass(frozen=True)
class _Waiting:
    """A cell's work with ``wait`` given."""

    work: Callable[[Any, Path, bool], Any]
    wait: bool

    def __call__(self, context: Any, store: Path) -> Any:
        return self.work(context, store, self.wait)


def _there(need: Preparation[C], place: Place) -> list[Any]:
    """What was made before, to be sent along where the workers do not see it."""
    file = place.store / need.file
    if place.shared or not file.exists():
        return []
    return [ray.put(Outcome(files=read_files(files_in(file.parent), place.store)))]


def _outcome(task: Any) -> Outcome:
    """The outcome of a finished task. Raises UserError where its workers were lost."""
    try:
        outcome: Outcome = ray.get(task)
        return outcome
    except OutOfMemoryError as e:
        raise UserError(
            "A cell was ended by Ray because its machine ran out of memory; give --cell-threads "
            "more, so that fewer cells share a machine, and run the same command again."
        ) from e
    except RayTaskError as e:
        raise (e.cause if isinstance(e.cause, Exception) else e) from None
    except RayError as e:
        raise UserError(
            f"A cell was lost {RETRIES + 1} times with its worker ({one_line(e)}); run the same "
            "command again, which computes only what is missing."
        ) from e


def _cancel(pending: set[Any]) -> None:
    """Interrupt the cells that run, so that none leaves an unfinished file, and drop the others."""
    with contextlib.suppress(RayError):
        for task in pending:
            ray.cancel(task)
        if pending:
            ray.wait([*pending], num_returns=len(pending), timeout=PATIENCE)


@contextlib.contextmanager
def _token(store: Path) -> Iterator[Path]:
    """A file in the store by which machines recognize it. Named like an unfinished file, so that
    one of a killed process is swept away."""
    token = unfinished(store / f"ray-{secrets.token_hex(8)}")
    token.touch()
    try:
        yield token
    finally:
        token.unlink(missing_ok=True)


def _say_where(nodes: list[dict[str, Any]], place: Place, gpus: float) -> None:
    """Say how many cells run at a time, and how their results come back."""
    at_once = 0
    for node in nodes:
        room = int(node["Resources"]["CPU"]) // place.threads
        at_once += min(room, int(node["Resources"]["GPU"] / gpus)) if gpus else room
    where = "this path is shared" if place.shared else "each result is sent back"
    each = f"{place.threads} CPU thread{'s' * (place.threads > 1)}"
    each += f" and {gpus:g} GPU" if gpus else ""
    machines = f"{len(nodes)} machine{'s' * (len(nodes) > 1)}"
    logger.info(
        "Ray: %d cell%s at a time on %s, each with %s; %s.",
        at_once,
        "s" * (at_once > 1),
        machines,
        each,
        where,
    )
