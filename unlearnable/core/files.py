"""Atomic writes, locks, JSON, and the hash of a configuration."""

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from unlearnable.core.errors import UserError

if sys.platform != "win32":  # there, two processes must not share a folder of results
    import fcntl

HOST = zlib.crc32(platform.node().encode())  # tells machines apart that share a folder
# what ``atomic_write`` calls an unfinished file: .NAME.PROCESS-THREAD-HOST.part
PART = re.compile(r"\..+\.(\d+)(?:-\d+)?(?:-(\d+))?\.part")
_swept: set[Path] = set()  # folders in which this process looked for files of killed ones


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``. The finished file takes its place in one step, or, if
    the block raises, nothing does. What is there after the block is there after a power cut too.
    Raises UserError for a full disk, for a folder that refuses or is itself ``path``, and for a
    device or a pipe, which a file would replace."""
    if not path.name:
        raise UserError(f"{path} is a folder; give the name of a file.")
    if path.exists() and not (path.is_file() or path.is_dir()):  # /dev/null
        raise UserError(f"{path} is a device or a pipe; give the name of a file.")
    temporary = unfinished(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        if sys.platform != "win32":  # where a folder cannot be opened
            _sync(path.parent)
    except OSError as e:
        raise _disk_error(e, path) from e
    finally:
        with contextlib.suppress(OSError):  # a folder that refuses has no such file
            temporary.unlink()


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside ``path``. Filled, it takes its place in one step, or, if the block
    raises, nothing does. Raises UserError for a full disk, for a folder that refuses, and where
    ``path`` is anything but an empty folder."""
    require_new_folder(path)
    temporary = unfinished(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        temporary.mkdir()
        yield temporary
        if sys.platform != "win32":
            os.sync()  # one call for thousands of files
        elif path.exists():  # there, a folder does not take the place of another
            path.rmdir()
        os.replace(temporary, path)
        if sys.platform != "win32":
            _sync(path.parent)
    except OSError as e:
        raise _disk_error(e, path) from e
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def require_new_folder(path: Path) -> None:
    """Raise UserError where ``path`` is anything but an empty folder."""
    if not path.name or (os.path.lexists(path) and not _is_empty_folder(path)):
        raise UserError(f"{path} exists already; choose another folder, or delete it.")


def _is_empty_folder(path: Path) -> bool:
    try:
        return not path.is_symlink() and path.is_dir() and not any(path.iterdir())
    except OSError:  # one that may not be read
        return False


def unfinished(path: Path) -> Path:
    """The name beside ``path`` under which this process and thread writes it. Cut short, because
    the longest file names leave no room for more."""
    writer = f"{os.getpid()}-{threading.get_ident()}-{HOST}"
    return path.with_name(f".{path.name[:40]}.{writer}.part")


def _sweep(folder: Path) -> None:
    """Delete what processes of this machine that were killed left of their ``atomic_write`` or
    ``atomic_folder`` in ``folder``: once per process, because that reads the whole folder."""
    if folder in _swept or sys.platform == "win32":  # where a process cannot be asked for
        return
    _swept.add(folder)
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            found = PART.fullmatch(entry.name)
            ours = found and found[2] == str(HOST)
            if found and ours and not entry.is_symlink() and not _runs(int(found[1])):
                _delete(Path(entry.path))


def _delete(path: Path) -> None:
    """Delete a file, or a folder with all that is in it."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    """Whether a process of that number runs on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's process, or not a process number
        return True
    return True


def move(made: Path, to: Path, within: Path) -> None:
    """Move the finished file ``made`` to ``to``, in one step and on the same disk; afterwards it is
    there after a power cut too. Folders below ``within`` are made if need be and must not be links:
    those would lead into another folder. Raises UserError."""
    refuse_links(to, within)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        if sys.platform == "win32":
            os.replace(made, to)
            return
        # opened without following links, because one may be put there at this very moment
        folder = os.open(to.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.replace(made, to.name, dst_dir_fd=folder)
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as e:
        refuse_links(to, within)
        raise _disk_error(e, to) from e


def refuse_links(path: Path, within: Path) -> None:
    """Raise UserError where ``path``, or a folder between it and ``within``, is a symbolic link."""
    for part in (path, *path.parents):
        if part == within:
            return
        if part.is_symlink():
            raise UserError(
                f"{part} is a symbolic link, which may lead into a folder of yours; delete it and "
                "run the same command again."
            )


def allocate(file: BinaryIO, size: int) -> None:
    """Set aside ``size`` bytes of the disk behind what was written, where the system can, so that a
    long piece of writing learns at its beginning that there is no room. Raises OSError."""
    if sys.platform == "linux":
        file.flush()
        try:
            os.posix_fallocate(file.fileno(), file.tell(), size)
        except OSError as e:
            if e.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system that cannot
                raise


def _sync(path: Path) -> None:
    """Wait until the file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_unfinished(folder: Path) -> None:
    """Delete what writers that were killed left under ``folder``, which nobody else may be writing
    into (``lock``)."""
    for path in [*folder.rglob(".*.part")]:
        if PART.fullmatch(path.name) and not path.is_symlink():
            _delete(path)


def run_marker(folder: Path) -> Path:
    """The file that marks ``folder`` as that of a run, until the run has finished
    (checkpoint.py)."""
    return folder / "state" / "config.json"


class Busy(Exception):
    """Another process works in this folder."""


@contextlib.contextmanager
def lock(folder: Path, *, wait: bool) -> Iterator[None]:
    """Hold ``folder``, which is made if need be, against other processes. A lock ends with its
    process, so that a killed one leaves none behind. Folders that were made and stayed empty are
    removed. Raises ``Busy`` where it is held and ``wait`` is False."""
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    handle = _locked(folder, wait)
    try:
        yield
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        if handle is not None:
            os.close(handle)


def _locked(folder: Path, wait: bool) -> int | None:
    """Return the handle that holds the lock, None on a system without such locks."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise _disk_error(e, folder) from e
        if sys.platform == "win32":
            return None
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as e:
            os.close(handle)
            raise Busy(folder) from e
        except OSError:  # some network file systems do not lock folders
            return handle
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(handle), os.stat(folder)):
                return handle
        os.close(handle)  # the one that held it before removed the folder


def _disk_error(e: OSError, path: Path) -> UserError:
    number = e.errno  # numpy reports a short write without one
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


def file_digest(path: Path) -> str:
    """Return the sha256 of the file, in hexadecimal."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """Return what the JSON file holds. Raises UserError for a missing or damaged file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise UserError(
            f"{path} cannot be read as JSON ({e}); put it back as it was, or delete it and make it "
            "again."
        ) from e


def config_hash(config: dict[str, Any]) -> str:
    """Return the twelve hexadecimal digits that name a configuration."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]


def existing(path: Path) -> Path:
    """Return ``path``, or where it is not there yet the nearest folder above it that is."""
    return next(p for p in (path, *path.absolute().parents) if p.exists())


def require_space(out: Path, need: float) -> None:
    """Raise UserError where the disk of ``out`` has fewer than ``need`` bytes left: now, and not
    after the work whose result is to be written."""
    free = shutil.disk_usage(existing(out)).free
    if free < need:
        raise UserError(
            f"No space left for {out}: {need / 1e6:,.1f} MB or more are needed, and "
            f"{free / 1e6:,.1f} MB are free."
        )


def check_ours(path: Path, mark: bytes) -> None:
    """Raise UserError where a file is there that is not one of ours, which have ``mark`` in their
    first bytes: a person's own would be lost."""
    if path.is_file():
        with open(path, "rb") as file:
            if mark not in file.read(4096):
                raise UserError(
                    f"{path} is there already and was not written by this command; choose another "
                    "name, or delete it."
                )


def inside(path: Path, folder: Path) -> bool:
    """Return whether ``path`` is ``folder`` or lies in it, with all links followed."""
    path, folder = (Path(os.path.realpath(p)) for p in (path, folder))
    return path == folder or folder in path.parents
