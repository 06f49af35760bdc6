"""Groups of near-duplicates: the same as from the definition, pair by pair."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from unlearnable import UserError
from unlearnable.data.subsets import (
    NEAR_DUPLICATE_FRACTION,
    NEAR_DUPLICATE_SHIFT,
    count_near_duplicates,
    holdout_split,
    near_duplicates,
)


def by_pairs(x: torch.Tensor) -> torch.Tensor:
    """The number of the first image of every image's group, joined one pair at a time."""
    small = F.interpolate(x.float(), (16, 16), mode="area")
    color = small.mean((2, 3), keepdim=True)
    detail = small - color
    contrast = detail.abs().mean((1, 2, 3))
    group = list(range(len(x)))
    for a in range(len(x)):
        for b in range(a):
            limit = NEAR_DUPLICATE_FRACTION * float(contrast[[a, b]].min())
            shift = float((color[a] - color[b]).abs().mean())
            if float((detail[a] - detail[b]).abs().mean()) <= limit and (
                shift < NEAR_DUPLICATE_SHIFT
            ):
                one, other = sorted((group[a], group[b]))
                group = [one if g == other else g for g in group]
    return torch.tensor(group)


def noisy_copies(n: int, originals: int, noise: float) -> torch.Tensor:
    g = torch.Generator().manual_seed(originals)
    x = torch.randint(0, 256, (originals, 3, 16, 16), generator=g).float()
    x = x[torch.randint(0, originals, (n,), generator=g)]
    return (x + noise * torch.randn(x.shape, generator=g)).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize(("originals", "noise"), [(40, 1.0), (5, 12.0), (5, 12.5), (120, 0.0)])
@pytest.mark.parametrize("pale", [1, 0.3])
def test_groups_are_those_of_the_definition(originals, noise, pale):
    """Some images of less contrast than others, some groups that hold much of the set."""
    x = noisy_copies(120, originals, noise)
    x[::3] = (x[::3] * pale).to(torch.uint8)
    groups = near_duplicates(x)
    assert torch.equal(groups, by_pairs(x))
    assert count_near_duplicates(groups) == 120 - len(set(groups.tolist()))


def test_frames_that_drift_are_one_group():
    """Each is near the next only; the chain is longer than the rows compared at a time."""
    order = torch.randperm(1200, generator=torch.Generator().manual_seed(0))
    frames = (5 * order % 256).view(-1, 1, 1, 1).expand(-1, 3, 16, 16).to(torch.uint8)
    groups = near_duplicates(frames)
    assert groups.eq(0).all() and count_near_duplicates(groups) == 1199


def test_few_pairs_are_compared_pixel_by_pixel(monkeypatch):
    """10,000 photos have 50 million pairs: what tells nearly all of them apart is the means."""
    compared = []
    real = torch.cdist

    def counted(a, b, p):
        compared.append(len(a) * len(b) * a.shape[1])
        return real(a, b, p=p)

    monkeypatch.setattr(torch, "cdist", counted)
    x = noisy_copies(1000, 1000, 0)
    near_duplicates(x)
    assert sum(compared) < 1000**2 / 2 * 768 / 5


def test_held_out_groups_stay_whole_and_classes_near_their_fraction():
    g = torch.Generator().manual_seed(0)
    y = torch.randint(0, 7, (300,), generator=g)
    groups = torch.arange(300) - torch.arange(300) % 3  # across classes too
    test = holdout_split(y, groups, 0.25, 0)
    assert torch.equal(test.view(-1, 3).all(1), test.view(-1, 3).any(1))
    for c in range(7):
        assert 0 < test[y == c].sum() < (y == c).sum()
    assert torch.equal(test, by_counting(y, groups, 0.25, 0))


@pytest.mark.parametrize("sizes", [(4, 4, 4), (6, 6), (5, 7)])
def test_of_few_large_groups_the_smallest_is_held_out(sizes):
    """Bursts, each more than a quarter of its class."""
    groups = torch.cat([torch.full((n,), k) for k, n in enumerate(sizes)])
    first = torch.tensor([int((groups == k).nonzero()[0]) for k in range(len(sizes))])[groups]
    y = torch.arange(2).repeat_interleave(12)
    test = holdout_split(y, torch.cat([first, 12 + first]), 0.25, 0)
    for c in range(2):
        assert int(test[y == c].sum()) == min(sizes)
        assert len(groups[test[y == c]].unique()) == 1
    with pytest.raises(UserError, match="near-duplicates only"):
        holdout_split(
            y, torch.zeros(24, dtype=torch.int64).index_fill(0, torch.arange(12, 24), 12), 0.25, 0
        )


def by_counting(y, groups, holdout, seed):
    """The held-out images, everything counted again for every group."""
    random, test = np.random.default_rng(seed), torch.zeros(len(y), dtype=torch.bool)
    first = groups.unique()
    for c in range(int(y.max()) + 1):
        total = int((y == c).sum())
        want = min(max(1, round(holdout * total)), total - 1)
        for g in random.permutation(first[y[first] == c].tolist()):
            members = groups == int(g)
            if int(test[y == c].sum()) + int(members.sum()) <= want:
                test |= members
    return test


def products(n: int) -> torch.Tensor:
    """Different things, each a small dark rectangle, before one pale wall with a shadow."""
    wall = torch.linspace(210, 190, 32).view(1, 1, 32).expand(3, 32, 32)
    x = wall.expand(n, 3, 32, 32).clone()
    for k in range(n):
        top, left = 4 + 3 * (k % 4), 4 + 3 * (k // 4 % 4)
        dark = torch.tensor([30.0, 45, 60]).roll(k)
        x[k, :, top : top + 8, left : left + 8] -= dark[:, None, None]
    return x


def test_products_on_one_background_are_not_near_duplicates():
    """They differ by less than 6 of 255, and less than many a pair of exposures of one scene."""
    x = products(12)
    small = F.interpolate(x, (16, 16), mode="area").flatten(1)
    assert float((torch.cdist(small, small, p=1) / 768).max()) < 6
    assert count_near_duplicates(near_duplicates(x.to(torch.uint8))) == 0


def test_two_exposures_of_one_scene_are_near_duplicates():
    x = products(2)
    x[1] = x[0] * 0.9
    assert count_near_duplicates(near_duplicates(x.to(torch.uint8))) == 1
    x[1] = x[0] - 40  # a blank wall is no exposure of every other
    assert count_near_duplicates(near_duplicates(x.to(torch.uint8))) == 0
