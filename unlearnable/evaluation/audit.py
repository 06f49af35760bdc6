"""``audit``: a protection is worth what the best countermeasure leaves of it. Every learner of a
suite trains on the protected images and, as its own baseline, on the clean ones; the highest
accuracy on clean test images counts."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from unlearnable.core.errors import UserError
from unlearnable.core.files import Busy, write_json
from unlearnable.data.card import Card
from unlearnable.data.images import Images
from unlearnable.data.load import load
from unlearnable.evaluation.flags import image_flags, known_baseline, training_flags
from unlearnable.evaluation.learners import Learner
from unlearnable.evaluation.results import Audit, AuditRow, Result
from unlearnable.evaluation.suites import VERSION, find_suite
from unlearnable.evaluation.train_and_test import train_and_test
from unlearnable.protection.export import originals_of
from unlearnable.training.pace import seconds_per_pass
from unlearnable.training.precision import Precision
from unlearnable.training.recipe import Recipe


def audit(
    folder: Path | str,
    suite: str = "quick",
    recipe: Recipe | None = None,
    *,
    out: Path | str,
    cells: Path | str | None = None,
    test: Images | None = None,
    root: Path | str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
) -> Audit:
    """Run ``suite`` on a protected folder and its clean originals; the same call resumes.

    out: a folder for audit.json. cells: a folder for every training's result, which audits of the
    same originals share, also while they run at the same time (default: ``cells`` beside ``out``).
    test: clean test images (default: the test split of the originals' source). root: where the
    named data sets lie.

    Raises UserError for a folder that is not protected, for originals that are gone or changed, for
    test images of other classes, and for an ``out`` that holds an audit of something else.
    """
    learners, folder, out = find_suite(suite), Path(folder), Path(out)
    recipe = recipe or Recipe.preset("short")
    if recipe.adversarial or recipe.augmentation:
        raise UserError(
            "The suite chooses adversarial training and augmentation; leave adv_eps, adv_l2 and "
            "augmentation out."
        )
    sets, card = _sets(folder, test, root), Card.read(folder)
    _check_folder(out, sets.protected.digest(), recipe, seed)
    train = partial(
        train_and_test,
        test=sets.test,
        seed=seed,
        recipe=recipe,
        results=Path(cells or out.parent / "cells"),
        pairs=(sets.clean, sets.protected),
        device=device,
        precision=precision,
    )
    trained = _train_all(learners, sets, train)
    last, ordinary = trained[-1][1], _ordinary(learners, trained)
    done = Audit(
        suite,
        VERSION,
        chance=round(sets.chance, 2),
        rows=[
            _row(by, recipe, *pair, sets.chance, ordinary, card)
            for by, pair in zip(learners, trained)
        ],
        flags=image_flags(sets.clean, sets.protected, card),
        method=card.method,
        settings=card.settings,
        budget=card.budget,
        psnr=card.measured["psnr"],
        images=f"{len(sets.clean)} images of {card.data['source']}",
        recipe=asdict(recipe),
        seed=seed,
        digest=sets.protected.digest(),
        measured_with={k: getattr(last, k) for k in ("hardware", "torch", "version", "commit")},
    )
    write_json(out / "audit.json", done.to_json())
    return done


@dataclass(frozen=True, eq=False)
class Sets:
    """What an audit trains and tests on: originals, protected images, clean test images."""

    clean: Images
    protected: Images
    test: Images

    @property
    def chance(self) -> float:
        """The accuracy of guessing, in %."""
        return 100 / len(self.clean.classes)


def _sets(folder: Path, test: Images | None, root: Path | str | None) -> Sets:
    """Load what belongs to a protected folder. Raises UserError where it does not fit together."""
    clean, protected = originals_of(folder, root), load(folder).for_learning()
    test = test if test is not None else load(folder, split="test", root=root)
    if test.classes != clean.classes:
        raise UserError(
            f"The test images have the classes {', '.join(test.classes[:5])}..., those of {folder} "
            f"are {', '.join(clean.classes[:5])}...; give test images of the same classes."
        )
    if clean.x.shape != protected.x.shape:
        raise UserError(
            f"{folder} holds {list(protected.x.shape)} images, its originals are "
            f"{list(clean.x.shape)}; protect the images again."
        )
    return Sets(clean, protected, test)


def _check_folder(out: Path, digest: str, recipe: Recipe, seed: int) -> None:
    """Raise UserError where ``out`` holds an audit of another suite version, protected set, recipe
    or seed."""
    if not (out / "audit.json").exists():
        return
    stored = Audit.read(out / "audit.json")
    own = {"version": VERSION, "digest": digest, "recipe": asdict(recipe), "seed": seed}
    names = {"version": "suite version", "digest": "protected set"}
    for key, value in json.loads(json.dumps(own)).items():
        if (theirs := getattr(stored, key)) != value:
            which = f" ({theirs}, not {value})" if key in ("version", "seed") else ""
            raise UserError(
                f"{out} holds an audit of another {names.get(key, key)}{which}; give another "
                "--out, or delete it."
            )


def _train_all(
    learners: tuple[Learner, ...], sets: Sets, train: Callable[..., Result]
) -> list[tuple[Result, Result]]:
    """Return every learner's result on the clean and on the protected images. Those that another
    audit is computing come last."""
    jobs = [(learner, images) for learner in learners for images in (sets.clean, sets.protected)]
    done: dict[int, Result] = {}
    for wait in (False, True):
        for k, (learner, images) in enumerate(jobs):
            if k not in done:
                with suppress(Busy):
                    done[k] = train(learner, images, wait=wait)
    return [(done[k], done[k + 1]) for k in range(0, len(jobs), 2)]


def estimate(
    learners: tuple[Learner, ...], data: Images, recipe: Recipe, *, device: str = "auto"
) -> float:
    """Estimate the seconds that the trainings of an audit take here, each on clean and on protected
    images; what is done to the images before is not counted."""
    n, classes, (height, width) = len(data), len(data.classes), data.x.shape[-2:]
    recipes = [learner.recipe(recipe) for learner in learners]
    return sum(
        2
        * r.passes(n)
        * seconds_per_pass(r, (height, width), images=n, classes=classes, device=device)
        for r in recipes
    )


def _ordinary(learners: tuple[Learner, ...], trained: list[tuple[Result, Result]]) -> float | None:
    """What ordinary training reaches on clean images, in %."""
    found = [clean.accuracy for by, (clean, _) in zip(learners, trained) if by == Learner()]
    return found[0] if found else None


def _row(
    learner: Learner,
    recipe: Recipe,
    clean: Result,
    protected: Result,
    chance: float,
    ordinary: float | None,
    card: Card,
) -> AuditRow:
    known = None
    if not learner.countermeasure and not learner.leaked:
        known = known_baseline(card.data["source"], card.data.get("limit"), learner.recipe(recipe))
    return AuditRow(
        learner.name,
        clean.accuracy,
        protected.accuracy,
        protected.peak,
        training_flags(protected, clean, chance, known, ordinary),
        round(clean.seconds + protected.seconds, 1),
    )
