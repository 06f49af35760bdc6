"""The resumable state of one run, which can be killed at any moment."""

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from unlearnable.core import distributed
from unlearnable.core.errors import UserError
from unlearnable.core.files import (
    PART,
    Busy,
    atomic_write,
    file_digest,
    lock,
    read_json,
    remove_unfinished,
    run_marker,
    write_json,
)
from unlearnable.core.finite import diverged, is_finite

logger = logging.getLogger(__name__)

SAVE_EVERY = 30.0  # seconds between saves, the most that a killed run loses
QUICK = 1.5  # seconds of a save; one of twice as many comes half as often: 5 % of a run at most
State = dict[str, Any]
"""tensors, numbers and nested dictionaries of them, all that a run resumes from"""


@contextlib.contextmanager
def held(folder: Path | None) -> Iterator[None]:
    """Inside, this run alone writes into ``folder`` (None: into no folder). Raises UserError where
    another process does."""
    with contextlib.ExitStack() as stack:
        problem = None
        if folder is not None and distributed.rank() == 0 and not folder.is_file():
            try:
                stack.enter_context(lock(folder, wait=False))
            except Busy:
                problem = (
                    f"Another process is writing into {folder}; wait until it is done, and run the "
                    "same command again."
                )
            except UserError as e:
                problem = str(e)
        if problem := distributed.broadcast(problem):
            raise UserError(problem)
        yield


