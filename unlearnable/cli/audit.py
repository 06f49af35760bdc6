"""``audit``."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import Positional

from unlearnable.cli.options import Machine, options, take
from unlearnable.core.progress import format_duration
from unlearnable.data.load import load
from unlearnable.evaluation.audit import audit, estimate
from unlearnable.evaluation.suites import find_suite
from unlearnable.protection.export import originals_of
from unlearnable.reports.tables import audit_table
from unlearnable.training.recipe import Recipe


@dataclass(frozen=True)
class _Audit:
    folder: Positional[Path]
    """a protected folder"""
    suite: str = "quick"
    """quick, standard or full"""
    out: Path | None = None
    """folder for audit.json (default: audits/<name of the folder>, for seeds above 0 with
    -seed-<seed>)"""
    cells: Path = Path("audits/cells")
    """folder for every training's result: audits of the same originals share those on clean images"""
    test: str | None = None
    """a folder of clean test images (default: the test split of the originals' source)"""
    test_limit: int | None = None
    """at most this many test images, the same number of every class"""
    root: str | None = None
    """where the named sets lie"""
    machine: Machine = field(default_factory=Machine)
    recipe: Recipe = field(default_factory=Recipe)


def audit_verb(args: list[str]) -> None:
    preset, args = take(args, "--preset", "short")
    text = (
        "What the best countermeasure leaves of a protection: every learner of the suite on the protected and on the "
        f"clean images. Presets: {', '.join(Recipe.presets)} (--preset; now {preset})."
    )
    o = options("audit", text, _Audit, args, _Audit(tyro.MISSING, recipe=Recipe.preset(preset)))
    learners, device = find_suite(o.suite), {"device": o.machine.device}
    originals_of(o.folder, o.root)  # says so when this is no protected folder
    protected = load(o.folder).for_learning()
    test = load(
        o.test or o.folder,
        split="train" if o.test else "test",
        limit=o.test_limit,
        root=o.root,
        size=protected.size if o.test else None,
    )
    names = ", ".join(learner.name for learner in learners)
    print(
        f"{2 * len(learners)} trainings of {o.recipe.steps} steps, each once on clean and once on protected: {names}.\n"
        f"On this machine that takes about {format_duration(estimate(learners, protected, o.recipe, **device))}; "
        f"what is in {o.cells} already is not made again.",
        flush=True,
    )
    done = audit(
        o.folder,
        o.suite,
        o.recipe,
        out=o.out or Path("audits") / f"{o.folder.resolve().name}{_of_seed(o.machine.seed)}",
        cells=o.cells,
        test=test,
        root=o.root,
        seed=o.machine.seed,
        device=o.machine.device,
        precision=o.machine.precision,
    )
    print(audit_table(done))
    print("Audits in one table: unlearnable report audits")


def _of_seed(seed: int) -> str:
    return f"-seed-{seed}" if seed else ""
