"""``protect-photos``: a folder of one's own photos."""

import logging
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from unlearnable.cli.help import doc
from unlearnable.cli.options import Command, Flag, Machine, Photos, Verb, Watching
from unlearnable.cli.output import Done, say
from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.data.card import MARKER, PhotoSettings, private_folder
from unlearnable.data.sources import check_folder, check_side

if TYPE_CHECKING:
    from unlearnable.data.card import Card
    from unlearnable.data.folders import Scan
    from unlearnable.protection.photo_plan import Plan
    from unlearnable.protection.photos import PhotoMethod

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProtectPhotos(Verb):
    """Protect a folder of your own photos, at their own sizes, without loss.

    unlearnable protect-photos photos/ photos-protected/ --dry-run
    unlearnable protect-photos photos/ photos-protected/

    OUT gets photos only. What must stay with you (card.json, generator.safetensors) goes into
    OUT.private, beside it. The same command resumes; with more photos in PHOTOS it protects the new
    ones as the others were and leaves those as they are.

    Photos in one sub-folder per class get the noise of one network that is trained for them all
    (noise-net), against adversarial training of radius 2/255; with --others they get SEM's. Photos
    without sub-folders have no classes and get Unlearnable Clusters, which protected nothing where
    it was measured (docs/results.md): sort them into classes if you can. Measure what the
    protection is worth with `unlearnable verify`.

    unlearnable protect-photos photos/ photos-protected/ --others everybody-else/

    Are your photos a class, or some, among others that you cannot change? Put photos of the others
    into a folder of their own: the noise of yours is then made in their company. Your photos may
    lie directly in PHOTOS, which is then one class.
    """

    folder: Photos
    """your photos: one sub-folder per class, or all directly in it; never written to"""
    out: Annotated[Positional[Path], arg(metavar="OUT")]
    """gets the same sub-folders and names"""
    others: Path | None = None
    """everybody else's photos: one sub-folder per class, or all directly in it. They are never
    written; keep the folder as it is for `unlearnable verify`"""
    level: Literal["light", "normal", "strong"] | None = None
    """how far a pixel may change: 4, 8 or 16 of 255. Normal stains smooth areas and protects from
    networks that are trained from scratch, as measured (docs/photographs.md); light is the least
    visible and did not protect; strong is plain to see and was not measured (default: normal)"""
    size: int | None = None
    """side at which the noise is made, in pixels: more is slower and protects less (default: 32,
    with --pretrained 224). The photos keep their own sizes"""
    train_steps: int | None = None
    """training steps of the noise's own networks (default: 300; with --others, or where no
    sub-folders tell classes, 800); with --pretrained also steps of its pattern (default: 100)"""
    gray_prob: float | None = None
    """fraction of gray views for which the noise is made, 0 to 1 (default: 0.5, with --others 0).
    Models that train on grayscale copies get past the noise all the same (docs/photographs.md)"""
    format: Literal["png", "webp"] = "png"
    """both are lossless"""
    keep_metadata: Flag = False
    """keep EXIF data (place, camera, time), which is dropped otherwise; never previews and maker
    notes, which may hold the unprotected photo. The meaning of the colors is kept either way"""
    skip_bad: Flag = False
    """protect the rest when some files cannot be read"""
    pretrained: Flag = False
    """protect also from networks that have learned from other photos before: slower, and with a
    pattern on smooth areas. The weights of two of them must be installed; docs/pretrained.md says
    which, and what it is worth"""
    generator: Path | None = None
    """an earlier OUT, or its generator.safetensors: protect further photos of any of its classes
    without training"""
    model: str | None = None
    """the generator's network, if that is your own: my_module:factory"""
    dry_run: Flag = False
    """say what would be done, and stop; of 20,000 photos or more, what it costs, from a sample"""
    machine: Machine = field(default_factory=Machine)
    watching: Watching = field(default_factory=Watching)

    def __post_init__(self) -> None:
        require(self, positive="size train_steps")
        check_side(self.size)
        if self.model and not self.generator:
            raise UserError("--model names the network of a generator; give --generator too.")

    def run(self) -> Done:
        check_folder(self.folder)
        from unlearnable.core import distributed
        from unlearnable.core.device import pick_device

        device = pick_device(self.machine.device)
        with distributed.processes(device):
            return self._run(str(device))

    def _run(self, device: str) -> Done:
        from unlearnable.core.files import inside
        from unlearnable.data.folders import scan_photos
        from unlearnable.data.image_files import count_files
        from unlearnable.data.others import read_others
        from unlearnable.protection.photo_costs import (
            MANY,
            costs_of_many,
            describe_costs,
            require_memory,
        )
        from unlearnable.protection.photo_plan import check_places, plan
        from unlearnable.protection.photos import protect_photos

        check_places(self.folder, self.out, self.others)
        if self.watching.watch and inside(self.watching.watch_folder, self.out):
            raise UserError(
                f"{self.watching.watch_folder} lies in {self.out}, which is to be published; "
                "choose another --watch-folder."
            )
        name = self.out.resolve().name
        self.watching.check_place(name, self.folder, self.others)
        method, size = self._method()
        photos = PhotoSettings(size, self.format, self.keep_metadata)
        if self.dry_run and count_files(self.folder) >= MANY:
            costs = costs_of_many(self.folder, self.out, method, photos, device=device)
            return Done(
                "\n".join(describe_costs(costs, self.out)),
                {"out": self.out, "dry_run": True, **asdict(costs)},
            )
        require_memory(self.folder, size)
        skip_bad = self.skip_bad or self.dry_run
        scan = scan_photos(self.folder, (size,), skip_bad=skip_bad, fewest=method.least_images)
        others = (
            read_others(self.others, self.folder, scan, size, skip_bad=skip_bad)
            if self.others
            else None
        )
        seed = self.machine.seed
        todo = plan(self.folder, self.out, method, scan, photos, others=others, seed=seed)
        lines = _plan_lines(self, scan, size, todo) if self.dry_run else []
        lines += [_grows(todo)] * bool(todo.kept and todo.rows)
        lines += self._estimate_lines(todo, scan, photos, device)
        if self.dry_run:
            return Done("\n".join(lines), _plan_data(self, scan, size, todo))
        for line in lines:
            say(line)
        card = protect_photos(
            self.folder,
            self.out,
            method,
            size=size,
            kind=self.format,
            keep_metadata=self.keep_metadata,
            skip_bad=self.skip_bad,
            seed=seed,
            device=device,
            precision=self.machine.precision,
            callbacks=self.watching.callbacks(name, self.folder, self.others),
            scan=scan,
            others=others,
        )
        _warn("left out", (*card.left_out, *(others.problems if others else ())))
        _warn("metadata lost (damaged)", card.lost_metadata)
        private = private_folder(self.out)
        data = {"out": self.out, "private": private, **card.to_json()}
        return Done("\n".join(_result_lines(self, card)), data)

    def _method(self) -> "tuple[PhotoMethod, int]":
        """The method, and the side at which it makes its noise."""
        from unlearnable.protection.methods.clusters import UnlearnableClusters
        from unlearnable.protection.photos import method_for

        method, size = method_for(
            self.folder,
            level=self.level,
            size=self.size,
            train_steps=self.train_steps,
            gray_prob=self.gray_prob,
            generator=self.generator,
            model=self.model,
            others=self.others is not None,
            pretrained=self.pretrained,
        )
        if isinstance(method, UnlearnableClusters):
            say(
                f"{self.folder} has no sub-folders, so its photos have no classes: Unlearnable "
                "Clusters is used, not noise-net. It protected nothing where it was measured "
                "(docs/results.md); if you can, sort the photos into classes."
            )
        return method, size

    def _estimate_lines(
        self, todo: "Plan", scan: "Scan", photos: PhotoSettings, device: str
    ) -> list[str]:
        """How long it takes; a run that resumes says what is left instead."""
        from unlearnable.core.progress import format_duration
        from unlearnable.protection.photos import estimate

        if not todo.rows or ((private_folder(self.out) / MARKER).exists() and not self.dry_run):
            return []
        seconds = estimate(todo, scan, photos, device=device)
        return [f"On this machine that takes about {format_duration(seconds)}."]


