"""README's plot, docs/radius.svg, from the records: ``python benchmarks/radius_plot.py``."""

from pathlib import Path

from unlearnable.experiments.grid import narrowed
from unlearnable.experiments.report import plots_of
from unlearnable.experiments.runner import Runner
from unlearnable.experiments.scale import get_scale
from unlearnable.experiments.tables import TABLES
from unlearnable.reports.plots import to_svg

DOCS = Path(__file__).parents[1] / "docs"
ROWS = ("clean", "EM", "REM(2)", "SEM(2)")
ABOUT = (
    "Accuracy on clean images against the radius of the learner's adversarial training: clean "
    "images, EM, REM and SEM"
)


def main(out: Path = DOCS / "radius.svg") -> None:
    scale = get_scale("small", "cifar10")
    grid = narrowed(TABLES["main-comparison"].load().grid(scale), ROWS, ())
    (_, plot), *_ = plots_of(grid, scale, Runner(scale, DOCS / "records"))
    out.write_text(to_svg(plot, ABOUT, width=560), encoding="utf-8")
    print(out)


if __name__ == "__main__":
    main()
