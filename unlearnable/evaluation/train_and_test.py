"""Train one learner on one set of images and test it on clean ones. A result is stored once, found
by the images' digests, the learner and the seed, and shared by every audit and table."""

from dataclasses import asdict, replace
from pathlib import Path

from unlearnable.core.device import pick_device
from unlearnable.core.files import config_hash
from unlearnable.data.images import Images
from unlearnable.evaluation.attacker import Attacker, Pairs, purifier
from unlearnable.evaluation.countermeasures import apply_countermeasure
from unlearnable.evaluation.denoiser import NETWORK, denoised, train_denoiser
from unlearnable.evaluation.learners import Learner
from unlearnable.evaluation.results import Result
from unlearnable.evaluation.store import Json, get_or_compute, without_defaults
from unlearnable.training.learn import learn
from unlearnable.training.precision import Precision, precision_key
from unlearnable.training.recipe import Recipe


def train_and_test(
    learner: Learner,
    train: Images,
    test: Images,
    seed: int = 0,
    *,
    recipe: Recipe,
    results: Path,
    pairs: Pairs | None = None,
    attacker: Attacker | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    wait: bool = True,
) -> Result:
    """Return what ``learner`` reaches on the clean ``test`` images after training on ``train``.

    recipe: how ordinary training goes; the learner changes it. results: the folder in which the
    result is kept. pairs: the same images clean and protected, of which a learner with ``leaked``
    knows a part. attacker: makes the pairs of a learner with ``own_pairs``. Where another process
    is computing the same result, wait for it, or raise ``Busy`` (``wait`` False).
    """

    def compute(run: Path) -> Json:
        purified = _purified(learner, train, seed, pairs, attacker, device, wait)
        shown, seen = _seen(learner, purified, test, device)
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

    config = training_config(
        learner,
        train,
        test,
        seed,
        recipe=recipe,
        pairs=pairs,
        attacker=attacker,
        precision=precision,
    )
    found = get_or_compute(results, config, compute, wait=wait)
    return Result.from_json(found, str(results / config_hash(config) / "cell.json"))


def training_config(
    learner: Learner,
    train: Images,
    test: Images,
    seed: int,
    *,
    recipe: Recipe,
    pairs: Pairs | None = None,
    attacker: Attacker | None = None,
    precision: Precision = "auto",
) -> Json:
    """Return what the result is found by; settings at their defaults are left out."""
    own = without_defaults(asdict(learner), Learner())
    own = {k: v for k, v in own.items() if k not in ("name", "changes")}
    own |= learner.further_key(recipe) | precision_key(precision)
    if learner.leaked and pairs:
        own |= {"pairs": [images.digest() for images in pairs], "denoiser": NETWORK}
    if learner.own_pairs and attacker:
        own["own_pairs"] = attacker.key(learner.own_pairs)
    if len(test.y.bincount(minlength=len(test.classes)).unique()) > 1:
        own["accuracy"] = "balanced"  # an earlier version counted all images alike
    return own | {
        "train": train.digest(),
        "test": test.digest(),
        "recipe": without_defaults(asdict(learner.recipe(recipe)), Recipe()),
        "seed": seed,
    }


def _purified(
    learner: Learner,
    train: Images,
    seed: int,
    pairs: Pairs | None,
    attacker: Attacker | None,
    device: str,
    wait: bool,
) -> Images:
    """The training images after the learner's denoiser, if it has one."""
    where = pick_device(device)
    if learner.own_pairs:
        if attacker is None:
            raise ValueError("a learner with pairs of its own needs the attacker who makes them")
        denoiser = purifier(attacker, learner.own_pairs, wait=wait)
    elif learner.leaked:
        if pairs is None:
            raise ValueError("a learner with leaked images needs the pairs that leaked")
        denoiser = train_denoiser(*pairs, fraction=learner.leaked, seed=seed, device=where)
    else:
        return train
    return replace(train, x=denoised(denoiser.to(where), train.x, where))


def _seen(learner: Learner, train: Images, test: Images, device: str) -> tuple[Images, Images]:
    """The training and test images after the learner's countermeasure."""
    if learner.countermeasure:
        train = apply_countermeasure(learner.countermeasure, train, device)
        if learner.countermeasure_test:
            test = apply_countermeasure(learner.countermeasure, test, device)
    return train, test
