"""Help, lists and mistakes answer at once: nothing of theirs loads torch."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SECONDS = 0.5  # of processor time
TYRO = 0.19  # of them, importing tyro on the machine on which that was set
MEASURE = """
import atexit, json, resource, sys

def write():
    spent = resource.getrusage(resource.RUSAGE_SELF)
    heavy = [name for name in ("torch", "kornia") if name in sys.modules]
    json.dump([spent.ru_utime + spent.ru_stime, heavy], open(sys.argv[-1], "w"))

atexit.register(write)
"""
QUICK = {
    0: [
        *["--help", "--version", "help", "ls", "ls methods", "reproduce", "reproduce eot --help"],
        *["protect --help", "protect rem --preset short --help", "protect-photos --help"],
        *["verify --help", "learn --help", "audit --help", "report --help", "show --help"],
        *["report photos --help", "export --help", "ls --help"],
    ],
    2: [
        *["protekt", "ls cows", "protect remm", "protect rem --preset huge", "protect rem --esp 3"],
        *["protect rem --eps 0", "protect rem --steps few", "protect rem --model resnet19"],
        *["protect rem --data gone", "protect .", "protect-photos gone out", "learn", "learn gone"],
        *["learn shapes --model resnet19", "learn shapes --countermeasure jpg", "audit gone"],
        *["audit . --suite huge", "verify gone gone", "show gone", "show", "export gone"],
        *["report photos gone", "report audits gone", "report results gone", "reproduce gone"],
        *["reproduce eot --scale big", "reproduce eot --show"],
    ],
}


def measured(program: str, folder: Path, *args: str) -> tuple[int, float, list[str]]:
    """Exit status, processor seconds and heavy modules of a Python program."""
    script, result = folder / "program.py", folder / "measured.json"
    script.write_text(MEASURE.replace("sys.argv[-1]", repr(str(result))) + program)
    command = [sys.executable, str(script), *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, *json.loads(result.read_text())


@cache
def slowness(folder: Path) -> float:
    """How much slower than the machine of ``SECONDS`` this one is now, at least 1."""
    seconds = min(measured("import tyro", folder)[1] for _ in range(3))
    return max(1.0, seconds / TYRO)


@pytest.mark.parametrize(
    ("status", "words"), [(status, words) for status, all_ in QUICK.items() for words in all_]
)
def test_answers_at_once_and_without_torch(tmp_path, tmp_path_factory, status, words):
    program = "from unlearnable.cli.main import main\nsys.argv[0] = 'unlearnable'\nmain()"
    said, seconds, heavy = measured(program, tmp_path, *words.split())
    assert said == status and heavy == []
    if seconds > SECONDS:  # perhaps something else kept the processor busy
        again = [measured(program, tmp_path, *words.split())[1] for _ in range(3)]
        seconds = min(again) / slowness(tmp_path_factory.getbasetemp())
    assert seconds < SECONDS


def test_nouns_are_free_of_torch(tmp_path):
    program = """

import unlearnable
from unlearnable import AUGMENTATIONS, COUNTERMEASURES, DATA, METHODS, MODELS, REM, SUITES, Recipe
from unlearnable.experiments.tables import TABLES
REM.preset("short", eps=4.0), Recipe.preset("short"), unlearnable.__version__
"""
    assert measured(program, tmp_path)[2] == []
