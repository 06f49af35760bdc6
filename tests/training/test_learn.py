"""The training loop: what it computes, that it resumes bit for bit, what it refuses."""

import json
import shutil
from dataclasses import asdict, replace
from typing import get_args

import numpy as np
import pytest
import torch

from tests import own_networks
from tests.kills import Killed
from unlearnable import EM, REM, Recipe, UserError, accuracy, build, learn, load, protect
from unlearnable.core import checkpoint, seeding
from unlearnable.core.checkpoint import Checkpoint
from unlearnable.core.device import COMPILE
from unlearnable.core.finite import is_finite
from unlearnable.core.seeding import Purpose, batch_rows, seed_of
from unlearnable.experiments.records import canonical
from unlearnable.training import pace
from unlearnable.training.augment import Resized
from unlearnable.training.frozen import Frozen
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


@pytest.mark.parametrize(
    "attack, passes", [({}, 1), ({"adv_eps": 4}, 2), ({"adv_eps": 4, "attack": "n-fgsm"}, 2)]
)
def test_passes_of_a_recipe_are_those_it_spends(few, attack, passes):
    recipe = replace(TINY, **attack, steps=2)
    assert recipe.passes(len(few)) == passes * 2 * recipe.batch
    assert learn(few, recipe, test=few).result["passes"] == recipe.passes(len(few))


def test_an_attack_at_its_default_leaves_a_key_as_it_was():
    recipe = asdict(Recipe(adv_eps=4))
    before = {k: v for k, v in recipe.items() if k != "attack"}
    assert canonical({"recipe": recipe}) == canonical({"recipe": before})
    assert canonical({"recipe": recipe | {"attack": "n-fgsm"}}) != canonical({"recipe": before})


def test_a_learner_is_not_the_twin_of_the_surrogate(few):
    """The same seed: other weights, other batches, other draws. The surrogate's are those of
    before."""
    short = replace(TINY, steps=1, lr=1e-12, weight_decay=0.0)
    weights = {p: _weights(learn(few, short, seed=3, purpose=p).model) for p in get_args(Purpose)}
    made = _weights(build(NARROW, 10, size=32, seed=3))
    assert torch.allclose(weights["surrogate"], made, atol=1e-6)
    assert not torch.allclose(weights["learner"], made, atol=0.01)
    assert seed_of("surrogate", 3) == 3 != seed_of("learner", 3) != seed_of("learner", 4)
    rows = [batch_rows(40, 16, seed_of(p, 3), 0) for p in get_args(Purpose)]
    assert not torch.equal(*rows)


def test_pixels_that_may_leave_0_and_1_are_not_clipped_back(few):
    """What the projection leaves beyond them tells nothing of the class only there."""
    beyond = replace(few, x=few.x.float() / 255 * 1.2 - 0.1, unclipped=True)
    for more in ({"adv_eps": 2.0}, {"adv_l2": 0.5}, {"augmentation": "cutout"}):
        with pytest.raises(UserError, match="would clip them back"):
            learn(beyond, replace(TINY, **more))


def test_fewer_images_than_processes_are_refused(monkeypatch):
    monkeypatch.setattr(seeding, "world", lambda: 4)
    with pytest.raises(UserError, match="start at most 3"):
        batch_rows(3, 8, 0, 0)


def _weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


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
    first.save(1, lambda: {"done": 1}, force=True)
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


