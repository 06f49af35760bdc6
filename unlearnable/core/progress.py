"""Progress and durations in words, of rank 0 only. ``core/display.py`` shows it, where the
command line asks for that."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from unlearnable.core import display, distributed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tick:
    """Where a long piece of work stands."""

    title: str
    step: int
    total: int
    seconds_left: float
    text: str


listeners: list[Callable[[Tick], None]] = []
"""who else wants to know: called on rank 0, at most five times per second per line"""


def clock(seconds: float) -> str:
    """Format seconds as 1:02:03 or 2:03."""
    m, s = divmod(int(seconds), 60)
    return f"{m // 60}:{m % 60:02d}:{s:02d}" if m >= 60 else f"{m}:{s:02d}"


def announce_duration(seconds: float, what: str) -> None:
    """Say how long a long piece of work will take, before it starts."""
    if distributed.rank() == 0:
        logger.info("%s will take about %s on this machine.", what, format_duration(seconds))


def format_duration(seconds: float) -> str:
    """Format seconds for planning: 12 min, 2.5 h, 11 days."""
    if seconds > 3 * 86400:
        return f"{seconds / 86400:.0f} days"
    return f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{max(1, round(seconds / 60))} min"


class Progress:
    """One line with the steps done and the time left: ``with Progress("REM", total) as p:
    p.at(step, "loss 1.2")``.

    first: steps done before this process started. at_most: the work may end early.
    """

    def __init__(self, title: str, total: int, *, first: int = 0, at_most: bool = False):
        self.title, self.total, self.first = title, total, first
        self.begin = time.monotonic()
        self.at_most = at_most
        self.shown = self.told = self.begin
        self.speaks = distributed.rank() == 0

    def __enter__(self) -> "Progress":
        return self

    def at(self, step: int, text: str = "") -> None:
        """Report that ``step`` steps of the total are done."""
        if Stages.current and self is not Stages.current.line:
            Stages.current.at(step / self.total, f"{self.title}{', ' + text if text else ''}")
            return
        now = time.monotonic()
        done = step - self.first
        left = (now - self.begin) / done * (self.total - step) if done else 0
        if not self.speaks or now - self.told < 0.2:
            return
        self.told = now
        tick = Tick(self.title, step, self.total, left, text)
        for listener in listeners:
            listener(tick)
        if display.current and now - self.shown >= display.current.every:
            self.shown = now
            display.current.show(tick, f"{'at most ' * self.at_most}{clock(left)} left")

    def __exit__(self, *_: object) -> None:
        inside = Stages.current and self is not Stages.current.line
        if self.speaks and display.current and not inside:
            display.current.clear()


class Stages:
    """One line over several pieces of work, in percent. Inside ``with Stages("demo", total) as s``,
    every ``Progress`` moves this line instead of its own; ``s.begin(work)`` starts a piece of that
    size, in the unit of ``total``."""

    current: "ClassVar[Stages | None]" = None

    def __init__(self, title: str, total: float):
        self.line = Progress(title, 100)
        self.total, self.done, self.piece = total, 0.0, 0.0

    def __enter__(self) -> "Stages":
        Stages.current = self
        return self

    def begin(self, work: float) -> None:
        self.done, self.piece = self.done + self.piece, work

    def at(self, share: float, text: str) -> None:
        """``share`` of the current piece is done, 0 to 1."""
        self.line.at(round(100 * (self.done + share * self.piece) / self.total), text)

    def __exit__(self, *_: object) -> None:
        Stages.current = None
        self.line.__exit__()
