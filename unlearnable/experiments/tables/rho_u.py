"""The budget of the noise, rho_u: how much more protection more noise buys.

A row is EM(rho_u), or REM(rho_u, rho_a) with rho_a at most half of rho_u as in the paper; noise
steps are rho_u/5 (/4 for the ImageNet subset). A column is the radius of the learner's adversarial
training in /255; the last one says how visible the noise is. No figures of others stand beside
these. About 45 minutes per seed on 2 cores.
"""

from dataclasses import replace

from unlearnable.experiments.grid import Grid, Row, Table, learner, psnr
from unlearnable.experiments.scale import Scale
from unlearnable.protection.methods.base import Method
from unlearnable.protection.methods.min_min import MinMin

RADII = (0, 2, 4, 8)
BUDGETS = ((4, 2), (8, 2), (8, 4), (16, 2), (16, 4), (16, 8))


def grid(scale: Scale) -> Grid:
    def of_budget(method: MinMin, eps: int) -> MinMin:
        return replace(method, eps=float(eps), step=method.step and method.step * eps / 8)

    rows: dict[str, Method | None] = {"clean": None}
    rows |= {f"EM({u})": of_budget(scale.em, u) for u in (4, 8, 16)}
    rows |= {f"REM({u}, {a})": of_budget(scale.rem(a), u) for u, a in BUDGETS}
    return Grid(
        ("ordinary", *(f"AT-{r}" for r in RADII[1:]), "PSNR, dB"),
        tuple(Row(n, (*(learner(m, r) for r in RADII), psnr(m))) for n, m in rows.items()),
    )


TABLE = Table(__name__, __doc__, grid)
