"""The training loop: what it computes, that it resumes bit for bit, what it refuses."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from unlearnable import EM, REM, Recipe, UserError, accuracy, build, learn, load, protect
from unlearnable.core import checkpoint
from unlearnable.core.checkpoint import Checkpoint
from unlearnable.core.device import COMPILE
from unlearnable.training.trainer import Trainer

NARROW = "tests.networks:narrow"
TINY = Recipe.preset("short", model=NARROW, steps=6, batch=16, adv_steps=1, evals=3)
NOISE = {"model": NARROW, "train_steps": 4, "batch": 16, "steps": 1, "eot_samples": 1}


def test_result_and_log(few, tmp_path):
    done = learn(few, TINY, test=few, out=tmp_path / "run")
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [e["step"] for e in log] == [2, 4, 6]
    r = json.loads((tmp_path / "run" / "result.json").read_text())
    assert r["accuracy"] == log[-1]["accuracy"] and r["peak"] == max(e["accuracy"] for e in log)
    assert (
        r["accuracy"]
        == accuracy(learn(few, TINY, test=few, out=tmp_path / "run").model, few)
        == done.result["accuracy"]
    )
    assert not (tmp_path / "run" / "state").exists()


def test_learning_rates():
    paper = Recipe.preset("paper")
    assert [paper.lr_at(s) for s in (0, 15_999, 16_000, 32_000)] == pytest.approx(
        [0.1, 0.1, 0.01, 0.001]
    )
    assert not paper.adversarial and Recipe(adv_eps=4).adversary["step"] == pytest.approx(
        0.8 / 255
    )  # adv_eps / 5
    assert Recipe(adv_l2=0.5).adversary == {"eps": 0.5, "step": 0.1, "steps": 10, "norm": "l2"}
    cycle = Recipe(schedule="onecycle", steps=100)
    rates = [cycle.lr_at(s) for s in range(100)]
    assert max(rates) == rates[19] == pytest.approx(0.1) and rates[-1] == pytest.approx(0, abs=1e-9)


class Killed(BaseException):
    """As from outside: nothing may catch it."""


def killed_at(monkeypatch, n):
    """Every state is saved; the process dies right after the n-th."""
    monkeypatch.setattr(checkpoint, "SAVE_EVERY", 0.0)
    save, count = Checkpoint.save, []

    def save_and_die(self, *args, **more):
        save(self, *args, **more)
        count.append(1)
        if len(count) == n:
            raise Killed

    monkeypatch.setattr(Checkpoint, "save", save_and_die)


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("adv_eps", [0.0, 2.0])
def test_learn_resumes_bit_for_bit(few, tmp_path, monkeypatch, n, adv_eps):
    recipe = replace(TINY, adv_eps=adv_eps)
    whole = learn(few, recipe, test=few, out=tmp_path / "whole")
    with monkeypatch.context() as m, pytest.raises(Killed):
        killed_at(m, n)
        learn(few, recipe, test=few, out=tmp_path / "cut")
    cut = learn(few, recipe, test=few, out=tmp_path / "cut")
    assert cut.result["log"] == whole.result["log"]
    for a, b in zip(
        cut.model.state_dict().values(), whole.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b)


@pytest.mark.parametrize("n", [2, 6])  # in the loop; in the final pass
@pytest.mark.parametrize(
    "method", [REM(**NOISE, adv_steps=1), EM(**NOISE, refresh_every=2)], ids=["rem", "em"]
)
def test_protect_resumes_bit_for_bit(few, tmp_path, monkeypatch, n, method):
    whole = protect(few, method, tmp_path / "whole")
    with monkeypatch.context() as m, pytest.raises(Killed):
        killed_at(m, n)
        protect(few, method, tmp_path / "cut")
    assert not (tmp_path / "cut" / "images.npy").exists()
    cut = protect(few, method, tmp_path / "cut")
    assert torch.equal(cut.images.x, whole.images.x)
    a, b = ((tmp_path / d / "generator.safetensors").read_bytes() for d in ("cut", "whole"))
    assert a == b


def test_a_run_s_seconds_are_those_of_all_its_parts(tmp_path, monkeypatch):
    """A clock by hand: 100 seconds to the save and 5 after it, which the kill loses; then 30 in the
    next process."""
    clock = [1000.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: clock[0])
    first = Checkpoint(tmp_path / "run", {"a": 1})
    clock[0] += 100
    first.save(1, {"done": 1}, force=True)
    clock[0] += 5
    assert first.seconds == 105
    clock[0] = 50.0
    second = Checkpoint(tmp_path / "run", {"a": 1})
    assert second.load()["done"] == 1
    clock[0] += 30
    assert second.seconds == 130


def test_another_configuration_s_state_is_refused(few, tmp_path, monkeypatch):
    with monkeypatch.context() as m, pytest.raises(Killed):
        killed_at(m, 1)
        learn(few, TINY, out=tmp_path / "run")
    with pytest.raises(UserError, match="seed is 0 there and 1 here"):
        learn(few, TINY, out=tmp_path / "run", seed=1)
    with monkeypatch.context() as m, pytest.raises(Killed):
        killed_at(m, 1)
        protect(few, REM(**NOISE, adv_steps=1), tmp_path / "noise")
    with pytest.raises(UserError, match="method.* is 'rem' there and 'em' here"):
        protect(few, EM(**NOISE), tmp_path / "noise")


def test_a_folder_with_only_the_rest_of_a_killed_write_can_be_used(few, tmp_path):
    (tmp_path / "run" / "state").mkdir(parents=True)
    (tmp_path / "run" / "state" / ".config.json.1.part").write_text("{")
    assert learn(few, TINY, out=tmp_path / "run").result["log"]


def test_no_space_left_is_one_sentence_and_no_half_written_file(few, tmp_path, monkeypatch):
    import errno
    import os

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        learn(few, TINY, out=tmp_path / "run")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("bad", [{"steps": 0}, {"batch": -1}, {"adv_eps": -1.0}, {"lr": 0.0}])
def test_impossible_recipes(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        Recipe(**bad)


def test_other_classes_are_refused(few):
    test = load("shapes", classes=("ring", "star"), limit=4)
    with pytest.raises(UserError, match="classes"):
        learn(few, TINY, test=test)


def test_start_from_another_learner(tmp_path):
    """All layers that fit are taken over; a head for other classes starts at random."""
    data = load("shapes", limit=20)
    recipe = Recipe.preset("short", steps=1, batch=8, evals=1)
    first = learn(data, recipe, out=tmp_path / "first").model.state_dict()
    start = {"init_from": str(tmp_path / "first" / "model.safetensors"), "lr": 1e-12}
    again = learn(data, replace(recipe, **start)).model.state_dict()
    for k, v in first.items():
        assert "running" in k or "num_batches" in k or torch.allclose(again[k], v)
    two = load("shapes", limit=20, classes=("circle", "star"))
    other = learn(two, replace(recipe, **start), seed=1).model.state_dict()
    fresh = learn(two, replace(recipe, lr=1e-12), seed=1).model.state_dict()
    shapes = {k for k, v in other.items() if v.shape != first[k].shape}
    assert shapes and all(torch.allclose(other[k], fresh[k]) for k in shapes)
    weights = [k for k, v in other.items() if v.dim() == 4]
    assert all(torch.allclose(other[k], first[k]) for k in weights)
    (tmp_path / "bad").write_text("no model")
    with pytest.raises(UserError, match="cannot be read as weights"):
        learn(data, replace(recipe, init_from=str(tmp_path / "bad")))
    with pytest.raises(UserError, match="another network"):
        learn(data, replace(recipe, init_from=start["init_from"], model="vgg11"))
    with pytest.raises(UserError, match="one radius"):
        Recipe(adv_eps=1, adv_l2=1)


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on the CPU")
def test_compiled_training_steps_are_the_same_up_to_rounding(few, compiling, monkeypatch):
    x, y = (
        few.pixels(torch.arange(16), "cpu").double(),
        few.y[:16],
    )  # in float32 two steps may part by a hundredth
    trained = []
    for compiled in (False, True):
        monkeypatch.setenv(COMPILE, "1" if compiled else "")
        model = build("tests.networks:shallow", len(few.classes), size=32, seed=1).double()
        before = torch.cat([p.detach().flatten() for p in model.parameters()])
        trainer = Trainer(model, lr=0.05, momentum=0.9, weight_decay=5e-4, bfloat16=False)
        losses = torch.stack([trainer.step(x, y, 0.05) for _ in range(2)])
        assert (trainer._network._program is not None) == compiled  # it did not fall back
        trained.append(
            (losses, torch.cat([p.detach().flatten() for p in model.parameters()]) - before)
        )
    (plain, change), (fast, other) = trained
    assert torch.allclose(plain, fast, rtol=1e-5)
    assert float((change - other).norm() / change.norm()) < 1e-4
