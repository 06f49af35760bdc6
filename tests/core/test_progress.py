"""What the progress line says."""

import sys

from unlearnable.core import progress
from unlearnable.core.progress import Progress, Stages


def test_pieces_of_work_move_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    clock = iter(range(1000))  # every line is due
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with Stages("demo", 4) as stages:
        stages.begin(1)
        with Progress("noise", 2) as piece:
            piece.at(1)
            piece.at(2)
        stages.begin(3)
        with Progress("learning", 2) as piece:
            piece.at(1, "test accuracy 71.0 %")
    with Progress("alone", 2) as alone:
        alone.at(1)
    lines = [line.split(",") for line in capsys.readouterr().err.split("\r\033[K")]
    shown = [(line[0], line[2:]) for line in lines if line != [""]]
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
