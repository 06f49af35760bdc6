"""Main comparison: methods against learners of growing AT radius.

A row is what the learner trains on: clean images, EM, TAP, NTGA, REM and SEM built for the radius
rho_a in brackets. A column is the radius of the learner's adversarial training in /255. What the
paper shows: a REM row stays low up to about its rho_a and returns to the clean level beyond it; EM,
TAP and NTGA are near clean at radius 4. The small scale has every second radius, at about 1 minute
per cell on 2 cores; the authors' REM noise alone took 22.6 hours on a V100.
"""

from unlearnable.evaluation.published import figure
from unlearnable.experiments.grid import Chart, Grid, Row, Table, learner
from unlearnable.experiments.scale import Scale


def grid(scale: Scale) -> Grid:
    rows = {"clean": None, "EM": scale.em, "TAP": scale.tap, "NTGA": scale.ntga}
    rows |= {f"REM({a})": scale.rem(a) for a in scale.radii}
    rows |= {f"SEM({a})": scale.sem(a) for a in scale.radii[1:]}
    return Grid(
        ("ordinary", *(f"AT-{r}" for r in scale.radii[1:])),
        tuple(
            Row(
                name,
                tuple(learner(method, r, paper=figure(scale.data, name, r)) for r in scale.radii),
            )
            for name, method in rows.items()
        ),
        Chart("radius of the learner's adversarial training, /255", scale.radii),
        note="REM(0) is EM with T.",
    )


TABLE = Table(__name__, __doc__, grid)
