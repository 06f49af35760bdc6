"""``show``, ``export`` and ``ls``."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from unlearnable.core.errors import UserError
from unlearnable.data.load import DESCRIPTIONS, load
from unlearnable.evaluation.countermeasures import COUNTERMEASURES
from unlearnable.evaluation.suites import SUITES
from unlearnable.models import MODELS, describe
from unlearnable.protection.export import export_cifar, noise_of, originals_of
from unlearnable.protection.methods import METHODS
from unlearnable.protection.methods.imported import write_noise
from unlearnable.protection.protect import contact_sheet
from unlearnable.training.augment import AUGMENTATIONS
from unlearnable.training.recipe import Recipe
from unlearnable.verbs.options import about, options


@dataclass(frozen=True)
class _Show:
    folder: Positional[Path]
    """a protected folder"""
    out: Path | None = None
    """the PNG (default: FOLDER/sheet.png; for pictures without classes FOLDER-sheet.png)"""
    count: int = 10
    """how many pictures"""
    gain: int = 8
    """the noise is shown times this, around gray"""
    root: str | None = None
    """where the named sets lie"""


def show_verb(args: list[str]) -> None:
    o = options("show", "A sheet of originals, protected pictures and magnified noise.", _Show, args)
    clean = originals_of(o.folder, o.root)
    protected, name = load(o.folder), o.folder.resolve()
    # a folder without sub-folders holds pictures only: the sheet goes beside it
    out = o.out or (o.folder / "sheet.png" if protected.labelled else name.with_name(f"{name.name}-sheet.png"))
    contact_sheet(clean, protected, out, count=o.count, gain=o.gain)
    print(out)


@dataclass(frozen=True)
class _Export:
    folder: Positional[Path]
    """a protected folder"""
    noise: Path | None = None
    """write the noise, int8 N x 3 x H x W in /255: .npy, or by any other suffix the pickle of Fu et al.'s program"""
    cifar: Path | None = None
    """write DIR/cifar-10-batches-py with protected training and clean test pictures"""
    root: str | None = None
    """where the named sets lie"""


def export_verb(args: list[str]) -> None:
    o = options("export", "Take the noise, or the official CIFAR layout, out of a protected folder.", _Export, args)
    if not o.noise and not o.cifar:
        raise UserError("Nothing to export; give --noise FILE or --cifar DIR.")
    if o.noise:
        write_noise(noise_of(o.folder, o.root), o.noise)
        print(o.noise)
    if o.cifar:
        originals_of(o.folder, o.root)  # says so when this is no protected folder
        print(export_cifar(load(o.folder), load(o.folder, split="test", root=o.root), o.cifar))


def ls_verb(what: str = "") -> None:
    tables = {
        "methods": {n: about(m).split(". ")[0] for n, m in METHODS.items()},
        "models": {n: describe(n) for n in MODELS},
        "data": DESCRIPTIONS,
        "counters": {n: c.about for n, c in COUNTERMEASURES.items()},
        "strong": {n: c.about for n, c in AUGMENTATIONS.items()},
        "suites": {n: ", ".join(learner.name for learner in suite) for n, suite in SUITES.items()},
        "presets": {n: ", ".join(m.presets) for n, m in [*METHODS.items(), ("learn", Recipe)]},
    }
    if what and what not in tables:
        raise UserError(f"There is no list of '{what}'; the lists are {', '.join(tables)}.")
    for title, table in tables.items():
        if what in ("", title):
            print(title if not what else "", *(f"  {n:<13} {text}" for n, text in table.items()), sep="\n")
