"""Fixed surrogates: the noise lowers what it is said to lower, a killed run goes on, a foreign
model is refused."""

import copy
import math
import shutil
import sys

import pytest
import torch
from torch import nn

from tests.kills import Killed, killed_at_call
from unlearnable import (
    HYPO,
    PIL,
    TAP,
    EntF,
    Frozen,
    Images,
    Recipe,
    UserError,
    build,
    learn,
    load,
    protect,
)
from unlearnable.core.seeding import generator
from unlearnable.core.weights import write_weights
from unlearnable.protection.methods.base import Context
from unlearnable.protection.methods.fixed_surrogate import FeatureDistance
from unlearnable.protection.methods.fixed_surrogate_loop import (
    descend,
    feature_goal,
    mean_by_class,
)
from unlearnable.protection.methods.pil_loop import logistic_regression
from unlearnable.training.pgd import total_loss, uniform

SIZES = {
    "model": "tests.networks:narrow",
    "train_steps": 4,
    "schedule": "onecycle",
    "batch": 16,
    "train_adv_steps": 1,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A surrogate, its folder and its images."""
    data = load("shapes", limit=60)
    out = tmp_path_factory.mktemp("surrogate") / "run"
    done = learn(data, Recipe.preset("short", steps=40, batch=20, evals=1), out=out)
    return data, done.model, out


def pixels(x: torch.Tensor) -> torch.Tensor:
    return x.float() / 255


def test_tap_and_hypo_lower_the_loss_of_their_target(trained):
    data, model, out = trained
    frozen = Frozen(model, bfloat16=False)
    for method, target in ((TAP, (data.y + 1) % 10), (HYPO, data.y)):
        noisy = protect(
            data, method(surrogate=str(out), steps=20, step=0.8), precision="fp32"
        ).images
        before, after = (float(total_loss(frozen, pixels(x), target)) for x in (data.x, noisy.x))
        assert after < 0.8 * before


def test_entf_pushes_from_its_own_center_and_pulls_to_another(trained):
    data, model, out = trained
    frozen = Frozen(model, bfloat16=False)
    centers = mean_by_class(frozen.features, data, torch.device("cpu"))
    by_hand = model[:-1](pixels(data.x[data.y == 3])).mean(0)
    assert torch.allclose(centers[3], by_hand, atol=1e-4)

    def distances(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From the own class's center, and from the nearest of the others."""
        each = torch.cdist(frozen.features(pixels(x)), centers)
        own = torch.nn.functional.one_hot(data.y, 10).bool()
        return each[own], each.masked_fill(own, float("inf")).amin(1)

    for how, which, sign in (("push", 0, 1), ("pull", 1, -1)):
        noisy = protect(data, EntF(surrogate=str(out), steps=20, how=how), precision="fp32").images
        before, after = (float(distances(x)[which].mean()) for x in (data.x, noisy.x))
        assert sign * (after - before) > 0.1 * before


def test_entf_pulls_each_image_to_the_center_that_is_nearest_to_it(trained):
    """And not to one that its class shares."""
    data, model, out = trained
    frozen = Frozen(model, bfloat16=False)
    centers = mean_by_class(frozen.features, data, torch.device("cpu"))
    start = pixels(data.x)
    targets = [
        min((k for k in range(10) if k != y), key=lambda k: float((f - centers[k]).norm()))  # noqa: B023  called at once
        for f, y in zip(frozen.features(start), data.y.tolist())
    ]
    assert len({(t, y) for t, y in zip(targets, data.y.tolist())}) > 10  # not one target per class
    known = (frozen.features(start) - centers[targets]).norm(dim=1).sum()
    goal = feature_goal(FeatureDistance("pull"), frozen, centers)
    assert float(goal(start, data.y)) == pytest.approx(float(known), rel=1e-5)


def test_one_step_is_the_sign_of_the_gradient_at_the_random_start(trained, in_double):
    data, model, out = trained
    model = copy.deepcopy(model).double()
    noise = TAP(surrogate=str(out), eot_samples=0, steps=1, step=16.0).craft(data, Context()).delta
    x = pixels(data.x)
    draws = [
        uniform(part, 8 / 255, generator("cpu", 0, "fixed", k, 0))
        for k, part in enumerate(x.tensor_split(1))
    ]
    x = (x + torch.cat(draws)).clamp(0, 1).requires_grad_()
    total_loss(Frozen(model, bfloat16=False), x, (data.y + 1) % 10).backward()
    inside = (data.x > 8) & (data.x < 247)
    clear = inside & (x.grad != 0)
    assert torch.equal(noise[clear].double(), -8 * x.grad.sign()[clear])


def test_hypo_begins_at_the_clean_image(trained):
    """As in TLMichael/Delusive-Adversary: 100 steps of eps / 5. No step leaves it where it is."""
    data, _, out = trained
    assert HYPO().steps == 100 and HYPO().step == HYPO().eps / 5
    assert not HYPO(surrogate=str(out), steps=0).craft(data, Context()).delta.any()
    assert TAP(surrogate=str(out), steps=0).craft(data, Context()).delta.any()


@pytest.mark.parametrize("kind", [HYPO, EntF])
def test_without_t_the_border_of_a_large_image_is_protected_too(kind):
    """A goal that wants every pixel darker: none stays at its random start, as the 16 pixels around
    the center crop of 256 did."""
    x = torch.full((2, 3, 144, 150), 128, dtype=torch.uint8)
    data, m = Images(x, torch.arange(2), ("a", "b")), kind(steps=4, step=4.0, eot_samples=0)
    noise = descend(m, lambda z, y: z.sum(), data, torch.arange(2), Context(), 0)
    assert torch.allclose(noise, torch.tensor(-8 / 255))


@pytest.mark.parametrize("stage", ["learn", "noise"])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, monkeypatch, stage):
    """Killed once while the surrogate trains and once between two batches of noise."""
    data = load("shapes", limit=60)
    method = TAP(**SIZES, steps=2)
    whole = protect(data, method, tmp_path / "whole").images
    monkeypatch.setattr("unlearnable.core.checkpoint.SAVE_EVERY", 0.0)
    name = "training_step" if stage == "learn" else "descend"
    module = sys.modules[
        "unlearnable.training.learn"
        if stage == "learn"
        else "unlearnable.protection.methods.fixed_surrogate_loop"
    ]
    with monkeypatch.context() as m, pytest.raises(Killed):
        killed_at_call(m, module, name, 3)
        protect(data, method, tmp_path / "killed")
    done = protect(data, method, tmp_path / "killed")
    assert torch.equal(done.images.x, whole.x) and not (tmp_path / "killed" / "state").exists()
    assert done.card.passes == protect(data, method, tmp_path / "whole").card.passes


