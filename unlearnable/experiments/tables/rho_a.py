"""The radius that the noise is built for, rho_a, against learners beyond it.

A row is REM or SEM with its rho_a in brackets, a column the radius of the learner's adversarial
training in /255, up to twice the largest rho_a. Figures beside ours are those of other groups. Look
for where each row returns to the clean level. Cells up to radius 4 are shared with the main
comparison; the rest takes 12 minutes per seed on 2 cores.
"""

from unlearnable.evaluation.published import figure
from unlearnable.experiments.grid import Chart, Grid, Row, Table, learner
from unlearnable.experiments.scale import Scale

RADII = (0, 2, 4, 6, 8)


def grid(scale: Scale) -> Grid:
    rows = (
        {"clean": None}
        | {f"REM({a})": scale.rem(a) for a in scale.radii}
        | {"SEM(4)": scale.sem(4)}
    )
    return Grid(
        ("ordinary", *(f"AT-{r}" for r in RADII[1:])),
        tuple(
            Row(name, tuple(learner(method, r, paper=figure(scale.data, name, r)) for r in RADII))
            for name, method in rows.items()
        ),
        Chart("radius of the learner's adversarial training, /255", RADII),
    )


TABLE = Table(__name__, __doc__, grid)
