"""Train one learner on one set of images and test it on clean ones. A result is stored once, found
by the images' digests, the learner and the seed, and shared by every audit and table."""

from dataclasses import asdict, replace
from pathlib import Path

from unlearnable.data.images import Images
from unlearnable.evaluation.countermeasures import apply_countermeasure
from unlearnable.evaluation.denoiser import denoised, train_denoiser
from unlearnable.evaluation.learners import Learner
from unlearnable.evaluation.results import Result
from unlearnable.evaluation.store import Json, get_or_compute, without_defaults
from unlearnable.training.learn import learn
from unlearnable.training.precision import Precision
from unlearnable.training.recipe import Recipe

Pairs = tuple[Images, Images]


def train_and_test(
    learner: Learner,
    train: Images,
    test: Images,
    seed: int = 0,
    *,
    recipe: Recipe,
    results: Path,
    pairs: Pairs | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    wait: bool = True,
) -> Result:
    """Return what ``learner`` reaches on the clean ``test`` images after training on ``train``.

    recipe: how ordinary training goes; the learner changes it. results: the folder in which the
    result is kept. pairs: the same images clean and protected, of which a learner with ``leaked``
    knows a part. Where another process is computing the same result, wait for it, or raise ``Busy``
    (``wait`` False).
    """

    def compute(run: Path) -> Json:
        shown, seen = _seen(learner, train, test, seed, pairs)
        done = learn(
            shown,
            learner.recipe(recipe),
            test=seen,
            out=run,
            seed=seed,
            device=device,
            precision=precision,
        )
        return Result.from_json(done.result).to_json()

    config = training_config(learner, train, test, seed, recipe=recipe, pairs=pairs)
    return Result.from_json(get_or_compute(results, config, compute, wait=wait))


def training_config(
    learner: Learner,
    train: Images,
    test: Images,
    seed: int,
    *,
    recipe: Recipe,
    pairs: Pairs | None = None,
) -> Json:
    """Return what the result is found by; settings at their defaults are left out."""
    own = without_defaults(asdict(learner), Learner())
    own = {k: v for k, v in own.items() if k not in ("name", "changes")}
    if learner.leaked and pairs:
        own["pairs"] = [images.digest() for images in pairs]
    if len(test.y.bincount(minlength=len(test.classes)).unique()) > 1:
        own["accuracy"] = "balanced"  # an earlier version counted all images alike
    return own | {
        "train": train.digest(),
        "test": test.digest(),
        "recipe": without_defaults(asdict(learner.recipe(recipe)), Recipe()),
        "seed": seed,
    }


def _seen(
    learner: Learner, train: Images, test: Images, seed: int, pairs: Pairs | None
) -> tuple[Images, Images]:
    """The training and test images as the learner sees them."""
    if learner.leaked:
        if pairs is None:
            raise ValueError("a learner with leaked images needs the pairs that leaked")
        denoiser = train_denoiser(*pairs, fraction=learner.leaked, seed=seed)
        train = replace(train, x=denoised(denoiser, train.x))
    if learner.countermeasure:
        train = apply_countermeasure(learner.countermeasure, train)
        if learner.countermeasure_test:
            test = apply_countermeasure(learner.countermeasure, test)
    return train, test
