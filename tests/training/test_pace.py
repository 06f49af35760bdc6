"""Estimates of time: passes counted from the settings, and what one takes here."""

import time
from functools import lru_cache

import pytest

from unlearnable import Recipe, learn
from unlearnable.training import pace
from unlearnable.training.augmentations import COPIES

STEPS = pace.STEPS  # before conftest.py makes it less


@pytest.fixture(autouse=True)
def timed_in_full(monkeypatch):
    monkeypatch.setattr(pace, "STEPS", STEPS)
    pace._seconds_per_image.cache_clear()
    yield
    pace._seconds_per_image.cache_clear()


@pytest.mark.parametrize("adv_eps", [0.0, 2.0])
def test_a_recipe_counts_the_passes_that_it_takes(few, adv_eps):
    for batch in (16, 128):  # more than there are images
        recipe = Recipe.preset("short", steps=3, batch=batch, adv_eps=adv_eps, adv_steps=2)
        assert recipe.passes(len(few)) == learn(few, recipe).result["passes"]


def test_the_pace_is_the_median_step_without_the_first(monkeypatch):
    """Steps of 9, 1, 2 and 40 seconds on 8 images, two passes each: the median of the last three
    counts."""
    clock = iter([0, 9, 9, 10, 10, 12, 12, 52])
    monkeypatch.setattr(pace, "SECONDS", 20)
    monkeypatch.setattr(pace.time, "monotonic", lambda: next(clock))
    recipe = Recipe.preset("short", batch=8, adv_eps=4.0, adv_steps=1)
    assert pace.seconds_per_pass(recipe, (32, 32), images=8, device="cpu") == 2 / 8 / 2
    # other radii, rates and lengths share the trial: the clock would run out
    other = Recipe.preset("short", batch=8, adv_eps=2.0, adv_steps=1, lr=0.3, steps=7)
    assert pace.seconds_per_pass(other, (32, 32), images=8, device="cpu") == 2 / 8 / 2


def test_an_estimate_is_near_what_training_takes(few):
    recipe = Recipe.preset("short", steps=20, batch=16)
    estimate = recipe.passes(len(few)) * pace.seconds_per_pass(recipe, (32, 32), images=len(few))
    begin = time.monotonic()
    learn(few, recipe)
    took = time.monotonic() - begin
    assert took / 4 < estimate < 4 * took  # other work on the machine may slow either


def test_copies_of_an_image_count_once(monkeypatch):
    """``passes`` has them, and the estimate is a product: they were in both of its factors."""
    monkeypatch.setattr(pace, "_seconds_per_image", lru_cache(lambda *_: 60.0))
    for name, copies in (("", 1), ("ueraser-max", COPIES["ueraser-max"])):
        recipe = Recipe.preset("short", batch=8, augmentation=name)
        assert pace.seconds_per_pass(recipe, (32, 32), images=8) == 60.0 / copies
        seconds = pace.training_seconds(recipe, (32, 32), images=8, classes=10)
        assert seconds == pytest.approx(recipe.steps * 8 * 60.0)
