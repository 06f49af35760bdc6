"""Gray: noise made under a T that loses its colors at times, against learners that throw colors
away.

A row is a noise, with the share of T's draws that are gray. Columns: the radius of the learner's
adversarial training in /255, then ordinary training on copies of the training images, in grayscale
and through JPEG of quality 10; tests are in color. Without gray views the noise of REM and SEM lies
in color, and grayscale copies get furthest of all countermeasures (docs/audits). About 15 minutes a
seed on 2 cores.
"""

from dataclasses import replace

from unlearnable.experiments.grid import Grid, Row, Table, learner
from unlearnable.experiments.scale import Scale

RADII = (0, 2, 4)
COUNTERMEASURES = {"grayscale": "gray", "JPEG 10": "jpeg10"}
FRACTION = 0.5


def grid(setting: Scale) -> Grid:
    name, sem = f"SEM({setting.radius:g})", setting.sem(setting.radius)
    rows = {
        "clean": None,
        name: sem,
        f"{name}, gray {FRACTION:g}": replace(sem, gray_prob=FRACTION),
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


TABLE = Table("gray", __doc__, grid)
