"""How long a table will take."""

from unlearnable.experiments.grid import LearnerSpec, NoiseSpec, Spec
from unlearnable.experiments.runner import Runner
from unlearnable.protection.methods.base import Method
from unlearnable.protection.pace import noise_seconds
from unlearnable.training.pace import training_seconds
from unlearnable.training.recipe import Recipe


def missing(runner: Runner, specs: list[Spec], seeds: tuple[int, ...]) -> list[tuple[int, Spec]]:
    """What has no cell yet, noise apart: (seed, learner), and (seed, noise) for noise that no
    cell's learner needs."""
    return [(seed, spec) for seed in seeds for spec in specs if seed not in runner.found(spec)]


def seconds(runner: Runner, todo: list[tuple[int, Spec]]) -> float:
    """Estimate the seconds that the learners and the noise in ``todo`` take here; kernels, patterns
    and what is done to the images before training are not counted."""
    images = len(runner.clean)
    work: list[Recipe] = []
    noises: set[tuple[int, Method]] = set()
    for seed, spec in todo:
        if isinstance(spec, LearnerSpec):
            work.append(spec.learner.recipe(runner.scale.recipe))
        if spec.method is not None and seed not in runner.found(NoiseSpec(spec.method)):
            noises.add((seed, spec.method))
    height, width = runner.clean.x.shape[-2:]
    size, classes = (height, width), len(runner.clean.classes)
    device, precision = runner.device, runner.precision
    learning = (
        training_seconds(
            recipe, size, images=images, classes=classes, device=device, precision=precision
        )
        for recipe in work
    )
    noise = (
        noise_seconds(method, size, images, classes, device=device, precision=precision)
        for _, method in noises
    )
    return sum(learning) + sum(noise)
