"""Class swap: every class has a partner, the noise lowers the margin that is written down, on all
networks, and is read as its class on the shortcut's; a killed run goes on."""

import copy
import sys

import pytest
import torch
from torch.nn.functional import one_hot

from tests.kills import Killed, killed_at_call
from unlearnable import EM, ClassSwap, Frozen, Recipe, learn, load, protect
from unlearnable.core.seeding import generator
from unlearnable.protection.methods import class_swap_loop
from unlearnable.protection.methods.base import Context
from unlearnable.protection.methods.class_swap_loop import confusion, pairs
from unlearnable.protection.methods.losses import lead, margin
from unlearnable.training.augment import LUMA
from unlearnable.training.pgd import uniform

NARROW = "tests.networks:narrow"
TINY = {"model": NARROW, "train_steps": 4, "batch": 16, "steps": 2, "step": 2.0}
OVER = TINY | {"shortcut": 0.25}


@pytest.fixture(scope="module")
def trained():
    """Images, and six networks in the order of the method's; the last is the shortcut's."""
    data = load("shapes", limit=60)
    recipe = Recipe.preset("short", steps=40, batch=20, evals=1)
    return data, [learn(data, recipe, seed=k).model for k in range(6)]


def give(monkeypatch: pytest.MonkeyPatch, models: list[torch.nn.Module]) -> None:
    """Let class swap find these networks in place of those that it would train."""
    left = iter(models)
    for name in ("train_surrogate", "shortcut_network"):
        monkeypatch.setattr(class_swap_loop, name, lambda *a, **k: (next(left), 0))


def test_the_most_confused_become_pairs_first():
    confused = torch.eye(6)
    confused[0, 3] = 0.5  # sees class 0 as class 3
    confused[4, 3] = 0.4  # taken already
    confused[4, 1] = 0.3
    assert pairs(confused) == [3, 4, 5, 0, 1, 2]


def test_three_classes_trade_places_in_a_circle():
    confused = torch.tensor([[0.0, 9.0, 1.0], [0.0, 0.0, 5.0], [0.0, 0.0, 0.0]])
    assert sorted(pairs(confused)) == [0, 1, 2]
    for classes in range(2, 12):
        partner = pairs(torch.rand(classes, classes, generator=torch.manual_seed(classes)))
        assert sorted(partner) == list(range(classes))
        assert all(p != c for c, p in enumerate(partner))
        circle = sum(partner[partner[c]] != c for c in range(classes))
        assert circle == 3 * (classes % 2)


def test_confusion_is_the_mean_probability_by_class(trained):
    data, models = trained
    found = confusion(Frozen(models[0], bfloat16=False), data, torch.device("cpu"))
    with torch.no_grad():
        likely = models[0](data.x.float() / 255).softmax(1)
    by_hand = torch.stack([likely[data.y == c].mean(0) for c in range(10)])
    assert torch.allclose(found, by_hand, atol=1e-5)


def test_one_step_is_the_sign_of_the_gradient_of_all_margins(trained, monkeypatch, in_double):
    data, models = trained[0], [copy.deepcopy(model).double() for model in trained[1]]
    give(monkeypatch, models)
    partner = [c ^ 1 for c in range(10)]
    monkeypatch.setattr(class_swap_loop, "pairs", lambda confused: partner)
    m = ClassSwap(eot_samples=0, steps=1, step=16.0, batch=len(data), shortcut=0.25)
    noise = m.craft(data, Context()).delta
    x = data.x.float().double() / 255
    x = (x + uniform(x, 8 / 255, generator("cpu", 0, "fixed", 0, 0))).clamp(0, 1).requires_grad_()
    red, green, blue = (x[:, k] * LUMA[k] for k in range(3))
    gray = (red + green + blue)[:, None].repeat(1, 3, 1, 1)
    ahead = one_hot(data.y) - one_hot(torch.tensor(partner)[data.y])
    robust, other, half, plain, colorless = (
        (model.eval()(z) * ahead).sum(1)
        for model, z in zip(models[:5], (x, x, x, x, gray), strict=True)
    )
    read = models[5].eval()(x)
    of_others = read.masked_fill(one_hot(data.y).bool(), -torch.inf)
    leads = read[torch.arange(len(x)), data.y] - of_others.max(1).values
    goal = 5 * (robust + other) + 2 * half + plain.clamp(min=-1) / 2 + colorless.clamp(min=-1) / 2
    (goal - leads.clamp(max=2) / 4).sum().backward()
    inside = (data.x > 8) & (data.x < 247)
    clear = inside & (x.grad != 0)
    assert torch.equal(noise[clear].double(), -8 * x.grad.sign()[clear])


