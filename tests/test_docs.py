"""What README shows runs: its Python and its commands, with the presets cut to a few steps."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from unlearnable import REM, Recipe, cli

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.fixture
def quick(monkeypatch, tmp_path):
    shorter = {"train_steps": 2, "steps": 1, "adv_steps": 1}
    monkeypatch.setitem(REM.presets, "short", REM.presets["short"] | shorter)
    monkeypatch.setitem(Recipe.presets, "short", Recipe.presets["short"] | {"steps": 2, "adv_steps": 1})
    monkeypatch.chdir(tmp_path)


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", README, re.S)


def test_python(quick, capsys):
    assert len(blocks("python")) == 1
    exec(blocks("python")[0], {})
    assert len(capsys.readouterr().out.split()) == 2


def test_commands(quick, monkeypatch, capsys):
    lines = blocks("console")[0].splitlines()
    assert len(lines) == 4
    for line in lines:
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        cli.main()
    assert "chance 10.0 %" in capsys.readouterr().out
    assert Path("protected/rem/sheet.png").exists()


def test_make_targets_exist():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", blocks("")[0], re.M):
        assert f"\n{target}:" in makefile
