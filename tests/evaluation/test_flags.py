"""Every flag where it should be, and not where it should not; docs/checks.md explains each."""

import re
from dataclasses import fields, replace
from pathlib import Path

import torch

from unlearnable import Images, Recipe
from unlearnable.data.card import Card, Measured
from unlearnable.evaluation.flags import image_flags, known_baseline, training_flags
from unlearnable.evaluation.results import Result

ROOT = Path(__file__).parents[2]


def result(accuracy: float, *losses: float) -> Result:
    return Result(accuracy, accuracy, [{"loss": v} for v in losses or (2.0, 0.5)])


def test_of_training():
    assert training_flags(result(20, 2.0, 0.5), result(60), 10) == []
    assert training_flags(result(20, 2.0, 0.5), result(27), 10) == ["weak-baseline"]
    assert training_flags(result(20, 2.0, 1.9), result(60), 10) == ["not-converged"]
    assert (
        training_flags(result(20, 2.0, 1.7), result(49, 2.2, 1.6), 10) == []
    )  # strong AT on clean images is no lower
    assert training_flags(result(20, 2.0, 1.8), result(49, 2.2, 1.6), 10) == ["not-converged"]
    assert training_flags(result(20, 2.0, float("nan")), result(60), 10) == ["not-converged"]
    assert training_flags(result(20, 0.05, 0.05), None, 10) == []  # converged early
    assert training_flags(result(20, 2.0, 0.5), result(91.6), 10, 94.66) == ["low-baseline"]
    assert training_flags(result(20, 2.0, 0.5), result(91.7), 10, 94.66) == []


def test_a_countermeasure_that_ruins_clean_images():
    assert training_flags(result(44), result(36), 10, ordinary=61.9) == []
    assert training_flags(result(44), result(35.5), 10, ordinary=61.9) == ["ruins-clean"]
    assert training_flags(result(44), result(28.1), 10, ordinary=61.9) == ["ruins-clean"]
    assert training_flags(result(44), result(28.1), 10) == []  # nothing to compare with


def test_known_baselines_are_those_of_that_learner_on_that_data():
    assert known_baseline("cifar10", None, Recipe()) == 94.66
    assert known_baseline("cifar10", None, Recipe(adv_eps=4, evals=5)) == 89.51
    assert known_baseline("imagenet100", None, Recipe.preset("imagenet", adv_eps=4)) == 66.62
    assert known_baseline("cifar10", 5000, Recipe.preset("short", adv_eps=2)) == 54.8
    for other in (
        Recipe(steps=100),
        Recipe(adv_eps=3),
        Recipe(model="vgg16"),
        Recipe(augmentation="cutout"),
    ):
        assert known_baseline("cifar10", None, other) is None
    assert (
        known_baseline("cifar10", 100, Recipe()) is None
        and known_baseline("shapes", None, Recipe()) is None
    )


def a_card(settings: dict[str, float], l2: float) -> Card:
    measured: Measured = {"linf": 8, "l2": l2, "psnr": 30.0, "ssim": 0.9}
    unused = {f.name: None for f in fields(Card)}
    return Card(**unused | {"settings": settings, "measured": measured})


def test_of_images():
    clean = Images(
        torch.full((6, 3, 8, 8), 100, dtype=torch.uint8), torch.arange(6) % 2, ("a", "b")
    )
    noise = torch.full((6, 3, 8, 8), 8, dtype=torch.uint8)
    l2 = 8 / 255 * (3 * 64) ** 0.5
    card = a_card({"eps": 8.0}, l2=round(l2, 4))
    whole = replace(clean, x=clean.x + noise)
    assert image_flags(clean, whole, card) == []
    assert image_flags(clean, replace(clean, x=clean.x + 2 * noise), card) == [
        "over-8",
        "budget-exceeded",
    ]
    wide = a_card({}, l2=0)  # a method without a ball
    assert image_flags(clean, replace(clean, x=clean.x + 2 * noise), wide) == ["over-8"]
    assert image_flags(clean, replace(clean, x=clean.x + noise - 1), card) == [
        "noise-lost"
    ]  # 7/8 of the noise
    few = a_card({"eps": 8.0}, l2=l2 / 4)
    assert image_flags(clean, replace(clean, x=clean.x + noise // 4), few) == [
        "noise-lost"
    ]  # 2 of 8/255
    kept = torch.arange(6)[:, None, None, None] == 3
    part = replace(clean, x=torch.where(kept, clean.x, whole.x))
    assert image_flags(clean, part, a_card({"eps": 8.0}, l2=0)) == ["partly-protected"]
    assert image_flags(clean, replace(whole, y=whole.y.flip(0)), card) == ["changed-labels"]
    assert image_flags(clean, replace(whole, classes=("b", "a")), card) == ["changed-labels"]


def test_every_flag_is_explained():
    text = (ROOT / "docs" / "checks.md").read_text()
    explained = set(re.findall(r"^\| `([\w-]+)` \|", text, re.M))
    sources = "".join(p.read_text() for p in (ROOT / "unlearnable").rglob("*.py"))
    used = set(re.findall(r"(?:append|add)\(\"([a-z]+-[a-z0-9]+)\"\)", sources))
    assert used == explained
