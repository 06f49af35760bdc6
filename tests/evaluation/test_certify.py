"""The certificate against linear networks, for which it is a closed form."""

from statistics import NormalDist

import pytest
import torch
from torch import nn

from unlearnable import Images, UserError, certify
from unlearnable.evaluation.certify import bound, shifted

WEIGHT = 0.1  # the network's only one


class Threshold(nn.Module):
    """Class 1 where the image's brightness is above 1/2 - w: where all are of class 1, the accuracy
    rises with w."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(WEIGHT))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = x.mean((1, 2, 3)) - 0.5 + self.w
        return torch.stack([-bright, bright], 1)


def ramp(n: int = 256) -> Images:
    """Every brightness once, all of class 1."""
    x = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 3, 8, 8).contiguous()
    return Images(x, torch.ones(n, dtype=torch.int64), ("a", "b"))


def exact(q: float, v: float, std: float) -> float:
    """The q-quantile of the accuracy in %, w ~ N(v, std^2): the accuracy at the q-quantile of w."""
    w = v + std * NormalDist().inv_cdf(q)
    return 100 * sum(b / 255 > 0.5 - w for b in range(256)) / 256


def test_the_bound_is_tight_where_accuracy_rises_with_one_weight():
    model, q, std, eta = Threshold(), 0.7, 0.1, 0.05
    there = exact(q, WEIGHT + eta, std)
    assert exact(shifted(q, eta / std), WEIGHT, std) == pytest.approx(
        there
    )  # the theorem, with equality
    estimated = certify(model, ramp(), (0.0, eta), std=std, q=q, draws=1500)
    for distance, truth in ((eta, there), (0.0, exact(q, WEIGHT, std))):
        assert truth <= estimated[distance] <= truth + 3  # an upper bound, at 99 %
    assert float(model.w.detach()) == pytest.approx(WEIGHT)


def test_no_direction_and_no_smaller_step_exceeds_the_bound():
    """Two weights, of which only their sum counts: the worst direction is the diagonal, any other
    gives less."""

    def quantile(v: tuple[float, float]) -> float:
        return exact(0.7, sum(v), 0.1 * 2**0.5)

    limit = exact(shifted(0.7, 0.05 / 0.1), 0.1, 0.1 * 2**0.5)
    angles = torch.linspace(0, 6.28, 64)
    assert (
        max(quantile((0.05 + 0.05 * float(a.cos()), 0.05 + 0.05 * float(a.sin()))) for a in angles)
        <= limit
    )
    assert quantile((0.05 + 0.05 / 2**0.5,) * 2) == pytest.approx(limit)


def test_the_order_statistic_holds_as_often_as_it_says():
    """Of 400 samples of 100 draws from U(0, 1), the bound on the 0.9-quantile is right in 95 % or
    more of them."""
    g = torch.Generator().manual_seed(0)
    bounds = [bound(torch.rand(100, generator=g).tolist(), 0.9, 0.95) for _ in range(400)]
    right = sum(b >= 0.9 for b in bounds) / len(bounds)
    assert 0.93 <= right <= 0.99 and sum(bounds) / len(bounds) < 0.96
    assert bound([1.0] * 10, 0.9, 0.95) is None  # 1 - 0.9^10 = 0.65
    assert bound([3.0, 1.0, 2.0], 0.5, 0.87) == 3.0  # 1 - 0.5^3 = 0.875
    assert bound([3.0, 1.0, 2.0], 0.5, 0.5) == 2.0
    assert bound([1.0], 1.0, 0.5) is None


def test_numbers_outside_their_ranges():
    with pytest.raises(UserError, match="between 0 and 1"):
        certify(Threshold(), ramp(), q=1.0)
