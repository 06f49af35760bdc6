"""``app``."""

from dataclasses import dataclass

from unlearnable.app.server import serve
from unlearnable.cli.help import doc
from unlearnable.cli.options import Command, Flag, Verb
from unlearnable.cli.output import say
from unlearnable.core.errors import UserError


@dataclass(frozen=True)
class App(Verb):
    """Open a page in your browser that protects a folder of photos and measures the protection:
    `protect-photos`, `verify` and `report photos` without a terminal.

    unlearnable app

    The page is for this computer and its user only: it is served at 127.0.0.1, its address holds a
    key, and it loads nothing from elsewhere. Ctrl-C ends it; unfinished work resumes.
    """

    port: int = 8457
    """where it is served; 0 is any free port"""
    no_browser: Flag = False
    """only print the address"""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise UserError(f"A port lies between 0 and 65535; {self.port} does not.")

    def run(self) -> None:
        serve(self.port, browser=not self.no_browser, say=say)


def command(args: list[str]) -> Command:
    return Command(doc(App), App)
