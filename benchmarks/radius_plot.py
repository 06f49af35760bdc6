"""README's plot, docs/radius.svg, from the records, with the figures in print dashed: ``python
benchmarks/radius_plot.py``."""

from dataclasses import replace
from pathlib import Path

from unlearnable.experiments.grid import narrowed
from unlearnable.experiments.report import plots_of
from unlearnable.experiments.runner import Runner
from unlearnable.experiments.scale import get_scale
from unlearnable.experiments.tables import TABLES
from unlearnable.reports.plots import to_svg

DOCS = Path(__file__).parents[1] / "docs"
ROWS = ("clean", "EM", "REM(4)", "SEM(4)")
ABOUT = (
    "Accuracy on clean images against the radius of the learner's adversarial training: clean "
    "images, EM, and REM and SEM built for radius 4, on all of CIFAR-10; figures in print "
    "dashed"
)


def main(out: Path = DOCS / "radius.svg") -> None:
    scale = get_scale("full", "cifar10")
    grid = narrowed(TABLES["main-comparison"].load().grid(scale), ROWS, ())
    (_, ours), (_, printed) = plots_of(grid, scale, Runner(scale, DOCS / "records"))
    both = replace(ours, lines=(*ours.lines, *printed.lines))
    out.write_text(to_svg(both, ABOUT, width=560), encoding="utf-8")
    print(out)


if __name__ == "__main__":
    main()
