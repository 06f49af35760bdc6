"""Main comparison: methods against learners of growing AT radius.

A row is what the learner trains on: clean images, EM, TAP, NTGA, REM and SEM built for the radius
rho_a in brackets. A column is the radius of the learner's adversarial training in /255. To be seen
in the paper: a REM column stays low up to about its rho_a and climbs back to the clean level after
it; EM, TAP and NTGA are near clean at radius 4. The small size has every second radius. Time: about
1 minute a cell on 2 cores there; the authors' REM noise alone took 22.6 hours of a V100.
"""

from unlearnable.evaluation.published import figure
from unlearnable.experiments.grid import Chart, Grid, Row, Table, learner
from unlearnable.experiments.scale import Scale


def grid(setting: Scale) -> Grid:
    rows = {"clean": None, "EM": setting.em, "TAP": setting.tap, "NTGA": setting.ntga}
    rows |= {f"REM({a})": setting.rem(a) for a in setting.radii}
    rows |= {f"SEM({a})": setting.sem(a) for a in setting.radii[1:]}
    return Grid(
        ("ordinary", *(f"AT-{r}" for r in setting.radii[1:])),
        tuple(
            Row(
                name,
                tuple(
                    learner(method, r, paper=figure(setting.data, name, r)) for r in setting.radii
                ),
            )
            for name, method in rows.items()
        ),
        Chart("radius of the learner's adversarial training, /255", setting.radii),
        note="REM(0) is EM with T.",
    )


TABLE = Table("main", __doc__, grid)