def _grows(todo: "Plan") -> str:
    new, kept = len(todo.rows), len(todo.kept)
    return (
        f"{new} new photo{'s' * (new > 1)}, to be protected with the generator of the earlier run; "
        f"the {kept} that are protected already stay as they are."
    )


def _plan_data(o: ProtectPhotos, scan: "Scan", size: int, todo: "Plan") -> dict[str, object]:
    """What would be done, for programs."""
    found, others = scan.listing, todo.others
    classes = others.own_classes if others else found.classes
    count = Counter(found.labels)
    return {
        "out": o.out,
        "dry_run": True,
        "size": size,
        "classes": {name: count[c] for c, name in enumerate(classes)},
        "new": len(todo.rows),
        "kept": len(todo.kept),
        "others": {"folder": others.folder, "photos": len(others)} if others else None,
        "left_out": [*found.problems, *(others.problems if others else ())],
    }


def _plan_lines(o: ProtectPhotos, scan: "Scan", size: int, todo: "Plan") -> list[str]:
    from unlearnable.core.text import printable
    from unlearnable.data.image_files import NO_CLASSES
    from unlearnable.data.subsets import count_near_duplicates, near_duplicates

    found, count, others = scan.listing, Counter(scan.listing.labels), todo.others
    new, problems = len(todo.rows), [*found.problems, *(others.problems if others else ())]
    _warn("left out" if o.skip_bad else "cannot be used", problems)
    lines = []
    classes = others.own_classes if others else found.classes
    for c, name in enumerate(classes) if classes != NO_CLASSES else ():
        n = count[c]
        few = " (few: under 50, a learner may learn nothing anyway)" if n < 50 else ""
        lines.append(f"{printable(name)}: {n} photos{few}")
    if others:
        lines.append(
            f"{len(others)} photos of others ({', '.join(map(printable, others.classes))}) in "
            f"{others.folder}, which stay as they are."
        )
    twins = count_near_duplicates(near_duplicates(scan.images[size].x))
    lines.append(
        f"{new} photo{'s' * (new != 1)} would be protected into {o.out} at full size, the noise "
        f"made at {size} px; {twins} of all {len(found.files)} are near-duplicates of others."
    )
    if n := len(problems):
        then = (
            "would be left out."
            if o.skip_bad
            else f"cannot be used; repair {'it' if n == 1 else 'them'} or take "
            f"{'it' if n == 1 else 'them'} out, or give --skip-bad."
        )
        lines.append(f"{n} file{'s' * (n > 1)} {then}")
    return lines


