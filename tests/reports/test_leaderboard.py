"""The leaderboard: what is joined, what is kept apart, the order, and what is refused."""

import csv
import json
import re
import shlex

import pytest

from tests.browser import axe, browse
from unlearnable import Recipe, Uniform, UserError, audit, leaderboard, load, protect
from unlearnable.cli.main import parse
from unlearnable.evaluation.suites import VERSION
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


def one_space(text: str) -> str:
    """Markdown without the spaces that line its columns up."""
    return re.sub(" +", " ", text)


def test_seeds_join_and_versions_do_not(tmp_path):
    one(tmp_path / "a", "em", (20.0, 50.0))
    one(tmp_path / "b", "em", (24.0, 56.0), seed=1)
    one(tmp_path / "c", "rem", (30.0, 40.0))
    one(tmp_path / "d", "rem", (30.0, 40.0), version=1)
    one(tmp_path / "e", "rem", (30.0, 40.0), recipe={"model": "convnet", "steps": 8})
    tables = collect(tmp_path)
    assert len(tables) == 3 and sorted(len(t.standings) for t in tables) == [1, 1, 2]
    (both,) = (t for t in tables if len(t.standings) == 2)
    assert [s.method for s in both.standings] == ["rem", "em"]  # the best protection first
    em = both.standings[1]
    assert (em.seeds, em.worst, em.by) == (2, 53.0, "JPEG 10")
    assert em.peaks["ordinary training"] == (20.0, 24.0)
    md = leaderboard(tmp_path, tmp_path / "out")[0].read_text()
    assert "**53.0 ± 4.2**" in md and "22.0 ± 2.8" in md


def test_methods_of_one_name_are_told_apart_by_their_settings(tmp_path):
    for k, radius in enumerate((2.0, 4.0)):
        one(tmp_path / str(k), "rem", (30.0, 40.0 + k), settings={"eps": 8.0, "adv_eps": radius})
    one(tmp_path / "c", "em", (20.0, 50.0), settings={"eps": 8.0})
    (table,) = collect(tmp_path)
    assert [s.method for s in table.standings] == ["rem (adv_eps 2.0)", "rem (adv_eps 4.0)", "em"]


def test_noise_over_the_budget_has_no_rank(tmp_path):
    one(tmp_path / "a", "em", (20.0, 50.0))
    one(tmp_path / "b", "rem", (30.0, 40.0))
    one(tmp_path / "c", "cuda", (10.0, 20.0), flags=["over-8"])
    (table,) = collect(tmp_path)
    assert [(s.ranked, s.method) for s in table.standings] == [
        (True, "rem"),
        (True, "em"),
        (False, "cuda"),
    ]
    md = one_space(leaderboard(tmp_path, tmp_path)[0].read_text())
    assert "| 1 | rem |" in md and "| 2 | em |" in md and "| - | cuda |" in md
    assert "cuda: over-8" in md


def test_clean_images_and_what_each_row_is(tmp_path):
    """The last row is what the learners reach on clean images, once per seed; every row has a day
    and a card, and the page says how to add one."""
    dated = {"date": "2026-11-25", "hardware": "a <machine>"}
    one(tmp_path / "a", "em", (20.0, 50.0), measured_with=dated, settings={"eps": 8.0})
    one(tmp_path / "b", "em", (24.0, 56.0), seed=1, settings={"eps": 8.0})
    one(tmp_path / "c", "rem", (30.0, 40.0), measured_with=dated | {"date": "2026-11-26"})
    (board,) = collect(tmp_path)
    assert board.clean == {"ordinary training": (60.0, 60.0), "JPEG 10": (60.0, 60.0)}
    md, table, page = (path.read_text() for path in leaderboard(tmp_path, tmp_path))
    assert "| - | clean images | 60.0 ± 0.0 | ordinary training | 60.0 ± 0.0 |" in one_space(md)
    assert "| 2 | 2026-11-25 | 22.0 ± 2.8 |" in one_space(md) and "| 1 | 2026-11-26 |" in one_space(
        md
    )
    assert (
        "em: settings: eps 8;" in md and "seeds: 0, 1" in md and "a/audit.json, b/audit.json" in md
    )
    assert {row["clean"] for row in csv.DictReader(table.splitlines())} == {"60.00"}
    cards = re.findall(r'<dl id="(.*?)">', page)
    assert re.findall(r'<a href="#(card.*?)">', page) == cards and len(set(cards)) == 2
    assert "a &lt;machine&gt;" in page and "<machine>" not in md + page
    for line in re.findall("`(unlearnable .*?)`", md):
        if "my_module" not in line:
            parse(shlex.split(line)[1:])
    for text in (md, page):
        assert "Add a row" in text and "docs/audits/mine-0.json" in text
    assert f"version {VERSION} by now" in md  # the audits are of version 2


