"""One cell as a task of Ray, on a worker."""

import contextlib
import os
import socket
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ray
import torch

from unlearnable.core.errors import UserError
from unlearnable.core.files import Busy, atomic_write
from unlearnable.core.plugins import any_own_code
from unlearnable.core.version import __version__


@dataclass(frozen=True)
class Place:
    """What each task must know. shared: whether all machines see the driver's store; ``token`` is
    the file by which that was found."""

    store: Path
    token: Path
    directory: str
    threads: int
    shared: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a task gives back. files: what it added to its store, where that is not the driver's."""

    value: Any = None
    problem: UserError | None = None
    busy: bool = False
    files: dict[str, bytes] = field(default_factory=dict)


def run_task(
    place: Place, context: list[Any], work: Callable[[Any, Path], Any], *given: Outcome
) -> Outcome:
    """One cell or preparation. context: holds the reference to what all cells read. given: the
    outcome of what it needs."""
    if problem := next((outcome.problem for outcome in given if outcome.problem), None):
        return Outcome(problem=problem)
    torch.set_num_threads(place.threads)
    with contextlib.suppress(OSError):  # not there on a machine of its own
        os.chdir(place.directory)
    try:
        if not place.shared:
            return _on_own_disk(_received(context[0]), work, given)
        if not place.token.exists():
            raise UserError(f"{socket.gethostname()} no longer sees {place.store}; mount it there.")
        return _outcome(work, _received(context[0]), place.store)
    except UserError as e:
        return Outcome(problem=e)


def _outcome(work: Callable[[Any, Path], Any], context: Any, store: Path) -> Outcome:
    """Do the work. Raises UserError, also for what a person's own code raises."""
    with any_own_code():
        try:
            return Outcome(work(context, store))
        except Busy:
            return Outcome(busy=True)


@lru_cache(maxsize=1)
def _received(reference: Any) -> Any:
    """The context, fetched once per worker."""
    return ray.get(reference)


def _on_own_disk(
    context: Any, work: Callable[[Any, Path], Any], given: tuple[Outcome, ...]
) -> Outcome:
    """Work in a store of this task's own, which begins with the files that were ``given``."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        for outcome in given:
            add_files(outcome.files, store)
        before = {*files_in(store)}
        outcome = _outcome(work, context, store)
        return replace(outcome, files=read_files({*files_in(store)} - before, store))


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def read_files(files: Iterable[Path], store: Path) -> dict[str, bytes]:
    """The files by their place in the store, in the order in which they were written: the card of a
    protected set is the last there too."""
    ordered = sorted(files, key=lambda path: path.stat().st_mtime_ns)
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in ordered}


def add_files(files: dict[str, bytes], store: Path) -> None:
    for name, data in files.items():
        if not (store / name).exists():
            with atomic_write(store / name) as tmp:
                tmp.write_bytes(data)


def look(token: Path) -> tuple[str, bool]:
    """What a machine runs, and whether it sees the driver's store."""
    return versions(), token.exists()


def versions() -> str:
    return f"unlearnable {__version__} with torch {version('torch')}"
