"""The protocols for networks with weights from elsewhere: frozen (features once, a linear head) and
fine-tuned, at the network's own size."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unlearnable import Images, Recipe, UserError, learn, load
from unlearnable.core import checkpoint
from unlearnable.core.seeding import seed_of
from unlearnable.models import build
from unlearnable.training import linear_head
from unlearnable.training.accuracy import accuracy
from unlearnable.training.augment import Resized, ResizedCrop
from unlearnable.training.frozen import Frozen
from unlearnable.training.linear_head import logistic_regression
from unlearnable.training.pace import seconds_per_pass
from unlearnable.training.views import network_size, view

NARROW = "tests.networks:narrow"
FROZEN = Recipe(model=NARROW, protocol="frozen", input_size=48)


def headless(classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(48 * 48 * 3, classes), nn.ReLU())


@pytest.fixture(scope="module")
def unseen() -> Images:
    return load("shapes", split="test", limit=40)


def test_logistic_regression_is_at_the_optimum():
    """The gradient of the stated objective, on standardized features, is zero there; the result
    does not depend on a feature's unit, and a feature that is always 0 does no harm."""
    g = torch.Generator().manual_seed(0)
    y = torch.arange(60) % 3
    x = torch.randn(60, 5, generator=g) + F.one_hot(y, 5)
    x[:, 4] = 0
    weight, bias, iterations, loss = logistic_regression(x, y, classes=3, penalty=0.1)
    z = ((x - x.mean(0)) / x.std(0, correction=0).clamp(min=1e-6)).double()
    w = (weight * x.std(0, correction=0).clamp(min=1e-6)).double().requires_grad_()
    b = (bias + weight @ x.mean(0)).double().requires_grad_()
    data = F.cross_entropy(z @ w.T + b, y)
    (data + 0.05 * w.square().sum()).backward()
    assert w.grad is not None and float(w.grad.abs().max()) < 1e-4
    assert b.grad is not None and float(b.grad.abs().max()) < 1e-4
    assert 0 < iterations < linear_head.ITERATIONS and loss == pytest.approx(
        float(data.detach()), abs=1e-5
    )
    other = logistic_regression(x * 100 + 7, y, classes=3, penalty=0.1)
    logits = (x * 100 + 7) @ other[0].T + other[1]
    assert torch.allclose(logits, x @ weight.T + bias, atol=1e-2)


def test_frozen_fits_the_head_to_images_and_mirror_images(few, unseen):
    """By hand: the features of the untouched body, whole images at the network's size."""
    done = learn(few, FROZEN, test=unseen, seed=3, precision="fp32")
    body = build(NARROW, 10, size=48, seed=0)
    body.load_state_dict(done.model.state_dict())
    x = F.interpolate(few.pixels(slice(None), "cpu"), (48, 48), mode="bilinear", antialias=True)
    with torch.no_grad():
        features = torch.cat([body.eval()[:-1](v) for v in (x, x.flip(3))])
    weight, bias, *_ = logistic_regression(features, few.y.repeat(2), classes=10)
    assert torch.allclose(done.model.head.weight, weight, atol=1e-2 * float(weight.abs().max()))
    assert torch.allclose(done.model.head.bias, bias, atol=1e-2 * float(bias.abs().max()))
    (entry,) = done.result["log"]
    assert done.result["accuracy"] == done.result["peak"] == entry["accuracy"]
    with torch.no_grad():
        right = done.model(x).argmax(1) == few.y
    assert entry["loss"] < 1.5 and right.float().mean() > 0.5  # 0.1 is chance
    assert accuracy(done.model, unseen, Resized(48)) == entry["accuracy"]
    assert done.result["config"]["recipe"]["protocol"] == "frozen"
    assert (
        done.result["passes"] == FROZEN.passes(40) == 27
    )  # two forward passes, a third of a whole


def test_frozen_leaves_the_body_as_it_was(few):
    recipe = replace(FROZEN, model="convnet", init_from="?")
    learned = learn(few, replace(FROZEN, model=NARROW), seed=1).model.state_dict()
    again = learn(few, replace(FROZEN, model=NARROW, batch=7, lr=3.0), seed=1).model.state_dict()
    assert all(torch.equal(learned[k], v) for k, v in again.items())
    start = build(NARROW, 10, size=48, seed=seed_of("learner", 1)).state_dict()
    assert all(torch.equal(v, start[k]) for k, v in learned.items() if not k.startswith("head"))
    with pytest.raises(UserError, match="cannot be read as weights"):
        learn(few, recipe)


def test_frozen_counts_every_class_alike(few, unseen):
    """With classes of different sizes, as ``accuracy`` does for every other learner."""
    first = unseen.y == int(unseen.y[0])
    keep = first | (torch.arange(len(unseen)) % 2 == 0)
    uneven = unseen.subset(keep)
    done = learn(few, FROZEN, test=uneven, seed=3)
    assert len(torch.bincount(uneven.y).unique()) > 1
    assert done.result["accuracy"] == accuracy(done.model, uneven, Resized(48))


