"""Help, lists and mistakes load no torch. benchmarks/startup.py has their seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import atexit, json, sys

def write():
    heavy = [name for name in ("torch", "kornia", "nicegui") if name in sys.modules]
    json.dump(heavy, open(sys.argv[-1], "w"))

atexit.register(write)
"""
QUICK = {
    0: [
        *["--help", "--version", "help", "ls", "ls methods", "reproduce", "reproduce eot --help"],
        *["protect --help", "protect rem --preset short --help", "protect-photos --help"],
        *["verify --help", "learn --help", "audit --help", "report --help", "show --help"],
        *["report photos --help", "export --help", "ls --help", "app --help"],
    ],
    2: [
        *["protekt", "ls cows", "protect remm", "protect rem --preset huge", "protect rem --esp 3"],
        *["protect rem --eps 0", "protect rem --steps few", "protect rem --model resnet19"],
        *["protect rem --data gone", "protect .", "protect-photos gone out", "learn", "learn gone"],
        *["learn shapes --model resnet19", "learn shapes --countermeasure jpg", "audit gone"],
        *["audit . --suite huge", "verify gone gone", "show gone", "show", "export gone"],
        *["report photos gone", "report audits gone", "report results gone", "reproduce gone"],
        *["reproduce eot --scale big", "reproduce eot --show", "app --port 70000"],
    ],
}


def measured(program: str, folder: Path, *args: str) -> tuple[int, list[str]]:
    """Exit status and heavy modules of a Python program."""
    script, result = folder / "program.py", folder / "measured.json"
    script.write_text(MEASURE.replace("sys.argv[-1]", repr(str(result))) + program)
    command = [sys.executable, str(script), *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(result.read_text())


@pytest.mark.parametrize(
    ("status", "words"), [(status, words) for status, all_ in QUICK.items() for words in all_]
)
def test_answers_without_torch(tmp_path, status, words):
    program = "from unlearnable.cli.main import main\nsys.argv[0] = 'unlearnable'\nmain()"
    said, heavy = measured(program, tmp_path, *words.split())
    assert said == status and heavy == []


def test_nouns_are_free_of_torch(tmp_path):
    program = """

import unlearnable
from unlearnable import AUGMENTATIONS, COUNTERMEASURES, DATA, METHODS, MODELS, REM, SUITES, Recipe
from unlearnable.experiments.tables import TABLES
REM.preset("short", eps=4.0), Recipe.preset("short"), unlearnable.__version__
"""
    assert measured(program, tmp_path)[1] == []
