"""Gaussian noise on the weights of a network, as a setting."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightNoise:
    """A loss becomes its mean over ``draws`` networks with N(0, std^2) added to every parameter."""

    std: float
    draws: int


@dataclass(frozen=True)
class WeightLevels:
    """Standard deviations from 0 to ``std``, evenly spaced, each with a step of its own.

    draws: per level of a noise step; train_draws: of a surrogate step. from_accuracy: the
    surrogate's accuracy on the protected images, in %, from which weight noise is used (0: from the
    start). clip: the largest norm
    of a surrogate step's gradient."""

    std: float
    levels: int
    draws: int
    train_draws: int
    from_accuracy: float
    clip: float = 5.0

    def of(self, draws: int) -> tuple[WeightNoise, ...]:
        """Return every level's noise; without noise one draw is all of them."""
        stds = [self.std * k / max(1, self.levels - 1) for k in range(self.levels)]
        return tuple(WeightNoise(std, draws if std else 1) for std in stds)
