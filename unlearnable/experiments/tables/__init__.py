"""The paper's tables and figures, and the project's own: one file each, named after the table. To
add one, write a file with a ``TABLE`` and list it below."""

from typing import TYPE_CHECKING

from unlearnable.core.plugins import Entry

if TYPE_CHECKING:
    from unlearnable.experiments.grid import Table


def _line(name: str, about: str) -> "Entry[Table]":
    return Entry(about, f"{__name__}.{name.replace('-', '_')}:TABLE")


TABLES: "dict[str, Entry[Table]]" = {
    "main-comparison": _line(
        "main-comparison", "methods against learners of growing adversarial radius"
    ),
    "rho-a": _line("rho-a", "the radius that the noise is built for, against learners beyond it"),
    "rho-u": _line("rho-u", "the budget of the noise: how much protection more noise buys"),
    "protected-fraction": _line(
        "protected-fraction", "learners where only a part of the images is protected"
    ),
    "networks": _line("networks", "noise made on one network against learners of others"),
    "eot": _line("eot", "expectation over transformations, on and off"),
    "filters": _line("filters", "low-pass filters on the training images"),
    "gray-views": _line(
        "gray-views", "noise made under gray views, against learners of grayscale copies"
    ),
    "time-cost": _line("time-cost", "what making the noise takes"),
    "curves": _line("curves", "accuracy on clean test images during training"),
    "all-methods": _line("all-methods", "every method against ordinary and adversarial training"),
    "training-length": _line(
        "training-length", "how the length of the learner's training changes the result"
    ),
    "protection-vs-cost": _line(
        "protection-vs-cost", "protection against the passes that the noise took"
    ),
}
