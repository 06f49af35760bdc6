"""A learner: how someone trains on images that may be protected. The one description of it that
audits, verifications of photos and the paper's tables share."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from unlearnable.core.files import file_digest
from unlearnable.core.plugins import form_in_key, own_code_key
from unlearnable.evaluation.countermeasures import COUNTERMEASURES
from unlearnable.models import MODELS
from unlearnable.training.augmentations import AUGMENTATIONS
from unlearnable.training.recipe import Protocol, Recipe

# whom photos are verified by: radii of adversarial training in /255, and further ones, each after
# ordinary training on photos that went through a countermeasure
PHOTO_RADII = (0.0, 2.0)
PHOTO_COUNTERMEASURES = ("gray", "white-balance")

Changes = tuple[tuple[str, str | float], ...]


@dataclass(frozen=True)
class Learner:
    """A learner, as what it does beyond ordinary training.

    name: in words, for tables; two learners that do the same are equal whatever their names.
    changes: fields of the recipe that it sets, as (field, value).
    countermeasure: a name of ``COUNTERMEASURES`` or ``my_module:function``, applied to the training
    images before the training and, with ``countermeasure_test``, to the test images too.
    leaked: the fraction of the images that it also has clean, to train a denoiser on.
    own_pairs: images of its own that it protects with this program, to train a denoiser on.
    """

    name: str = field(default="", compare=False)
    changes: Changes = ()
    countermeasure: str | None = None
    countermeasure_test: bool = False
    leaked: float = 0.0
    own_pairs: int = 0

    def recipe(self, base: Recipe) -> Recipe:
        """``base`` with this learner's changes."""
        changes: dict[str, Any] = dict(self.changes)
        return replace(base, **changes)

    def further_key(self, base: Recipe) -> dict[str, Any]:
        """What a result of this learner is found by beside its settings: the forms of what it does
        to images, from the second on, and what the settings only name, the weights that it starts
        from and a person's own code."""
        recipe = self.recipe(base)
        start = Path(recipe.init_from)
        return (
            form_in_key(COUNTERMEASURES, self.countermeasure, "countermeasure_form")
            | form_in_key(AUGMENTATIONS, recipe.augmentation, "augmentation_form")
            | ({"init_from": file_digest(start)[:16]} if start.is_file() else {})
            | own_code_key(recipe.model, self.countermeasure)
        )


def of_radius(radius: float) -> Learner:
    """Return the learner that trains adversarially with ``radius``, in /255, by its recipe's own
    attack; 0: ordinarily."""
    if not radius:
        return Learner("ordinary training")
    return Learner(f"adversarial {radius:g}/255", (("adv_eps", radius),))


def with_recipe(name: str, recipe: Recipe) -> Learner:
    """Return the learner that trains by ``recipe``, whatever the others do."""
    return Learner(name, tuple(asdict(recipe).items()))


def pretrained(protocol: Protocol = "frozen", model: str = "mobilenet-v2-imagenet") -> Learner:
    """Return the learner that starts from the ImageNet weights of ``model``, a key of
    ``PRETRAINED``, with the settings of the preset ``protocol``."""
    recipe = Recipe.preset(protocol, model=model)
    return with_recipe(f"{protocol} {MODELS[model].about.partition(' ')[0]}", recipe)
