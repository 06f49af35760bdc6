"""Every method against ordinary and adversarial training: does the noise protect, and against whom?

A row is a method, with its budget where it leaves the ball of 8/255. Columns: the radius of the learner's adversarial
training in /255, then what the noise cost and how visible it is. EM comes in its fair form (all noise renewed in
passes, stopped at 1 % train error), without T (a batch's noise at its visit, the EM of the papers' comparisons) and
with T; EM, SEM and REM also from cold starts. Five to ten minutes a row and seed on 2 cores.
"""

from ..methods import AR, ASR, AUE, CUDA, EM, HYPO, LSP, MIUE, OPS, PIL, EntF, Method, Uniform
from ..published import figure
from .settings import Setting
from .table import Grid, Row, Table, learner, minutes, passes, psnr

RADII = (0, 2, 4)


def methods(setting: Setting) -> dict[str, Method | None]:
    r, make = setting.radius, setting.method
    rows: dict[str, Method | None] = {
        "clean": None,
        "EM": setting.em,
        "EM in passes": EM(model="convnet") if setting.size == "small" else EM(),
        "EM with T": setting.em_t,
        f"REM({r:g})": setting.rem(r),
        f"SEM({r:g})": setting.sem(r),
        "SEM(4)": setting.sem(4),
    }
    if setting.size == "small":  # its presets are warm
        cold = {"warm": False, "steps": 5, "step": 3.2}
        rows |= {"EM with T, cold": make(EM, **cold), "SEM(2), cold": setting.sem(2, **cold)}
        rows |= {"REM(2), cold": setting.rem(2, **cold)}
    named = {"ASR": ASR, "AUE": AUE, "MI-UE": MIUE, "TAP": None, "HYPO": HYPO, "EntF": EntF, "NTGA": None}
    named |= {"PIL": PIL, "LSP": LSP, "AR": AR, "OPS": OPS, "CUDA": CUDA, "uniform": Uniform}
    rows |= {
        name: make(kind) if kind else {"TAP": setting.tap, "NTGA": setting.ntga}[name] for name, kind in named.items()
    }
    return rows | {"uniform, a class": Uniform(per="class")}


def grid(setting: Setting) -> Grid:
    def title(name: str, method: Method | None) -> str:
        return name if method is None or method.budget == "L-inf 8/255" else f"{name} ({method.budget})"

    return Grid(
        ("ordinary", *(f"AT-{r}" for r in RADII[1:]), "passes a picture", "minutes", "PSNR, dB"),
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
