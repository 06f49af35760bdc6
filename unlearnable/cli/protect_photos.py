"""``protect PHOTOS OUT``: a folder of own photos."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import Positional

from unlearnable.cli.options import Machine, options
from unlearnable.core.progress import format_duration
from unlearnable.data.folders import Scan, scan_photos
from unlearnable.data.image_files import NO_CLASSES, Format
from unlearnable.data.subsets import count_near_duplicates, near_duplicates
from unlearnable.protection.methods.clusters import UnlearnableClusters
from unlearnable.protection.photos import (
    WORK,
    Level,
    check_places,
    estimate,
    method_for,
    protect_photos,
)


@dataclass(frozen=True)
class _Photos:
    folder: Positional[Path]
    """your photos, in one sub-folder a class, or all in it directly if you have no classes; never
    written to"""
    out: Positional[Path]
    """gets the same sub-folders and names"""
    level: Level | None = None
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
    method, size = method_for(
        o.folder,
        level=o.level,
        size=o.size,
        train_steps=o.steps,
        gray_prob=o.gray_prob,
        generator=o.generator,
    )
    if isinstance(method, UnlearnableClusters):
        print(
            f"{o.folder} has no sub-folders, so its photos have no classes: Unlearnable Clusters is used, not SEM. "
            "It protected nothing where it was measured (docs/results.md); if you can, sort the photos into classes."
        )
    scan = scan_photos(o.folder, (size,), skip_bad=o.skip_bad or o.dry_run)
    if o.dry_run:
        _say_plan(o, scan, size)
    # a run that resumes says what is left
    if o.dry_run or not ((o.out / WORK).exists() or (o.out / "card.json").exists()):
        seconds = estimate(scan.listing, method, size=size, kind=o.format, device=o.machine.device)
        print(f"On this machine that takes about {format_duration(seconds)}.")
    if o.dry_run:
        return
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
        scan=scan,
    )
    _say_left_out(card.left_out)
    m = card.measured
    print(
        f"{card.shape[0]} photos in {o.out}: noise at most {m['linf']}/255, PSNR {m['psnr']:.1f} dB (lowest "
        f"{m['lowest_psnr']:.1f}), SSIM {m['ssim']:.3f}.\n"
        + (
            f"Prove it: unlearnable verify {o.folder} {o.out}\n"
            if card.classes != NO_CLASSES
            else ""
        )
        + f"Publish the photos. Keep {o.out / 'generator.safetensors'}, card.json and the originals to yourself."
    )


def _say_plan(o: _Photos, scan: Scan, size: int) -> None:
    found = scan.listing
    _say_left_out(found.problems)
    for c, name in enumerate(found.classes) if found.classes != NO_CLASSES else ():
        n = found.labels.count(c)
        few = " (few: under 50, a learner may learn nothing anyway)" if n < 50 else ""
        print(f"{name}: {n} photos{few}")
    if len(found.classes) == 1 and found.classes != NO_CLASSES:
        print(
            "There is only one class: nothing tells classes apart, so there is nothing to protect against."
        )
    twins = count_near_duplicates(near_duplicates(scan.images[size].x))
    print(
        f"{len(found.files)} photos would be protected into {o.out} at their own sizes, the noise made at {size} px; "
        f"{twins} of them are near-duplicates of others."
    )
    if n := len(found.problems):
        print(
            f"{n} file{'s' * (n > 1)} cannot be; nothing is protected before that is repaired, but with --skip-bad."
        )


def _say_left_out(problems: Iterable[str]) -> None:
    for problem in problems:
        print(f"unlearnable: left out: {problem}", file=sys.stderr)
