"""Time cost: what making the noise takes.

A row is a method; columns: forward and backward passes of one image (the kernels of NTGA have
none), minutes on the machine that the cells name, and how visible the noise is. The paper's minutes
are those of one V100. Nothing is trained but the noise, which the other tables share.
"""

from unlearnable.evaluation.published import HOURS, Figure
from unlearnable.experiments.grid import Grid, Row, Table, minutes, passes, psnr
from unlearnable.experiments.scale import Scale


def grid(setting: Scale) -> Grid:
    hours = HOURS.get(setting.data, {})
    rows = {name: method for name, method in setting.compared().items() if method} | {
        "REM(4)": setting.rem(4)
    }
    return Grid(
        ("passes per image", "minutes", "PSNR, dB"),
        tuple(
            Row(
                n,
                (
                    passes(m),
                    minutes(m, Figure(round(60 * hours[n])) if n in hours else None),
                    psnr(m),
                ),
            )
            for n, m in rows.items()
        ),
        unit="what making the noise took",
    )


TABLE = Table("cost", __doc__, grid)
