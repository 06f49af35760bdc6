"""Protection against cost: what a learner reaches, by the passes per image that the noise took.

A row is one way to make the noise, a point of the plot; ways that differ in length only are joined
by a line. Columns: passes per image, minutes, then the radius of the learner's adversarial training
in /255. The first way is the paper's inner loop (K_u = 10, J = 5, K_a = 10), as long as two cores
allow; a radius in brackets is another one than the scale's own; EM has T; *short* is the scale's
own preset, and what follows is what was changed. A further way is one more line of ``WAYS``. About
five minutes per row and seed on 2 cores, twenty for the first.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from unlearnable.experiments.grid import Chart, Grid, Row, Table, learner, minutes, passes
from unlearnable.experiments.scale import Scale
from unlearnable.protection.methods.min_min import MinMin

Settings = dict[str, Any]
RADII = (0, 2, 4)


def rem(scale: Scale) -> MinMin:
    return scale.rem(scale.radius)


def sem(scale: Scale) -> MinMin:
    return scale.sem(scale.radius)


# the paper's K_u, J and K_a
COLD: Settings = {
    "warm_start": False,
    "steps": 10,
    "step": None,
    "eot_samples": 5,
    "adv_steps": 10,
}
# a fresh start at every visit, as in the paper, but one draw of T
TEN: Settings = {"warm_start": False, "steps": 10, "step": 1.6}
ONCE: Settings = {"steps": 1, "step": 3.2}
ONE_ADV: Settings = {"adv_steps": 1}
# what is varied -> the noise, at the scale's own settings but for those named, and its lengths in
# surrogate steps at the small scale
WAYS: dict[str, tuple[Callable[[Scale], MinMin], Settings, tuple[int, ...]]] = {
    "REM, the paper's inner loop": (rem, COLD, (32,)),
    "SEM, the paper's inner loop": (sem, COLD, (32, 100)),
    "SEM(4), the paper's inner loop": (lambda s: s.sem(4), COLD, (100,)),
    "REM, short": (rem, {}, (800,)),
    "REM, short, one noise step, one adversary step": (rem, ONCE | ONE_ADV, (300,)),
    "SEM, short": (sem, {}, (800,)),
    "SEM, short, one adversary step": (sem, ONE_ADV, (300,)),
    "SEM, ten cold noise steps, one adversary step": (sem, TEN | ONE_ADV, (72,)),
    "EM, short": (lambda s: s.em_t, {}, (400, 800)),
    "EM, ten cold noise steps": (lambda s: s.em_t, TEN, (80,)),
}
LENGTHS = (1 / 8, 1 / 4, 1 / 2, 1)  # of the paper's number of surrogate steps


def lengthened(method: MinMin, steps: int) -> MinMin:
    """Return ``method`` with that many surrogate steps and its schedule stretched alike."""
    decay = max(1, round(method.decay_every * steps / method.train_steps))
    return replace(method, train_steps=steps, decay_every=decay)


def grid(scale: Scale) -> Grid:
    rows = []
    for way, (make, settings, lengths) in WAYS.items():
        method = replace(make(scale), **settings)
        if scale.name != "small":
            lengths = tuple(max(1, round(method.train_steps * k)) for k in LENGTHS)
        for steps in lengths:
            m = lengthened(method, steps)
            cells = (passes(m), minutes(m), *(learner(m, r) for r in RADII))
            rows.append(Row(f"{way}: {steps:,} steps", cells, series=way))
    names = ("ordinary", *(f"AT-{r}" for r in RADII[1:]))
    return Grid(
        ("passes per image", "minutes", *names),
        tuple(rows),
        Chart("forward and backward passes per image", "passes per image", names, log=True),
    )


TABLE = Table(__name__, __doc__, grid)
