"""``report``: of protected photos, of audits, of results."""

import logging
from dataclasses import dataclass
from pathlib import Path

from unlearnable.cli.help import doc
from unlearnable.cli.options import Command, Folder, Protected, Verb, named
from unlearnable.cli.output import Done, written
from unlearnable.core.errors import UserError, unknown
from unlearnable.core.presets import require
from unlearnable.data.card import Card, check_unpublished
from unlearnable.data.sources import check_folder, check_protected
from unlearnable.evaluation.results import Verified

logger = logging.getLogger(__name__)

HELP = """Write pages and tables from results; nothing is trained.

unlearnable report photos photos-protected/
unlearnable report audits audits/
unlearnable report results results/"""


@dataclass(frozen=True)
class ReportPhotos(Verb):
    """Write one self-contained HTML page about protected photos: what the protection gains, what it
    costs, and what it does not do.

    unlearnable report photos photos-protected/
    """

    folder: Protected
    """a folder of protected photos"""
    verified: Path | None = None
    """the folder that `unlearnable verify` wrote (default: verified/<name of the protected folder>,
    if it is there)"""
    out: Path | None = None
    """the page (default: <name of the protected folder>.html)"""
    count: int = 3
    """photos shown, one per class"""

    def __post_init__(self) -> None:
        require(self, positive="count")

    def run(self) -> Done:
        check_protected(self.folder)
        from unlearnable.reports.photo_page import report

        name = self.folder.resolve().name
        out, verified = self.out or Path(f"{name}.html"), self.verified
        if verified is None and ((default := Path("verified") / name) / "verify.json").exists():
            if Verified.read(default / "verify.json").is_of(Card.read(self.folder)):
                verified = default
            else:
                logger.warning(
                    "%s is about other photos, or other noise, and is left out; run `unlearnable "
                    "verify` again.",
                    default,
                )
        return written([report(self.folder, verified, out=out, count=self.count)])


@dataclass(frozen=True)
class ReportAudits(Verb):
    """Write the leaderboard of a folder of audits: tables of worst-case learnability as Markdown,
    CSV and HTML.

    unlearnable report audits audits/
    """

    folder: Folder
    """a folder with audits in it"""
    out: Path | None = None
    """folder for the tables (default: FOLDER)"""

    def run(self) -> Done:
        check_folder(self.folder)
        out = self.out or self.folder
        check_unpublished(out)
        from unlearnable.reports.leaderboard import leaderboard

        return written(leaderboard(self.folder, out))


@dataclass(frozen=True)
class ReportResults(Verb):
    """Write the tables and plots of a folder of results of `unlearnable reproduce`, as Markdown,
    CSV and HTML.

    unlearnable report results results/
    """

    folder: Folder
    """a folder of results, or of records of them"""
    out: Path | None = None
    """folder for the tables (default: FOLDER)"""
    data_root: str | None = None
    """where the named data sets lie, to show images and noise (default: $UNLEARNABLE_DATA, else
    ./data)"""
    plots: Path | None = None
    """folder for every plot as PDF and SVG, as wide as a column of a paper (needs the extra
    plots)"""

    def run(self) -> Done:
        check_folder(self.folder)
        out = self.out or self.folder
        check_unpublished(out, self.plots)
        from unlearnable.experiments.report import report_results

        return written(report_results(self.folder, out, root=self.data_root, plots=self.plots))


def command(args: list[str]) -> Command:
    kinds = {"photos": ReportPhotos, "audits": ReportAudits, "results": ReportResults}
    kind = named(args)
    if kind and kind not in kinds:
        if Path(kind).is_dir():
            raise UserError(
                f"Say what {kind} holds: `unlearnable report photos {kind}`, or audits, or results."
            )
        raise unknown("report", kind, kinds)
    commands = {name: Command(doc(verb), verb) for name, verb in kinds.items()}
    return Command(HELP, commands=commands, noun="KIND")
