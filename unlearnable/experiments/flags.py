"""Which numbers of a table mean less than they seem to (docs/checks.md)."""

from unlearnable.evaluation.flags import known_baseline, training_flags
from unlearnable.evaluation.learners import Learner
from unlearnable.evaluation.results import Result
from unlearnable.experiments.grid import Grid, LearnerSpec
from unlearnable.experiments.runner import Runner

CHANCE = {"cifar100": 1.0, "imagenet100": 1.0}  # in %; of ten classes otherwise


def grid_flags(grid: Grid, runner: Runner) -> dict[str, list[str]]:
    """Return, for each flag, the cells that it is about, as row × column."""
    found: dict[str, list[str]] = {}
    for row in grid.rows:
        for column, cell in zip(grid.columns, row.cells):
            if cell and isinstance(cell.spec, LearnerSpec):
                for flag in _flags(cell.spec, runner):
                    found.setdefault(flag, []).append(f"{row.name} × {column}")
    return dict(sorted(found.items()))


def _flags(spec: LearnerSpec, runner: Runner) -> set[str]:
    results, scale = _results(spec, runner), runner.scale
    clean = _results(LearnerSpec(learner=spec.learner), runner)
    ordinary = _results(LearnerSpec(learner=Learner()), runner)
    known = None
    if not spec.learner.countermeasure:
        known = known_baseline(scale.data, scale.limit, spec.learner.recipe(scale.recipe))
    chance = CHANCE.get(scale.data, 10.0)
    names = {
        flag
        for seed, result in results.items()
        for flag in training_flags(
            result,
            clean.get(seed),
            chance,
            known,
            ordinary[seed].accuracy if seed in ordinary else None,
        )
    }
    if any(result.get("twin") for result in runner.found(spec).values()):
        names.add("twin-learner")
    if len(results) == 1:
        names.add("few-seeds")
    if results and spec.method is not None and spec.fraction < 1:
        names.add("partly-protected")
    return names


def _results(spec: LearnerSpec, runner: Runner) -> dict[int, Result]:
    """What is there of a learner, by seed."""
    return {seed: Result.from_json(result) for seed, result in runner.found(spec).items()}
