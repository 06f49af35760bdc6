"""What the progress line says."""

import io
import sys

import pytest

from unlearnable.core import display, progress
from unlearnable.core.progress import Progress, Stages


class Screen(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_pieces_of_work_move_one_line(monkeypatch, capsys):
    clock = iter(range(0, 60_000, 60))  # every line is due
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with display.shown(), Stages("demo", 4) as stages:
        stages.begin(1)
        with Progress("noise", 2) as piece:
            piece.at(1)
            piece.at(2)
        stages.begin(3)
        with Progress("learning", 2) as piece:
            piece.at(1, "test accuracy 71.0 %")
    with display.shown(), Progress("alone", 2) as alone:
        alone.at(1)
    lines = [line.split(",") for line in capsys.readouterr().err.splitlines()]
    shown = [(line[0], line[2:]) for line in lines]
    assert shown == [
        ("demo: 12/100", [" noise"]),
        ("demo: 25/100", [" noise"]),
        ("demo: 62/100", [" learning", " test accuracy 71.0 %"]),
        ("alone: 1/2", []),
    ]


def test_a_listener_hears_where_the_work_stands(monkeypatch):
    heard, clock = [], iter(range(100))
    monkeypatch.setattr(progress, "listeners", [heard.append])
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with progress.Progress("REM", 4) as line:
        line.at(1, "loss 1.2")
        line.at(2)
    assert heard == [
        progress.Tick("REM", 1, 4, 3.0, "loss 1.2"),
        progress.Tick("REM", 2, 4, 2.0, ""),
    ]


def test_a_library_is_silent(monkeypatch, capsys):
    clock = iter(range(0, 6000, 60))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with Progress("REM", 4) as line:
        line.at(1)
    progress.announce_duration(7200, "All")
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_it_is_one_bar(monkeypatch):
    pytest.importorskip("rich")
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setenv("NO_COLOR", "1")
    clock = iter(range(100))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with display.shown(), Progress("REM", 4, at_most=True) as line:
        line.at(1, "loss 1.2")
        print("a warning", file=sys.stderr)
        line.at(2)
    said = screen.getvalue()
    assert "REM" in said and "25 %" in said and "at most 0:03 left \x1b[2mloss 1.2" in said
    assert "50 %" in said and "a warning" in said and "\n\n" not in said
    assert said.rindex("\x1b[?25h") > said.index("\x1b[?25l")  # the cursor is there again
    assert screen.isatty() and sys.stderr is screen
