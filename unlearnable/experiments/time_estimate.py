"""How long a table will take: passes counted from the settings, times the speed of every network,
which is tried."""

from unlearnable.experiments.runner import LearnerSpec, NoiseSpec, Runner, Spec
from unlearnable.protection.methods.base import Method
from unlearnable.protection.methods.fixed_surrogate import FixedSurrogate
from unlearnable.protection.methods.min_min import REM, MinMin, Robust
from unlearnable.training.learn import seconds_a_step
from unlearnable.training.recipe import Recipe

TRY = {"batch": 32, "adv_eps": 4.0, "adv_steps": 1}  # 64 passes


def missing(lab: Runner, specs: list[Spec], seeds: tuple[int, ...]) -> list[tuple[int, Spec]]:
    """What has no cell yet, noise apart: (seed, learner), and (seed, noise) for noise that no
    cell's learner needs."""
    return [
        (seed, spec)
        for seed in seeds
        for spec in specs
        if seed not in lab.book.of(lab.asked(spec, seed))
    ]


def seconds(lab: Runner, todo: list[tuple[int, Spec]]) -> float:
    """What the learners and the noise in ``todo`` take here; kernels, patterns and what is done to
    the images before training are not counted."""
    work: dict[str, float] = {}  # network -> passes
    noises: set[tuple[int, Method]] = set()
    for seed, spec in todo:
        if spec.method is not None and not lab.book.of(lab.asked(NoiseSpec(spec.method), seed)).get(
            seed
        ):
            noises.add((seed, spec.method))
        if isinstance(spec, LearnerSpec):
            recipe = (
                lab.recipe if not spec.recipe else Recipe(**vars(lab.recipe) | dict(spec.recipe))
            )
            work[recipe.model] = (
                work.get(recipe.model, 0) + recipe.steps * recipe.batch * recipe.passes
            )
    for _, method in noises:
        if n := noise_passes(method, len(lab.clean)):
            work[method.model] = work.get(method.model, 0) + n
    return sum(n * _pass_seconds(lab, model) for model, n in work.items())


def noise_passes(method: Method, n: int) -> int:
    """Passes of one image that making noise for ``n`` images takes, at most; 0 where there is no
    surrogate."""
    if isinstance(method, MinMin):
        draws = (
            method.steps
            * max(1, method.eot_samples)
            * (1 + method.adv_steps if isinstance(method, REM) else 1)
        )
        visited = method.train_steps * method.batch
        renewed = (
            -(-method.train_steps // method.refresh_every) * n if method.refresh_every else visited
        )
        return draws * (renewed + n) + visited * (
            1 + method.adv_steps if isinstance(method, Robust) else 1
        )
    if isinstance(method, FixedSurrogate):
        walk = 1 + (method.train_adv_steps if method.train_adv_eps else 0)
        return method.train_steps * 128 * walk + n * method.steps * max(1, method.eot_samples)
    return 0


def _pass_seconds(lab: Runner, model: str) -> float:
    return seconds_a_step(lab.clean, Recipe(model=model, **TRY), device=lab.device) / 64
