"""A certificate of learnability by parametric smoothing (Wang et al., NDSS 2025).

Let A(w) be the accuracy of one network with weights w on given test images, and h_q(v) the
q-quantile of A(w) for w drawn from N(v, std^2 I). Of all sets that w hits with a given probability,
a half-space loses most when v moves by eta (Neyman and Pearson). So for every v' within L2 distance
eta of v

    h_q(v') <= h_p(v),    p = Phi(Phi^-1(q) + eta / std).

The certificate is about nearby networks with noise on their weights, and holds with probability q:
not about the network at v' itself, nor about learners that end elsewhere. Batch norm's running
statistics are not parameters and stay as they are.
"""

import math
from statistics import NormalDist

import torch
from torch import nn

from unlearnable.core.errors import UserError
from unlearnable.core.progress import Progress
from unlearnable.core.seeding import generator
from unlearnable.data.images import Images
from unlearnable.training.accuracy import accuracy
from unlearnable.training.frozen import noisy_weights


def certify(
    model: nn.Module,
    test: Images,
    etas: tuple[float, ...] = (0.1, 0.5, 1.0),
    *,
    std: float = 0.25,
    q: float = 0.9,
    draws: int = 1000,
    confidence: float = 0.99,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> dict[float, float | None]:
    """Return, for each distance in ``etas``, the accuracy in % that a network drawn from
    N(v', std^2 I) does not exceed with probability ``q`` or more, wherever v' lies within that
    distance of the weights of ``model``.

    The bound is estimated from ``draws`` and true with probability ``confidence``; None where the
    draws are too few. model: trained on the protected images, on ``device``; unchanged afterwards.
    Raises UserError for numbers outside their ranges."""
    if not (
        0 < q < 1
        and 0 < confidence < 1
        and std > 0
        and draws >= 1
        and all(eta >= 0 for eta in etas)
    ):
        raise UserError(
            "q and confidence must lie between 0 and 1, std must be above 0, draws 1 or more, and "
            "etas 0 or more."
        )
    scores = []
    with Progress("noisy copies tested", draws) as progress:
        for k in range(draws):
            with noisy_weights(model, std, generator(device, seed, "certify", k)):
                scores.append(accuracy(model, test, device=device))
            progress.at(k + 1)
    return {eta: bound(scores, shifted(q, eta / std), confidence) for eta in etas}


def shifted(q: float, distance: float) -> float:
    """Return Phi(Phi^-1(q) + distance): the quantile here that bounds the q-quantile at a distance,
    in standard deviations."""
    normal = NormalDist()
    return normal.cdf(normal.inv_cdf(q) + distance)


def bound(scores: list[float], p: float, confidence: float) -> float | None:
    """Return the smallest of the ``scores`` that is at least their distribution's p-quantile with
    this confidence, whatever the distribution: the k-th smallest is, unless k or more of n draws
    lie below the quantile. None where not even the largest is."""
    n = len(scores)
    below = 0.0  # the probability that at most k draws lie below the quantile
    for k, score in enumerate(sorted(scores)):
        below += _binomial(k, n, p)
        if below >= confidence:
            return score
    return None


def _binomial(k: int, n: int, p: float) -> float:
    """Return the probability of k successes in n trials of probability p."""
    if p >= 1:  # Phi of a large distance
        return float(k == n)
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))
