"""The audit: its own baseline for every learner, the worst case, resuming, what it refuses."""

import json
import sys
from functools import partial

import pytest

from unlearnable import SUITES, Images, Recipe, Uniform, UserError, audit, load, protect, train_denoiser
from unlearnable.audit import Learner, _flags, estimate, table

SHORT = Recipe.preset("short", steps=4, batch=16, tests=2, adv_steps=1)


@pytest.fixture
def protected(tmp_path):
    protect(load("shapes", limit=40), Uniform(), tmp_path / "protected")
    return tmp_path / "protected"


def test_the_worst_case_is_the_highest_peak_and_a_second_call_trains_nothing(protected, tmp_path):
    test = load("shapes", split="test", limit=40)
    done = audit(protected, "quick", SHORT, out=tmp_path / "audit", test=test)
    assert [r["learner"] for r in done.rows] == [learner.name for learner in SUITES["quick"]]
    assert done.worst["peak"] == max(r["peak"] for r in done.rows) and done.chance == 10
    assert f"{done.worst['peak']:.1f} %" in table(done)
    assert json.loads((tmp_path / "audit" / "audit.json").read_text())["worst"] == done.worst
    # six trainings, each with a result of its own
    assert len(list((tmp_path / "audit").glob("*/run/result.json"))) == 6
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "audit").glob("*/cell.json")}
    assert audit(protected, "quick", SHORT, out=tmp_path / "audit", test=test).rows == done.rows
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}


def test_larger_suites_contain_the_smaller_ones():
    quick, standard, full = (set(SUITES[n]) for n in ("quick", "standard", "full"))
    assert quick < standard < full and len({learner.name for learner in full}) == len(SUITES["full"])
    assert Learner("ordinary training") in quick


def test_every_learner_of_the_full_suite_trains(protected, tmp_path, monkeypatch):
    module = sys.modules[audit.__module__]  # unlearnable.audit is the function
    monkeypatch.setattr(module, "train_denoiser", partial(train_denoiser, steps=2))
    shortest = Recipe.preset("short", steps=1, batch=8, tests=1, adv_steps=1)
    done = audit(protected, "full", shortest, out=tmp_path / "audit", test=load("shapes", split="test", limit=10))
    assert [r["learner"] for r in done.rows] == [learner.name for learner in SUITES["full"]]
    assert estimate(SUITES["quick"], load(protected), shortest) > 0


def test_flags():
    def result(accuracy: float, *losses: float) -> dict:
        return {"accuracy": accuracy, "log": [{"loss": v} for v in losses]}

    inside, outside = {"measured": {"linf": 8}}, {"measured": {"linf": 200}}
    assert list(_flags(result(60, 2), result(20, 2.0, 0.5), 10, inside)) == []
    assert list(_flags(result(27, 2), result(20, 2.0, 0.5), 10, inside)) == ["weak-baseline"]
    assert list(_flags(result(60, 2), result(20, 2.0, 1.9), 10, inside)) == ["not-converged"]
    assert list(_flags(result(60, 2), result(20, 2.0, 0.5), 10, outside)) == ["outside-ball"]


def test_what_is_refused(protected, tmp_path):
    with pytest.raises(UserError, match="no suite 'huge'"):
        audit(protected, "huge", SHORT, out=tmp_path / "a")
    with pytest.raises(UserError, match="leave adv_eps, adv_l2 and strong out"):
        audit(protected, "quick", Recipe.preset("short", strong="cutout"), out=tmp_path / "a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no protected folder"):
        audit(tmp_path / "empty", "quick", SHORT, out=tmp_path / "a")
    test = load("shapes", split="test", limit=40)
    with pytest.raises(UserError, match="classes"):
        audit(protected, "quick", SHORT, out=tmp_path / "a", test=Images(test.x, test.y % 3, ("a", "b", "c")))
    assert not (tmp_path / "a" / "audit.json").exists()
