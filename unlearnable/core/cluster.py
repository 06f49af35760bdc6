"""Cells: independent pieces of work on one store of results, done one by one in this process, or by
the machines of a Ray cluster (the extra ``ray``). A cell is the same function in both places, so
that its result is the same."""

import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Generic, TypeVar

from unlearnable.core.errors import UserError, install
from unlearnable.core.files import Busy
from unlearnable.core.presets import require

RETRIES = 3  # of a cell whose worker is lost
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # else Ray reports to its makers
    "RAY_task_oom_retries": str(RETRIES),  # else without end
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # else it prints on standard output when a worker is lost
}

C = TypeVar("C")
T = TypeVar("T")


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster, and what each cell may use of it.

    address: HOST:PORT of its head; ``auto`` finds the one that this machine belongs to; ``local``
    starts one on this machine. threads: CPU threads per cell (default: as many as this process
    would use, so that the results have the same bits). gpus: GPUs per cell, also a fraction of one
    (default: 1 where the cluster has GPUs and the device is not the CPU, else 0).
    """

    address: str = "local"
    threads: int | None = None
    gpus: float | None = None

    def __post_init__(self) -> None:
        require(self, positive="threads")
        named = re.fullmatch(r"[^\s/]+:\d+", self.address)
        if self.address not in ("auto", "local") and not named:
            raise UserError(
                f"--ray takes HOST:PORT of a cluster's head, auto, or nothing, not "
                f"'{self.address}'; where it has no address, put it last."
            )
        if self.gpus is not None and not (0 <= self.gpus <= 1 or self.gpus == int(self.gpus)):
            raise UserError(
                f"A cell takes a fraction of one GPU or a whole number of them, not {self.gpus:g}."
            )
        if find_spec("ray") is None:
            raise UserError(f"Ray is not installed, an extra: {install('ray')}.")


@dataclass(frozen=True)
class Preparation(Generic[C]):
    """What several cells need and none should make while another does. file: lies in the store once
    it is made, and its folder holds all of it. work: (context, store) -> makes it."""

    file: str
    work: Callable[[C, Path], None]


@dataclass(frozen=True)
class Cell(Generic[C, T]):
    """file: lies in the store once the result is there. work: (context, store, wait) -> the result,
    stored too; where another process is computing it, it waits or raises ``Busy`` (``wait`` False).
    needs: what it makes first by itself, and other cells need too."""

    file: str
    work: Callable[[C, Path, bool], T]
    needs: Preparation[C] | None = None


def run_cells(
    cells: Sequence[Cell[C, T]],
    context: C,
    store: Path,
    *,
    cluster: Cluster | None = None,
    device: str = "auto",
    done: Callable[[int, T], None] = lambda k, value: None,
) -> list[T]:
    """Return the results of all cells, those that another process is computing last.

    context: what all of them read, sent to each machine once. cluster: where they run (default:
    here, one by one). device: of the cells. done: called with the number and result of a cell as
    soon as it is there. Raises UserError of the first cell that fails; what is done is stored.
    """
    results: dict[int, T] = {}

    def take(found: Iterator[tuple[int, T]]) -> None:
        for k, value in found:
            results[k] = value
            done(k, value)

    def left() -> dict[int, Cell[C, T]]:
        return {k: cell for k, cell in enumerate(cells) if k not in results}

    if cluster is not None:
        take(_here({k: c for k, c in left().items() if (store / c.file).exists()}, context, store))
        if left():
            set_environment(cluster.address)
            from unlearnable.core.ray_engine import on_ray

            with closing(on_ray(left(), context, store, cluster, device)) as found:
                take(found)
    for wait in (False, True):
        take(_here(left(), context, store, wait))
    return [results[k] for k in range(len(cells))]


def set_environment(address: str) -> None:
    """Set what Ray reads when it is imported, where nobody has set it."""
    if "ray" in sys.modules:
        return
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if address == "local" and os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":
        # the ports of Ray are open to the network: nobody may use them without this
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _here(
    cells: dict[int, Cell[C, T]], context: C, store: Path, wait: bool = False
) -> Iterator[tuple[int, T]]:
    for k, cell in cells.items():
        with suppress(Busy):
            yield k, cell.work(context, store, wait)
