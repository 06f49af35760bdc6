"""The network of a recipe, and the augmentation through which it sees its images."""

import torch
from torch import nn

from unlearnable.models import build
from unlearnable.training import augment
from unlearnable.training.recipe import Recipe


def network_and_view(
    recipe: Recipe,
    classes: int,
    size: torch.Size | tuple[int, int],
    *,
    seed: int = 0,
) -> tuple[nn.Module, augment.Augmentation]:
    """Return the network of ``recipe`` for images of ``size`` (height, width), its weights drawn
    from ``seed``, and its T. A network of one's own is tried on what T makes of an image."""
    height, width = size
    t = view(recipe, height, width)
    seen = augment.size_after(t, height, width)
    side = network_size(recipe, min(height, width))
    return build(recipe.model, classes, size=side, seed=seed, tried_on=seen), t


def view(recipe: Recipe, height: int, width: int) -> augment.Augmentation:
    """Return the T of ``recipe`` for images of this size: the paper's, or for a network with
    weights from elsewhere random crops at its input size."""
    if recipe.protocol != "plain":
        return augment.Resized(recipe.input_size, crop=recipe.augment)
    return augment.for_size(height, width) if recipe.augment else augment.Identity()


def network_size(recipe: Recipe, images: int) -> int:
    """Return the side in pixels for which the network is built; images: the shorter side of the
    images."""
    return images if recipe.protocol == "plain" else recipe.input_size
