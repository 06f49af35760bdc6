"""Expectation over transformations on and off.

A row is EM or REM with J draws of T per noise step; J = 0 is without T, for the noise and for the
surrogate. Columns: the radius of the learner's adversarial training in /255, and the passes per
image that the noise took. The learner always augments. About 40 minutes per seed on 2 cores.
"""

from dataclasses import replace

from unlearnable.experiments.grid import Grid, Row, Table, learner, passes
from unlearnable.experiments.scale import Scale
from unlearnable.protection.methods.base import Method

RADII = (0, 2, 4)
DRAWS = (0, 1, 5)


def grid(scale: Scale) -> Grid:
    rows: dict[str, Method | None] = {"clean": None}
    rows |= {f"EM, J = {j}": replace(scale.em_t, eot_samples=j) for j in DRAWS}
    robust = scale.rem(scale.radius)
    rows |= {f"REM({scale.radius:g}), J = {j}": replace(robust, eot_samples=j) for j in DRAWS}
    return Grid(
        ("ordinary", *(f"AT-{r}" for r in RADII[1:]), "passes per image"),
        tuple(Row(n, (*(learner(m, r) for r in RADII), passes(m))) for n, m in rows.items()),
    )


TABLE = Table(__name__, __doc__, grid)
