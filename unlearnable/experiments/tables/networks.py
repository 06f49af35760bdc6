"""Networks: noise made on one network against learners of others.

A row is what the learner trains on, a column its network. The noise is made on ResNet-18 at the
scales paper and gpu, on convnet at small; at full REM and SEM are made on airbench at half its
widths. Learners train adversarially at the radius that REM is built for (small: 2, else 4). The
paper's scale has the networks of the authors' released program (``unlearnable ls models`` says how
they differ from ours), and only beside those stand the printed figures: that no noise transfers to
DenseNet-121 was measured with the ImageNet stem, whose first map is 16 x 16 pixels for an image of
32 x 32. Gpu: ResNet-18, airbench at half its widths, and VGG-16. Full: airbench, the same at half
its widths, the same with its first convolution frozen at a whitening, as it was published, convnet,
and VGG-11 for half of the steps. Small: VGG-16 and ResNet-18 for 300 steps beside convnet's 800;
ResNet-50, DenseNet-121 and WRN-34-10 are beyond 2 cores (ResNet-18 takes about 15 minutes per
cell), and TAP and NTGA are left to the paper's scale, SEM to the larger ones.
"""

from unlearnable.evaluation.published import NAMES, NETWORKS, Figure
from unlearnable.experiments.grid import Grid, Row, Table, learner
from unlearnable.experiments.scale import Scale


def grid(scale: Scale) -> Grid:
    def published(name: str, network: str) -> Figure | None:
        known = NETWORKS.get(network) if (scale.data, scale.radius) == ("cifar10", 4) else None
        return Figure(known[NAMES.index(name)]) if known and name in NAMES else None

    rows = scale.affordable()
    if scale.name == "small":
        rows = {n: m for n, m in rows.items() if n.startswith(("clean", "EM", "REM"))}
    return Grid(
        tuple(name for name, _ in scale.networks),
        tuple(
            Row(
                n,
                tuple(
                    learner(m, scale.radius, paper=published(n, net), changes=c)
                    for net, c in scale.networks
                ),
            )
            for n, m in rows.items()
        ),
        note=f"Learners train adversarially at radius {scale.radius:g}/255.",
    )


TABLE = Table(__name__, __doc__, grid)
