"""``verify``: the proof for one's own photos. Learners train on clean and on protected photos and
are tested on clean ones that neither has seen: ordinarily, adversarially, and on grayscale copies,
over several seeds."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.files import read_json, write_json
from unlearnable.core.progress import announce_duration
from unlearnable.data.card import Card
from unlearnable.data.folders import scan_photos
from unlearnable.data.image_files import NO_CLASSES
from unlearnable.data.images import Images
from unlearnable.data.load import load
from unlearnable.data.subsets import count_near_duplicates, holdout_split, near_duplicates
from unlearnable.evaluation.countermeasures import apply_countermeasure, describe_countermeasure
from unlearnable.evaluation.flags import weak
from unlearnable.evaluation.store import exists, get_or_compute
from unlearnable.training.learn import learn, seconds_a_step
from unlearnable.training.precision import Precision
from unlearnable.training.recipe import Recipe


@dataclass(frozen=True)
class _Learner:
    """How a learner trains, and what it does to its training photos before (a name for
    ``countermeasure``)."""

    name: str
    recipe: Recipe
    countermeasure: str | None = None


@dataclass(frozen=True)
class Verified:
    """rows: learner, clean, protected (accuracies in %, one a seed), held (at least half of what
    lies above chance is gone); chance in %; flags as in docs/checks.md; near_duplicates: pairs kept
    on one side of the split."""

    rows: list[dict]
    chance: float
    flags: list[str]
    near_duplicates: int


def verify(
    photos: Path | str,
    protected: Path | str,
    recipe: Recipe | None = None,
    *,
    out: Path | str,
    radii: tuple[float, ...] = (0.0, 2.0),
    countermeasures: tuple[str, ...] = ("gray",),
    seeds: int = 3,
    size: int | None = None,
    holdout: float = 0.25,
    device: str = "auto",
    precision: Precision = "auto",
) -> Verified:
    """Train on clean and on protected photos and test on clean ones held out: ``holdout`` of every
    class, others every seed, near-duplicates together. countermeasures: ordinary training again, on
    training photos that went through each of them. size: at which the learner sees them (default:
    1.5 times that at which the noise was made, because nobody knows what a learner picks). out: a
    folder for every result; the same call resumes. Raises UserError for folders that do not belong
    together."""
    recipe, out, protected = recipe or Recipe.preset("photos"), Path(out), Path(protected)
    if recipe.adversarial:
        raise UserError(
            "verify takes the radii of adversarial training apart (--radii); leave adv_eps out."
        )
    if seeds < 1 or not 0 < holdout < 1 or any(r < 0 for r in radii) or not radii:
        raise UserError("seeds must be 1 or more, holdout between 0 and 1, and radii 0 or more.")
    clean, hidden = load_pair(Path(photos), protected, size)
    groups = near_duplicates(clean.x)
    asked = {"data": clean.digest(), "holdout": holdout}
    learners = _learners(recipe, radii, countermeasures)
    sets = {"clean": clean, "protected": hidden}

    def config(by: _Learner, kind: str, seed: int) -> dict:
        return {
            **asked,
            "on": sets[kind].digest(),
            "recipe": vars(by.recipe),
            "countermeasure": by.countermeasure,
            "seed": seed,
        }

    missing = [
        sum(not exists(out, config(by, kind, seed)) for kind in sets for seed in range(seeds))
        for by in learners
    ]
    _say_time(clean, learners, missing, device)
    rows = []
    for by in learners:
        trained: dict[str, list[float]] = {kind: [] for kind in sets}
        for seed in range(seeds):
            test = holdout_split(clean.y, groups, holdout, seed)
            for kind, images in sets.items():

                def cell(
                    folder: Path, images: Images = images, by: _Learner = by, test: Tensor = test
                ) -> dict:
                    train, held_out = images.subset(~test), clean.subset(test)
                    train = (
                        apply_countermeasure(by.countermeasure, train)
                        if by.countermeasure
                        else train
                    )
                    kept = {"device": device, "precision": precision, "seed": seed}  # noqa: B023  called at once
                    done = learn(train, by.recipe, test=held_out, out=folder / "run", **kept).result
                    return {k: done[k] for k in ("accuracy", "peak", "seconds", "hardware")}

                trained[kind].append(get_or_compute(out, config(by, kind, seed), cell)["accuracy"])
        rows.append(_row(by.name, trained, 100 / len(clean.classes)))
    done = Verified(
        rows,
        round(100 / len(clean.classes), 2),
        _flags(rows, seeds, clean),
        count_near_duplicates(groups),
    )
    about = {"seeds": seeds, "recipe": vars(recipe), "size": clean.size, "holdout": holdout}
    about |= {"photos": str(photos), "protected": str(protected)}
    about["digest"] = read_json(protected / "card.json")["digest"]
    write_json(out / "verify.json", vars(done) | about)
    return done


def _learners(
    recipe: Recipe, radii: tuple[float, ...], countermeasures: tuple[str, ...]
) -> list[_Learner]:
    at = [
        _Learner(f"adversarial {r:g}/255" if r else "ordinary training", replace(recipe, adv_eps=r))
        for r in radii
    ]
    return at + [
        _Learner(f"training after {describe_countermeasure(name)}", recipe, name)
        for name in countermeasures
    ]


def _say_time(images: Images, learners: list[_Learner], missing: list[int], device: str) -> None:
    """How long the trainings that are still missing will take."""
    cost = [
        n * by.recipe.steps * seconds_a_step(images, by.recipe, device=device)
        for by, n in zip(learners, missing, strict=True)
        if n
    ]
    if cost:
        announce_duration(sum(cost), f"{sum(missing)} trainings")


def load_pair(photos: Path, protected: Path, size: int | None) -> tuple[Images, Images]:
    """Load originals and protected photos in the same order, at the learner's size; each file is
    decoded once. Raises UserError if they do not belong together."""
    card = Card.read(protected) if (protected / "card.json").exists() else None
    if card is None or card.photos is None:
        raise UserError(
            f"{protected} is not a folder of protected photos; make it with `unlearnable protect`."
        )
    if card.classes == NO_CLASSES:
        raise UserError(
            f"{protected} has no classes, and without them no model can be trained to prove "
            "anything; sort copies of the originals into one sub-folder per class, and protect and "
            "verify those."
        )
    working = card.photos.size
    size = size or working * 3 // 2
    originals = scan_photos(photos, (working, size), skip_bad=True).images
    if originals[working].digest() != card.digest:
        raise UserError(
            f"{protected} was not made from the photos that are in {photos} now; protect them "
            "again."
        )
    clean, hidden = originals[size], load(protected, size=size)
    if not torch.equal(clean.y, hidden.y) or clean.classes != hidden.classes:
        raise UserError(
            f"Photos are missing from {protected} or were added to it; protect them again."
        )
    return clean, hidden


def _row(name: str, trained: dict[str, list[float]], chance: float) -> dict:
    clean, hidden = (sum(v) / len(v) for v in trained.values())
    return {
        "learner": name,
        **trained,
        "held": hidden - chance <= (clean - chance) / 2 and clean > hidden,
    }


def _flags(rows: list[dict], seeds: int, clean: Images) -> list[str]:
    flags = []
    chance = 100 / len(clean.classes)
    if any(weak(sum(row["clean"]) / seeds, chance) for row in rows):
        flags.append("weak-baseline")
    if seeds < 3:
        flags.append("few-seeds")
    return flags
