"""Training curves: accuracy on clean test images during training (the paper's figures).

A row is what the learner trains on and how, a column the training step. A learner on protected
images may know more early than at its end, which is why audits count the peak. The cells are shared
with the main comparison.
"""

from unlearnable.experiments.grid import Cell, Chart, Grid, Row, Table, learner
from unlearnable.experiments.scale import Scale


def at(cell: Cell, k: int) -> Cell:
    """Return the cell of that learner's accuracy at its k-th test."""
    return Cell(cell.spec, lambda result: result["log"][k]["accuracy"])


def grid(scale: Scale) -> Grid:
    recipe = scale.recipe
    every = max(1, recipe.steps // recipe.evals)
    steps = tuple(sorted({*range(every, recipe.steps + 1, every), recipe.steps}))
    learners = {
        f"{n}, AT-{r:g}" if r else f"{n}, ordinary": learner(m, r)
        for r in (0, scale.radius)
        for n, m in scale.compared().items()
    }
    return Grid(
        tuple(f"{step:,}" for step in steps),
        tuple(Row(n, tuple(at(c, k) for k in range(len(steps)))) for n, c in learners.items()),
        Chart("training step", steps),
    )


TABLE = Table(__name__, __doc__, grid)
