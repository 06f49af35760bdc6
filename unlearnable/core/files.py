"""Atomic writes, JSON, and the hash of a configuration."""

import contextlib
import errno
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unlearnable.core.errors import UserError


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``. The finished file takes its place in one step, or, if
    the block raises, nothing does. Raises UserError for a full disk and a folder that refuses."""
    # Cut short, because the longest file names leave no room for more.
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except (OSError, RuntimeError) as e:
        # torch's writer turns a full disk into a RuntimeError
        if isinstance(e, RuntimeError) and not re.search("write|inline_container", str(e)):
            raise
        raise _disk_error(e, path) from e
    finally:
        temporary.unlink(missing_ok=True)


def _disk_error(e: OSError | RuntimeError, path: Path) -> UserError:
    number = e.errno if isinstance(e, OSError) else None
    # numpy and torch report a short write without an error number
    if number is None or number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return UserError(
            f"No space left to write {path}; free some space and run the same command again."
        )
    return UserError(
        f"Cannot write {path} ({os.strerror(number)}); check the folder and its permissions."
    )


def write_json(path: Path, value: object) -> None:
    with atomic_write(path) as tmp:
        tmp.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Return what the JSON file holds. Raises UserError for a missing or damaged file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise UserError(
            f"{path} cannot be read as JSON ({e}); delete its folder and make it again."
        ) from e


def config_hash(config: dict[str, Any]) -> str:
    """Return the twelve hexadecimal digits that name a configuration."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
