"""A result is found by the images, the learner and the seed, and by nothing else."""

import sys
from dataclasses import replace

import pytest

from unlearnable import Recipe, load
from unlearnable.core.files import config_hash
from unlearnable.evaluation.learners import Learner
from unlearnable.evaluation.store import without_defaults
from unlearnable.evaluation.train_and_test import train_and_test, training_config

RECIPE = Recipe.preset("short", steps=2, batch=16, evals=2, adv_steps=1)
ORDINARY = Learner()


@pytest.fixture(scope="module")
def images():
    return load("shapes", limit=20)


def key(images, learner=ORDINARY, seed=0, recipe=RECIPE, pairs=None):
    return training_config(learner, images, images, seed, recipe=recipe, pairs=pairs)


def test_what_a_result_is_found_by(images):
    at_2 = Learner("adversarial 2/255", (("adv_eps", 2.0),))
    assert key(images, replace(at_2, name="another name")) == key(images, at_2)
    assert key(images, at_2) == key(images, recipe=replace(RECIPE, adv_eps=2.0))
    other = replace(images, x=images.x + 1)
    keys = [
        key(images),
        key(images, at_2),
        key(images, Learner(countermeasure="gray")),
        key(images, Learner(countermeasure="gray", countermeasure_test=True)),
        key(images, Learner(countermeasure="bilateral")),
        key(images, Learner(leaked=0.1), pairs=(images, images)),
        key(images, Learner(leaked=0.1), pairs=(images, other)),
        key(images, seed=1),
        key(other),
    ]
    assert all(a != b for k, a in enumerate(keys) for b in keys[:k])
    assert key(images, Learner(countermeasure="bilateral"))["countermeasure_form"] == 2
    assert "countermeasure_form" not in key(images, Learner(countermeasure="gray"))
    assert key(images, Learner(changes=(("augmentation", "cutout"),)))["augmentation_form"] == 2


def test_what_the_settings_only_name_counts(images, tmp_path):
    """Other weights in the same file, and a stated precision, are another training."""
    weights = tmp_path / "model.safetensors"
    keys = []
    for content in (b"a", b"b"):
        weights.write_bytes(content)
        keys.append(key(images, recipe=replace(RECIPE, init_from=str(weights))))
    assert keys[0] != keys[1] and keys[0].keys() == keys[1].keys()
    for precision in ("fp32", "bf16"):
        config = training_config(ORDINARY, images, images, 0, recipe=RECIPE, precision=precision)
        assert config == {**key(images), "precision": precision}


def test_own_code_counts_by_its_content(images, tmp_path, monkeypatch):
    """A network or countermeasure that was edited is another one; nothing is imported for it."""
    monkeypatch.chdir(tmp_path)
    keys = []
    for line in ("raise SystemExit", "raise SystemExit  # edited"):
        (tmp_path / "mine_to_edit.py").write_text(line)
        for recipe, by in (
            (replace(RECIPE, model="mine_to_edit:net"), ORDINARY),
            (RECIPE, Learner(countermeasure="mine_to_edit:filter")),
        ):
            keys.append(key(images, by, recipe=recipe))
    assert keys[0] != keys[2] and keys[1] != keys[3] and "mine_to_edit" not in sys.modules
    assert keys[0].keys() == keys[2].keys() == {*key(images), "own_code"}


def test_own_code_in_a_package_counts_without_running_it(images, tmp_path, monkeypatch):
    """The name may come from a card."""
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "package_to_leave"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit")
    (package / "nets.py").write_text("")
    found = key(images, recipe=replace(RECIPE, model="package_to_leave.nets:net"))
    assert "own_code" in found and package.name not in sys.modules
    assert "own_code" not in key(images, recipe=replace(RECIPE, model="gone.nets:net"))


def test_a_radius_of_2_is_one_of_2_0(images):
    keys = [config_hash(key(images, recipe=replace(RECIPE, adv_eps=r))) for r in (2, 2.0)]
    assert keys[0] == keys[1]


def test_settings_at_their_defaults_are_left_out(images):
    assert key(images).keys() == {"train", "test", "recipe", "seed"}
    assert "lr" not in key(images)["recipe"] and key(images)["recipe"]["steps"] == 2
    assert without_defaults({"lr": 0.1, "steps": 2, "gone": 1}, Recipe()) == {"steps": 2, "gone": 1}


def test_a_result_is_computed_once(images, tmp_path):
    options = {"recipe": RECIPE, "results": tmp_path}
    first = train_and_test(Learner("a"), images, images, **options)
    (file,) = tmp_path.glob("*/cell.json")
    stamp = file.stat().st_mtime_ns
    assert train_and_test(Learner("b"), images, images, **options) == first
    assert file.stat().st_mtime_ns == stamp and len(first.log) == 2
    assert [p.name for p in file.parent.iterdir()] == ["cell.json"]  # no weights are kept
