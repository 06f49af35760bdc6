"""A trial: one learner trained on one set of images and tested on clean ones. Made once, known by
what it is trained on and how, and shared by every audit and every table that asks for the same."""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from unlearnable.data.images import Images
from unlearnable.evaluation.countermeasures import apply_countermeasure
from unlearnable.evaluation.store import LEARNER_FIELDS, get_or_compute
from unlearnable.training.learn import learn
from unlearnable.training.precision import Precision
from unlearnable.training.recipe import Recipe


def train_and_test(
    cells: Path,
    data: Images,
    test: Images,
    recipe: Recipe,
    *,
    countermeasure: str | None = None,
    test_too: bool = False,
    change: Callable[[], Images] | None = None,
    changed: object = None,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    wait: bool = True,
) -> dict | None:
    """A learner's accuracy and peak in %, its log and evidence, kept in ``cells``.

    countermeasure: a line of ``COUNTERMEASURES``, done to the training images first and, with
    ``test_too``, to the test images. change: makes the images that are really trained on, where
    that is dear; ``changed`` is what they depend on besides ``data``.  None where another process
    is at the same trial and it is not to be waited for."""
    asked = {
        "what": "trial",
        "data": data.digest(),
        "test": test.digest(),
        "recipe": asdict(recipe),
        "seed": seed,
    }
    asked |= {"countermeasure": countermeasure, "test countermeasure": test_too, "changed": changed}

    def compute(folder: Path) -> dict:
        shown = change() if change else data
        shown = apply_countermeasure(countermeasure, shown) if countermeasure else shown
        seen = apply_countermeasure(countermeasure, test) if countermeasure and test_too else test
        done = learn(
            shown,
            recipe,
            test=seen,
            out=folder / "run",
            seed=seed,
            device=device,
            precision=precision,
        )
        shutil.rmtree(folder / "run")
        return {k: done.result[k] for k in LEARNER_FIELDS}

    return get_or_compute(cells, asked, compute, wait=wait)
