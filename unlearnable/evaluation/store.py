"""Results on disk: one small JSON file per result, in a folder named by its configuration. A result
is computed once and read by every audit and table that asks for it."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unlearnable.core.errors import UserError
from unlearnable.core.files import config_hash, read_json, write_json

if sys.platform != "win32":  # there, two processes must not share a folder of results
    import fcntl

Json = dict[str, Any]


class Busy(Exception):
    """Another process is computing this result."""


def get_or_compute(
    root: Path, config: Json, compute: Callable[[Path], Json], *, wait: bool = True
) -> Json:
    """Return the result of ``config`` with ``config`` in it: read from ``root``, or the fields that
    ``compute(folder)`` returns, then stored as folder/cell.json.

    Where another process is computing the same result, wait for it, or raise ``Busy`` (``wait``
    False). Raises UserError for a damaged file."""
    folder = root / config_hash(config)
    if not exists(root, config):
        with _lock(folder, wait):
            if not exists(root, config):  # the other process may have stored it meanwhile
                write_json(folder / "cell.json", {"config": config, **compute(folder)})
    return read_cell(folder / "cell.json", json.loads(json.dumps(config)))


def exists(root: Path, config: Json) -> bool:
    """Whether ``get_or_compute`` would only read."""
    return (root / config_hash(config) / "cell.json").exists()


def read_cell(path: Path, config: Json | None = None) -> Json:
    """Read the result in ``path``. Raises UserError for a damaged one, and for one of another
    configuration than ``config``."""
    cell: object = read_json(path)
    if (
        not isinstance(cell, dict)
        or "config" not in cell
        or len(cell) < 2
        or config not in (None, cell["config"])
    ):
        raise UserError(
            f"{path} is not a complete result; delete {path.parent} and run the same command again."
        )
    return cell


def without_defaults(settings: Json, default: object) -> Json:
    """The settings that differ from those of ``default``. Keys hold only these, so that a setting
    that is added later orphans no result."""
    defaults = vars(default)
    return {k: v for k, v in settings.items() if k not in defaults or v != defaults[k]}


@contextlib.contextmanager
def _lock(folder: Path, wait: bool) -> Iterator[None]:
    """Hold ``folder`` against other processes. A lock ends with its process, so that none is left
    behind by one that was killed. Raises ``Busy`` where it is held and ``wait`` is False."""
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as e:
            raise Busy(folder) from e
        except OSError:  # some network file systems do not lock folders
            pass
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                folder.rmdir()  # where nothing was stored
    finally:
        os.close(handle)


def rows(root: Path, **where: object) -> Iterator[Json]:
    """Yield every result whose configuration has these values."""
    for path in sorted(root.glob("*/cell.json")):
        cell = read_cell(path)
        if all(cell["config"].get(k) == v for k, v in where.items()):
            yield cell
