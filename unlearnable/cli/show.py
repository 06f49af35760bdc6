"""``show``."""

from dataclasses import dataclass
from pathlib import Path

from unlearnable.cli.help import doc
from unlearnable.cli.options import Command, Protected, Verb
from unlearnable.cli.output import Done
from unlearnable.core.errors import UserError
from unlearnable.core.files import check_ours
from unlearnable.core.presets import require
from unlearnable.core.units import LEVELS
from unlearnable.data.card import Card, check_outside, check_unpublished
from unlearnable.data.sources import check_protected


@dataclass(frozen=True)
class Show(Verb):
    """Draw a sheet of originals, protected images and magnified noise, as PNG.

    unlearnable show protected/rem
    """

    folder: Protected
    """a protected folder"""
    out: Path | None = None
    """the PNG (default: PROTECTED/sheet.png; for photos and images without classes
    PROTECTED-sheet.png)"""
    count: int = 10
    """how many images"""
    gain: int = 8
    """the noise is shown times this, around gray"""
    data_root: str | None = None
    """where the named data sets lie (default: $UNLEARNABLE_DATA, else ./data)"""
    originals: str | None = None
    """my_module:loader again, where the originals come from that function of yours: a card alone
    must not choose what is run"""

    def __post_init__(self) -> None:
        require(self, positive="count gain")
        if self.gain > LEVELS:
            raise UserError(f"gain must be at most {LEVELS}, not {self.gain}.")

    def run(self) -> Done:
        check_protected(self.folder)
        from unlearnable.reports.contact_sheet import MARK

        card = Card.read(self.folder)
        check_unpublished(self.out)
        check_outside(card.data.get("source"), self.out)
        from unlearnable.data.load import load
        from unlearnable.protection.originals import originals_of
        from unlearnable.reports.contact_sheet import contact_sheet

        clean, protected = (
            originals_of(self.folder, self.data_root, self.originals),
            load(self.folder),
        )
        name = self.folder.resolve()
        # a folder of photos, or without sub-folders, holds images only: the sheet goes beside it
        beside = name.with_name(f"{name.name}-sheet.png")
        within = protected.labeled and card.photos is None
        out = self.out or (self.folder / "sheet.png" if within else beside)
        check_ours(out, MARK)
        contact_sheet(clean, protected, out, count=self.count, gain=self.gain)
        return Done(str(out), {"file": out})


def command(args: list[str]) -> Command:
    return Command(doc(Show), Show)
