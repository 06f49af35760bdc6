"""The augmentations that a learner may add to the paper's T (``Recipe.augmentation``)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from unlearnable.core.plugins import Entry

if TYPE_CHECKING:
    from torch import Tensor

Augment = Callable[["Tensor", "Tensor", int], "tuple[Tensor, Tensor]"]
_HERE = "unlearnable.training.learner_augmentations"

AUGMENTATIONS: dict[str, Entry[Augment]] = {
    "crops": Entry(
        "a box of 20 to 100 % of the area, resized to the whole (RandomResizedCrop)",
        f"{_HERE}:crops",
    ),
    "coin": Entry(
        "each pixel from a point up to 2 pixels away (COIN; Wang et al., 2024)", f"{_HERE}:coin"
    ),
    "cutout": Entry(
        "a gray square of half the side, wholly inside the image (DeVries and Taylor, 2017: it may "
        "reach over the edge)",
        f"{_HERE}:cutout",
        form=2,  # the square hung on the flip, and never met the outermost columns of an image
    ),
    "mixup": Entry("images and labels blended in pairs (Zhang et al., 2018)", f"{_HERE}:mixup"),
    "cutmix": Entry(
        "a box of another image, with its share of the label (Yun et al., 2019)", f"{_HERE}:cutmix"
    ),
    "randaugment": Entry(
        "two of kornia's random operations per batch, after Cubuk et al. (2020; here brightness "
        "adds and contrast multiplies, theirs multiplies and blends with the mean)",
        f"{_HERE}:randaugment",
    ),
    "gray": Entry("grayscale with probability 1/2", f"{_HERE}:gray"),
    "channel-offsets": Entry(
        "a random number up to 32/255 added to each channel of each image",
        f"{_HERE}:channel_offsets",
    ),
    "color-jitter": Entry(
        "brightness, contrast and saturation times 0.6 to 1.4, hue shifted by up to 36 degrees, "
        "with probability 0.8",
        f"{_HERE}:color_jitter",
    ),
    "noise": Entry("Gaussian noise of 8/255", f"{_HERE}:noise"),
    "ueraser": Entry(
        "plasma brightness and contrast, channel shuffle, TrivialAugment", f"{_HERE}:ueraser"
    ),
    "ueraser-max": Entry(
        "ueraser five times; the loss of an image is the largest of its copies'",
        f"{_HERE}:ueraser_max",
    ),
}

COPIES = {"ueraser-max": 5}
"""images that those make of each; an image's loss is the largest of its copies'"""
