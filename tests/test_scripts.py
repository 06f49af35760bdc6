"""The programs beside the package run from a checkout, at their smallest."""

import importlib
import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unlearnable import load

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


@pytest.mark.slow  # test_docs.py protects photos in every run
def test_the_photographs_benchmark(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["photos.py", "--count", "20", "--side", "60"])
    runpy.run_path(str(ROOT / "benchmarks/photos.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.startswith("20 photos: ") and "s per photo" in printed


def test_the_demo_at_its_smallest(tmp_path, monkeypatch):
    """Every noise meets every learner; EM and SEM have the same work."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    demo = importlib.import_module("demo")
    a, b = (demo.METHODS[name] for name in ("EM", "SEM"))
    assert a.passes(1500) == pytest.approx(b.passes(1500), rel=0.1)
    small = {"train_steps": 1, "steps": 1, "batch": 10}
    methods = {k: m and replace(m, **small) for k, m in demo.METHODS.items()}
    learners = {k: replace(r, steps=1, batch=10) for k, r in demo.LEARNERS.items()}
    monkeypatch.setattr(demo, "METHODS", methods)
    monkeypatch.setattr(demo, "LEARNERS", learners)
    few = load("shapes", limit=20)
    rows = demo.run(few, few, tmp_path, 0)
    assert list(rows) == ["clean", "EM", "SEM"] and all(len(row) == 2 for row in rows.values())
    assert (tmp_path / "sheet.png").exists()


def test_one_class_among_others(tmp_path, monkeypatch, capsys):
    """A named set and a folder of photos, and that a second call only reads."""
    program = runpy.run_path(str(ROOT / "benchmarks/among_others.py"))
    monkeypatch.chdir(tmp_path)
    for c in "ab":
        for n in range(4):
            image = tmp_path / "photos" / c / f"{n}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            x = np.random.default_rng(10 * ord(c) + n).integers(0, 256, (20, 30, 3), dtype=np.uint8)
            Image.fromarray(x).save(image)
    small = ["--methods", "lsp", "--seeds", "0", "--radii", "0", "--steps", "1"]
    images = ["shapes", "--own", "3", "--limit", "20", "--test-limit", "20"]
    for command in (images, ["photos", "--own", "b"], images):
        monkeypatch.setattr(sys, "argv", ["among_others.py", *command, *small])
        program["main"]()
    table = capsys.readouterr().out.strip().splitlines()[-4:]
    assert "| photos, 8 | b | lsp | -, 1 | ordinary training |" in table[-2]
    assert table[-1].startswith("| shapes, 20 |") and table[-1].endswith("| 1 |")


@pytest.mark.parametrize(
    "programs",
    [
        ("kills", "disk", "own", "security"),
        pytest.param(("hostile", "load"), marks=pytest.mark.slow),  # many files to begin with
    ],
    ids=" ".join,
)
def test_a_share_of_the_campaigns(programs, tmp_path):
    """docs/reliability.md has the whole."""
    told = ("--tiny", "--programs", *programs)
    printed = script("benchmarks/reliability/all.py", *told, cwd=tmp_path)
    assert printed.count(" 0 failures") == len(programs)
