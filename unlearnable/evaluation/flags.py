"""Flags: reasons to distrust a number. docs/checks.md says why each matters and what to do."""

from dataclasses import dataclass, replace

import torch

from unlearnable.data.card import Card
from unlearnable.data.images import Images
from unlearnable.data.subsets import class_mask
from unlearnable.data.visibility import noise_size
from unlearnable.evaluation.published import PAPER
from unlearnable.evaluation.results import Result
from unlearnable.training.recipe import Recipe

SLACK = 3.0  # points below a known baseline that may still be chance
RUINED = 0.5  # of what ordinary training learns from clean images: less is ruin
KEPT_NOISE = 0.9  # of the noise's size: less is a loss


@dataclass(frozen=True)
class KnownBaseline:
    """What ordinary learners of ``recipe`` are known to reach on clean images, in %, by the radius
    of adversarial training in /255. limit: the number of training images (None: all)."""

    data: str
    limit: int | None
    recipe: Recipe
    by_radius: dict[float, float]


# the paper's figures, and our own of docs/results.md
KNOWN = [
    KnownBaseline(
        data,
        None,
        Recipe.preset("imagenet" if data == "imagenet100" else "paper"),
        {radius: figures[0] for radius, figures in by_radius.items()},
    )
    for data, by_radius in PAPER.items()
] + [KnownBaseline("cifar10", 5000, Recipe.preset("short"), {0: 62.4, 2: 54.8, 4: 49.2})]


def known_baseline(source: str, limit: int | None, recipe: Recipe) -> float | None:
    """Return the accuracy that this learner is known to reach on clean images, in %, if any."""
    for known in KNOWN:
        # the radius is looked up, and how often is tested on the way changes nothing
        bare = replace(recipe, adv_eps=0.0, evals=known.recipe.evals)
        if (known.data, known.limit, known.recipe) == (source, limit, bare):
            return known.by_radius.get(recipe.adv_eps)
    return None


def is_weak(accuracy: float, chance: float) -> bool:
    """Whether a learner on clean images reaches less than chance and a fifth of the rest, in %."""
    return accuracy < chance + 0.2 * (100 - chance)


def ruins_clean_images(accuracy: float, ordinary: float, chance: float) -> bool:
    """Whether a learner learns less than half as much above chance from clean images as ordinary
    training does, in %: its countermeasure takes the images away with the noise."""
    return accuracy - chance < RUINED * (ordinary - chance)


def training_flags(
    result: Result,
    clean: Result | None,
    chance: float,
    known: float | None = None,
    ordinary: float | None = None,
) -> list[str]:
    """Return the flags of one learner. result, clean: on the images in question and on clean ones
    (None: not measured); chance, the known baseline, and what ordinary training reaches on clean
    images in %."""
    flags = []
    if clean and ordinary is not None and ruins_clean_images(clean.accuracy, ordinary, chance):
        flags.append("ruins-clean")
    if clean and is_weak(clean.accuracy, chance):
        flags.append("weak-baseline")
    if clean and known is not None and clean.accuracy < known - SLACK:
        flags.append("low-baseline")
    if not _converged(result.losses, clean.losses[-1] if clean else None):
        flags.append("not-converged")
    return flags


def _converged(losses: list[float], clean: float | None) -> bool:
    """Whether the loss fell by 30 %, or ends near 0 however early, or ends as low as on clean
    images (strong adversarial training ends high there too). None of these holds for nan."""
    last = losses[-1]
    return (
        len(losses) < 2
        or last < 0.7 * losses[0]
        or last < 0.1
        or (clean is not None and last <= 1.1 * clean)
    )


def image_flags(clean: Images, protected: Images, card: Card) -> list[str]:
    """Return the flags of a protected set, from the images as they are now and from its card."""
    flags = []
    if not torch.equal(clean.y, protected.y) or clean.classes != protected.classes:
        flags.append("changed-labels")
    linf, l2, same = noise_size(clean, protected)
    if card.protected_classes:  # the card measured these alone
        own = class_mask(clean, card.protected_classes)
        _, l2, _ = noise_size(clean.subset(own), protected.subset(own))
    budget = card.settings.get("eps")
    if linf > 8:  # the budget of the field, in /255
        flags.append("over-8")
    if budget is not None and linf > budget:
        flags.append("budget-exceeded")
    lost = l2 < KEPT_NOISE * card.measured.get("l2", 0) or (
        budget is not None and linf < budget / 2
    )
    if lost:
        flags.append("noise-lost")
    if same:
        flags.append("partly-protected")
    return flags
