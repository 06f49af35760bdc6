"""``verify``."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from tyro import MISSING

from unlearnable.cli.help import doc_with_presets
from unlearnable.cli.options import (
    Command,
    Machine,
    Machines,
    Photos,
    Protected,
    Verb,
    preset_in,
)
from unlearnable.cli.output import Done
from unlearnable.core.errors import unknown
from unlearnable.core.presets import require
from unlearnable.data.sources import check_folder, check_protected, check_side
from unlearnable.evaluation.countermeasures import describe_countermeasure
from unlearnable.evaluation.learners import PHOTO_COUNTERMEASURES, PHOTO_RADII
from unlearnable.evaluation.results import Verdict
from unlearnable.models.pretrained import PRETRAINED
from unlearnable.training.recipe import Recipe

STATUS: dict[Verdict, int] = {"protected": 0, "not protected": 3, "no verdict": 4}


@dataclass(frozen=True)
class Verify(Verb):
    """Measure whether your protected photos are protected. Learners train on the clean and on the
    protected photos and are tested on clean ones that were held out.

    unlearnable verify photos/ photos-protected/

    Photos that were protected among others' are verified among them: the verdict is on your
    classes, and what happens to the others' stands beside it.

    Exit status: 0 protected, 3 not protected, 4 no verdict (the learners learn too little from the
    clean photos, or there is one class only), 2 a mistake in the command.
    """

    photos: Photos
    """the originals"""
    protected: Protected
    """what `unlearnable protect-photos PHOTOS OUT` made of them"""
    preset: str = "photos"
    """named settings of the learners: they set the defaults of the recipe below"""
    out: Path | None = None
    """folder for the results (default: verified/<name of the protected folder>)"""
    seeds: int = 3
    """how often everything is repeated, with other photos held out: by the seeds from --seed on"""
    radii: tuple[float, ...] = PHOTO_RADII
    """0 is ordinary training, any other adversarial training of that radius in /255"""
    countermeasures: tuple[str, ...] = PHOTO_COUNTERMEASURES
    """ordinary training again, on photos after each of these: names of `unlearnable ls
    countermeasures`, or my_module:function"""
    networks: tuple[str, ...] | None = None
    """networks that have learned from other photos before, of which only the last layer learns from
    yours: names of `unlearnable ls models` (default: those whose weights are installed;
    docs/pretrained.md says how)"""
    size: int | None = None
    """side at which the learners that start from scratch see the photos, in pixels (default: 1.5
    times that at which the noise against them was made)"""
    holdout: float = 0.25
    """fraction of the clean photos of every class that is used for testing only"""
    others: Path | None = None
    """where the others' photos are now, if PROTECTED was made with --others and they have moved"""
    recipe: Recipe = field(default_factory=Recipe)
    """How the learners train."""
    machine: Machine = field(default_factory=Machine)
    machines: Machines = field(default_factory=Machines)

    def __post_init__(self) -> None:
        require(self, positive="seeds size")
        self.recipe.require_used(self.preset)
        check_side(self.size)
        for name in self.countermeasures:
            describe_countermeasure(name)
        for name in self.networks or ():
            if name not in PRETRAINED:
                raise unknown("network with ImageNet weights", name, PRETRAINED)

    def run(self) -> Done:
        cluster = self.machines.cluster()
        check_folder(self.photos)
        check_protected(self.protected)
        from unlearnable.evaluation.verify import verify
        from unlearnable.reports.verdict import verify_parts, verify_table

        out = self.out or Path("verified") / self.protected.resolve().name
        done = verify(
            self.photos,
            self.protected,
            self.recipe,
            out=out,
            radii=self.radii,
            countermeasures=self.countermeasures,
            networks=self.networks,
            seeds=self.seeds,
            seed=self.machine.seed,
            size=self.size,
            holdout=self.holdout,
            others=self.others,
            device=self.machine.device,
            precision=self.machine.precision,
            cluster=cluster,
        )
        page = f"As a page: unlearnable report photos {shlex.quote(str(self.protected))}"
        if self.out:
            page += f" --verified {shlex.quote(str(out))}"
        return Done(
            f"{verify_table(done)}\n{page}",
            {"out": out, **done.to_json()},
            STATUS[done.verdict],
            lambda: [*verify_parts(done), page],
        )


def command(args: list[str]) -> Command:
    preset = preset_in(args, Recipe, "photos")
    text = doc_with_presets(Verify, Recipe, preset)
    return Command(text, Verify, Verify(MISSING, MISSING, preset, recipe=Recipe.preset(preset)))
