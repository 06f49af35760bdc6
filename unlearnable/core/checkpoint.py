"""The state of a run that can be killed at any moment."""

import json
import shutil
import time
from pathlib import Path

import torch

from unlearnable.core import distributed
from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write, read_json, write_json

SAVE_EVERY = 30.0  # seconds between saves: what a killed run loses at most


class Checkpoint:
    """The saved state of one run in ``folder/state``: a file for each process and ``latest``, which
    names their step.

    ``latest`` is replaced only after every process has written, so a kill at any moment leaves a
    consistent set. A folder of another configuration is refused.
    """

    def __init__(self, folder: Path | None, config: dict):
        """``folder`` None keeps nothing on disk. Raises UserError when the folder belongs to
        another run."""
        self.folder = folder and folder / "state"
        self._begin = self._saved = time.monotonic()
        if folder is None:
            return
        self._config = {"config": json.loads(json.dumps(config)), "processes": distributed.world()}
        # rank 0 decides, so that no process reads what another is still writing
        problem = self._foreign(folder, self._config) if distributed.rank() == 0 else None
        if problem := distributed.broadcast(problem):
            raise UserError(problem)
        self._begin -= (self.load() or {}).get("seconds", 0.0)

    @staticmethod
    def _foreign(folder: Path, mine: dict) -> str | None:
        """Why this run may not use the folder. Nothing is written before the first save."""
        marker = folder / "state" / "config.json"
        if marker.exists():
            if read_json(marker) != mine:
                return (
                    f"{folder} holds the state of another run ({_difference(read_json(marker), mine)}); give another "
                    "--out, or delete the folder to start over."
                )
        elif folder.exists() and (not folder.is_dir() or any(map(_is_content, folder.rglob("*")))):
            return (
                f"{folder} exists and is not this run's output; give another --out, or delete it."
            )
        return None

    def load(self) -> dict | None:
        """This process's part of the latest state, or None at the start."""
        if self.folder is None or not (latest := self.folder / "latest").exists():
            return None
        return torch.load(
            self._file(int(latest.read_text())), map_location="cpu", weights_only=True
        )

    @property
    def seconds(self) -> float:
        """What the run has taken so far, the time before a kill included, up to the last save
        before it."""
        return time.monotonic() - self._begin

    def save(self, step: int, value: dict, *, force: bool = False) -> None:
        """Save when ``SAVE_EVERY`` seconds have passed since the last time (rank 0's clock decides
        for all)."""
        if self.folder is None or not distributed.broadcast(
            force or time.monotonic() - self._saved > SAVE_EVERY
        ):
            return
        if distributed.rank() == 0 and not (marker := self.folder / "config.json").exists():
            write_json(marker, self._config)
        with atomic_write(self._file(step)) as tmp:
            torch.save(value | {"seconds": self.seconds}, tmp)
        distributed.barrier()
        if distributed.rank() == 0:
            with atomic_write(self.folder / "latest") as tmp:
                tmp.write_text(str(step))
        distributed.barrier()
        for old in self.folder.glob(f"*-{distributed.rank()}.pt"):
            if old != self._file(step):
                old.unlink()
        self._saved = time.monotonic()

    def remove(self) -> None:
        """The run is done and its results are written."""
        distributed.barrier()
        if self.folder is not None and distributed.rank() == 0:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, step: int) -> Path:
        return self.folder / f"{step:08d}-{distributed.rank()}.pt"


def _is_content(path: Path) -> bool:
    """A file that is not the unfinished remainder of a killed ``writing``."""
    return path.is_file() and path.suffix != ".part"


def _difference(theirs: dict, mine: dict, path: str = "") -> str:
    """The first setting in which two configurations differ, in words."""
    for k in sorted({*theirs, *mine}):
        a, b = theirs.get(k), mine.get(k)
        if isinstance(a, dict) and isinstance(b, dict) and a != b:
            return _difference(a, b, f"{path}{k}.")
        if a != b:
            return f"{path}{k} is {a!r} there and {b!r} here"
    return "a different configuration"