class Checkpoint:
    """The saved state of one run in ``folder/state``: ``config.json``, which marks the folder as
    this run's, one file per process, and ``latest``, which names their step.

    The marker comes before any output, and ``latest`` is replaced only after every process has
    written. So a kill at any moment leaves what the same run resumes from.
    """

    def __init__(self, folder: Path | None, config: dict[str, Any]):
        """folder: None keeps nothing on disk. Raises UserError if it belongs to a run of another
        configuration."""
        self.folder = folder and folder / "state"
        self._begin = self._saved = time.monotonic()
        self._slower = 1.0
        self._claimed = self._outdated = False
        if folder is None:
            return
        self._config = {"config": json.loads(json.dumps(config)), "processes": distributed.world()}
        # Rank 0 decides, so that no process reads what another is still writing.
        first = distributed.rank() == 0
        self._outdated = distributed.broadcast(first and self._is_of_other_code(folder))
        problem = self._foreign(folder) if first and not self._outdated else None
        problem = distributed.broadcast(problem)
        if problem:
            raise UserError(problem)
        self._begin -= (self._latest() or {}).get("seconds", 0.0)

    def _foreign(self, folder: Path) -> str | None:
        """Return why this run may not use ``folder``, or None. Nothing is written before
        ``claim``."""
        marker = run_marker(folder)
        if folder.is_dir() and not any(_is_content(p) and p != marker for p in folder.rglob("*")):
            return None
        if marker.exists():
            if (theirs := read_json(marker)) == self._config:
                return None
            return (
                f"{folder} holds the state of another run ({difference(theirs, self._config)}); "
                "give another --out, or delete the folder to start over."
            )
        if folder.exists():
            return (
                f"{folder} exists and is not this run's output; give another --out, or delete it."
            )
        return None

    def _is_of_other_code(self, folder: Path) -> bool:
        """Whether ``folder`` holds the state of this very run, but for an edit of a person's own
        code since. It is not gone on with: the same command begins anew."""
        marker = run_marker(folder)
        theirs = read_json(marker) if marker.exists() else None
        if not isinstance(theirs, dict) or theirs == self._config:
            return False
        bare = [_without_code(config) for config in (theirs, self._config)]
        if outdated := bare[0] == bare[1]:
            logger.warning(
                "Your code has changed since the unfinished run in %s; it begins anew.", folder
            )
        return outdated

    def claim(self) -> None:
        """Mark the folder as this run's. Every process calls it, before anything else is written
        there."""
        if self.folder is None or self._claimed:
            return
        if distributed.rank() == 0:
            if self._outdated:  # the marker last: until then it is outdated
                (self.folder / "latest").unlink(missing_ok=True)
                for part in self.folder.iterdir():
                    if part.is_dir():
                        shutil.rmtree(part)
            write_json(run_marker(self.folder.parent), self._config)
            remove_unfinished(self.folder.parent)
        distributed.barrier()
        self._claimed = True

    def part(self, name: str, config: dict[str, Any]) -> "Checkpoint":
        """Return the state of a part of the run, which lies beside this one and resumes with it.
        Every process calls it."""
        self.claim()
        return Checkpoint(self.folder and self.folder / name, config)

    def load(self) -> State | None:
        """Return this process's part of the latest state, or None at the start. Raises UserError
        for a damaged one."""
        if self.folder is None or (latest := self._latest()) is None:
            return None
        file = self._file(self.folder, latest["step"])
        try:
            if file_digest(file) != latest["digests"][distributed.rank()]:
                raise ValueError("its digest differs")
            return torch.load(file, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, ValueError, IndexError, EOFError) as e:
            raise self._damaged() from e

    def _latest(self) -> dict[str, Any] | None:
        """Step, seconds, and every process's digest of the last save."""
        if self.folder is None or not (path := self.folder / "latest").exists():
            return None
        if self._outdated and not self._claimed:
            return None
        try:
            latest = json.loads(path.read_text(encoding="utf-8"))
            step, seconds = int(latest["step"]), float(latest["seconds"])
            return {"step": step, "seconds": seconds, "digests": [*latest["digests"]]}
        except (OSError, ValueError, TypeError, KeyError, OverflowError) as e:
            raise self._damaged() from e

    def _damaged(self) -> UserError:
        return UserError(f"The saved state in {self.folder} is damaged; delete it to start over.")

    @property
    def seconds(self) -> float:
        """Seconds that the run has taken so far, including what earlier processes took up to their
        last save."""
        return time.monotonic() - self._begin

    def count_at_least(self, seconds: float) -> None:
        """Count no less than the ``seconds`` of a part of the run that keeps a state of its own."""
        self._begin = min(self._begin, time.monotonic() - seconds)

    def save(self, step: int, state: Callable[[], State], *, force: bool = False) -> None:
        """Save what ``state`` returns if ``SAVE_EVERY`` seconds have passed since the last save (by
        rank 0's clock), or longer where a save takes long: putting a state together takes a tenth
        of a fast step. Raises UserError, and keeps the last one, where a number of it is not
        finite."""
        if self.folder is None or not distributed.broadcast(
            force or time.monotonic() - self._saved > SAVE_EVERY * self._slower
        ):
            return
        begin = time.monotonic()
        value = state()
        if distributed.sum_int(not is_finite(value)):
            raise diverged(f"After step {step}")
        self.claim()
        own = self._file(self.folder, step)
        with atomic_write(own) as tmp:
            try:
                torch.save(value, tmp)
            except RuntimeError as e:  # how torch's writer reports a full disk, in several wordings
                raise OSError(str(e)) from e
            digest = file_digest(tmp)
        digests = distributed.gather(digest)  # waits until every process has written
        if distributed.rank() == 0:
            latest = {"step": step, "seconds": self.seconds, "digests": digests}
            write_json(self.folder / "latest", latest)
        distributed.barrier()
        for old in self.folder.glob(f"*-{distributed.rank()}.pt"):
            if old != own:
                old.unlink()
        self._saved = time.monotonic()
        self._slower = max(1.0, (self._saved - begin) / QUICK)

    def remove(self) -> None:
        """Delete the state and what killed writers left; call this when the results are written,
        and where they were found so."""
        distributed.barrier()
        if self.folder is not None and distributed.rank() == 0:
            tidy(self.folder.parent)

    @staticmethod
    def _file(folder: Path, step: int) -> Path:
        return folder / f"{step:08d}-{distributed.rank()}.pt"


def tidy(folder: Path) -> None:
    """Delete the state and the unfinished files of a run whose results are in ``folder``. A folder
    that may not be written to stays as it is."""
    with contextlib.suppress(OSError):
        shutil.rmtree(folder / "state", ignore_errors=True)
        remove_unfinished(folder)


def _without_code(config: dict[str, Any]) -> dict[str, Any]:
    settings = config.get("config")
    kept = settings if not isinstance(settings, dict) else settings | {"own_code": None}
    return config | {"config": kept}


def _is_content(path: Path) -> bool:
    """Whether ``path`` is a file other than what a killed ``atomic_write`` left behind."""
    return path.is_file() and not PART.fullmatch(path.name)


def difference(theirs: object, mine: dict[str, Any], path: str = "") -> str:
    """Describe the first setting in which two configurations differ."""
    if not isinstance(theirs, dict):
        return "a different configuration"
    for k in sorted({*theirs, *mine}, key=lambda name: (name == "own_code", name)):
        a, b = theirs.get(k), mine.get(k)
        if isinstance(a, dict) and isinstance(b, dict) and a != b:
            return difference(a, b, f"{path}{k}.")
        if a != b:
            return f"{path}{k} is {a!r} there and {b!r} here"
    return "a different configuration"
