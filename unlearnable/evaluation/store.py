"""One small JSON file a result, in a folder named by the configuration: made once, read by every
table."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from unlearnable.core.errors import UserError
from unlearnable.core.files import config_hash, read_json, write_json

try:
    import fcntl
except ImportError:  # Windows: there two processes must not share a folder of results
    fcntl = None


# of a learner's result: what a cell keeps. Its model and settings stay out: a hundred tables of
# weights fill a disk
LEARNER_FIELDS = (
    "accuracy",
    "peak",
    "log",
    "passes",
    "seconds",
    "hardware",
    "torch",
    "version",
    "commit",
    "command",
)


def get_or_compute(
    root: Path, config: dict, compute: Callable[[Path], dict], *, wait: bool = True
) -> dict | None:
    """The result of ``config``: read where it is there, else ``compute(folder)`` and kept as
    folder/cell.json.

    Where another process is at the same result: waited for, or (``wait`` False) None. Raises
    UserError for a file that is no whole result."""
    folder = root / config_hash(config)
    if not exists(root, config):
        with _alone(folder, wait) as here:
            if not here:
                return None
            if not exists(root, config):
                write_json(folder / "cell.json", {"config": config, **compute(folder)})
    return read_cell(folder / "cell.json", json.loads(json.dumps(config)))


def exists(root: Path, config: dict) -> bool:
    """Whether ``once`` would only read."""
    return (root / config_hash(config) / "cell.json").exists()


def read_cell(path: Path, config: dict | None = None) -> dict:
    """The result in ``path``. Raises UserError for what is no whole result, or not that of
    ``config``."""
    cell = read_json(path)
    if (
        not isinstance(cell, dict)
        or "config" not in cell
        or len(cell) < 2
        or config not in (None, cell["config"])
    ):
        raise UserError(
            f"{path} is no whole result; delete {path.parent} and run the same command again."
        )
    return cell


@contextlib.contextmanager
def _alone(folder: Path, wait: bool) -> Iterator[bool]:
    """Holds the folder against other processes while this one lives. False where one has it and is
    not waited for."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY) if fcntl else None
    mine = handle is None or _lock(handle, wait)
    try:
        yield mine
    finally:
        if mine:
            with contextlib.suppress(OSError):
                folder.rmdir()  # where nothing came of it
        if handle is not None:
            os.close(handle)


def _lock(handle: int, wait: bool) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # some network file systems lock no folders
        pass
    return True


def rows(root: Path, **where: object) -> Iterator[dict]:
    """Every result whose config has these values."""
    for path in sorted(root.glob("*/cell.json")):
        cell = read_cell(path)
        if all(cell["config"].get(k) == v for k, v in where.items()):
            yield cell
