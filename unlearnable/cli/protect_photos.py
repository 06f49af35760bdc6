"""``protect PHOTOS OUT``: a folder of own photos."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from unlearnable.cli.options import Machine, options
from unlearnable.core.errors import UserError
from unlearnable.core.progress import format_duration
from unlearnable.data.image_files import NO_CLASSES, Format, Listing, listing
from unlearnable.data.load import load
from unlearnable.data.subsets import near_duplicates
from unlearnable.protection.methods.clusters import UnlearnableClusters
from unlearnable.protection.methods.from_generator import Generated
from unlearnable.protection.methods.min_min import SEM, MinMin
from unlearnable.protection.photos import WORK, check_files, check_places, estimate, protect_photos

LEVELS = {"light": 4, "normal": 8, "strong": 16}


@dataclass(frozen=True)
class _Photos:
    folder: Positional[Path]
    """your photos, in one sub-folder a class, or all in it directly if you have no classes; never
    written to"""
    out: Positional[Path]
    """gets the same sub-folders and names"""
    level: Literal["light", "normal", "strong"] | None = None
    """how far a pixel may change: 4, 8 or 16 of 255. As measured (docs/results.md): light is hardly
    visible and does not protect, normal protects and tints smooth areas, strong protects more and
    shows (default: normal)"""
    size: int | None = None
    """the side at which the noise is made, in pixels: more is slower, and protected less (default:
    32). The photos keep their own sizes"""
    steps: int | None = None
    """training steps of the noise's own network (default: 800)"""
    gray_prob: float | None = None
    """share of gray views for which the noise is made, 0 to 1 (default: 0), against models that
    train on grayscale copies. It costs protection in color: read docs/results.md and verify"""
    format: Format = "png"
    """both are lossless"""
    keep_metadata: bool = False
    """keep EXIF data (place, camera, time); it is dropped otherwise. The color profile is always
    kept"""
    skip_bad: bool = False
    """protect the rest when some files cannot be read"""
    generator: Path | None = None
    """generator.safetensors of an earlier run: protect further photos of the same classes without
    training"""
    dry_run: bool = False
    """say what would be done, and stop"""
    machine: Machine = field(default_factory=Machine)


def protect_photos_verb(args: list[str]) -> None:
    text = (
        "Protect a folder of your own photos, at their own sizes: with SEM noise against adversarial training 2/255, "
        "or, where it has no sub-folders and so no classes, with Unlearnable Clusters."
    )
    o = options("protect PHOTOS OUT", text, _Photos, args)
    check_places(o.folder, o.out)
    method, size = photo_method(o)
    if o.dry_run:
        return _dry_run(o, method, size)
    if (
        not (o.out / WORK).exists() and not (o.out / "card.json").exists()
    ):  # a run that goes on says what is left
        found = check_files(o.folder, skip_bad=o.skip_bad)
        print(_about_time(found, o, method, size))
    card = protect_photos(
        o.folder,
        o.out,
        method,
        size=size,
        kind=o.format,
        keep_metadata=o.keep_metadata,
        skip_bad=o.skip_bad,
        seed=o.machine.seed,
        device=o.machine.device,
        precision=o.machine.precision,
    )
    _say(card["left_out"])
    m = card["measured"]
    print(
        f"{card['shape'][0]} photos in {o.out}: noise at most {m['linf']}/255, PSNR {m['psnr']:.1f} dB (lowest "
        f"{m['lowest_psnr']:.1f}), SSIM {m['ssim']:.3f}.\n"
        + (
            f"Prove it: unlearnable verify {o.folder} {o.out}\n"
            if card["classes"] != [*NO_CLASSES]
            else ""
        )
        + f"Publish the photos. Keep {o.out / 'generator.safetensors'}, card.json and the originals to yourself."
    )


PhotoMethod = MinMin | Generated | UnlearnableClusters


def photo_method(o: _Photos) -> tuple[PhotoMethod, int]:
    """What protects this folder, and the size at which its noise is made."""
    if o.generator:
        if o.steps or o.level or o.size or o.gray_prob is not None:
            raise UserError(
                "A generator keeps the settings that it was made with; leave --level, --size, --steps, --gray-prob."
            )
        method = Generated.of(o.generator)
        return method, method.size
    size, eps = o.size or 32, LEVELS[o.level or "normal"]
    if o.folder.is_dir() and listing(o.folder).classes == NO_CLASSES:
        print(
            f"{o.folder} has no sub-folders, so its photos have no classes: Unlearnable Clusters is used, not SEM. "
            "It protected nothing where it was measured (docs/results.md); if you can, sort the photos into classes."
        )
        if o.gray_prob is not None:
            raise UserError("Unlearnable Clusters have no gray views; leave --gray-prob.")
        steps = {"train_steps": o.steps, "steps": o.steps} if o.steps else {}
        return UnlearnableClusters.preset("short", eps=eps, **steps), size
    return SEM.preset(
        "short",
        eps=eps,
        gray_prob=o.gray_prob or 0.0,
        **({"train_steps": o.steps} if o.steps else {}),
    ), size


def _about_time(found: Listing, o: _Photos, method: PhotoMethod, size: int) -> str:
    seconds = estimate(found, method, size=size, kind=o.format, device=o.machine.device)
    return f"On this machine that takes about {format_duration(seconds)}."


def _dry_run(o: _Photos, method: PhotoMethod, size: int) -> None:
    found = listing(o.folder, check=True)
    _say(found.problems)
    counts = [sum(label == c for _, label in found.files) for c in range(len(found.classes))]
    for name, n in zip(found.classes, counts) if found.classes != NO_CLASSES else ():
        print(
            f"{name}: {n} photos"
            + (" (few: under 50, a learner may learn nothing anyway)" if n < 50 else "")
        )
    if len(found.classes) == 1 and found.classes != NO_CLASSES:
        print(
            "There is one class only: nothing tells classes apart, so there is nothing to protect against."
        )
    images = load(o.folder, size=size, skip_bad=True)
    groups = near_duplicates(images.x)
    print(
        f"{len(found.files)} photos would be protected into {o.out} at their own sizes, the noise made at {size} px; "
        f"{len(groups) - len(groups.unique())} of them are near-duplicates of others."
    )
    if n := len(found.problems):
        print(
            f"{n} file{'s' * (n > 1)} cannot be; nothing is protected before that is repaired, but with --skip-bad."
        )
    print(_about_time(found, o, method, size))


def _say(problems: list[str]) -> None:
    for problem in problems:
        print(f"unlearnable: left out: {problem}", file=sys.stderr)
