"""Protection against work: what a learner reaches, by the image passes that the noise took.

A row is one way to make the noise, a point of the plot; ways that differ in length only are joined
by a line. Columns: passes of one image, minutes, then the radius of the learner's adversarial
training in /255. The first way is the paper's inner loop (K_u = 10, J = 5, K_a = 10), as long as
two cores allow; a radius in brackets is another one than the size's own; EM has T; *short* is the
size's own preset, and what follows is what was changed. A further way is one more line of WAYS.
About five minutes a row and seed on 2 cores, twenty for the first.
"""

from collections.abc import Callable
from dataclasses import replace

from unlearnable.experiments.grid import Chart, Grid, Row, Table, learner, minutes, passes
from unlearnable.experiments.scale import Scale
from unlearnable.protection.methods.base import Method

RADII = (0, 2, 4)
COLD = {
    "warm_start": False,
    "steps": 10,
    "step": None,
    "eot_samples": 5,
    "adv_steps": 10,
}  # the paper's K_u, J, K_a


TEN = {
    "warm_start": False,
    "steps": 10,
    "step": 1.6,
}  # a fresh start at every visit, as in the paper, but one draw of T


ONCE = {"steps": 1, "step": 3.2}
# what is varied -> the noise, at the size's own settings, and its lengths in surrogate steps at the
# small size
WAYS: dict[str, tuple[Callable[[Scale], Method], tuple[int, ...]]] = {
    "REM, the paper's inner loop": (lambda s: s.rem(s.radius, **COLD), (32,)),
    "SEM, the paper's inner loop": (lambda s: s.sem(s.radius, **COLD), (32, 100)),
    "SEM(4), the paper's inner loop": (lambda s: s.sem(4, **COLD), (100,)),
    "REM, short": (lambda s: s.rem(s.radius), (800,)),
    "REM, short, one noise step, one adversary step": (
        lambda s: s.rem(s.radius, adv_steps=1, **ONCE),
        (300,),
    ),
    "SEM, short": (lambda s: s.sem(s.radius), (800,)),
    "SEM, short, one adversary step": (lambda s: s.sem(s.radius, adv_steps=1), (300,)),
    "SEM, ten cold noise steps, one adversary step": (
        lambda s: s.sem(s.radius, adv_steps=1, **TEN),
        (72,),
    ),
    "EM, short": (lambda s: s.em_t, (400, 800)),
    "EM, ten cold noise steps": (lambda s: replace(s.em_t, **TEN), (80,)),
}


LENGTHS = (1 / 8, 1 / 4, 1 / 2, 1)  # of the paper's number of surrogate steps


def lengthened(method: Method, steps: int) -> Method:
    decay = max(1, round(method.decay_every * steps / method.train_steps))
    return replace(method, train_steps=steps, decay_every=decay)


def grid(setting: Scale) -> Grid:
    rows = []
    for way, (make, lengths) in WAYS.items():
        method = make(setting)
        for steps in (
            lengths if setting.size == "small" else [round(method.train_steps * k) for k in LENGTHS]
        ):
            m = lengthened(method, steps)
            entries = (passes(m), minutes(m), *(learner(m, r) for r in RADII))
            rows.append(Row(f"{way}: {steps:,} steps", entries, series=way))
    names = ("ordinary", *(f"AT-{r}" for r in RADII[1:]))
    return Grid(
        ("passes per image", "minutes", *names),
        tuple(rows),
        Chart("forward and backward passes per image", "passes per image", names, log=True),
    )


TABLE = Table("work", __doc__, grid)
