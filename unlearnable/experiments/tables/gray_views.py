"""Gray views: noise made under a T that sometimes drops colors, against learners that drop them.

A row is a noise, with the probability that a draw of T is gray. Columns: the radius of the
learner's adversarial training in /255, then ordinary training on copies of the training images, in
grayscale and through JPEG of quality 10; tests are in color. Without gray views the noise of REM
and SEM lies in color, and of all countermeasures grayscale copies undo it most (docs/audits). About
15 minutes per seed on 2 cores.
"""

from dataclasses import replace

from unlearnable.experiments.grid import Grid, Row, Table, learner
from unlearnable.experiments.scale import Scale
from unlearnable.protection.methods.base import Method

RADII = (0, 2, 4)
COUNTERMEASURES = {"grayscale": "gray", "JPEG 10": "jpeg10"}
GRAY_PROB = 0.5


def grid(scale: Scale) -> Grid:
    name, sem = f"SEM({scale.radius:g})", scale.sem(scale.radius)
    rows: dict[str, Method | None] = {
        "clean": None,
        name: sem,
        f"{name}, gray {GRAY_PROB:g}": replace(sem, gray_prob=GRAY_PROB),
    }
    return Grid(
        ("ordinary", *(f"AT-{r}" for r in RADII[1:]), *COUNTERMEASURES),
        tuple(
            Row(
                n,
                (
                    *(learner(m, r) for r in RADII),
                    *(learner(m, countermeasure=c) for c in COUNTERMEASURES.values()),
                ),
            )
            for n, m in rows.items()
        ),
    )


TABLE = Table(__name__, __doc__, grid)
