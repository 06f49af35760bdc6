"""Networks: noise made on one network against learners of others.

A row is what the learner trains on, a column its network. The noise's own network is ResNet-18 at
the paper's size and convnet at the small one; learners train adversarially at the radius that REM
is built for (small: 2, paper: 4). Small: VGG-16 and ResNet-18 for 300 steps beside convnet's 800;
ResNet-50, DenseNet-121 and WRN-34-10 are beyond 2 cores (ResNet-18 takes about 15 minutes a cell),
and TAP, NTGA and SEM are left to the paper's size.
"""

from unlearnable.evaluation.published import NETWORKS, Figure
from unlearnable.experiments.grid import Grid, Row, Table, learner
from unlearnable.experiments.scale import Scale


def grid(setting: Scale) -> Grid:
    def published(name: str, network: str) -> Figure | None:
        known = NETWORKS.get(network) if setting.data == "cifar10" else None
        names = ("clean", "EM", "TAP", "NTGA", f"REM({setting.radius:g})")
        return Figure(known[names.index(name)]) if known and name in names else None

    rows = setting.compared()
    if setting.size == "small":
        rows = {n: m for n, m in rows.items() if n.startswith(("clean", "EM", "REM"))}
    return Grid(
        tuple(name for name, _ in setting.networks),
        tuple(
            Row(
                n,
                tuple(
                    learner(m, setting.radius, paper=published(n, net), **dict(c))
                    for net, c in setting.networks
                ),
            )
            for n, m in rows.items()
        ),
        note=f"Learners train adversarially at radius {setting.radius:g}/255.",
    )


TABLE = Table("networks", __doc__, grid)
