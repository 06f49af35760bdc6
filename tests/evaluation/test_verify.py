"""The verdict: computed once from the numbers, and what the terminal says of it."""

import json

import pytest

from unlearnable import UserError
from unlearnable.evaluation.results import Verified, VerifiedRow
from unlearnable.evaluation.verify import _flags, left, overall_verdict, verdict
from unlearnable.reports.photo_page import FLAGS
from unlearnable.reports.tables import verify_table


def test_at_most_half_of_what_lies_above_chance_may_be_left():
    assert verdict(90.0, 50.0, 10.0) == "protected"  # exactly half
    assert verdict(90.0, 50.1, 10.0) == "not protected"
    assert verdict(90.0, 5.0, 10.0) == "protected"  # below guessing
    assert left(90.0, 50.0, 10.0) == 0.5 and left(90.0, 5.0, 10.0) == 0


def test_a_useless_baseline_has_no_verdict():
    assert verdict(27.9, 10.0, 10.0) == "no verdict"  # chance and a fifth of the rest is 28
    assert verdict(28.1, 10.0, 10.0) == "protected"
    assert verdict(8.0, 30.0, 10.0) == "no verdict"
    assert left(8.0, 30.0, 10.0) > 1


def test_one_learner_that_gets_around_it_decides():
    assert overall_verdict(["protected", "protected"]) == "protected"
    assert overall_verdict(["protected", "no verdict"]) == "no verdict"
    assert overall_verdict(["no verdict", "not protected", "protected"]) == "not protected"


def test_the_terminal_prints_the_verdicts_and_json_keeps_them():
    rows = [
        VerifiedRow("ordinary training", [90.0, 92.0], [20.0, 22.0], 0.14, "protected"),
        VerifiedRow("adversarial 2/255", [12.0, 14.0], [11.0, 12.0], 0.5, "no verdict"),
    ]
    done = Verified(
        rows, "no verdict", 10.0, ["weak-baseline", "few-seeds"], 0, 2, 48, 0.25, {}, "a", "b", "c"
    )
    said = verify_table(done)
    assert said.count("NO VERDICT") == 2 and "NOT PROTECTED" not in said  # once in its meaning
    assert "Verdict: no verdict." in said
    stored = json.loads(json.dumps(done.to_json()))
    assert Verified.from_json(stored) == done
    del stored["rows"][0]["verdict"]
    with pytest.raises(UserError, match="run the command that wrote it again"):
        Verified.from_json(stored)


def test_a_learner_that_ruins_clean_photos_is_flagged():
    fine = VerifiedRow("ordinary training", [90.0, 92.0, 91.0], [20.0] * 3, 0.1, "protected")
    ruined = VerifiedRow("training after x", [40.0] * 3, [20.0] * 3, 0.3, "protected")
    assert _flags([fine, fine], 3, 10.0) == []
    assert _flags([fine, ruined], 3, 10.0) == ["ruins-clean"]
    assert set(_flags([fine, ruined], 3, 10.0)) <= set(FLAGS)  # the page says what it means
