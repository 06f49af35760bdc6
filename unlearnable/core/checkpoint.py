"""The resumable state of one run, which can be killed at any moment."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from unlearnable.core import distributed
from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write, read_json, write_json

SAVE_EVERY = 30.0  # seconds between saves, the most that a killed run loses


State = dict[str, Any]
"""tensors, numbers and nested dictionaries of them, all that a run resumes from"""


class Checkpoint:
    """The saved state of one run in ``folder/state``: one file per process, and ``latest``, which
    names their step.

    ``latest`` is replaced only after every process has written, so a kill at any moment leaves a
    consistent set.
    """

    def __init__(self, folder: Path | None, config: dict[str, Any]):
        """``folder`` None keeps nothing on disk. Raises UserError if the folder belongs to a run of
        another configuration."""
        self.folder = folder and folder / "state"
        self._begin = self._saved = time.monotonic()
        if folder is None:
            return
        self._config = {"config": json.loads(json.dumps(config)), "processes": distributed.world()}
        # Rank 0 decides, so that no process reads what another is still writing.
        problem = self._foreign(folder, self._config) if distributed.rank() == 0 else None
        problem = distributed.broadcast(problem)
        if problem:
            raise UserError(problem)
        self._begin -= (self.load() or {}).get("seconds", 0.0)

    @staticmethod
    def _foreign(folder: Path, mine: dict[str, Any]) -> str | None:
        """Return why this run may not use the folder, or None. Nothing is written before the first
        save."""
        marker = folder / "state" / "config.json"
        if marker.exists():
            theirs = read_json(marker)
            if theirs != mine:
                return (
                    f"{folder} holds the state of another run ({_difference(theirs, mine)}); give "
                    "another --out, or delete the folder to start over."
                )
        elif folder.exists() and (not folder.is_dir() or any(map(_is_content, folder.rglob("*")))):
            return (
                f"{folder} exists and is not this run's output; give another --out, or delete it."
            )
        return None

    def load(self) -> State | None:
        """Return this process's part of the latest state, or None at the start."""
        if self.folder is None or not (latest := self.folder / "latest").exists():
            return None
        step = int(latest.read_text(encoding="utf-8"))
        return torch.load(self._file(self.folder, step), map_location="cpu", weights_only=True)

    @property
    def seconds(self) -> float:
        """Seconds that the run has taken so far, including what earlier processes took up to their
        last save."""
        return time.monotonic() - self._begin

    def save(self, step: int, value: State, *, force: bool = False) -> None:
        """Save if ``SAVE_EVERY`` seconds have passed since the last save (by rank 0's clock)."""
        if self.folder is None or not distributed.broadcast(
            force or time.monotonic() - self._saved > SAVE_EVERY
        ):
            return
        if distributed.rank() == 0 and not (marker := self.folder / "config.json").exists():
            write_json(marker, self._config)
        own = self._file(self.folder, step)
        with atomic_write(own) as tmp:
            torch.save(value | {"seconds": self.seconds}, tmp)
        distributed.barrier()
        if distributed.rank() == 0:
            with atomic_write(self.folder / "latest") as tmp:
                tmp.write_text(str(step), encoding="utf-8")
        distributed.barrier()
        for old in self.folder.glob(f"*-{distributed.rank()}.pt"):
            if old != own:
                old.unlink()
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Delete the state; call this when the results are written."""
        distributed.barrier()
        if self.folder is not None and distributed.rank() == 0:
            shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _file(folder: Path, step: int) -> Path:
        return folder / f"{step:08d}-{distributed.rank()}.pt"


def _is_content(path: Path) -> bool:
    """Whether ``path`` is a file other than what a killed ``atomic_write`` left behind."""
    return path.is_file() and path.suffix != ".part"


def _difference(theirs: dict[str, Any], mine: dict[str, Any], path: str = "") -> str:
    """Describe the first setting in which two configurations differ."""
    for k in sorted({*theirs, *mine}):
        a, b = theirs.get(k), mine.get(k)
        if isinstance(a, dict) and isinstance(b, dict) and a != b:
            return _difference(a, b, f"{path}{k}.")
        if a != b:
            return f"{path}{k} is {a!r} there and {b!r} here"
    return "a different configuration"
