"""How long a table will take."""

from unlearnable.experiments.grid import LearnerSpec, NoiseSpec, Spec
from unlearnable.experiments.runner import Runner
from unlearnable.protection.methods.base import Method
from unlearnable.protection.pace import noise_seconds
from unlearnable.training.pace import seconds_per_pass
from unlearnable.training.recipe import Recipe


def missing(runner: Runner, specs: list[Spec], seeds: tuple[int, ...]) -> list[tuple[int, Spec]]:
    """What has no cell yet, noise apart: (seed, learner), and (seed, noise) for noise that no
    cell's learner needs."""
    return [(seed, spec) for seed in seeds for spec in specs if seed not in runner.found(spec)]


def seconds(runner: Runner, todo: list[tuple[int, Spec]]) -> float:
    """Estimate the seconds that the learners and the noise in ``todo`` take here; kernels, patterns
    and what is done to the images before training are not counted."""
    images = len(runner.clean)
    work: list[tuple[int, Recipe]] = []
    noises: set[tuple[int, Method]] = set()
    for seed, spec in todo:
        if isinstance(spec, LearnerSpec):
            recipe = spec.learner.recipe(runner.scale.recipe)
            work.append((recipe.passes(images), recipe))
        if spec.method is not None and seed not in runner.found(NoiseSpec(spec.method)):
            noises.add((seed, spec.method))
    height, width = runner.clean.x.shape[-2:]
    size, classes = (height, width), len(runner.clean.classes)
    return sum(
        passes * seconds_per_pass(recipe, size, images=images, device=runner.device)
        for passes, recipe in work
    ) + sum(
        noise_seconds(method, size, images, classes, device=runner.device) for _, method in noises
    )
