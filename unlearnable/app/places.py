"""Folders of this computer as the page shows them, and copies of what is dropped on it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

from unlearnable.core.errors import UserError
from unlearnable.core.text import printable

DEEPEST, MOST_FOLDERS = 6, 500


def subfolders(folder: Path) -> list[str]:
    """The names of the folders in ``folder`` that are not hidden. Raises UserError."""
    try:
        with os.scandir(folder) as there:
            names = [e.name for e in there if not e.name.startswith(".") and e.is_dir()]
    except OSError as e:
        raise UserError(f"{printable(folder)}: {os.strerror(e.errno or 0)}.") from e
    return sorted(names, key=str.casefold)[:MOST_FOLDERS]


def copies_root() -> Path:
    """Where copies of dropped folders go."""
    return Path.home() / "unlearnable"


def new_copy(name: str) -> Path:
    """Make a new folder for the copies of the dropped folder ``name``. Raises UserError."""
    plain = "".join(c for c in name if c.isprintable() and c not in '/\\:*?"<>|').strip(" .")
    stem = plain[:60] or "photos"
    for number in range(1, 1000):
        folder = copies_root() / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as e:
            raise UserError(f"Cannot write {folder} ({os.strerror(e.errno or 0)}).") from e
        return folder
    raise UserError(f"{copies_root()} is full of copies of {stem}; delete some.")


def place_in(folder: Path, name: str) -> Path:
    """Where the dropped file ``name``, CLASS/PHOTO, is to be copied to. Raises UserError for names
    that would lead out of ``folder``, and for files that are there already."""
    parts = PurePosixPath(name).parts
    plain = all(
        p.isprintable()
        and not p.startswith(".")
        and not {*p} & {*"/\\:"}
        and len(os.fsencode(p)) < 256
        for p in parts
    )
    if not parts or not plain or len(parts) > DEEPEST:
        raise UserError(f"The name {printable(name)} cannot be copied; rename the file.")
    target = folder.joinpath(*parts)
    if target.exists():
        raise UserError(f"{printable(target)} is there already.")
    return target


def own_file(name: str) -> str:
    """The text of a file of the page."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def opener() -> str | None:
    """The program that shows a folder on this computer's screen, if there is one."""
    if sys.platform == "darwin":
        return shutil.which("open")
    if sys.platform == "win32":
        return shutil.which("explorer")
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return shutil.which("xdg-open") if screen else None


def open_folder(folder: Path) -> None:
    """Show a folder in the computer's own file manager."""
    if program := opener():
        subprocess.Popen(
            [program, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
