"""What README and docs show runs: their Python and their commands, with the presets cut to a few
steps."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unlearnable import EM, METHODS, REM, SEM, Recipe
from unlearnable.cli.main import main
from unlearnable.data import shapes

ROOT = Path(__file__).parents[1]


@pytest.fixture
def quick(monkeypatch, tmp_path):
    shorter = {"train_steps": 2, "steps": 1, "batch": 16}
    for kind in (EM, REM, SEM):
        more = {"adv_steps": 1} if kind is not EM else {}
        monkeypatch.setitem(kind.presets, "short", kind.presets["short"] | shorter | more)
    for name in ("short", "photos"):
        monkeypatch.setitem(
            Recipe.presets, name, Recipe.presets[name] | {"steps": 2, "adv_steps": 1, "batch": 16}
        )
    drawn = shapes.generate  # 40 images instead of 4,000, where a command does not say how many
    monkeypatch.setattr(shapes, "generate", lambda n, seed: drawn(min(n, 40), seed))
    monkeypatch.chdir(tmp_path)


def blocks(kind: str, page: str = "README.md") -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / page).read_text(), re.S)


def type_in(commands: str, monkeypatch) -> None:
    for line in commands.splitlines():
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        main()


def test_python(quick, capsys):
    assert len(blocks("python")) == 1
    exec(blocks("python")[0], {})
    assert len(capsys.readouterr().out.split()) == 2


def test_commands(quick, monkeypatch, capsys):
    commands = blocks("console")[0]
    assert len(commands.splitlines()) == 6
    type_in(commands, monkeypatch)
    said = capsys.readouterr().out
    assert "chance 10.0 %" in said and "Worst-case learnability" in said
    assert Path("protected/rem/sheet.png").exists() and Path("audits/leaderboard.html").exists()


def test_own_photographs(quick, monkeypatch, capsys):
    random = np.random.default_rng(0)
    for k, path in enumerate(
        Path(root, c, f"{n}.png") for root in ("photos", "more") for c in "ab" for n in range(4)
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (40, 30 + k, 3), dtype=np.uint8)).save(path)
    for commands in blocks("console")[1:3]:
        type_in(commands, monkeypatch)
    assert "ordinary training" in capsys.readouterr().out
    assert len(list(Path("protected-more").glob("*/*.png"))) == 8


def test_the_papers_tables(quick, monkeypatch, capsys):
    type_in(blocks("console")[3], monkeypatch)
    said = capsys.readouterr().out
    assert "Main comparison" in said and "| EM " in said
    assert "Time cost" in Path("results/tables.html").read_text()


def test_adding_a_method(quick, monkeypatch, capsys):
    page = "docs/adding-a-method.md"
    (code,) = blocks("python", page)
    assert len(code.splitlines()) <= 30
    Path("stripes.py").write_text(code)
    type_in(blocks("console", page)[0], monkeypatch)
    assert "chance 10.0 %" in capsys.readouterr().out


def test_choosing_a_method_names_every_method_and_its_commands_run(quick, monkeypatch):
    page = "docs/choosing-a-method.md"
    text = (ROOT / page).read_text()
    assert [n for n in METHODS if f"`{n}`" not in text and n != "imported"] == []
    type_in(blocks("console", page)[0], monkeypatch)


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", blocks("")[0], re.M):
        assert f"\n{target}:" in makefile
