"""The order in which images come is not the owner's choice: a folder comes class by class."""

from dataclasses import replace

import pytest
import torch

from tests.protection.test_protect import tiny
from unlearnable import METHODS, Context, Images, load

FUNCTIONS = ("noise-net",)  # of image and class, trained on batches that are shuffled anyway
CLASSWISE = ("em", "rem", "sem", "aue", "pue", "uniform")


@pytest.fixture(scope="module")
def sets() -> tuple[Images, Images, torch.Tensor]:
    """160 images sorted by class, 16 per class and batch; the same shuffled; where each went."""
    data = load("shapes", limit=160)
    ordered = data.subset(data.y.argsort(stable=True))
    order = torch.randperm(160, generator=torch.Generator().manual_seed(0))
    return ordered, ordered.subset(order), order


def strength(delta: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean change of every class in /255, and the share of its values that change by 7
    or more (1 in 5 of a uniform draw): [classes, 2]."""
    size = delta.float().abs().flatten(1)
    each = torch.stack([size.mean(1), (size >= 7).float().mean(1)], 1)
    return torch.stack([each[y == c].mean(0) for c in range(10)])


def shared(delta: torch.Tensor, y: torch.Tensor) -> float:
    """Return the share of the noise's energy that all images of a class have in common."""
    delta = delta.float()
    common = [delta[y == c].mean(0).square().mean() for c in range(10)]
    return float(torch.stack(common).mean() / delta.square().mean())


@pytest.mark.parametrize(
    ("name", "noise_type"),
    [(name, "") for name in METHODS if name not in ("imported", *FUNCTIONS)]
    + [(name, "classwise") for name in CLASSWISE],
)
def test_shuffled_and_sorted_images_are_protected_alike(sets, tmp_path, name, noise_type):
    ordered, mixed, order = sets
    method = tiny(name, tuple(ordered.x.shape), tmp_path)
    if noise_type:
        method = replace(method, noise_type=noise_type)
    if name == "mi-ue":
        method = replace(method, noise_batch=16)
    first = method.craft(ordered, Context(seed=1)).delta
    second = torch.empty_like(first)
    second[order] = method.craft(mixed, Context(seed=1)).delta
    a, b = (strength(d, ordered.y) for d in (first, second))
    assert torch.allclose(a, b, rtol=0.1, atol=0.1) and float(a[:, 0].min()) > 0
    if method.needs_labels:
        assert abs(shared(first, ordered.y) - shared(second, ordered.y)) < 0.05
