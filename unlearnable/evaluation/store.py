"""Results on disk: one small JSON file per result, in a folder named by its configuration. A result
is computed once and read by every audit and table that asks for it."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unlearnable.core.errors import UserError
from unlearnable.core.files import (
    config_hash,
    lock,
    read_json,
    remove_unfinished,
    write_json,
)

logger = logging.getLogger(__name__)

Json = dict[str, Any]


def get_or_compute(
    root: Path, config: Json, compute: Callable[[Path], Json], *, wait: bool = True
) -> Json:
    """Return the result of ``config`` with ``config`` in it: read from ``root``, or the fields that
    ``compute(run)`` returns, then stored as cell.json. run: a folder for what a call that is killed
    resumes from, removed once the result is stored.

    Where another process is computing the same result, wait for it, or raise ``Busy`` (``wait``
    False). Raises UserError for a damaged file."""
    folder = root / config_hash(config)
    run = folder / "run"
    logger.debug("%s %s", "found" if exists(root, config) else "to compute:", folder)
    if not exists(root, config) or run.exists():
        with lock(folder, wait=wait):
            remove_unfinished(folder)
            if not exists(root, config):  # the other process may have stored it meanwhile
                write_json(folder / "cell.json", {"config": config, **compute(run)})
            shutil.rmtree(run, ignore_errors=True)
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
        or not isinstance(cell.get("config"), dict)
        or len(cell) < 2
        or config not in (None, cell["config"])
    ):
        raise UserError(
            f"{path} is not a complete result; delete {path.parent} and run the same command again."
        )
    return cell


def without_defaults(settings: Json, default: object) -> Json:
    """The settings that differ from those of ``default``. Keys hold only these, so that a setting
    that is added later orphans no result. Settings read from JSON, whose tuples are lists, are the
    same."""
    defaults = json.loads(json.dumps(vars(default)))
    read = json.loads(json.dumps(settings))
    return {k: v for k, v in settings.items() if k not in defaults or read[k] != defaults[k]}


def rows(root: Path, **where: object) -> Iterator[Json]:
    """Yield every result whose configuration has these values."""
    for path in sorted(root.glob("*/cell.json")):
        cell = read_cell(path)
        if all(cell["config"].get(k) == v for k, v in where.items()):
            yield cell
