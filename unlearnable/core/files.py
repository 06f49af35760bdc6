"""Files that are whole or not there, JSON, and the hash of a configuration."""

import contextlib
import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from unlearnable.core.errors import UserError


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path``; the finished file takes its place in one step, or
    nothing does."""
    # cut short: the longest names of files leave no room for more
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except (OSError, RuntimeError) as e:
        # torch's writer turns a full disk into a RuntimeError
        if (
            isinstance(e, RuntimeError)
            and "write" not in str(e)
            and "inline_container" not in str(e)
        ):
            raise
        raise _disk_error(e, path) from e
    finally:
        temporary.unlink(missing_ok=True)


def _disk_error(e: OSError | RuntimeError, path: Path) -> UserError:
    number = getattr(e, "errno", None)
    # numpy and torch report a write that fell short without a number
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None):
        return UserError(
            f"No space left to write {path}; free some space and run the same command again."
        )
    return UserError(
        f"Cannot write {path} ({e.strerror or e}); check the folder and its permissions."
    )


def write_json(path: Path, value: object) -> None:
    with atomic_write(path) as tmp:
        tmp.write_text(json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as e:
        raise UserError(
            f"{path} cannot be read as JSON ({e}); delete its folder and make it again."
        ) from e


def config_hash(config: dict) -> str:
    """Twelve hexadecimal digits that name a configuration."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
