"""What a terminal shows of ``Progress``: a live bar, or elsewhere a line per minute."""

import contextlib
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from unlearnable.core.progress import Tick


class Display(ABC):
    """Shows where the work stands. every: seconds between two lines, at least."""

    every: ClassVar[float]

    @abstractmethod
    def show(self, tick: "Tick", left: str) -> None:
        """Show one state of the work; left: the time left, in words."""

    @abstractmethod
    def clear(self) -> None:
        """Take away what is shown, at the end of the work."""


current: Display | None = None
"""where ``Progress`` is shown; None: nowhere"""


@contextlib.contextmanager
def shown() -> Iterator[None]:
    """Inside, progress is shown on standard error: by a bar on a terminal, else by at most one line
    per minute."""
    global current
    before, current = current, Bar() if is_terminal() else Lines()
    try:
        yield
    finally:
        current.clear()
        current = before


def is_terminal() -> bool:
    """Whether standard error is a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


class Lines(Display):
    """A line per minute, for log files."""

    every: ClassVar[float] = 60.0

    def show(self, tick: "Tick", left: str) -> None:
        text = f", {tick.text}" if tick.text else ""
        line = f"{tick.title}: {tick.step}/{tick.total}, {left}{text}"
        print(line, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Lines stay."""


class Bar(Display):
    """A live line of rich: title, bar, share, time left, and what else is known."""

    every: ClassVar[float] = 0.2

    def __init__(self) -> None:
        self._live: Live | None = None

    def show(self, tick: "Tick", left: str) -> None:
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            # no thread that draws: only what is told is drawn. Standard output stays as it is,
            # because it may be a file.
            self._live = Live(
                console=Console(stderr=True),
                transient=True,
                auto_refresh=False,
                redirect_stdout=sys.stdout.isatty(),
            )
            self._live.start()
            # shown again, because a second Ctrl-C ends the process without any clean-up
            self._live.console.show_cursor(True)
        self._live.update(_bar(tick, left), refresh=True)

    def clear(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _bar(tick: "Tick", left: str) -> "Table":
    """One line; on a narrow terminal its last text is cut short."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 1), expand=True)
    for _ in range(4):
        line.add_column(no_wrap=True)
    line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    share = 100 * tick.step // max(1, tick.total)
    line.add_row(
        Text(tick.title),
        ProgressBar(tick.total, tick.step, width=24),
        Text(f"{share:3d} %"),
        Text(left),
        Text(tick.text, style="dim"),
    )
    return line
