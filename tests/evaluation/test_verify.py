"""The verdict: computed once from the numbers, and what the terminal says of it."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from tests.typed import typed
from unlearnable import Images, UserError
from unlearnable.evaluation.learners import Learner, pretrained
from unlearnable.evaluation.results import Result, Verified, VerifiedRow
from unlearnable.evaluation.verdict import (
    left,
    not_tried,
    overall_verdict,
    verdict,
    verify_flags,
)
from unlearnable.evaluation.verify import _learners, learner_size, made_on
from unlearnable.reports.verdict import FLAGS, verify_table
from unlearnable.training.accuracy import accuracy


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
    assert said.count("NO VERDICT") == 1 and "NOT PROTECTED" not in said
    assert "No verdict: the test models learn too little even from the clean photos." in said
    stored = json.loads(json.dumps(done.to_json()))
    assert Verified.from_json(stored) == done
    del stored["rows"][0]["verdict"]
    with pytest.raises(UserError, match="run the command that wrote it again"):
        Verified.from_json(stored)


@pytest.mark.parametrize(("noise", "learner"), [(32, 48), (64, 96), (224, 48)])
def test_learners_from_scratch_see_photos_at_another_size(noise, learner):
    assert learner_size(noise) == learner


def test_a_learner_that_is_named_twice_is_tried_once():
    names = [by.name for by in _learners((0.0, 2.0, 0.0), ("gray", "gray"))]
    assert len(names) == len({*names}) == 3


def test_white_balance_goes_before_the_test_too():
    balanced, gray = _learners((), ("white-balance", "gray"))
    assert balanced.countermeasure_test and not gray.countermeasure_test


FINE = VerifiedRow("ordinary training", [90.0, 92.0, 91.0], [20.0] * 3, 0.1, "protected")
FROZEN = replace(FINE, learner="frozen x", clean=[98.0] * 3, network="mobilenet-v2-imagenet")


def flags(*rows: VerifiedRow) -> list[str]:
    return verify_flags([FINE, *rows], 3, 10.0, 100)


def test_a_learner_that_ruins_clean_photos_is_flagged():
    ruined = VerifiedRow("training after x", [40.0] * 3, [20.0] * 3, 0.3, "protected")
    assert flags(FROZEN) == [] and flags(FROZEN, ruined) == ["ruins-clean"]
    # 50 is half of 91 above chance, and less than half of what a pretrained network learns
    assert flags(FROZEN, replace(ruined, clean=[50.6] * 3)) == []
    assert verify_flags([], 3, 100.0, 0) == ["one-class"]
    uneven = VerifiedRow("training after y", [90.0] * 3, [12.0, 15.0, 60.0], 0.24, "protected")
    assert flags(FROZEN, uneven) == ["uneven-splits"]
    failed = VerifiedRow("training after z", [90.0] * 3, [80.0] * 3, 0.9, "not protected")
    assert flags(FROZEN, failed) == []
    found = verify_flags([FINE, ruined, uneven], 1, 10.0, 99)
    found += flags(replace(FROZEN, known=True))
    assert {"small-test", "no-pretrained", "known-networks"} <= {*found} <= FLAGS.keys()


def test_networks_that_the_noise_was_made_on_are_no_proof_by_themselves():
    known = replace(FROZEN, known=True)
    assert flags(known) == ["known-networks"] and flags(known, FROZEN) == []
    settings = {"networks": ["mobilenet-v2-imagenet", "tests.networks:narrow"], "steps": 3}
    assert made_on(SimpleNamespace(settings=settings)) == ["mobilenet-v2-imagenet"]
    assert made_on(SimpleNamespace(settings={"steps": 3})) == []
    assert known.named == "frozen x (the noise was made on it)" and FROZEN.named == "frozen x"


def test_always_saying_the_largest_class_is_guessing():
    """Known answer: 20 of class 0, 2 of class 1. Chance is 50 %, not 91."""
    x = torch.zeros(22, 3, 32, 32, dtype=torch.uint8)
    y = torch.tensor([0] * 20 + [1] * 2)
    images = Images(x, y, ("many", "few"))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 2))
    torch.nn.init.zeros_(model[1].weight)
    for bias in ([1.0, 0.0], [0.0, 1.0]):
        model[1].bias.data = torch.tensor(bias)
        assert accuracy(model, images) == 50.0
    three = Images(x, y, ("many", "few", "none"))  # a class without images counts for nothing
    assert accuracy(torch.nn.Sequential(model, torch.nn.ZeroPad1d((0, 1))), three) == 50.0
    even = images.subset(torch.tensor([0, 1, 20, 21]))
    assert accuracy(model, even) == 50.0
    assert verdict(50.0, 50.0, 50.0) == "no verdict"


def test_what_was_not_tried_is_what_no_learner_was_like():
    """How long a learner trains, and how its adversary looks for noise, makes it no other."""
    every = not_tried([])
    assert "JPEG 10" in every and len(every) == len({*every})
    assert every.index("frozen MobileNetV2") < every.index("JPEG 10") < every.index("Cutout")
    tried = [
        Learner("training after grayscale", countermeasure="gray"),
        Learner("x", (("adv_eps", 2), ("attack", "n-fgsm"), ("steps", 7))),
        pretrained("frozen", "mobilenet-v2-imagenet"),
    ]
    gone = {"grayscale", "adversarial 2/255", "frozen MobileNetV2"}
    assert {*every} - {*not_tried(tried)} == gone


def test_a_result_of_an_earlier_version_has_no_classes():
    result = Result(50.0, 50.0, [], by_class={"cat": 20.0, "dog": 80.0, "owl": 50.0})
    assert result.accuracy_on(("cat", "owl")) == 35.0
    with pytest.raises(UserError, match="earlier version does not say the accuracy on each class"):
        Result(50.0, 50.0, []).accuracy_on(("cat",))


def test_one_class_and_no_learners_have_no_verdict():
    assert verdict(100.0, 100.0, 100.0) == "no verdict"
    assert overall_verdict([]) == "no verdict"


@pytest.mark.parametrize(
    ("found", "status"), [("protected", 0), ("not protected", 3), ("no verdict", 4)]
)
def test_the_exit_status_is_the_verdict(monkeypatch, tmp_path, found, status):
    rows = [VerifiedRow("ordinary training", [90.0], [20.0], 0.14, found)]
    done = Verified(rows, found, 10.0, [], 0, 1, 48, 0.25, {}, "a", "b", "c", test_photos=15)
    monkeypatch.setattr("unlearnable.evaluation.verify.verify", lambda *args, **kwargs: done)
    for name in ("photos", "protected"):
        (tmp_path / name).mkdir()
    (tmp_path / "protected.private").mkdir()
    (tmp_path / "protected.private" / "card.json").write_text("{}")
    said = typed("verify", "photos", "protected", cwd=tmp_path, status=status).stdout
    assert "Tested on 15 clean photos that were held out in one split" in said
    assert f"\n{found.capitalize()}" in said
