"""Unlearnable Clusters: k-means against all divisions, noise that moves clusters, no look at the
labels."""

import itertools
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.kills import Killed, killed_at_call
from unlearnable import (
    Context,
    Frozen,
    Images,
    Recipe,
    UnlearnableClusters,
    UserError,
    learn,
    load,
    protect,
)
from unlearnable.core.seeding import generator
from unlearnable.protection.methods.clusters_loop import (
    ClusterNoise,
    features_of,
    k_means,
    turned,
)

NARROW = "tests.networks:narrow"
SMALL = {
    "model": NARROW,
    "train_steps": 3,
    "schedule": "onecycle",
    "batch": 16,
    "clusters": 3,
    "lr": 0.002,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A surrogate of four classes, and its folder."""
    out = tmp_path_factory.mktemp("surrogate") / "run"
    data = load("shapes", limit=60, classes=("ring", "star", "circle", "cross"))
    done = learn(data, Recipe.preset("short", model=NARROW, steps=30, batch=20, evals=1), out=out)
    return done.model, out


def test_k_means_finds_the_best_of_all_divisions():
    x = torch.randn(8, 2, generator=generator("cpu", 0)) + 3 * torch.arange(8)[:, None] % 7
    costs = {}
    for division in itertools.product(range(3), repeat=8):
        parts = [x[[d == c for d in division]] for c in range(3)]
        costs[division] = sum(float((p - p.mean(0)).square().sum()) for p in parts if len(p))
    centers, cluster = k_means(x, 3, generator("cpu", 1))
    assert float((x - centers[cluster]).square().sum()) == pytest.approx(
        min(costs.values()), rel=1e-5
    )
    for c in range(3):
        assert torch.allclose(centers[c], x[cluster == c].mean(0), atol=1e-5)


def test_k_means_makes_no_more_clusters_than_there_are_different_rows():
    x = torch.tensor([[0.0, 1.0], [5.0, 5.0]]).repeat(6, 1)
    centers, cluster = k_means(x, 4, generator("cpu", 0))
    assert len(centers) == 2 and torch.equal(centers[cluster], x)


def test_turned_images_are_labeled_by_their_turn():
    x = torch.zeros(2, 3, 32, 40, dtype=torch.uint8)
    x[:, :, 0, 4:36] = 255  # a line at the top of the middle square
    data = turned(Images(x, torch.zeros(2, dtype=torch.int64), ("",)))
    assert data.x.shape == (8, 3, 32, 32) and data.y.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    edges = [
        data.x[:, :, 0],
        data.x[:, :, :, 0],
        data.x[:, :, 31],
        data.x[:, :, :, 31],
    ]  # top, left, bottom, right
    for turn, edge in enumerate(edges):
        assert (edge[data.y == turn] == 255).all()


def test_noise_moves_a_cluster_to_the_next_ones_center(trained):
    model, folder = trained
    data = load("shapes", limit=60)
    m = UnlearnableClusters(**SMALL | {"surrogate": str(folder), "steps": 60, "eot_samples": 0})
    delta = m.craft(data, Context(seed=4)).delta
    frozen = Frozen(model, bfloat16=False)
    features = features_of(frozen, data, torch.device("cpu"))
    centers, cluster = k_means(features, 3, generator("cpu", 4, "k-means"))
    for c in range(3):  # one noise a cluster
        assert len(delta[cluster == c].unique(dim=0)) == 1
    assert len(delta.unique(dim=0)) == len(cluster.unique()) > 1 and int(delta.abs().max()) <= 8
    hidden = Images((data.x.short() + delta).clamp(0, 255).to(torch.uint8), data.y, data.classes)
    target = centers[(cluster + 1) % len(centers)]
    before, after = (
        (f - target).square().sum(1)
        for f in (features, features_of(frozen, hidden, torch.device("cpu")))
    )
    assert float(after.mean()) < 0.95 * float(before.mean())


def test_on_a_surrogate_that_sees_brightness_the_noise_is_the_closed_form():
    """The feature is the sum of all pixels: dark images get brighter by the whole budget, and
    bright ones darker."""
    x = torch.randint(0, 60, (32, 3, 32, 32), dtype=torch.uint8, generator=generator("cpu", 0)) + 20
    x[::2] += 150
    data = Images(x, torch.zeros(32, dtype=torch.int64), ("",))
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 1), nn.Linear(1, 2))
    nn.init.constant_(model[1].weight, 0.01)
    frozen = Frozen(model, bfloat16=False)
    centers, cluster = k_means(
        features_of(frozen, data, torch.device("cpu")), 2, generator("cpu", 0)
    )
    assert (cluster[::2] == cluster[0]).all() and (cluster[1::2] == 1 - cluster[0]).all()
    m = UnlearnableClusters(**SMALL | {"clusters": 2, "eot_samples": 0, "steps": 40, "lr": 0.02})
    noise = 255 * ClusterNoise(m, data, Context(), frozen, centers, cluster).train()
    bright, dark = noise[cluster[0]], noise[1 - cluster[0]]
    assert (
        float((dark > 7.5).float().mean()) > 0.95 and float((bright < -7.5).float().mean()) > 0.95
    )


def test_without_t_the_border_of_a_large_image_counts():
    x = torch.full((4, 3, 144, 144), 128, dtype=torch.uint8)
    data = Images(x, torch.zeros(4, dtype=torch.int64), ("",))
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1), nn.Linear(1, 2))
    m = UnlearnableClusters(**SMALL | {"clusters": 2, "eot_samples": 0})
    frozen, centers = Frozen(model, bfloat16=False), torch.tensor([[5.0], [-5.0]])
    made = ClusterNoise(m, data, Context(), frozen, centers, torch.tensor([0, 1, 0, 1]))
    noise = torch.zeros(2, 3, 144, 144, requires_grad=True)
    made.distance(torch.arange(4), noise, generator("cpu", 0)).backward()
    assert (noise.grad != 0).all()


def test_labels_do_not_count(trained):
    data = load("shapes", limit=40)
    other = replace(data, y=torch.zeros_like(data.y), classes=("",))
    m = UnlearnableClusters(**SMALL, steps=2)
    first, again = m.craft(data, Context()), m.craft(other, Context())
    assert torch.equal(first.delta, again.delta) and first.delta.any()
    assert first.passes == again.passes == 3 * 128 + 2 * 16  # a learner's batch, and the noise's
    assert not torch.equal(first.delta, m.craft(data, Context(seed=1)).delta)


@pytest.mark.parametrize("stage", ["learn", "noise"])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, monkeypatch, stage):
    data = load("shapes", limit=40)
    m = UnlearnableClusters(**SMALL, steps=4)
    whole = protect(data, m)
    monkeypatch.setattr("unlearnable.core.checkpoint.SAVE_EVERY", 0.0)
    owner, name = (
        (sys.modules["unlearnable.training.learn"], "training_step")
        if stage == "learn"
        else (ClusterNoise, "step")
    )
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_at_call(patch, owner, name, 3)
        protect(data, m, tmp_path / "out")
    done = protect(data, m, tmp_path / "out")
    assert torch.equal(done.images.x, whole.images.x) and done.card.passes == whole.card.passes


def test_what_cannot_be_clustered(trained, tmp_path):
    same = Images(
        torch.full((8, 3, 32, 32), 90, dtype=torch.uint8), torch.zeros(8, dtype=torch.int64), ("",)
    )
    with pytest.raises(UserError, match="look alike"):
        UnlearnableClusters(**SMALL, surrogate=str(trained[1])).craft(same, Context())
    with pytest.raises(UserError, match="2 or more"):
        UnlearnableClusters(clusters=1)
    with pytest.raises(UserError, match="no trained model"):
        UnlearnableClusters(**SMALL, surrogate=str(tmp_path)).craft(same, Context())


def test_passes_count_both_trainings(few):
    for surrogate_steps, steps in ((3, 2), (1, 5)):
        m = UnlearnableClusters(**SMALL | {"train_steps": surrogate_steps}, steps=steps)
        assert m.passes(len(few)) == protect(few, m).card.passes
