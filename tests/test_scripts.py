"""The programs beside the package run from a checkout, at their smallest."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def script(path: str, *args: object, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, ROOT / path, *map(str, args)], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_benchmark_measures_and_records_every_piece(tmp_path, monkeypatch, capsys):
    speed = runpy.run_path(str(ROOT / "benchmarks/speed.py"))
    monkeypatch.setattr(speed["seconds"], "__defaults__", (0.01,))  # of each piece, for 0.5
    small = ["--models", "convnet", "--batch", 4, "--rounds", 1, "--draws", 1, "--steps", 1]
    command = ["speed.py", *small, "--record", tmp_path / "record.json"]
    monkeypatch.setattr(sys, "argv", [*map(str, command)])
    speed["main"]()
    printed = capsys.readouterr().out
    record = json.loads((tmp_path / "record.json").read_text())
    pieces = [line["piece"] for line in record["lines"]]
    assert pieces == ["adversary", "noise step", "REM step", "AT step", "ordinary step"]
    for line in record["lines"]:
        assert (
            line["passes_per_second"] > 0
            and line["plain_passes_per_second"] > 0
            and line["piece"] in printed
        )
        low, high = line["ratio_range"]
        assert low <= line["ratio"] <= high
    assert record["hardware"] and record["memory_gib"] > 0


def test_the_photographs_benchmark(tmp_path):
    printed = script("benchmarks/photos.py", "--count", 20, "--side", 60, cwd=tmp_path)
    assert printed.startswith("20 images: ") and "s an image" in printed


def test_a_share_of_the_campaigns(tmp_path):
    """Kills, full disks, hostile files and options: docs/reliability.md has the whole."""
    printed = script("benchmarks/reliability/all.py", "--tiny", cwd=tmp_path)
    assert printed.count(" 0 failures") == 4
