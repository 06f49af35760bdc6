"""The trainings of a verification: every learner on every division of the photos, clean and
protected."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from torch import Tensor

from unlearnable.core.cluster import Cell
from unlearnable.core.files import config_hash
from unlearnable.data.images import Images
from unlearnable.evaluation.learners import Learner
from unlearnable.evaluation.results import Result
from unlearnable.evaluation.train_and_test import train_and_test, training_config
from unlearnable.training.precision import Precision
from unlearnable.training.recipe import Recipe

Pair = tuple[Images, Images]
"""originals and protected photos, in the same order"""
Plan = list[tuple[Pair, list[Learner]]]
"""the photos at a size, and who trains on them"""


@dataclass(frozen=True, eq=False)
class Split:
    """One division of the photos: the training ones, clean and protected, and the clean ones held
    out."""

    seed: int
    clean: Images
    protected: Images
    test: Images


def _splits(pair: Pair, held_out: dict[int, Tensor]) -> Iterator[Split]:
    """Divide the photos in every way; one at a time, because all together would fill the memory."""
    for seed, test in held_out.items():
        yield _split(pair, test, seed)


def _split(pair: Pair, test: Tensor, seed: int) -> Split:
    clean, protected = pair
    return Split(seed, clean.subset(~test), protected.subset(~test), clean.subset(test))


@dataclass(frozen=True, eq=False)
class Trainings:
    """What all trainings of a verification read. held_out: by seed, which photos are, bool [N]."""

    plan: Plan
    held_out: dict[int, Tensor]
    recipe: Recipe
    device: str
    precision: Precision

    def split(self, pair: int, seed: int) -> Split:
        """One division of the photos. The last is kept, because the next training needs it too."""
        if (pair, seed) not in self._last:
            self._last.clear()
            self._last[pair, seed] = _split(self.plan[pair][0], self.held_out[seed], seed)
        return self._last[pair, seed]

    @cached_property
    def _last(self) -> dict[tuple[int, int], Split]:
        return {}

    def __getstate__(self) -> dict[str, object]:
        return {k: v for k, v in vars(self).items() if k != "_last"}


def trainings_of(run: Trainings) -> list[tuple[Learner, Cell[Trainings, Result]]]:
    """Every learner on every division, clean and protected, in the order in which ``_rows`` reads
    them."""
    return [
        (
            by,
            Cell(
                _file(by, images, split, run),
                partial(_train, pair=p, seed=split.seed, learner=k, side=side),
            ),
        )
        for p, (pair, learners) in enumerate(run.plan)
        for split in _splits(pair, run.held_out)
        for k, by in enumerate(learners)
        for side, images in enumerate((split.clean, split.protected))
    ]


def _file(by: Learner, images: Images, split: Split, run: Trainings) -> str:
    config = training_config(
        by, images, split.test, split.seed, recipe=run.recipe, precision=run.precision
    )
    return f"{config_hash(config)}/cell.json"


def _train(
    run: Trainings, store: Path, wait: bool, *, pair: int, seed: int, learner: int, side: int
) -> Result:
    split, by = run.split(pair, seed), run.plan[pair][1][learner]
    return train_and_test(
        by,
        (split.clean, split.protected)[side],
        split.test,
        seed,
        recipe=run.recipe,
        results=store,
        device=run.device,
        precision=run.precision,
        wait=wait,
    )
