"""``ls``."""

from unlearnable.cli.options import about
from unlearnable.core.errors import UserError
from unlearnable.data.load import DESCRIPTIONS
from unlearnable.evaluation.countermeasures import COUNTERMEASURES
from unlearnable.evaluation.suites import SUITES
from unlearnable.models import MODELS, describe
from unlearnable.protection.methods import METHODS
from unlearnable.training.augment import AUGMENTATIONS
from unlearnable.training.recipe import Recipe


def ls_verb(what: str = "") -> None:
    tables = {
        "methods": {n: about(m).split(". ")[0] for n, m in METHODS.items()},
        "models": {n: describe(n) for n in MODELS},
        "data": DESCRIPTIONS,
        "countermeasures": {n: c.about for n, c in COUNTERMEASURES.items()},
        "augmentations": {n: c.about for n, c in AUGMENTATIONS.items()},
        "suites": {n: ", ".join(learner.name for learner in suite) for n, suite in SUITES.items()},
        "presets": {n: ", ".join(m.presets) for n, m in [*METHODS.items(), ("learn", Recipe)]},
    }
    if what and what not in tables:
        raise UserError(f"There is no list of '{what}'; the lists are {', '.join(tables)}.")
    for title, table in tables.items():
        if what in ("", title):
            print(
                title if not what else "",
                *(f"  {n:<13} {text}" for n, text in table.items()),
                sep="\n",
            )
