"""--quiet, --verbose, and --json, for every verb in one way."""

import dataclasses
import io
import json
import logging
import sys

import pytest

from tests.typed import typed as run
from unlearnable import load, protect
from unlearnable.cli import main
from unlearnable.cli.options import Output
from unlearnable.cli.output import Done, give, say, speaking
from unlearnable.protection.methods import Uniform
from unlearnable.reports.tables import Cell, Table

FEW = ["--limit", 20]
LEARN = ["--preset", "short", "--steps", 2, "--batch", 16, "--test-limit", 20]


@pytest.fixture(scope="module")
def protected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")
    protect(load("shapes", limit=20), Uniform(), folder / "u")
    return folder


def result(*args, cwd, status=0):
    """The one JSON document on standard output."""
    done = run(*args, "--json", cwd=cwd, status=status)
    return json.loads(done.stdout, parse_constant=pytest.fail), done.stderr


def test_every_verb_has_the_three_options(tmp_path):
    for verb, entry in main.VERBS.items():
        command = entry.load()([])
        for one in command.commands.values() or [command]:
            names = {f.name: f for f in dataclasses.fields(one.options)}
            assert names["output"].default_factory is Output, verb
    text = run("learn", "--help", cwd=tmp_path).stdout
    assert text.index("machine options") < text.index("output options") < text.index("--json  ")


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["ls", "suites"], {"suites"}),
        (["ls"], {"methods", "models", "data", "suites", "presets"}),
        (["show", "u", "--out", "s.png"], {"file"}),
        (["export", "u", "--noise", "n.npy"], {"files"}),
        (["protect", "uniform", *FEW, "--out", "again"], {"out", "images", "measured", "digest"}),
        (["learn", "u", *LEARN, "--evals", 1], {"out", "accuracy", "peak", "chance", "by_class"}),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else "",
)
def test_json_is_alone_on_standard_output(protected, words, keys):
    assert keys <= result(*words, cwd=protected)[0].keys()


def test_messages_go_to_standard_error(protected):
    quick = [*LEARN, "--evals", 1]
    found, said = result("audit", "u", *quick, cwd=protected)
    assert found["worst"]["peak"] == max(row["peak"] for row in found["rows"])
    assert "6 trainings, of 3 learners on clean" in said and "takes about" in said
    quiet = run("audit", "u", *quick, "--quiet", cwd=protected)
    assert "Worst-case" in quiet.stdout and "takes about" not in quiet.stdout + quiet.stderr
    files, said = result("report", "audits", "audits", cwd=protected)
    assert len(files["files"]) == 3 and not said


def test_verbose_says_where_and_how(protected):
    asked = ("protect", "uniform", *FEW, "--precision", "fp32", "--out", "v")
    said = run(*asked, "--verbose", cwd=protected).stderr
    assert "unlearnable.protection.protect: noise on cpu" in said and "files in v" in said
    assert "float32" in said and "'eps': 8" in said
    quiet = run(*asked, cwd=protected).stderr
    assert quiet == "" and logging.getLogger("unlearnable").level == logging.NOTSET


def test_errors_stay_one_sentence_on_standard_error(tmp_path):
    done = run("show", "gone", "--json", cwd=tmp_path, status=2)
    assert not done.stdout and done.stderr.count("\n") == 1
    done = run("ls", "--quiet", "--verbose", cwd=tmp_path, status=2)
    assert "opposite" in done.stderr and not done.stdout


def test_what_json_does_not_know(capsys, tmp_path):
    with speaking(Output(json=True)):
        say("beside it")
        give(Done("", {"path": tmp_path, "psnr": float("inf"), "of": (1, True, None)}))
    out, err = capsys.readouterr()
    assert json.loads(out) == {"path": str(tmp_path), "psnr": None, "of": [1, True, None]}
    assert err == "beside it\n"


def test_of_several_processes_the_first_speaks(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    with speaking(Output()):
        say("beside it")
        logging.getLogger("unlearnable.data").warning("bad")
        give(Done("found", {}))
    assert capsys.readouterr() == ("", "")


def test_messages_are_safe_to_print(capsys):
    with speaking(Output()):
        logging.getLogger("unlearnable.data").warning("left out: %s", "\x1b[2Jcat.png")
    assert capsys.readouterr().err == "unlearnable: left out: \\x1b[2Jcat.png\n"


def test_a_terminal_gets_tables_by_rich(monkeypatch):
    pytest.importorskip("rich")
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    table = Table("T", ("row", "x"), ((Cell("a\x1b[2J"), Cell("1.0", 1.0)),), footnotes=("Note.",))
    give(Done("plain", {}, tables=lambda: [table, "more"]))
    lines = screen.getvalue()
    assert "plain" not in lines and "─" in lines and "a\\x1b[2J" in lines
    assert lines.rstrip().endswith("Note.\nmore")
