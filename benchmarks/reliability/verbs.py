"""Every verb that writes, at its smallest: what it needs, and its command line."""

import random
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

from common import (
    NETWORK,
    album,
    campaign,
    command,
    content,
    differences,
    must,
    scratch,
)

from unlearnable.experiments import scale
from unlearnable.experiments.scale import Scale, get_scale

SMALL = "--model tiny:net --batch 16 --limit 40".split()
NOISE = [*SMALL, *"--train-steps 4 --steps 2".split()]
LEARN = "--model tiny:net --batch 16 --steps 4 --evals 2".split()
PHOTOS = "protect-photos photos out --size 32 --train-steps 3".split()
ROWS = "--rows clean EM --columns ordinary minutes".split()

# name: (what comes first, the command). The commands that come first run once, uninterrupted.
VERBS: dict[str, tuple[list[list[str]], list[str]]] = {
    "protect rem": (
        [],
        ["protect", "rem", *NOISE, *"--adv-steps 1 --eot-samples 1 --out out".split()],
    ),
    "protect em": ([], ["protect", "em", *NOISE, *"--noise-type classwise --out out".split()]),
    "protect tap": ([], ["protect", "tap", *NOISE, *"--step 2 --out out".split()]),
    "protect clusters": (
        [],
        ["protect", "unlearnable-clusters", *NOISE, *"--clusters 3 --out out".split()],
    ),
    "protect pil": ([], "protect pil --steps 2 --epochs 2 --limit 40 --out out".split()),
    "protect lsp": ([], "protect lsp --limit 40 --out out".split()),
    "learn": (
        [],
        ["learn", "shapes", "--limit", "40", "--test-limit", "20", *LEARN, "--out", "out"],
    ),
    "protect-photos": ([], PHOTOS),
    "protect-photos webp": ([], [*PHOTOS, "--format", "webp", "--keep-metadata"]),
    "protect-photos further": (
        [["protect-photos", "photos", "first", "--size", "32", "--train-steps", "3"]],
        "protect-photos photos out --generator first".split(),
    ),
    "protect-photos grown": ([["protect-photos", "few", *PHOTOS[2:]]], PHOTOS),
    "verify": (
        [[*PHOTOS[:2], "first", *PHOTOS[3:]]],
        ["verify", "photos", "first", "--seeds", "1", *LEARN, "--radii", "0", "--out", "out"],
    ),
    "audit": (
        [["protect", "lsp", "--limit", "40", "--out", "first"]],
        ["audit", "first", *LEARN, "--test-limit", "20", "--out", "out/a"],
    ),
    # its scales take hours: ``cases`` makes that of shapes tiny
    "reproduce": (
        [],
        ["reproduce", "all-methods", *ROWS, *"--data shapes --results out".split()],
    ),
    "show": (
        [["protect", "lsp", "--limit", "40", "--out", "first"]],
        "show first --out out/sheet.png".split(),
    ),
    "export": (
        [["protect", "uniform", "--limit", "40", "--out", "first"]],
        "export first --noise out/noise.npy".split(),
    ),
    "report photos": (
        [[*PHOTOS[:2], "first", *PHOTOS[3:]]],
        "report photos first --out out/page.html".split(),
    ),
}


class Case:
    """A verb with its inputs made, and what it writes when nothing interrupts it."""

    def __init__(self, name: str, folder: Path):
        self.first, self.args = VERBS[name]
        self.inputs = folder / "inputs"
        self.inputs.mkdir(parents=True)
        (self.inputs / "tiny.py").write_text(NETWORK)
        album(self.inputs / "photos")
        album(self.inputs / "few")
        for path in (self.inputs / "few").glob("*/3.jpg"):
            path.unlink()
        for args in self.first:
            must(args, self.inputs)
        self.ended = must(self.args, self.fresh(folder / "whole"))
        self.whole = folder / "whole" / "work"

    def fresh(self, folder: Path) -> Path:
        """A copy of the inputs to work in."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.inputs, folder / "work")
        return folder / "work"

    def resumes(self, work: Path) -> str | None:
        """Run the command again in ``work``, to the end; what differs from the undisturbed run."""
        words, ended = " ".join(self.args), command(self.args, work)
        if ended.status != self.ended.status:
            return f"{words}: does not resume, status {ended.status}, {ended.err[-1500:]}"
        if different := differences(content(self.whole), content(work)):
            return f"{words}: differs from the undisturbed run in {different}"
        return None


class Tiny(Scale):
    """A scale at which every method and learner is at its smallest."""

    def method(self, kind, **changes):
        few = {"train_steps": 4, "steps": 2, "batch": 16}
        names = {field.name for field in fields(kind)}
        return super().method(kind, **{k: v for k, v in few.items() if k in names}, **changes)


def tiny(name: str, data: str) -> Scale:
    at = get_scale(name, data)
    if data != "shapes":
        return at
    few = replace(at.recipe, steps=4, evals=2, batch=16, adv_steps=1)
    return Tiny(**vars(at) | {"limit": 40, "test_limit": 20, "recipe": few})


def cases(folder: Path) -> Callable[[str], Case]:
    """The cases by name, each made when it is first asked for."""
    scale.get_scale = tiny
    made: dict[str, Case] = {}

    def get(name: str) -> Case:
        if name not in made:
            made[name] = Case(name, folder / name.replace(" ", "-"))
        return made[name]

    return get


def disturbed(
    name: str,
    one: Callable[[Case, Path, random.Random], str | None],
    count: int,
    seed: int,
    only: str = "",
) -> int:
    """Run the campaign ``name`` over the verbs: ``one`` disturbs a command in a folder and returns
    what went wrong."""
    names = [verb for verb in VERBS if only in verb]
    with scratch() as folder:
        get = cases(folder)

        def case(random_: random.Random) -> str | None:
            return one(get(random_.choice(names)), folder / "disturbed", random_)

        return campaign(name, case, count, seed)
