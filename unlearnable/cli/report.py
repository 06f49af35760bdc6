"""``report``."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from unlearnable.cli.options import options
from unlearnable.experiments.report import has_results, report_results
from unlearnable.reports.leaderboard import audit_files, leaderboard
from unlearnable.reports.photo_page import report

# ── report ──


@dataclass(frozen=True)
class _Report:
    folder: Positional[Path]
    """a folder of protected photographs, one with audits in it, or one with results of `unlearnable
    reproduce`"""
    verified: Path | None = None
    """the folder that `unlearnable verify` wrote (default: verified/<name of the protected folder>,
    if it is there)"""
    out: Path | None = None
    """the page (default: <name of the folder>.html); for audits and results a folder (default:
    their own)"""
    count: int = 3
    """photographs shown, one a class"""
    root: str | None = None
    """where the named sets lie, to show images and noise of results"""


def report_verb(args: list[str]) -> None:
    text = (
        "Of protected photographs: one self-contained HTML page, what the protection gains, costs, and does not do. Of "
        "audits: tables of worst-case learnability; of results: the tables and plots; as Markdown, CSV and HTML."
    )
    o = options("report", text, _Report, args)
    if not (o.folder / "card.json").exists() and report_tables(o.folder, o.out, o.root):
        return
    name = o.folder.resolve().name
    proof = o.verified
    if proof is None and (default := Path("verified") / name).joinpath("verify.json").exists():
        proof = default
    print(report(o.folder, proof, out=o.out or Path(f"{name}.html"), count=o.count))


def report_tables(folder: Path, out: Path | None, root: str | None) -> bool:
    """The leaderboard of a folder of audits, the tables of a folder of results; whether it was one."""
    done = leaderboard(folder, out or folder) if audit_files(folder) else []
    done += report_results(folder, out or folder, root=root) if has_results(folder) else []
    if done:
        print(*done, sep="\n")
    return bool(done)
