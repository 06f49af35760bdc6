"""The verdict of ``verify``, its flags, and which learners it says nothing about."""

from dataclasses import asdict

from unlearnable.evaluation.flags import is_weak, ruins_clean_images
from unlearnable.evaluation.learners import Learner
from unlearnable.evaluation.results import Verdict, VerifiedRow
from unlearnable.evaluation.suites import SUITES
from unlearnable.training.recipe import Recipe

SMALL_TEST = 100  # photos: with fewer, one photo is over a point, and chance alone several
_FEARED = ("pretrained", "quick", "adaptive", "standard", "full")  # suites


def left(clean: float, protected: float, chance: float) -> float:
    """Return the part of what lies above chance that is left, from 0; accuracies in %."""
    return max(0.0, protected - chance) / max(clean - chance, 0.1)


def verdict(clean: float, protected: float, chance: float) -> Verdict:
    """Judge one learner by its accuracies in %: protected where at most half of what it learns from
    clean photos is left. Where it learns little from clean ones, its failing proves nothing."""
    if chance >= 100 or is_weak(clean, chance):
        return "no verdict"
    return "protected" if protected - chance <= (clean - chance) / 2 else "not protected"


def overall_verdict(verdicts: list[Verdict]) -> Verdict:
    """One learner that gets around the protection decides; without one, every learner must have
    been able to show it, and there must be one."""
    if not verdicts:
        return "no verdict"
    for word in ("not protected", "no verdict"):
        if word in verdicts:
            return word
    return "protected"


def verify_flags(
    rows: list[VerifiedRow],
    seeds: int,
    chance: float,
    test_photos: int,
) -> list[str]:
    """Return the flags of docs/checks.md. rows: of every learner; seeds: how many splits."""
    flags = []
    if not rows:
        flags.append("one-class")
        return flags
    # a network with ImageNet weights learns more than any other, whatever that does to the photos
    clean = [sum(row.clean) / len(row.clean) for row in rows if not row.network]
    if any(ruins_clean_images(accuracy, max(clean), chance) for accuracy in clean):
        flags.append("ruins-clean")
    if any(row.verdict == "no verdict" for row in rows):
        flags.append("weak-baseline")
    if any(row.verdict == "protected" and not _held_everywhere(row, chance) for row in rows):
        flags.append("uneven-splits")
    if seeds < 3:
        flags.append("few-seeds")
    if test_photos < SMALL_TEST:
        flags.append("small-test")
    pretrained = [row for row in rows if row.network]
    if not pretrained:
        flags.append("no-pretrained")
    elif all(row.known for row in pretrained):
        flags.append("known-networks")
    return flags


def _held_everywhere(row: VerifiedRow, chance: float) -> bool:
    """Whether the protection holds on every split by itself, not only on average."""
    by_split = (verdict(a, b, chance) for a, b in zip(row.clean, row.protected))
    return "not protected" not in by_split


def not_tried(tried: list[Learner]) -> list[str]:
    """Return the names of the suites' learners that none of ``tried`` is like, those first that
    owners should fear most."""
    kinds, names = [_kind(by) for by in tried], {by.name for by in tried}
    found = []
    for by in (by for suite in sorted(SUITES, key=_FEARED.index) for by in SUITES[suite]):
        if (kind := _kind(by)) not in kinds and by.name not in names:
            kinds.append(kind)
            found.append(by.name)
    return found


def _kind(learner: Learner) -> list[object]:
    """What makes a learner another in an owner's eyes: how long it trains, on which small network
    and with how many steps of its adversary does not."""
    recipe = learner.recipe(Recipe())
    network = "" if recipe.protocol == "plain" else recipe.model
    how = [recipe.protocol, network, recipe.adv_eps, recipe.adv_l2, recipe.augmentation]
    return how + [v for k, v in asdict(learner).items() if k not in ("name", "changes")]
