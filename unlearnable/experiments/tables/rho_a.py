"""The radius that the noise is built for, rho_a, against learners beyond it.

A row is REM or SEM with the rho_a in brackets, a column the radius of the learner's adversarial
training in /255, up to twice the largest rho_a. Figures beside ours are those of other groups. To
be seen: where each row climbs back to the clean level. Shares its cells up to radius 4 with the
main comparison; 12 minutes a seed for the rest on 2 cores.
"""

from unlearnable.evaluation.published import figure
from unlearnable.experiments.grid import Chart, Grid, Row, Table, learner
from unlearnable.experiments.scale import Scale

RADII = (0, 2, 4, 6, 8)


def grid(setting: Scale) -> Grid:
    rows = (
        {"clean": None}
        | {f"REM({a})": setting.rem(a) for a in setting.radii}
        | {"SEM(4)": setting.sem(4)}
    )
    return Grid(
        ("ordinary", *(f"AT-{r}" for r in RADII[1:])),
        tuple(
            Row(name, tuple(learner(method, r, paper=figure(setting.data, name, r)) for r in RADII))
            for name, method in rows.items()
        ),
        Chart("radius of the learner's adversarial training, /255", RADII),
    )


TABLE = Table("rho-a", __doc__, grid)