def test_every_network_loses_a_quarter_of_its_margin(trained, monkeypatch):
    data, models = trained
    give(monkeypatch, models)
    noisy = protect(data, ClassSwap(steps=10, step=2.0), precision="fp32").images.x
    partner = pairs(confusion(Frozen(models[0], bfloat16=False), data, torch.device("cpu")))
    target = torch.tensor(partner)[data.y]
    for k, model in enumerate(models[:5]):
        seen = [class_swap_loop.gray(x) if k == 4 else x for x in (data.x, noisy)]
        with torch.no_grad():
            before, after = (margin(model(x.float() / 255), data.y, target) for x in seen)
        assert after.mean() < 0.75 * before.mean()


def test_the_shortcut_is_read(trained, monkeypatch):
    data, models = trained
    found = []
    for weight in (0.0, 100.0):  # the others have next to no say
        give(monkeypatch, models)
        method = ClassSwap(steps=10, step=2.0, shortcut=weight)
        noisy = protect(data, method, precision="fp32").images.x
        with torch.no_grad():
            found.append(float(lead(models[5](noisy.float() / 255), data.y).mean()))
    without, with_it = found
    assert with_it > without + 1


def test_the_network_of_the_shortcut_comes_from_error_minimizing_noise(few):
    assert ClassSwap(**TINY).shortcut_method is None
    method = ClassSwap(**OVER).shortcut_method
    em = EM.preset("short", gray_prob=0.5, model=NARROW, batch=16, train_steps=8, decay_every=3)
    assert method == em
    run = Context(seed=5)
    model, passes = class_swap_loop.shortcut_network(method, few, run)
    by_itself = em.craft(few, Context(seed=5))
    assert passes == by_itself.passes == em.passes(len(few))
    theirs = by_itself.generator.state_dict()
    assert all(torch.equal(v, theirs[k]) for k, v in model.state_dict().items())


def test_without_a_radius_no_network_trains_adversarially():
    assert [s.name for s in ClassSwap(adv_eps=0).surrogates] == ["plain", "gray"]
    m = ClassSwap()
    assert [m.recipe(s).adv_eps for s in m.surrogates] == [4, 4, 2, 0, 0]
    swap = 400 * 128 * (2 + 2 + 2 + 1 + 1) + 5000 * 24 * 5
    assert m.passes(5000) == swap
    shortcut = 800 * 128 * (1 + 2) + 5000 * 2  # two noise steps at every visit, and at the end
    assert ClassSwap(shortcut=0.25).passes(5000) == swap + shortcut + 5000 * 24


def test_networks_that_train_alike_start_apart(monkeypatch):
    data, seeds = load("shapes", limit=60), []
    real = class_swap_loop.train_surrogate

    def watched(seen, recipe, run, **named):
        model, cost = real(seen, recipe, run, **named)
        seeds.append((named["name"], run.seed))
        return model, cost

    monkeypatch.setattr(class_swap_loop, "train_surrogate", watched)
    protect(data, ClassSwap(**TINY), seed=3)
    of = dict(seeds)
    assert of["robust"] == of["half"] == of["plain"] == of["gray"] == 3
    assert of["robust1"] not in (3, 4, 5)  # nor a seed that somebody would take beside it


@pytest.mark.parametrize(("module", "name", "at"), [
    ("unlearnable.training.learn", "training_step", 6),  # in the second network
    ("unlearnable.protection.methods.min_min_loop", "pgd", 4),  # in the shortcut's
    ("unlearnable.protection.methods.fixed_surrogate_loop", "descend", 3),
])  # fmt: skip
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, monkeypatch, module, name, at):
    data = load("shapes", limit=60)
    whole = protect(data, ClassSwap(**OVER), tmp_path / "whole")
    assert whole.card.passes == ClassSwap(**OVER).passes(60)
    monkeypatch.setattr("unlearnable.core.checkpoint.SAVE_EVERY", 0.0)
    with monkeypatch.context() as m, pytest.raises(Killed):
        killed_at_call(m, sys.modules[module], name, at)
        protect(data, ClassSwap(**OVER), tmp_path / "killed")
    done = protect(data, ClassSwap(**OVER), tmp_path / "killed")
    assert torch.equal(done.images.x, whole.images.x) and done.card.passes == whole.card.passes
    assert not (tmp_path / "killed" / "state").exists()
