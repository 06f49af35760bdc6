"""Low-pass filters on the training images, before augmentation; the test images stay as they are.

A row is a filter, a column what the learner trains on and how: ordinarily, or adversarially at the
radius that REM and SEM are built for (small: 2, paper: 4). What the paper shows: filters do not
bring REM's learner back. The figures of other groups (22 to 26 % for REM, blurred, ordinary
training, ResNet-18) are for no single filter, so they stand in no cell. The small scale trains
ordinarily, on clean images, EM, REM and SEM, in about 20 minutes per seed on 2 cores.
"""

from unlearnable.experiments.grid import Grid, Row, Table, learner
from unlearnable.experiments.scale import Scale

FILTERS = {
    "none": None,
    "mean 3x3": "mean3",
    "Gaussian 3x3": "gaussian3",
    "median 3x3": "median3",
    "bilateral": "bilateral",
}


def grid(scale: Scale) -> Grid:
    radii = (0,) if scale.name == "small" else (0, scale.radius)
    learners = [(n, m, r) for r in radii for n, m in scale.affordable().items()]
    return Grid(
        tuple(f"{n}, AT-{r:g}" if r else f"{n}, ordinary" for n, _, r in learners),
        tuple(
            Row(f, tuple(learner(m, r, countermeasure=c) for _, m, r in learners))
            for f, c in FILTERS.items()
        ),
        heading="filter",
    )


TABLE = Table(__name__, __doc__, grid)
