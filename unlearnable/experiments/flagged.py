"""Which numbers of a table mean less than they seem to (docs/checks.md)."""

from dataclasses import replace

from unlearnable.evaluation.flags import known_baseline, training_flags
from unlearnable.experiments.grid import Grid
from unlearnable.experiments.runner import LearnerSpec, Runner

CHANCE = {"cifar100": 1.0, "imagenet100": 1.0}  # of ten classes otherwise


def flags(grid: Grid, lab: Runner) -> dict[str, list[str]]:
    """flag -> the places that it is about, as row × column."""
    found: dict[str, list[str]] = {}
    for row in grid.rows:
        for column, entry in zip(grid.columns, row.entries):
            for flag in (
                _of(entry.spec, lab) if entry and isinstance(entry.spec, LearnerSpec) else ()
            ):
                found.setdefault(flag, []).append(f"{row.name} × {column}")
    return dict(sorted(found.items()))


def _of(spec: LearnerSpec, lab: Runner) -> set[str]:
    cells = lab.book.of(lab.asked(spec, 0))
    clean = lab.book.of(lab.asked(replace(spec, method=None, fraction=1.0, rest=False), 0))
    recipe = replace(lab.recipe, **dict(spec.recipe))
    known = None if spec.countermeasure else known_baseline(lab.data, lab.limit, recipe)
    chance = CHANCE.get(lab.data, 10.0)
    names = {
        flag
        for seed, cell in cells.items()
        for flag in training_flags(cell, clean.get(seed), chance, known)
    }
    if len(cells) == 1:
        names.add("few-seeds")
    if cells and spec.method is not None and spec.fraction < 1:
        names.add("partly-protected")
    return names
