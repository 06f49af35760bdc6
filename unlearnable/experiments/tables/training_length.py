"""How long the learner trains: why patterns that collapse a long training hardly show in a short
one.

A row is what an ordinary learner trains on, a column its number of steps, as a multiple of the
size's own. To be seen: clean accuracy rises with the steps, while that of the protected sets falls,
as the learner comes to rely on the noise. About 10 minutes a seed on 2 cores.
"""

from unlearnable.experiments.grid import Grid, Row, Table, learner
from unlearnable.experiments.scale import Scale
from unlearnable.protection.methods.patterns import AR, LSP, OPS

TIMES = (1, 2)


def grid(setting: Scale) -> Grid:
    rows = {
        "clean": None,
        "LSP": setting.method(LSP),
        "AR": setting.method(AR),
        "OPS": setting.method(OPS),
    }
    steps = setting.recipe.steps
    return Grid(
        tuple(f"{steps * k:,} steps" for k in TIMES),
        tuple(
            Row(name, tuple(learner(m, **({"steps": steps * k} if k > 1 else {})) for k in TIMES))
            for name, m in rows.items()
        ),
    )


TABLE = Table("length", __doc__, grid)
