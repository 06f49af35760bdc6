"""At which size, and through which augmentation, a learner sees its images."""

from unlearnable.training import augment
from unlearnable.training.recipe import Recipe


def view(recipe: Recipe, height: int, width: int) -> augment.Augmentation:
    """The T of ``recipe`` for images of this size: the paper's, or for a network with weights from
    elsewhere random crops at its input size."""
    if recipe.protocol != "plain":
        return augment.Resized(recipe.input_size, crop=recipe.augment)
    return augment.for_size(height, width) if recipe.augment else augment.Identity()


def network_size(recipe: Recipe, images: int) -> int:
    """The side in pixels for which the network is built; ``images``: that of the images."""
    return images if recipe.protocol == "plain" else recipe.input_size
