"""``show``."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from unlearnable.cli.options import options
from unlearnable.data.load import load
from unlearnable.protection.export import originals_of
from unlearnable.reports.contact_sheet import contact_sheet


@dataclass(frozen=True)
class _Show:
    folder: Positional[Path]
    """a protected folder"""
    out: Path | None = None
    """the PNG (default: FOLDER/sheet.png; for images without classes FOLDER-sheet.png)"""
    count: int = 10
    """how many images"""
    gain: int = 8
    """the noise is shown times this, around gray"""
    root: str | None = None
    """where the named sets lie"""


def show_verb(args: list[str]) -> None:
    o = options("show", "A sheet of originals, protected images and magnified noise.", _Show, args)
    clean = originals_of(o.folder, o.root)
    protected, name = load(o.folder), o.folder.resolve()
    # a folder without sub-folders holds images only: the sheet goes beside it
    out = o.out or (
        o.folder / "sheet.png" if protected.labeled else name.with_name(f"{name.name}-sheet.png")
    )
    contact_sheet(clean, protected, out, count=o.count, gain=o.gain)
    print(out)
