"""Progress and durations in words, on the standard error of rank 0 only."""

import sys
import time

from unlearnable.core import distributed


def clock(seconds: float) -> str:
    """Format seconds as 1:02:03 or 2:03."""
    m, s = divmod(int(seconds), 60)
    return f"{m // 60}:{m % 60:02d}:{s:02d}" if m >= 60 else f"{m}:{s:02d}"


def announce_duration(seconds: float, what: str) -> None:
    """Say how long a long piece of work will take, before it starts."""
    if distributed.rank() == 0:
        print(
            f"{what} will take about {format_duration(seconds)} on this machine.",
            file=sys.stderr,
            flush=True,
        )


def format_duration(seconds: float) -> str:
    """Format seconds for planning: 12 min, 2.5 h."""
    return f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{max(1, round(seconds / 60))} min"


class Progress:
    """One line with the steps done and the time left: ``with Progress("REM", total) as p:
    p.at(step, "loss 1.2")``. Outside a terminal it prints at most one line per minute.

    first: steps done before this process started. at_most: the work may end early.
    """

    def __init__(self, title: str, total: int, *, first: int = 0, at_most: bool = False):
        self.title, self.total, self.first = title, total, first
        self.begin = time.monotonic()
        self.most = "at most " if at_most else ""
        self.live = sys.stderr.isatty()
        self.shown = self.begin
        self.speaks = distributed.rank() == 0

    def __enter__(self) -> "Progress":
        return self

    def at(self, step: int, text: str = "") -> None:
        """Report that ``step`` steps of the total are done."""
        now = time.monotonic()
        if not self.speaks or now - self.shown < (0.2 if self.live else 60):
            return
        self.shown = now
        done = step - self.first
        left = (now - self.begin) / done * (self.total - step) if done else 0
        line = f"{self.title}: {step}/{self.total}, {self.most}{clock(left)} left"
        line += f", {text}" if text else ""
        print(
            f"\r\033[K{line}" if self.live else line,
            end="" if self.live else "\n",
            file=sys.stderr,
            flush=True,
        )

    def __exit__(self, *_: object) -> None:
        if self.speaks and self.live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
