"""``verify``."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import Positional

from unlearnable.cli.options import Machine, options, take
from unlearnable.evaluation.verify import verify
from unlearnable.reports.tables import verify_table
from unlearnable.training.recipe import Recipe

# ── verify ──


@dataclass(frozen=True)
class _Verify:
    photos: Positional[Path]
    """the originals"""
    protected: Positional[Path]
    """what `unlearnable protect PHOTOS OUT` made of them"""
    out: Path | None = None
    """folder for the results (default: verified/<name of the protected folder>)"""
    seeds: int = 3
    """how often everything is repeated, with other photos held out"""
    radii: tuple[float, ...] = (0.0, 2.0)
    """0 is ordinary training, others adversarial training of that radius in /255"""
    countermeasures: tuple[str, ...] = ("gray",)
    """ordinary training again, on photos after each of these (`unlearnable ls countermeasures`, or
    my_module:function)"""
    size: int | None = None
    """the side at which the learner sees the photos (default: 1.5 times that at which the noise was
    made)"""
    holdout: float = 0.25
    """share of clean photos of every class that is used for testing only"""
    machine: Machine = field(default_factory=Machine)
    recipe: Recipe = field(default_factory=Recipe)


def verify_verb(args: list[str]) -> None:
    preset, args = take(args, "--preset", "photos")
    text = "Learners on your clean and on your protected photos, tested on clean ones that were held out."
    default = _Verify(tyro.MISSING, tyro.MISSING, recipe=Recipe.preset(preset))
    o = options(
        "verify",
        f"{text} Presets: {', '.join(Recipe.presets)} (--preset; now {preset}).",
        _Verify,
        args,
        default,
    )
    done = verify(
        o.photos,
        o.protected,
        o.recipe,
        out=o.out or Path("verified") / o.protected.resolve().name,
        radii=o.radii,
        countermeasures=o.countermeasures,
        seeds=o.seeds,
        size=o.size,
        holdout=o.holdout,
        device=o.machine.device,
        precision=o.machine.precision,
    )
    print(verify_table(done))
    print(f"As a page: unlearnable report {o.protected}")