def test_a_folder_without_a_model_and_a_model_of_other_classes_are_refused(trained, tmp_path):
    data, _, out = trained
    with pytest.raises(UserError, match="holds no trained model"):
        protect(data, TAP(surrogate=str(tmp_path)))
    with pytest.raises(UserError, match="was not trained on 4 classes"):
        protect(load("shapes", limit=40, classes=data.classes[:4]), TAP(surrogate=str(out)))


def test_features_are_what_the_last_layer_gets():
    model = build("resnet18", 10, size=32).eval()
    x = torch.rand(2, 3, 32, 32, generator=generator("cpu", 0))
    assert torch.allclose(Frozen(model, bfloat16=False).features(x), model[:-1](x), atol=1e-3)
    with pytest.raises(UserError, match="not an nn.Sequential"):
        Frozen(nn.Linear(2, 2), bfloat16=False).features(x)


def test_pil_noise_is_read_by_its_linear_classifier_and_the_rest_of_the_image_is_not():
    data = load("shapes", limit=200)
    noise = PIL().craft(data, Context()).delta
    weight = logistic_regression(data, 30, Context())
    published = -pixels(noise).flatten(1)  # d, in the paper's x - d
    assert ((published @ weight).argmax(1) == data.y).all()
    calm = PIL(noise_weight=0.0).craft(data, Context()).delta  # only the divergence counts
    logits = [pixels(data.x.short() + n).flatten(1) @ weight for n in (0, calm)]
    before, after = (
        float(-v.log_softmax(1).mean()) - math.log(10) for v in logits
    )  # KL(uniform || guess)
    assert after < 0.7 * before


def test_a_surrogate_that_a_learner_would_repeat_is_pointed_out(trained, caplog):
    data, _, out = trained
    for seed, warned in ((1, False), (0, True)):
        TAP(surrogate=str(out), steps=0).craft(data, Context(seed=seed))
        assert ("starts from the same weights" in caplog.text) == warned


def test_another_surrogate_in_the_same_folder_is_another_run(trained, tmp_path):
    data, model, out = trained
    folder = shutil.copytree(out, tmp_path / "run")
    method = TAP(surrogate=str(folder), steps=1)
    first = protect(data, method, tmp_path / "protected")
    again = protect(data, method, tmp_path / "protected")
    assert again.card.file_digest == first.card.file_digest != ""
    assert torch.equal(again.images.x, first.images.x)
    with torch.no_grad():
        other = copy.deepcopy(model)
        next(other.parameters()).add_(0.1)
    write_weights(folder / "model.safetensors", other)
    with pytest.raises(UserError, match="another run's"):
        protect(data, method, tmp_path / "protected")


def test_class_means_are_of_what_the_network_is_shown():
    """From 128 pixels on T's test view is the center crop, which training and noise see too."""
    x = torch.randint(0, 256, (4, 3, 128, 128), dtype=torch.uint8)
    sizes = []

    def look(images: torch.Tensor) -> torch.Tensor:
        sizes.append(tuple(images.shape[-2:]))
        return images.flatten(1)

    data = Images(x, torch.arange(4) % 2, ("a", "b"))
    means = mean_by_class(look, data, torch.device("cpu"))
    assert set(sizes) == {(112, 112)}
    crop = x[:, :, 8:-8, 8:-8].float().flatten(1) / 255
    assert torch.allclose(means, torch.stack([crop[::2].mean(0), crop[1::2].mean(0)]), atol=1e-6)
