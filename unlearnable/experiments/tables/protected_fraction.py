"""Protected shares: what a learner gets where only a part of the images is protected.

A row is a method, a column the share of every class that is protected, the rest being clean; the
last row trains on that clean rest alone. The learner trains adversarially at the radius that REM
and SEM are built for (small: 2, paper: 4). To be seen in the paper: at 80 % protected the learner
is back near the clean level with every method; the last row says how much of that the clean rest
gives alone. The small size has EM, REM and SEM and three of the shares, about 1 minute a cell on 2
cores.
"""

from unlearnable.evaluation.published import FRACTIONS, PERCENT, Figure
from unlearnable.experiments.grid import Chart, Grid, Row, Table, learner
from unlearnable.experiments.scale import Scale


def grid(setting: Scale) -> Grid:
    def published(name: str, fraction: int) -> Figure:
        known = (
            FRACTIONS.get(name.replace(f"({setting.radius:g})", "(4)"), ())
            if setting.data == "cifar10"
            else ()
        )
        return Figure(dict(zip(PERCENT, known)).get(fraction))

    clean, at = learner(None, setting.radius), setting.radius
    rows = [
        Row(
            n,
            (
                clean,
                *(
                    learner(m, at, fraction=p / 100, paper=published(n, p))
                    for p in setting.fractions
                ),
            ),
        )
        for n, m in setting.affordable().items()
        if m
    ]
    name = "the clean rest alone"
    rest = [
        learner(None, at, fraction=p / 100, rest=True, paper=published(name, p))
        for p in setting.fractions[:-1]
    ]
    return Grid(
        ("0 %", *(f"{p} %" for p in setting.fractions)),
        (*rows, Row(name, (clean, *rest, None))),
        Chart("share of the images that is protected, %", (0, *setting.fractions)),
        note=f"Learners train adversarially at radius {at:g}/255.",
    )


TABLE = Table("shares", __doc__, grid)
