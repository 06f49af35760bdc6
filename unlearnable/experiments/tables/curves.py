"""Training curves: accuracy on clean test images during training (the paper's figures).

A row is what the learner trains on and how, a column the training step. To be seen: a learner on
protected images may know more early than at its end, which is why audits count the peak. Shares its
cells with the main comparison.
"""

from unlearnable.experiments.grid import Cell, Chart, Grid, Row, Table, learner
from unlearnable.experiments.scale import Scale


def at(entry: Cell, k: int) -> Cell:
    return Cell(entry.spec, lambda cell: cell["log"][k]["accuracy"])


def grid(setting: Scale) -> Grid:
    recipe = setting.recipe
    every = max(1, recipe.steps // recipe.evals)
    steps = tuple(sorted({*range(every, recipe.steps + 1, every), recipe.steps}))
    learners = {
        f"{n}, AT-{r:g}" if r else f"{n}, ordinary": learner(m, r)
        for r in (0, setting.radius)
        for n, m in setting.compared().items()
    }
    return Grid(
        tuple(f"{step:,}" for step in steps),
        tuple(Row(n, tuple(at(e, k) for k in range(len(steps)))) for n, e in learners.items()),
        Chart("training step", steps),
    )


TABLE = Table("curves", __doc__, grid)
