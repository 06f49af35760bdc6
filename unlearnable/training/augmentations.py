"""The augmentations that a learner may add to the paper's T (``Recipe.augmentation``)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from unlearnable.core.plugins import Entry

if TYPE_CHECKING:
    from torch import Tensor, nn

Augment = Callable[["Tensor", "Tensor", int, "nn.Module"], "tuple[Tensor, Tensor]"]
_HERE = "unlearnable.training.learner_augmentations"

AUGMENTATIONS: dict[str, Entry[Augment]] = {
    "crops": Entry(
        "a box of 20 to 100 % of the area, resized to the whole (RandomResizedCrop)",
        f"{_HERE}:crops",
    ),
    "cutout": Entry("a gray square of half the side (DeVries and Taylor, 2017)", f"{_HERE}:cutout"),
    "mixup": Entry("images and labels blended in pairs (Zhang et al., 2018)", f"{_HERE}:mixup"),
    "cutmix": Entry(
        "a box of another image, with its share of the label (Yun et al., 2019)", f"{_HERE}:cutmix"
    ),
    "randaugment": Entry(
        "two random operations per batch (Cubuk et al., 2020)", f"{_HERE}:randaugment"
    ),
    "gray": Entry("grayscale with probability 1/2", f"{_HERE}:gray"),
    "noise": Entry("Gaussian noise of 8/255", f"{_HERE}:noise"),
    "ueraser": Entry(
        "plasma brightness and contrast, channel shuffle, TrivialAugment", f"{_HERE}:ueraser"
    ),
    "ueraser-max": Entry(
        "ueraser five times, of which the copy with the highest loss is kept",
        f"{_HERE}:ueraser_max",
    ),
}

NEED_MODEL = frozenset({"ueraser-max"})  # those that look at the learner's model
