"""``verify``: does the protection of one's own photos hold? Learners train on clean and on
protected photos and are tested on clean ones that neither has seen: ordinarily, adversarially, on
copies without their colors, and by a frozen network with ImageNet weights, over several seeds.
Where the photos were protected among others', those are in every training and test, and the verdict
is on the owner's."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import torch

from unlearnable.core.cluster import Cell, Cluster, run_cells
from unlearnable.core.errors import UserError
from unlearnable.core.files import write_json
from unlearnable.core.presets import require_seed
from unlearnable.core.progress import Stages, announce_duration
from unlearnable.core.text import printable
from unlearnable.data.card import CARD, Card, check_outside, check_unpublished, find_private
from unlearnable.data.folders import (
    in_order_of_originals,
    incomplete,
    read_sizes,
    scan_photos,
)
from unlearnable.data.image_files import NO_CLASSES
from unlearnable.data.images import Images
from unlearnable.data.others import read_others_again
from unlearnable.data.sources import check_side
from unlearnable.data.subsets import (
    class_mask,
    count_near_duplicates,
    holdout_split,
    near_duplicates,
)
from unlearnable.evaluation.countermeasures import describe_countermeasure, try_countermeasure
from unlearnable.evaluation.learners import (
    PHOTO_COUNTERMEASURES,
    PHOTO_RADII,
    Learner,
    of_radius,
    pretrained,
)
from unlearnable.evaluation.photo_trainings import Pair, Trainings, trainings_of
from unlearnable.evaluation.results import Result, Verified, VerifiedRow
from unlearnable.evaluation.verdict import (
    left,
    not_tried,
    overall_verdict,
    verdict,
    verify_flags,
)
from unlearnable.models.pretrained import INPUT_SIZE, PRETRAINED, installed
from unlearnable.protection.photo_files import changed_since, fingerprint, refuse_originals
from unlearnable.training.pace import training_seconds
from unlearnable.training.precision import Precision
from unlearnable.training.recipe import Recipe

TEST_TOO = ("white-balance",)  # goes before every use of a model; test photos as they are ruin it
LARGE = 128  # pixels, the side from which photos are large for a learner that starts from scratch
USUAL = 32  # pixels, the side at which noise against those is made


def verify(
    photos: Path | str,
    protected: Path | str,
    recipe: Recipe | None = None,
    *,
    out: Path | str,
    radii: tuple[float, ...] = PHOTO_RADII,
    countermeasures: tuple[str, ...] = PHOTO_COUNTERMEASURES,
    networks: tuple[str, ...] | None = None,
    seeds: int = 3,
    seed: int = 0,
    size: int | None = None,
    holdout: float = 0.25,
    others: Path | str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    cluster: Cluster | None = None,
) -> Verified:
    """Train on clean and on protected photos and test on clean ones that were held out; the same
    call resumes.

    out: a folder for verify.json and every training's result. radii: of adversarial training, in
    /255; 0 is ordinary training. countermeasures: ordinary training again, on training photos that
    went through each of them (of ``TEST_TOO``, test photos as well). networks: with ImageNet
    weights, keys of ``PRETRAINED``, each frozen under a linear head (default: those whose weights
    are installed). seeds: how often everything is repeated, with other photos held out, from
    ``seed`` on. size: the side in pixels at which the learners see the photos (default:
    ``learner_size`` of that at which the noise was made). holdout: the fraction of every class that
    is held out, near-duplicates together. others: where the others' photos are now, if not where
    they were when these were protected among them.
    cluster: of Ray, whose machines train (default: this process, one training after the other).
    Raises UserError for folders that do not belong together.
    """
    recipe, out, protected = recipe or Recipe.preset("photos"), Path(out), Path(protected)
    seed = require_seed(seed)
    _check(recipe, radii, seeds, holdout)
    check_side(size)
    known = Card.read(protected).others if find_private(protected, CARD) else None
    check_unpublished(out)
    for place in (photos, others, known and known.folder):
        check_outside(place, out)
    networks = installed() if networks is None else tuple(dict.fromkeys(networks))
    frozen = [pretrained("frozen", name) for name in networks]
    theirs = Path(others) if others else None
    sizes = [INPUT_SIZE] * bool(frozen)
    small, *large = load_pairs(Path(photos), protected, size, *sizes, others=theirs)
    _refuse_other(out, protected)
    clean, card = small[0], Card.read(protected)
    own_classes = card.others.own_classes if card.others else ()
    for name in countermeasures:
        try_countermeasure(name, clean)
    groups = near_duplicates(clean.x)
    held_out = {k: holdout_split(clean.y, groups, holdout, k) for k in range(seed, seed + seeds)}
    plan = [(small, _learners(radii, countermeasures)), *((pair, frozen) for pair in large)]
    if len(clean.classes) < 2:  # nothing to tell apart, clean or protected
        plan, held_out = [], {}
    run = Trainings(plan, held_out, recipe, device, precision)
    results = _train(run, out, clean, cluster)
    chance = 100 / len(clean.classes)
    rows = _rows(run, results, chance, own_classes, made_on(card))
    own = class_mask(clean, own_classes or clean.classes)
    test_photos, test_others = (
        min((int((test & part).sum()) for test in held_out.values()), default=0)
        for part in (own, ~own)
    )
    done = Verified(
        rows,
        overall_verdict([row.verdict for row in rows]),
        chance=round(chance, 2),
        flags=verify_flags(rows, seeds, chance, test_photos),
        near_duplicates=count_near_duplicates(groups),
        seeds=seeds,
        seed=seed,
        size=clean.size,
        holdout=holdout,
        recipe=asdict(recipe),
        photos=str(photos),
        protected=str(protected),
        digest=card.digest,
        written_digest=card.written_digest,
        test_photos=test_photos,
        test_others=test_others,
        own_classes=[*own_classes],
        not_tried=not_tried([by for _, learners in plan for by in learners]),
    )
    write_json(out / "verify.json", done.to_json())
    return done


def _refuse_other(out: Path, protected: Path) -> None:
    """Raise UserError where ``out`` holds the verification of another folder."""
    if (out / "verify.json").exists():
        theirs = Path(Verified.read(out / "verify.json").protected)
        if theirs.resolve() != protected.resolve():
            raise UserError(
                f"{out} holds the verification of {printable(theirs)}; give another --out, or "
                "delete it."
            )


def _check(recipe: Recipe, radii: tuple[float, ...], seeds: int, holdout: float) -> None:
    if not radii:
        raise UserError("There is no radius to try; give --radii 0 for ordinary training alone.")
    if max(radii) > 255:
        raise UserError(f"radii are in /255 and end at 255; {max(radii):g} does not.")
    if recipe.adversarial:
        raise UserError(
            "verify takes the radii of adversarial training from --radii; leave adv_eps and adv_l2 "
            "out."
        )
    if seeds < 1 or not 0 < holdout < 1 or any(r < 0 for r in radii):
        raise UserError("seeds must be 1 or more, holdout between 0 and 1, and radii 0 or more.")


# ── the trainings ──


def _learners(radii: tuple[float, ...], countermeasures: tuple[str, ...]) -> list[Learner]:
    by_radius = [of_radius(r) for r in dict.fromkeys(radii)]
    after = [
        Learner(
            f"training after {describe_countermeasure(name)}",
            countermeasure=name,
            countermeasure_test=name in TEST_TOO,
        )
        for name in dict.fromkeys(countermeasures)
    ]
    return by_radius + after


def _train(run: Trainings, out: Path, clean: Images, cluster: Cluster | None) -> list[Result]:
    """Run the trainings, those in ``out`` but for their results, after saying how long they take.
    clean: the originals."""
    trainings = trainings_of(run)
    missing = [by for by, cell in trainings if not (out / cell.file).exists()]
    cost = {
        by: training_seconds(
            by.recipe(run.recipe),
            (clean.size, clean.size),
            images=len(clean),
            classes=len(clean.classes),
            device=run.device,
            precision=run.precision,
        )
        for by in dict.fromkeys(missing)
    }
    total = sum(cost[by] for by in missing)
    if missing:
        announce_duration(total, f"{len(missing)} trainings")
    with nullcontext() if cluster else Stages("measuring", total or 1) as stages:
        cells = [_counted(cell, cost.get(by, 0.0), stages) for by, cell in trainings]
        return run_cells(cells, run, out, cluster=cluster, device=run.device)


def _counted(
    cell: Cell[Trainings, Result], seconds: float, stages: Stages | None
) -> Cell[Trainings, Result]:
    """The same cell, a piece of the line over all of them if it is computed here."""
    if stages is None:
        return cell

    def work(run: Trainings, store: Path, wait: bool) -> Result:
        if not (store / cell.file).exists():
            stages.begin(seconds)
        return cell.work(run, store, wait)

    return replace(cell, work=work)


def expected_seconds(
    images: int,
    classes: int,
    *,
    noise_size: int,
    recipe: Recipe | None = None,
    seeds: int = 3,
    device: str = "auto",
) -> float:
    """Estimate the seconds that ``verify`` takes here for so many photos, by its defaults, before
    they are protected. noise_size: the side at which the noise is made, in pixels."""
    recipe, side = recipe or Recipe.preset("photos"), learner_size(noise_size)
    learners = _learners(PHOTO_RADII, PHOTO_COUNTERMEASURES)
    learners += [pretrained("frozen", name) for name in installed()]
    each = (
        training_seconds(
            by.recipe(recipe), (side, side), images=images, classes=classes, device=device
        )
        for by in learners
    )
    return 2 * seeds * sum(each)  # clean and protected


def learner_size(noise_size: int) -> int:
    """The side in pixels at which learners see photos: another than that at which the noise is
    made, because nobody knows what a learner picks. Noise at the size of pretrained networks is
    for those, and the other learners see the photos as they would anyway."""
    return (noise_size if noise_size < LARGE else USUAL) * 3 // 2


def _rows(
    run: Trainings,
    results: list[Result],
    chance: float,
    own_classes: tuple[str, ...],
    made_on: Sequence[str],
) -> list[VerifiedRow]:
    """made_on: the networks with ImageNet weights that the noise was made on."""
    rows, first = [], 0
    for pair, learners in run.plan:
        many = 2 * len(learners)
        theirs = tuple(name for name in pair[0].classes if name not in own_classes)
        last = first + many * len(run.held_out)
        for k, by in enumerate(learners):
            clean, protected = (results[first + 2 * k + side : last : many] for side in (0, 1))
            row = _row(by, clean, protected, chance, own_classes, theirs)
            own = by.recipe(run.recipe)
            network = own.model if own.protocol != "plain" else ""
            rows.append(replace(row, network=network, known=network in made_on))
        first = last
    return rows


def made_on(card: Card) -> Sequence[str]:
    """The networks of ``PRETRAINED`` on which protected photos got their noise."""
    return [name for name in card.settings.get("networks", ()) if name in PRETRAINED]


def _row(
    by: Learner,
    clean: list[Result],
    protected: list[Result],
    chance: float,
    own_classes: tuple[str, ...],
    theirs: tuple[str, ...],
) -> VerifiedRow:
    if own_classes:
        a, b, other_a, other_b = (
            [result.accuracy_on(classes) for result in results]
            for classes in (own_classes, theirs)
            for results in (clean, protected)
        )
    else:
        a, b = ([result.accuracy for result in results] for results in (clean, protected))
        other_a, other_b = [], []
    means = sum(a) / len(a), sum(b) / len(b)
    share = round(left(*means, chance), 4)
    return VerifiedRow(by.name, a, b, share, verdict(*means, chance), other_a, other_b)


# ── the photos ──


def load_pairs(
    photos: Path, protected: Path, size: int | None, *larger: int, others: Path | None = None
) -> list[Pair]:
    """Load originals and protected photos at the learner's size, and at every ``larger`` one; each
    file is decoded once. The others' photos, if there are any, follow both; others: where they are
    now. Raises UserError if they do not belong together."""
    card = Card.read(protected) if find_private(protected, CARD) else None
    if card is None or card.photos is None:
        raise UserError(
            f"{protected} is not a folder of protected photos; make it with `unlearnable "
            "protect-photos`."
        )
    if others and not card.others:
        raise UserError(f"{protected} was protected without others; leave --others out.")
    if card.classes == NO_CLASSES and not card.others:
        raise UserError(
            f"{protected} has no classes, and without them no model can be trained to prove "
            "anything; sort copies of the originals into one sub-folder per class, and protect and "
            "verify those."
        )
    working = card.photos.size
    size = size or learner_size(working)
    sizes = (size, *larger)
    scan = scan_photos(photos, (working, *sizes), skip_bad=True, fewest=card.fewest)
    originals = scan.images
    if originals[working].digest() != card.digest or changed_since(card, scan):
        raise UserError(
            f"{protected} was not made from the photos that are in {photos} now; run `unlearnable "
            "protect-photos` with both again, which protects what is new."
        )
    written = read_sizes(protected, tuple(dict.fromkeys((working, *sizes))), fewest=1)
    clean, order = originals[size], in_order_of_originals(protected, card)
    if (
        order is None
        or clean.classes != written[size].classes
        or not torch.equal(clean.y, written[size].y[order])
    ):
        raise incomplete(protected)
    prints = [fingerprint(x) for x in written[working].x[order].numpy()]
    refuse_originals(protected, card.files, prints)
    pairs = [(originals[s], written[s].subset(order)) for s in sizes]
    if card.others is None:
        return pairs
    theirs = read_others_again(card.others, (working, *sizes), others)
    return [(theirs.joined(clean), theirs.joined(protected)) for clean, protected in pairs]