@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"batch": -1}, {"adv_eps": -1.0}, {"lr": 0.0}, {"attack": "fgsm"}]
)
def test_impossible_recipes(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        Recipe(**bad)


def test_n_fgsm_has_no_l2_ball():
    with pytest.raises(UserError, match="n-fgsm is an L-infinity attack"):
        Recipe(adv_l2=0.5, attack="n-fgsm")


def test_other_classes_are_refused(few):
    test = load("shapes", classes=("ring", "star"), limit=4)
    with pytest.raises(UserError, match="classes"):
        learn(few, TINY, test=test)


def test_start_from_another_learner(tmp_path):
    """All layers that fit are taken over; the head for other classes starts at random."""
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


@pytest.mark.slow  # test_pgd.py compiles one in every run
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


# ── networks of a person's own, and trainings that diverge ──

SHORT = Recipe.preset("short", steps=8, batch=16, evals=2)


def own(name, **changes):
    return replace(SHORT, model=f"tests.own_networks:{name}", **changes)


def test_shared_weights_are_learned_saved_and_read(few, tmp_path):
    done = learn(few, own("Tied"), test=few, out=tmp_path / "run")
    again = learn(few, own("Tied"), test=few, out=tmp_path / "run")
    assert again.result == done.result
    assert all(
        torch.equal(v, again.model.state_dict()[k]) for k, v in done.model.state_dict().items()
    )


def test_the_frozen_copy_of_shared_weights_is_the_model(few):
    """A convolution that shares its weight cannot be folded: its batch norm would act on both."""
    model = build("tests.own_networks:Tied", 10, size=32).train()
    model(few.pixels(slice(0, 20), "cpu"))  # statistics other than the first
    frozen = Frozen(model, bfloat16=False)
    with torch.no_grad():
        model.first.weight.mul_(1.5)
        frozen.refresh()
        x = few.pixels(slice(20, 40), "cpu")
        assert torch.allclose(frozen(x), model.eval()(x), atol=1e-5)


def test_a_network_that_fails_is_refused_before_anything_is_written(few, tmp_path):
    with pytest.raises(UserError, match="returned an object of type tuple"):
        learn(few, own("Auxiliary"), test=few, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_network_that_fails_later_resumes_once_it_is_corrected(few, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SAVE_EVERY", 0.0)
    own_networks.CALLS.clear()
    with pytest.raises(UserError, match=r"failed in training, ValueError: the third batch \("):
        learn(few, own("Later"), test=few, out=tmp_path / "run")
    assert not (tmp_path / "run" / "result.json").exists()
    assert (tmp_path / "run" / "state" / "latest").exists()
    done = learn(few, own("Later"), test=few, out=tmp_path / "run")
    own_networks.CALLS.extend([0, 0, 0])
    assert done.result["log"] == learn(few, own("Later"), test=few).result["log"]


@pytest.mark.parametrize("test", [True, False])
def test_a_training_that_diverges_is_no_result(few, tmp_path, monkeypatch, test):
    """With a save after every step: the last finite one stays."""
    monkeypatch.setattr(checkpoint, "SAVE_EVERY", 0.0)
    diverging = own("Plain", lr=1e30, schedule="step")
    with pytest.raises(UserError, match="NaN or infinite; lower the learning rate"):
        learn(few, diverging, test=few if test else None, out=tmp_path / "run")
    assert not (tmp_path / "run" / "result.json").exists()
    for file in (tmp_path / "run").rglob("*.pt"):
        assert is_finite(torch.load(file, weights_only=True))


def test_a_training_that_diverges_without_a_folder(few):
    for model in (NARROW, "tests.own_networks:Plain"):
        recipe = replace(SHORT, model=model, lr=1e30, schedule="step")
        with pytest.raises(UserError, match="NaN or infinite"):
            learn(few, recipe)


@pytest.mark.parametrize(
    ("name", "said"), [("NaNLater", "logits of test images: numbers became NaN"), ("Shorter", "39")]
)
def test_accuracy_is_not_taken_from_logits_that_are_none(few, tmp_path, name, said):
    with pytest.raises(UserError, match=said):
        learn(few, own(name, batch=4), test=few, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_test_images_may_name_the_same_classes_in_another_order(few):
    """As a folder does, whose classes come by name: labels follow the names."""
    order = torch.randperm(len(few.classes), generator=torch.Generator().manual_seed(0))
    names = tuple(few.classes[k] for k in order.tolist())
    other = replace(few, y=order.argsort()[few.y], classes=names)
    assert torch.equal(other.in_classes_of(few).y, few.y)
    assert learn(few, TINY, test=other).result["log"] == learn(few, TINY, test=few).result["log"]
    with pytest.raises(UserError, match="give test images of the same classes"):
        learn(few, TINY, test=replace(few, classes=("x", *few.classes[1:])))


@pytest.mark.parametrize("kind", [np.int64, torch.tensor])
def test_a_seed_is_the_number_whatever_its_type(few, tmp_path, kind):
    plain, other = (
        learn(few, TINY, seed=s, out=tmp_path / str(k)) for k, s in enumerate((3, kind(3)))
    )
    assert plain.result["log"] == other.result["log"]
    made = [protect(few, EM.preset("fast", train_steps=2), seed=s).images for s in (3, kind(3))]
    assert made[0].digest() == made[1].digest()


@pytest.mark.parametrize("seed", [True, 1.0, "1", -1, 2**63])
def test_what_is_no_seed_is_refused(few, seed):
    with pytest.raises(UserError, match="A seed must be a whole number from 0"):
        learn(few, TINY, seed=seed)


def test_a_caller_s_own_draws_are_not_seeded(few):
    """They were the same whatever the caller had seeded."""
    for work in (
        lambda: learn(few, TINY),
        lambda: protect(few, EM.preset("fast", train_steps=2)),
        lambda: pace.seconds_per_pass(TINY, (32, 32), images=8),
    ):
        torch.manual_seed(7)
        wanted = torch.rand(3)
        torch.manual_seed(7)
        work()
        assert torch.equal(torch.rand(3), wanted)


def test_a_learned_model_sees_test_images_as_it_did(few):
    recipe = replace(TINY, protocol="fine-tuned", input_size=48)
    learned = learn(few, recipe, test=few)
    assert learned.accuracy(few) == learned.result["accuracy"]
    assert isinstance(learned.view, Resized)


@pytest.mark.parametrize(
    ("given", "said"), [({"precision": "bfloat16"}, "bf16"), ({"purpose": "x"}, "learner")]
)
def test_misspelled_choices_are_refused(few, given, said):
    with pytest.raises(UserError, match=said):
        learn(few, TINY, **given)
