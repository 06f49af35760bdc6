"""``learn`` and ``audit``."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import Positional

from unlearnable.core import distributed
from unlearnable.core.device import pick_device
from unlearnable.core.errors import UserError
from unlearnable.core.files import config_hash
from unlearnable.core.progress import format_duration
from unlearnable.data.load import load
from unlearnable.data.subsets import mix_in_clean
from unlearnable.evaluation.audit import audit, audit_table, estimate
from unlearnable.evaluation.countermeasures import countermeasure
from unlearnable.evaluation.suites import find_suite
from unlearnable.protection.export import originals_of
from unlearnable.training.learn import learn
from unlearnable.training.recipe import Recipe
from unlearnable.verbs.options import Machine, Source, options, take


@dataclass(frozen=True)
class _Learn:
    out: Path | None = None
    """folder for log.jsonl, result.json and the model (default: runs/<hash of the settings>)"""
    test: str | None = None
    """clean test pictures: a name or a folder (default: the test split of the training pictures' source)"""
    test_limit: int | None = None
    """at most this many test pictures, the same number of every class"""
    countermeasure: str | None = None
    """a countermeasure of `unlearnable ls counters`, or my_module:function, done to the training pictures first"""
    counter_test: bool = False
    """do it to the test pictures too"""
    clean_share: float = 0.0
    """this share of every class comes clean: from a protected folder's originals"""
    source: Source = field(default_factory=Source)
    machine: Machine = field(default_factory=Machine)
    recipe: Recipe = field(default_factory=Recipe)


def learn_verb(args: list[str]) -> None:
    preset, args = take(args, "--preset", "paper")
    if args and not args[0].startswith("-"):
        args = ["--data", *args]
    text = (
        f"Train a learner and test it on clean pictures. Presets: {', '.join(Recipe.presets)} (--preset; now {preset})."
    )
    o = options("learn DATA", text, _Learn, args, _Learn(recipe=Recipe.preset(preset)))
    data = o.source.load().for_learning()
    asked = dataclasses.replace(o.source, limit=o.test_limit)
    test = load(
        o.test or asked.data,
        split="train" if o.test and Path(o.test).is_dir() else "test",
        limit=o.test_limit,
        classes=asked.classes,
        seed=asked.data_seed,
        size=asked.size or (data.size if o.test and Path(o.test).is_dir() else None),
        root=asked.root,
    )
    if o.clean_share:
        data = mix_in_clean(data, originals_of(Path(o.source.data), o.source.root), o.clean_share, o.machine.seed)
    if o.counter:
        data = countermeasure(o.counter, data)
        test = countermeasure(o.counter, test) if o.counter_test else test
    elif o.counter_test:
        raise UserError("--counter-test needs a countermeasure; give --counter NAME too.")
    settings = {
        "recipe": dataclasses.asdict(o.recipe),
        "data": data.digest(),
        "test": test.digest(),
        "seed": o.machine.seed,
    }
    out = o.out or Path("runs") / config_hash(settings)
    device = pick_device(o.machine.device)
    with distributed.processes(device):
        done = learn(
            data, o.recipe, test=test, out=out, seed=o.machine.seed, device=str(device), precision=o.machine.precision
        )
        if distributed.rank() == 0:
            r = done.result
            print(
                f"Accuracy on {len(test)} clean test pictures: {r['accuracy']:.1f} % (peak {r['peak']:.1f} %, chance "
                f"{100 / len(data.classes):.1f} %), {r['seconds']:.0f} s. Log and model: {out}"
            )


@dataclass(frozen=True)
class _Audit:
    folder: Positional[Path]
    """a protected folder"""
    suite: str = "quick"
    """quick, standard or full"""
    out: Path | None = None
    """folder for audit.json (default: audits/<name of the folder>, for seeds above 0 with -seed-<seed>)"""
    cells: Path = Path("audits/cells")
    """folder for every training's result: audits of the same originals share those on clean pictures"""
    test: str | None = None
    """a folder of clean test pictures (default: the test split of the originals' source)"""
    test_limit: int | None = None
    """at most this many test pictures, the same number of every class"""
    root: str | None = None
    """where the named sets lie"""
    machine: Machine = field(default_factory=Machine)
    recipe: Recipe = field(default_factory=Recipe)


def audit_verb(args: list[str]) -> None:
    preset, args = take(args, "--preset", "short")
    text = (
        "What the best countermeasure leaves of a protection: every learner of the suite on the protected and on the "
        f"clean pictures. Presets: {', '.join(Recipe.presets)} (--preset; now {preset})."
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