def _result_lines(o: ProtectPhotos, card: "Card") -> list[str]:
    from unlearnable.data.image_files import NO_CLASSES
    from unlearnable.data.visibility import describe_shift

    m = card.measured
    lines = [
        f"{card.shape[0]} photos in {o.out}: noise at most {m['linf']}/255, PSNR "
        f"{m['psnr']:.1f} dB (lowest {m['lowest_psnr']:.1f}), SSIM {m['ssim']:.3f}."
    ]
    if "color_shift" in m:  # not in a card of an earlier version
        lines.append(
            f"CIEDE2000 {m['color_difference']:.1f} (95th percentile "
            f"{m['color_difference_95']:.1f}), {describe_shift(m['color_shift'])}."
        )
    several = card.fewest > 1  # a class of one photo cannot be divided
    if several and (card.classes != NO_CLASSES or card.others):
        folders = " ".join(shlex.quote(str(folder)) for folder in (o.folder, o.out))
        lines.append(f"Measure it: unlearnable verify {folders}")
    lines.append(
        f"{o.out} holds photos only. Keep the originals and {private_folder(o.out)} (card, "
        "generator) to yourself."
    )
    return lines


def _warn(what: str, problems: Iterable[str]) -> None:
    for problem in problems:
        logger.warning("%s: %s", what, problem)


def command(args: list[str]) -> Command:
    return Command(doc(ProtectPhotos), ProtectPhotos)
