"""Protection against work: what a learner reaches, by the picture passes that the noise took.

A row is one way to make the noise, a point of the plot; ways that differ in length only are joined by a line. Columns:
passes of one picture, minutes, then the radius of the learner's adversarial training in /255. A further way is one more
line of WAYS. About ten minutes a row and seed on 2 cores.
"""

from collections.abc import Callable
from dataclasses import replace

from ..methods import Method
from .settings import Setting
from .table import Chart, Grid, Row, Table, learner, minutes, passes

RADII = (0, 2, 4)
COLD = {"warm": False, "steps": 10, "step": None, "samples": 5, "adv_steps": 10}  # the paper's K_u, J, K_a

# what is varied -> the noise, at the size's own settings
WAYS: dict[str, Callable[[Setting], Method]] = {
    "REM, the paper's steps": lambda s: s.rem(s.radius, **COLD),
    "REM": lambda s: s.rem(s.radius),
    "SEM": lambda s: s.sem(s.radius),
    "SEM, cold": lambda s: s.sem(s.radius, warm=False, steps=5, step=3.2),
}
LENGTHS = (1 / 8, 1 / 4, 1 / 2, 1)  # of the size's own number of surrogate steps
ONLY = {"REM, the paper's steps": LENGTHS[:2]}  # 561 passes a picture and step: beyond 2 cores at full length


def lengthened(method: Method, share: float) -> Method:
    shorter = {name: max(1, round(getattr(method, name) * share)) for name in ("train_steps", "decay_every")}
    return replace(method, **shorter)


def grid(setting: Setting) -> Grid:
    rows = []
    for way, make in WAYS.items():
        method = make(setting)
        for share in ONLY.get(way, LENGTHS) if setting.size == "small" else LENGTHS:
            m = lengthened(method, share)
            entries = (passes(m), minutes(m), *(learner(m, r) for r in RADII))
            rows.append(Row(f"{way}: {m.train_steps:,} steps", entries, series=way))
    names = ("ordinary", *(f"AT-{r}" for r in RADII[1:]))
    return Grid(
        ("passes a picture", "minutes", *names),
        tuple(rows),
        Chart("forward and backward passes a picture", "passes a picture", names, log=True),
    )


TABLE = Table("work", __doc__, grid)