def test_features_that_are_nan_are_no_result(few, unseen, monkeypatch):
    real = Frozen.features
    monkeypatch.setattr(Frozen, "features", lambda self, x: real(self, x) * float("nan"))
    with pytest.raises(UserError, match="The features of Sequential: numbers became NaN"):
        learn(few, FROZEN, test=unseen)


def test_frozen_resumes_bit_for_bit(few, unseen, tmp_path, monkeypatch):
    monkeypatch.setattr(linear_head, "CHUNK", 16)
    whole = learn(few, FROZEN, test=unseen, out=tmp_path / "whole")
    monkeypatch.setattr(checkpoint, "SAVE_EVERY", -1.0)
    real, calls = Frozen.features, []

    def features(self, x):
        calls.append(len(x))
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(self, x)

    monkeypatch.setattr(Frozen, "features", features)
    with pytest.raises(KeyboardInterrupt):
        learn(few, FROZEN, test=unseen, out=tmp_path / "cut")
    resumed = learn(few, FROZEN, test=unseen, out=tmp_path / "cut")
    assert len(calls) == 6 + 5  # of 2 x 3 + 3 calls, two chunks of two were kept
    assert (tmp_path / "cut" / "log.jsonl").read_text() == (
        tmp_path / "whole" / "log.jsonl"
    ).read_text()
    ours, theirs = resumed.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)
    again = learn(few, FROZEN, test=unseen, out=tmp_path / "cut")  # read, not computed
    assert len(calls) == 11 and again.result["log"] == whole.result["log"]


def test_fine_tuned_sees_random_crops_at_the_networks_size(few, unseen):
    recipe = Recipe(
        model=NARROW, protocol="fine-tuned", input_size=48, steps=2, batch=8, evals=1, lr=0.01
    )
    t = view(recipe, 32, 32)
    g = torch.Generator().manual_seed(0)
    x = few.pixels(slice(None), "cpu")
    assert torch.equal(t(x, g), ResizedCrop(48)(x, torch.Generator().manual_seed(0)))
    assert t.test(x).shape == (40, 3, 48, 48)
    assert t.test(x)[0, 0].mean() == pytest.approx(float(x[0, 0].mean()), abs=0.02)
    still = view(replace(recipe, augment=False), 32, 32)
    assert torch.equal(still(x, g), t.test(x))
    assert view(Recipe(), 32, 32).test(x) is x and network_size(Recipe(), 32) == 32
    assert network_size(recipe, 32) == 48
    done = learn(few, recipe, test=unseen)
    assert done.result["config"]["recipe"]["protocol"] == "fine-tuned"
    assert 0 <= done.result["accuracy"] <= 100
    assert seconds_per_pass(replace(recipe, protocol="frozen"), (32, 32), images=8) > 0


def test_what_the_protocols_refuse(few):
    with pytest.raises(UserError, match="frozen needs a trained network.*--init-from"):
        Recipe(protocol="frozen")
    with pytest.raises(UserError, match="fine-tuned needs a trained network"):
        Recipe(protocol="fine-tuned", model="mobilenet-v2")
    with pytest.raises(UserError, match="There is no protocol 'linear'"):
        Recipe(protocol="linear")  # type: ignore[arg-type]
    for more in ({"adv_eps": 2.0}, {"augmentation": "cutout"}):
        with pytest.raises(UserError, match="frozen sees every image once"):
            replace(FROZEN, **more)
    with pytest.raises(UserError, match="linear one with bias and 10 outputs"):
        learn(few, replace(FROZEN, model=f"{__name__}:headless"))
    with pytest.raises(UserError, match="say how to use them with --protocol frozen"):
        learn(few, Recipe(model="mobilenet-v2-imagenet"))
    with pytest.raises(UserError, match="input_size must be above 0"):
        replace(FROZEN, input_size=0)


def test_start_from_a_state_dict_of_torch(few, tmp_path):
    """All layers that fit are taken over, as from safetensors; nothing in the file runs."""
    weights = build("mobilenet-v2", 3, size=32, seed=5).state_dict()
    torch.save(weights, tmp_path / "w.pth")
    recipe = Recipe(
        model="mobilenet-v2", protocol="frozen", input_size=32, init_from=str(tmp_path / "w.pth")
    )
    own = learn(few, recipe).model.state_dict()
    same = [k for k, v in own.items() if torch.equal(v, weights[k]) if v.shape == weights[k].shape]
    assert len(same) == len(own) - 2

    def refused(content: object, match: str) -> None:
        torch.save(content, tmp_path / "bad.pth")
        with pytest.raises(UserError, match=match) as caught:
            learn(few, replace(recipe, init_from=str(tmp_path / "bad.pth")))
        assert "\n" not in str(caught.value)

    refused(build("efficientnet-lite0", 3, size=32).state_dict(), "another network")
    refused({"state_dict": weights, "epoch": 3}, "more than the weights")
    refused(headless(3), "cannot be read as a state dict")  # a whole model: code
    (tmp_path / "bad.pth").write_text("no weights")
    with pytest.raises(UserError, match="cannot be read as a state dict"):
        learn(few, replace(recipe, init_from=str(tmp_path / "bad.pth")))
    with pytest.raises(UserError, match="cannot be read as a state dict"):
        learn(few, replace(recipe, init_from=str(tmp_path / "gone.pth")))
