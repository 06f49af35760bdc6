"""A learner: how someone trains on images that may be protected. The one description of it that
audits, proofs for photos and the paper's tables share."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a suite is a value: listing it must not load torch
    from unlearnable.training.recipe import Recipe

Changes = tuple[tuple[str, str | float], ...]


@dataclass(frozen=True)
class Learner:
    """A learner, as what it does beyond ordinary training.

    name: in words, for tables; two learners that do the same are equal whatever their names.
    changes: fields of the recipe that it sets, as (field, value).
    countermeasure: a name of ``COUNTERMEASURES`` or ``my_module:function``, applied to the training
    images before the training and, with ``countermeasure_test``, to the test images too.
    leaked: the fraction of the images that it also has clean, to train a denoiser on.
    """

    name: str = field(default="", compare=False)
    changes: Changes = ()
    countermeasure: str | None = None
    countermeasure_test: bool = False
    leaked: float = 0.0

    def recipe(self, base: "Recipe") -> "Recipe":
        """``base`` with this learner's changes."""
        changes: dict[str, Any] = dict(self.changes)
        return replace(base, **changes)
