"""Flags: reasons to distrust a number. docs/checks.md says of each why it matters and what to do."""

from dataclasses import replace

import torch

from unlearnable.data.images import Images
from unlearnable.data.visibility import noise_size
from unlearnable.evaluation.published import SURE
from unlearnable.training.recipe import Recipe

SLACK = 3.0  # points under a known baseline that are still chance
KEPT_NOISE = 0.9  # of the noise's size: less is a loss
# data, images (None: all), recipe, clean accuracy by AT radius: the paper's, and our own of
# docs/results.md
KNOWN: list[tuple[str, int | None, Recipe, dict[float, float]]] = [
    *(
        (
            data,
            None,
            Recipe.preset("imagenet" if data == "imagenet100" else "paper"),
            {r: v[0] for r, v in by.items()},
        )
        for data, by in SURE.items()
    ),
    ("cifar10", 5000, Recipe.preset("short"), {0: 63.0, 2: 55.0, 4: 49.2}),
]


def known_baseline(source: str, limit: int | None, recipe: Recipe) -> float | None:
    """The clean accuracy that this learner is known to reach on clean images, in %, where it is
    known."""
    for data, images, plain, by_radius in KNOWN:
        bare = replace(recipe, adv_eps=0.0, evals=plain.evals)
        if (data, images, plain) == (source, limit, bare):
            return by_radius.get(recipe.adv_eps)
    return None


def weak(accuracy: float, chance: float) -> bool:
    """Whether a learner on clean images reaches less than chance and a fifth of the rest, all in %."""
    return accuracy < chance + 0.2 * (100 - chance)


def training_flags(
    cell: dict, clean: dict | None, chance: float, known: float | None = None
) -> list[str]:
    """Flags of one learner. cell, clean: its results on the images in question and on clean ones
    (None: not there); chance and the known baseline in %."""
    flags = []
    if clean and weak(clean["accuracy"], chance):
        flags.append("weak-baseline")
    if clean and known is not None and clean["accuracy"] < known - SLACK:
        flags.append("low-baseline")
    if not _converged([entry["loss"] for entry in cell["log"]], clean and clean["log"][-1]["loss"]):
        flags.append("not-converged")
    return flags


def _converged(losses: list[float], clean: float | None) -> bool:
    """Fell by 30 %, or is as low as on clean images (strong AT ends high there too), or near 0
    however early; nan is none of these."""
    last = losses[-1]
    return (
        len(losses) < 2
        or last < 0.7 * losses[0]
        or last < 0.1
        or (clean is not None and last <= 1.1 * clean)
    )


def image_flags(clean: Images, protected: Images, card: dict) -> list[str]:
    """Flags of a protected set, from the images as they are now and what its card says."""
    flags = []
    if not torch.equal(clean.y, protected.y) or clean.classes != protected.classes:
        flags.append("changed-labels")
    linf, l2, same = noise_size(clean, protected)
    budget = card.get("settings", {}).get("eps")
    if linf > 8:
        flags.append("outside-ball")
    if budget is not None and linf > budget:
        flags.append("budget-exceeded")
    lost = l2 < KEPT_NOISE * card.get("measured", {}).get("l2", 0) or (
        budget is not None and linf < budget / 2
    )
    if lost:
        flags.append("noise-lost")
    if same:
        flags.append("partly-protected")
    return flags
