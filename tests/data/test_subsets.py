"""Groups of near-duplicates: the same as from the definition, pair by pair."""

import pytest
import torch
import torch.nn.functional as F

from unlearnable.data.subsets import (
    NEAR_DUPLICATE_DISTANCE,
    count_near_duplicates,
    near_duplicates,
)


def by_pairs(x: torch.Tensor) -> torch.Tensor:
    """The number of the first image of every image's group, joined one pair at a time."""
    small = F.interpolate(x.float(), (16, 16), mode="area").flatten(1)
    group = list(range(len(x)))
    for a in range(len(x)):
        for b in range(a):
            if float((small[a] - small[b]).abs().mean()) < NEAR_DUPLICATE_DISTANCE:
                one, other = sorted((group[a], group[b]))
                group = [one if g == other else g for g in group]
    return torch.tensor(group)


def noisy_copies(n: int, originals: int, noise: float) -> torch.Tensor:
    g = torch.Generator().manual_seed(originals)
    x = torch.randint(0, 256, (originals, 3, 16, 16), generator=g).float()
    x = x[torch.randint(0, originals, (n,), generator=g)]
    return (x + noise * torch.randn(x.shape, generator=g)).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize(("originals", "noise"), [(40, 1.0), (5, 6.0), (5, 6.5), (120, 0.0)])
def test_groups_are_those_of_the_definition(originals, noise):
    x = noisy_copies(120, originals, noise)
    groups = near_duplicates(x)
    assert torch.equal(groups, by_pairs(x))
    assert count_near_duplicates(groups) == 120 - len(set(groups.tolist()))


def test_frames_that_drift_are_one_group():
    """Each is near the next only; the chain is longer than the rows compared at a time."""
    order = torch.randperm(1200, generator=torch.Generator().manual_seed(0))
    frames = (5 * order % 256).view(-1, 1, 1, 1).expand(-1, 3, 16, 16).to(torch.uint8)
    groups = near_duplicates(frames)
    assert groups.eq(0).all() and count_near_duplicates(groups) == 1199