def test_files_hold_the_same_numbers(tmp_path):
    one(tmp_path / "a", "<em>", (20.0, 50.0))
    one(tmp_path / "c", "rem", (30.0, 40.0))
    md, table, page = (p.read_text() for p in leaderboard(tmp_path, tmp_path / "out"))
    rows = list(csv.DictReader(table.splitlines()))
    assert [(r["method"], r["learner"], r["peak"]) for r in rows[2:]] == [
        ("<em>", "ordinary training", "20.00"),
        ("<em>", "JPEG 10", "50.00"),
    ]
    row = "| &lt;em> | **50.0** | JPEG 10 | 60.0 | L-inf 8/255 | 32.0 | 1 | - | 20.0 | 50.0 |"
    assert row in one_space(md) and "<em>" not in md
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
    (only,) = table.standings
    assert only.worst == done.worst.peak and only.method == "uniform"
    assert "40 images of shapes, convnet, 1 steps" in table.title


def test_an_audit_is_added_by_dropping_its_file_in(tmp_path):
    one(tmp_path / "a", "em", (20.0, 50.0))
    one(tmp_path / "b", "theirs", (30.0, 35.0))
    (tmp_path / "b" / "audit.json").rename(tmp_path / "theirs-0.json")
    (tmp_path / "else.json").write_text('{"cells": []}')
    leaderboard(tmp_path, tmp_path)
    (table,) = collect(tmp_path)
    assert [s.method for s in table.standings] == ["theirs", "em"]


def test_what_is_refused(tmp_path):
    with pytest.raises(UserError, match="no audit.json"):
        leaderboard(tmp_path, tmp_path)
    (tmp_path / "audit.json").write_text('{"suite": "quick"}')
    with pytest.raises(UserError, match="not a complete Audit"):
        leaderboard(tmp_path, tmp_path)
    (tmp_path / "audit.json").write_text('{"suite": ')
    with pytest.raises(UserError, match="audit.json"):
        leaderboard(tmp_path, tmp_path)


PROBE = """
const table = document.querySelector("table"), wide = table.parentNode;
const cell = k => table.tBodies[0].rows[0].cells[k].getBoundingClientRect();
const worst = cell(2).right; wide.scrollLeft = 500;
const buttons = table.querySelectorAll("button"); buttons[1].click(); buttons[1].click();
const hint = wide.previousElementSibling, links = table.querySelectorAll("tbody th a");
links[1].click();
return new Promise(seen => setTimeout(() => seen({worst, hint: hint.hidden ? "" : hint.textContent,
  wide: document.documentElement.scrollWidth, window: innerWidth,
  sticky: cell(1).left, first: table.tBodies[0].rows[0].cells[1].textContent,
  open: [...document.querySelectorAll("details")].filter(card => card.open).length,
  sorted: [...table.querySelectorAll("thead th")].map(th => th.ariaSort).slice(0, 3)}), 100));
"""


def sixteen(folder):
    """Audits of sixteen learners, of methods of which two differ by a setting."""
    rows = [
        {
            "learner": f"a countermeasure number {k}",
            "clean": 60.0,
            "protected": 20.0,
            "peak": 20.0 + k,
            "flags": [],
        }
        for k in range(16)
    ]
    one(folder / "a", "em", (), rows=rows)
    for name, radius in (("b", 2.0), ("c", 4.0)):
        settings = {"adv_eps": radius, "train_steps": 4000}
        one(folder / name, "rem", (), rows=rows, settings=settings, flags=["over-8"])
    return leaderboard(folder, folder)[2]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_in_a_browser(tmp_path, width):
    """The worst case is in view, the method stays when the table scrolls, a click sorts, and a
    method's name opens its card."""
    seen = browse(sixteen(tmp_path), PROBE, width=width)
    page = seen.found
    assert page["wide"] <= page["window"] == width and page["worst"] <= width
    assert 0 <= page["sticky"] < 60 and not seen.console and page["open"] == 1
    assert page["sorted"] == ["none", "descending", "none"] and "rem (adv_eps 4" in page["first"]
    assert page["hint"] == "25 columns: the table scrolls sideways."


@pytest.mark.parametrize("width, dark", [(390, False), (1280, True)])
def test_axe_finds_nothing(tmp_path, width, dark):
    assert axe(sixteen(tmp_path), width=width, dark=dark) == []
