"""Every method against ordinary and adversarial training: does the noise protect, and against whom?

A row is a method, with its budget where it leaves the ball of 8/255. Columns: the radius of the
learner's adversarial training in /255, then what the noise cost and how visible it is. EM comes
without T (a batch's noise at its visit, the EM of the papers' comparisons) and with T. Five to
fifteen minutes a row and seed on 2 cores.
"""

from unlearnable.evaluation.published import figure
from unlearnable.experiments.grid import Grid, Row, Table, learner, minutes, passes, psnr
from unlearnable.experiments.scale import Scale
from unlearnable.protection.methods.base import Method
from unlearnable.protection.methods.clusters import UnlearnableClusters
from unlearnable.protection.methods.fixed_surrogate import HYPO, EntF
from unlearnable.protection.methods.min_min_variants import ASR, AUE, MIUE, PUE
from unlearnable.protection.methods.patterns import AR, CUDA, LSP, OPS, Uniform
from unlearnable.protection.methods.pil import PIL

RADII = (0, 2, 4)


def methods(setting: Scale) -> dict[str, Method | None]:
    r, make = setting.radius, setting.method
    rows: dict[str, Method | None] = {
        "clean": None,
        "EM": setting.em,
        "EM with T": setting.em_t,
        f"REM({r:g})": setting.rem(r),
        f"SEM({r:g})": setting.sem(r),
        "SEM(4)": setting.sem(4),
    }
    rows |= {
        name: make(kind)
        for name, kind in (("ASR", ASR), ("AUE", AUE), ("MI-UE", MIUE), ("PUE", PUE))
    }
    rows |= {
        "TAP": setting.tap,
        "HYPO": make(HYPO),
        "EntF": make(EntF),
        "NTGA": setting.ntga,
        "PIL": make(PIL),
    }
    rows |= {"Unlearnable Clusters": make(UnlearnableClusters)}
    return (
        rows | {kind.__name__: make(kind) for kind in (LSP, AR, OPS, CUDA)} | {"uniform": Uniform()}
    )


def grid(setting: Scale) -> Grid:
    def title(name: str, method: Method | None) -> str:
        return (
            name
            if method is None or method.budget == "L-inf 8/255"
            else f"{name} ({method.budget})"
        )

    return Grid(
        ("ordinary", *(f"AT-{r}" for r in RADII[1:]), "passes per image", "minutes", "PSNR, dB"),
        tuple(
            Row(
                title(name, method),
                (
                    *(learner(method, r, paper=figure(setting.data, name, r)) for r in RADII),
                    *(passes(method), minutes(method), psnr(method)),
                ),
            )
            for name, method in methods(setting).items()
        ),
    )


TABLE = Table("methods", __doc__, grid)
