"""``audit``: a protection is worth what the best countermeasure leaves of it. Every learner of a
suite trains on the protected images and, as its own baseline, on the clean ones; the highest
accuracy on clean test images counts."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from unlearnable.core.errors import UserError
from unlearnable.core.files import read_json, write_json
from unlearnable.data.images import Images
from unlearnable.data.load import load
from unlearnable.evaluation.denoiser import denoised, train_denoiser
from unlearnable.evaluation.flags import image_flags, known_baseline, training_flags
from unlearnable.evaluation.suites import VERSION, Learner, find_suite
from unlearnable.evaluation.train_and_test import train_and_test
from unlearnable.protection.export import originals_of
from unlearnable.training.pace import seconds_per_pass
from unlearnable.training.precision import Precision
from unlearnable.training.recipe import Recipe


@dataclass(frozen=True)
class Audit:
    """A suite's result (audit.json). rows: learner, clean, protected, peak and flags, accuracies in
    %; worst: the row whose protected peak is highest; flags: of the protected images
    (docs/checks.md)."""

    suite: str
    version: int
    chance: float
    rows: list[dict]
    worst: dict
    flags: list[str]


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
    """Run ``suite`` on a protected folder and its clean originals. test: clean test images
    (default: the test split of the originals' source). out: a folder for audit.json. cells: a
    folder for every training's result, which audits of the same originals share, beside each other
    too (default: ``cells`` beside ``out``); the same call resumes.

    Raises UserError for what is no protected folder, for originals that are gone or changed, for
    test images of other classes, and for an ``out`` that holds an audit of something else.
    """
    learners, folder, out = find_suite(suite), Path(folder), Path(out)
    recipe = recipe or Recipe.preset("short")
    if recipe.adversarial or recipe.augmentation:
        raise UserError(
            "The suite chooses adversarial training and augmentation; leave adv_eps, adv_l2 and augmentation out."
        )
    clean, protected = originals_of(folder, root), load(folder).for_learning()
    test = test if test is not None else load(folder, split="test", root=root)
    if test.classes != clean.classes:
        raise UserError(
            f"The test images have the classes {', '.join(test.classes[:5])}..., those of {folder} are "
            f"{', '.join(clean.classes[:5])}...; give test images of the same classes."
        )
    if clean.x.shape != protected.x.shape:
        raise UserError(
            f"{folder} holds {list(protected.x.shape)} images, its originals are {list(clean.x.shape)}; protect "
            "the images again."
        )
    card, chance, sets = (
        read_json(folder / "card.json"),
        100 / len(clean.classes),
        Sets(clean, protected, test),
    )
    about = {
        "method": card["method"],
        "settings": card["settings"],
        "budget": card["budget"],
        "seed": seed,
    }
    about |= {
        "psnr": card["measured"]["psnr"],
        "images": f"{len(clean)} images of {card['data']['source']}",
    }
    about |= {"recipe": asdict(recipe), "digest": protected.digest(), "version": VERSION}
    _check_place(out, about)
    machine = {"seed": seed, "device": device, "precision": precision}
    trained = _trainings(learners, recipe, sets, Path(cells or out.parent / "cells"), machine)
    rows = [_row(learner, recipe, *pair, chance, card) for learner, pair in zip(learners, trained)]
    worst, flags = max(rows, key=lambda row: row["peak"]), image_flags(clean, protected, card)
    done = Audit(suite, VERSION, round(chance, 2), rows, worst, flags)
    about["measured_with"] = {
        k: trained[-1][1][k] for k in ("hardware", "torch", "version", "commit")
    }
    write_json(out / "audit.json", asdict(done) | about)
    return done


@dataclass(frozen=True, eq=False)
class Sets:
    """What an audit trains and tests on: originals, protected images, clean test images."""

    clean: Images
    protected: Images
    test: Images


def _check_place(out: Path, about: dict) -> None:
    """Raises UserError for a folder with an audit of another suite version, protected set, recipe
    or seed."""
    if not (out / "audit.json").exists():
        return
    there, about = read_json(out / "audit.json"), json.loads(json.dumps(about))
    names = {
        "version": "suite version",
        "digest": "protected set",
        "recipe": "recipe",
        "seed": "seed",
    }
    for k, name in names.items():
        if there.get(k) != about[k]:
            which = f" ({there.get(k)}, not {about[k]})" if k in ("version", "seed") else ""
            raise UserError(
                f"{out} holds an audit of another {name}{which}; give another --out, or delete it."
            )


def _trainings(
    learners: tuple[Learner, ...], recipe: Recipe, sets: Sets, cells: Path, machine: dict
) -> list[tuple[dict, dict]]:
    """Every learner's result on the clean and on the protected images. What another audit is at
    comes last."""
    done: dict[tuple[int, bool], dict | None] = {}
    for wait in (False, True):
        for k, learner in enumerate(learners):
            for hidden in (False, True):
                if not done.get((k, hidden)):
                    done[k, hidden] = _training(learner, recipe, sets, hidden, cells, machine, wait)
    return [(done[k, False], done[k, True]) for k in range(len(learners))]


def _training(
    learner: Learner,
    recipe: Recipe,
    sets: Sets,
    hidden: bool,
    cells: Path,
    machine: dict,
    wait: bool,
) -> dict | None:
    data = sets.protected if hidden else sets.clean
    options = {"countermeasure": learner.countermeasure, "test_too": learner.test}
    if learner.leaked:

        def cleaned() -> Images:
            model = train_denoiser(
                sets.clean, sets.protected, fraction=learner.leaked, seed=machine["seed"]
            )
            return replace(data, x=denoised(model, data.x))

        depends_on = [learner.leaked, sets.clean.digest(), sets.protected.digest()]
        options |= {"change": cleaned, "changed": ["denoiser", *depends_on]}
    asked = replace(recipe, **dict(learner.recipe))
    return train_and_test(cells, data, sets.test, asked, **options, **machine, wait=wait)


def estimate(
    learners: tuple[Learner, ...], data: Images, recipe: Recipe, *, device: str = "auto"
) -> float:
    """Estimate the seconds that the trainings of an audit take here, each on clean and on protected
    images; what is done to the images before is not counted."""
    n, (height, width) = len(data), data.x.shape[-2:]
    recipes = [replace(recipe, **dict(learner.recipe)) for learner in learners]
    return sum(
        2 * r.passes(n) * seconds_per_pass(r, (height, width), images=n, device=device)
        for r in recipes
    )


def _row(
    learner: Learner, recipe: Recipe, clean: dict, protected: dict, chance: float, card: dict
) -> dict:
    known = None
    if not learner.countermeasure and not learner.leaked:
        asked = replace(recipe, **dict(learner.recipe))
        known = known_baseline(card["data"]["source"], card["data"].get("limit"), asked)
    return {
        "learner": learner.name,
        "clean": clean["accuracy"],
        "protected": protected["accuracy"],
        "peak": protected["peak"],
        "flags": training_flags(protected, clean, chance, known),
        "seconds": round(clean["seconds"] + protected["seconds"], 1),
    }
