"""The leaderboard: what is joined, what is kept apart, the order, and what is refused."""

import csv
import json

import pytest

from unlearnable import Recipe, Uniform, UserError, audit, leaderboard, load, protect
from unlearnable.reports.leaderboard import collect


def one(folder, method, peaks, **about):
    learners = ("ordinary training", "JPEG 10")
    rows = [
        {"learner": n, "clean": 60.0, "protected": p, "peak": p, "flags": []}
        for n, p in zip(learners, peaks)
    ]
    about = {
        "suite": "quick",
        "version": 2,
        "chance": 10.0,
        "rows": rows,
        "method": method,
        "budget": "L-inf 8/255",
    } | about
    about = {
        "psnr": 32.0,
        "images": "40 images",
        "recipe": {"model": "convnet", "steps": 4},
        "seed": 0,
    } | about
    folder.mkdir(parents=True)
    (folder / "audit.json").write_text(json.dumps(about))


def test_seeds_join_and_versions_do_not(tmp_path):
    one(tmp_path / "a", "em", (20.0, 50.0))
    one(tmp_path / "b", "em", (24.0, 56.0), seed=1)
    one(tmp_path / "c", "rem", (30.0, 40.0))
    one(tmp_path / "d", "rem", (30.0, 40.0), version=1)
    one(tmp_path / "e", "rem", (30.0, 40.0), recipe={"model": "convnet", "steps": 8})
    tables = collect(tmp_path)
    assert len(tables) == 3 and sorted(len(t.rows) for t in tables) == [1, 1, 2]
    (both,) = (t for t in tables if len(t.rows) == 2)
    assert [r["method"] for r in both.rows] == ["rem", "em"]  # the best protection first
    em = both.rows[1]
    assert (em["seeds"], em["worst"], em["by"], em["worst_text"]) == (
        2,
        53.0,
        "JPEG 10",
        "53.0 ± 4.2",
    )
    assert em["cells"]["ordinary training"]["text"] == "22.0 ± 2.8"


def test_methods_of_one_name_are_told_apart_by_their_settings(tmp_path):
    for k, radius in enumerate((2.0, 4.0)):
        one(tmp_path / str(k), "rem", (30.0, 40.0 + k), settings={"eps": 8.0, "adv_eps": radius})
    one(tmp_path / "c", "em", (20.0, 50.0), settings={"eps": 8.0})
    (table,) = collect(tmp_path)
    assert [r["method"] for r in table.rows] == ["rem (adv_eps 2.0)", "rem (adv_eps 4.0)", "em"]


def test_noise_over_the_budget_has_no_rank(tmp_path):
    one(tmp_path / "a", "em", (20.0, 50.0))
    one(tmp_path / "b", "rem", (30.0, 40.0))
    one(tmp_path / "c", "cuda", (10.0, 20.0), flags=["over-8"])
    (table,) = collect(tmp_path)
    assert [(r["rank"], r["method"]) for r in table.rows] == [
        ("1", "rem"),
        ("2", "em"),
        ("-", "cuda"),
    ]
    md, *_ = leaderboard(tmp_path, tmp_path)
    assert "| - | cuda |" in md.read_text() and "cuda: over-8" in md.read_text()


def test_files_hold_the_same_numbers(tmp_path):
    one(tmp_path / "a", "<em>", (20.0, 50.0))
    one(tmp_path / "c", "rem", (30.0, 40.0))
    md, table, page = (p.read_text() for p in leaderboard(tmp_path, tmp_path / "out"))
    rows = list(csv.DictReader(table.splitlines()))
    assert [(r["method"], r["learner"], r["peak"]) for r in rows[2:]] == [
        ("<em>", "ordinary training", "20.00"),
        ("<em>", "JPEG 10", "50.00"),
    ]
    assert "| <em> | L-inf 8/255 | 32.0 | 1 | 60.0 | 50.0 | JPEG 10 | 20.0 | 50.0 |" in md
    assert "&lt;em&gt;" in page and "<em>" not in page and "http" not in page


def test_a_real_audit_enters(tmp_path):
    protect(load("shapes", limit=40), Uniform(), tmp_path / "protected")
    recipe = Recipe.preset("short", steps=1, batch=16, evals=1, adv_steps=1)
    done = audit(
        tmp_path / "protected",
        "quick",
        recipe,
        out=tmp_path / "audits" / "u",
        test=load("shapes", limit=20),
    )
    (table,) = collect(tmp_path / "audits")
    assert table.rows[0]["worst"] == done.worst.peak and table.rows[0]["method"] == "uniform"
    assert "40 images of shapes, convnet, 1 steps" in table.title


def test_an_audit_is_added_by_dropping_its_file_in(tmp_path):
    one(tmp_path / "a", "em", (20.0, 50.0))
    one(tmp_path / "b", "theirs", (30.0, 35.0))
    (tmp_path / "b" / "audit.json").rename(tmp_path / "theirs-0.json")
    (tmp_path / "else.json").write_text('{"cells": []}')
    leaderboard(tmp_path, tmp_path)
    (table,) = collect(tmp_path)
    assert [r["method"] for r in table.rows] == ["theirs", "em"]


def test_what_is_refused(tmp_path):
    with pytest.raises(UserError, match="no audit.json"):
        leaderboard(tmp_path, tmp_path)
    (tmp_path / "audit.json").write_text('{"suite": "quick"}')
    with pytest.raises(UserError, match="lacks budget, chance"):
        leaderboard(tmp_path, tmp_path)
    (tmp_path / "audit.json").write_text('{"suite": ')
    with pytest.raises(UserError, match="audit.json"):
        leaderboard(tmp_path, tmp_path)
