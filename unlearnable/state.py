"""Files that are whole or not there, and the state of a run that can be killed at any moment."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from . import dist
from .errors import UserError

SAVE_EVERY = 30.0  # seconds between saves: what a killed run loses at most


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path``; the finished file takes its place in one step, or nothing does."""
    # cut short: the longest names of files leave no room for more
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except (OSError, RuntimeError) as e:
        # torch's writer turns a full disk into a RuntimeError
        if isinstance(e, RuntimeError) and "write" not in str(e) and "inline_container" not in str(e):
            raise
        raise _disk_error(e, path) from e
    finally:
        temporary.unlink(missing_ok=True)


def _disk_error(e: OSError | RuntimeError, path: Path) -> UserError:
    number = getattr(e, "errno", None)
    # numpy and torch report a write that fell short without a number
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None):
        return UserError(f"No space left to write {path}; free some space and run the same command again.")
    return UserError(f"Cannot write {path} ({e.strerror or e}); check the folder and its permissions.")


def write_json(path: Path, value: object) -> None:
    with writing(path) as tmp:
        tmp.write_text(json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as e:
        raise UserError(f"{path} cannot be read as JSON ({e}); delete its folder and make it again.") from e


def key(config: dict) -> str:
    """Twelve hexadecimal digits that name a configuration."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]


class State:
    """The saved state of one run in ``folder/state``: a file for each process and ``latest``, which names their step.

    ``latest`` is replaced only after every process has written, so a kill at any moment leaves a consistent set.
    A folder of another configuration is refused.
    """

    def __init__(self, folder: Path | None, config: dict):
        """``folder`` None keeps nothing on disk. Raises UserError when the folder belongs to another run."""
        self.folder = folder and folder / "state"
        self._begin = self._saved = time.monotonic()
        if folder is None:
            return
        self._config = {"config": json.loads(json.dumps(config)), "processes": dist.world()}
        # rank 0 decides, so that no process reads what another is still writing
        problem = self._foreign(folder, self._config) if dist.rank() == 0 else None
        if problem := dist.agree(problem):
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
            return f"{folder} exists and is not this run's output; give another --out, or delete it."
        return None

    def load(self) -> dict | None:
        """This process's part of the latest state, or None at the start."""
        if self.folder is None or not (latest := self.folder / "latest").exists():
            return None
        return torch.load(self._file(int(latest.read_text())), map_location="cpu", weights_only=True)

    @property
    def seconds(self) -> float:
        """What the run has taken so far, the time before a kill included, up to the last save before it."""
        return time.monotonic() - self._begin

    def save(self, step: int, value: dict, *, force: bool = False) -> None:
        """Save when ``SAVE_EVERY`` seconds have passed since the last time (rank 0's clock decides for all)."""
        if self.folder is None or not dist.agree(force or time.monotonic() - self._saved > SAVE_EVERY):
            return
        if dist.rank() == 0 and not (marker := self.folder / "config.json").exists():
            write_json(marker, self._config)
        with writing(self._file(step)) as tmp:
            torch.save(value | {"seconds": self.seconds}, tmp)
        dist.barrier()
        if dist.rank() == 0:
            with writing(self.folder / "latest") as tmp:
                tmp.write_text(str(step))
        dist.barrier()
        for old in self.folder.glob(f"*-{dist.rank()}.pt"):
            if old != self._file(step):
                old.unlink()
        self._saved = time.monotonic()

    def remove(self) -> None:
        """The run is done and its results are written."""
        dist.barrier()
        if self.folder is not None and dist.rank() == 0:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, step: int) -> Path:
        return self.folder / f"{step:08d}-{dist.rank()}.pt"


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
