"""``audit``: a protection is worth what the best countermeasure leaves of it. Every learner of a
suite trains on the protected images and, as its own baseline, on the clean ones; the highest
accuracy on clean test images counts."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path

from unlearnable.core.cluster import Cell, Cluster, Preparation, run_cells
from unlearnable.core.errors import UserError
from unlearnable.core.files import config_hash, write_json
from unlearnable.core.presets import require_seed
from unlearnable.data.card import Card, check_outside, check_unpublished
from unlearnable.data.images import Images
from unlearnable.data.load import load
from unlearnable.evaluation.attacker import (
    Attacker,
    Pairs,
    attacker_of,
    pairs_of,
    purifier,
    with_attacker,
)
from unlearnable.evaluation.detector import detect
from unlearnable.evaluation.flags import image_flags, known_baseline, training_flags
from unlearnable.evaluation.learners import Learner
from unlearnable.evaluation.results import Audit, AuditRow, Detection, Result
from unlearnable.evaluation.site_photos import photos_from_site
from unlearnable.evaluation.store import Json, get_or_compute
from unlearnable.evaluation.suites import VERSION, WITH_DETECTOR, check_recipe, find_suite
from unlearnable.evaluation.train_and_test import train_and_test, training_config
from unlearnable.protection.originals import originals_of
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
    originals: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    cluster: Cluster | None = None,
) -> Audit:
    """Run ``suite`` on a protected folder and its clean originals; the same call resumes.

    out: a folder for audit.json. cells: a folder for every training's result, which audits of the
    same originals share, also while they run at the same time (default: ``cells`` beside ``out``).
    test: clean test images (default: the test split of the originals' source). root: where the
    named data sets lie. originals: the source of the originals, where that is my_module:loader.
    cluster: of Ray, whose machines train (default: this process, one training after the other).

    Raises UserError for a folder that is not protected, for originals that are gone or changed, for
    test images of other classes, for an ``out`` that holds an audit of something else, and where a
    learner makes pairs with a method that cannot run on other images.
    """
    learners, folder, out = find_suite(suite), Path(folder), Path(out)
    recipe, seed = recipe or Recipe.preset("short"), require_seed(seed)
    check_recipe(suite, recipe)
    check_places(folder, test, out, Path(cells) if cells else None)
    sets, card = _sets(folder, test, root, originals), Card.read(folder)
    _check_folder(out, sets.protected.digest(), recipe, seed)
    results = Path(cells or out.parent / "cells")
    attacker = None
    if any(by.own_pairs for by in learners):
        attacker = attacker_of(
            folder,
            sets.clean,
            sets.test,
            results=results,
            root=root,
            device=device,
            precision=precision,
        )
        learners = with_attacker(learners, attacker)
    jobs = [_job(by, folder, card, sets, attacker) for by in learners]
    run = _Trainings(jobs, sets, attacker, recipe, seed, device, precision)
    done_by = run_cells(_cells(run), run, results, cluster=cluster, device=device)
    trained = list(zip(done_by[::2], done_by[1::2], strict=True))
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
        measured_with={
            **{k: getattr(last, k) for k in ("hardware", "torch", "version", "commit")},
            "date": _date(out),
        },
        detection=_detection(results, sets, attacker, seed) if suite in WITH_DETECTOR else None,
        pairs=attacker.where if attacker else "",
        form=card.form,
        test_images=len(sets.test),
    )
    write_json(out / "audit.json", done.to_json())
    return done


def check_places(folder: Path, test: Images | None, *outs: Path | None) -> None:
    """Raise UserError where results would lie among photos to be published, or among images that
    an audit of ``folder`` reads."""
    check_unpublished(*outs)
    check_outside(folder, *outs)
    check_outside(test and test.source.get("source"), *outs)


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


def _sets(
    folder: Path, test: Images | None, root: Path | str | None, originals: str | None
) -> Sets:
    """Load what belongs to a protected folder. Raises UserError where it does not fit together."""
    clean, protected = originals_of(folder, root, originals), load(folder).for_learning()
    test = test if test is not None else load(folder, split="test", root=root, originals=originals)
    if len(clean.classes) < 2:
        raise UserError(f"All images of {folder} are of one class; there is nothing to tell apart.")
    test = test.in_classes_of(clean)
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


def _date(out: Path) -> str:
    """The day on which the audit was done; of one that is repeated, the first day."""
    path, today = out / "audit.json", date.today().isoformat()
    known = Audit.read(path).measured_with.get("date") if path.exists() else None
    return str(known or today)


Job = tuple[Learner, Images, Images]
"""a learner and the clean and protected images on which it trains"""


def _job(by: Learner, folder: Path, card: Card, sets: Sets, attacker: Attacker | None) -> Job:
    """The images on which ``by`` trains: without those set aside for its attacker, and photos as a
    site passes them on where that is its countermeasure."""
    clean, protected = sets.clean, sets.protected
    if by.own_pairs and attacker and attacker.kept is not None:
        return by, clean.subset(attacker.kept), protected.subset(attacker.kept)
    if by.countermeasure == "site" and card.files:
        return replace(by, countermeasure=None), *photos_from_site(folder, card, clean, protected)
    return by, clean, protected


@dataclass(frozen=True, eq=False)
class _Trainings:
    """What all trainings of an audit read."""

    jobs: list[Job]
    sets: Sets
    attacker: Attacker | None
    recipe: Recipe
    seed: int
    device: str
    precision: Precision

    def pairs(self) -> Pairs:
        return self.sets.clean, self.sets.protected


def _cells(run: _Trainings) -> list[Cell[_Trainings, Result]]:
    """Every learner on the clean and on the protected images."""
    counts = tuple(dict.fromkeys(by.own_pairs for by, *_ in run.jobs if by.own_pairs))
    purifiers = None
    if run.attacker:
        last = run.attacker.file(counts[-1]).relative_to(run.attacker.folder)
        purifiers = Preparation(str(last), partial(_make_purifiers, counts=counts))
    cells = []
    for k, (by, *pair) in enumerate(run.jobs):
        for side, images in enumerate(pair):
            config = training_config(
                by,
                images,
                run.sets.test,
                run.seed,
                recipe=run.recipe,
                pairs=run.pairs(),
                attacker=run.attacker,
                precision=run.precision,
            )
            work = partial(_train, job=k, side=side)
            file = f"{config_hash(config)}/cell.json"
            cells.append(Cell(file, work, purifiers if by.own_pairs else None))
    return cells


def _train(run: _Trainings, store: Path, wait: bool, *, job: int, side: int) -> Result:
    by, *pair = run.jobs[job]
    return train_and_test(
        by,
        pair[side],
        run.sets.test,
        run.seed,
        recipe=run.recipe,
        results=store,
        pairs=run.pairs(),
        attacker=run.attacker and replace(run.attacker, folder=store),
        device=run.device,
        precision=run.precision,
        wait=wait,
    )


def _make_purifiers(run: _Trainings, store: Path, *, counts: tuple[int, ...]) -> None:
    """The attacker protects images once, and trains one denoiser per number of pairs."""
    assert run.attacker is not None
    for count in counts:
        purifier(replace(run.attacker, folder=store), count)


def _detection(results: Path, sets: Sets, attacker: Attacker | None, seed: int) -> Detection:
    """How well the protected images can be told from the clean ones, computed once."""
    clean, protected = sets.clean, sets.protected
    config = {"detector": 1, "clean": clean.digest(), "protected": protected.digest()}
    config |= {"own_pairs": attacker and attacker.run, "seed": seed}
    if attacker and attacker.kept is not None:
        clean, protected = clean.subset(attacker.kept), protected.subset(attacker.kept)

    def compute(_: Path) -> Json:
        own = pairs_of(attacker, len(attacker.clean)) if attacker else None
        return detect(clean, protected, own=own, seed=seed).to_json()

    return Detection.from_json(get_or_compute(results, config, compute))


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
    if not (learner.countermeasure or learner.leaked or learner.own_pairs):
        known = known_baseline(card.data["source"], card.data.get("limit"), learner.recipe(recipe))
    return AuditRow(
        learner.name,
        clean.accuracy,
        protected.accuracy,
        protected.peak,
        training_flags(protected, clean, chance, known, ordinary),
        round(clean.seconds + protected.seconds, 1),
    )
