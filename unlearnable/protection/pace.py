"""How long the noise of a method takes on this machine, from the passes that it says it costs."""

from unlearnable.data.images import Size
from unlearnable.protection.methods.base import Method
from unlearnable.training.pace import seconds_per_pass
from unlearnable.training.precision import Precision


def noise_seconds(
    method: Method,
    size: Size,
    images: int,
    classes: int,
    *,
    own: int | None = None,
    device: str = "auto",
    precision: Precision = "auto",
) -> float:
    """Estimate the seconds that the noise of ``images`` images of ``size`` (height, width) takes.
    own: so many of them get noise (None: all); the rest serve the surrogate alone."""

    def estimate(m: Method, size: Size) -> float:
        count = (images, own) if m.counts_protected and own is not None else (images,)
        probe, passes = m.probe(*count), m.passes(*count)
        if probe is None:
            return 0.0
        return passes * seconds_per_pass(
            probe, size, images=images, classes=classes, device=device, precision=precision
        )

    return sum(estimate(*part) for part in method.parts(size))
