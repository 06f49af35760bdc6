"""The user's own photos: a folder of photos in, and the same folder with protected photos out.

The noise is made at a working size, at which training is affordable, and upsampled to every photo's
own size by bicubic interpolation, which looks smooth and keeps nine tenths of what nearest pixels
keep in a learner's resizing (docs/log.md). A photo is decoded twice, once to check and shrink it
and once to write it with its noise. The contract is checked on the files as they were written.

The output folder holds photos only. What must not be published with them lies beside it, in the
private folder (``data/card.py``): the card, the generator, and while a run is not done its state.
"""

import math
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image

from unlearnable.core import distributed
from unlearnable.core.callbacks import Callback
from unlearnable.core.checkpoint import difference, held
from unlearnable.core.distributed import on_first
from unlearnable.core.errors import UserError, unknown
from unlearnable.core.files import (
    config_hash,
    move,
    read_json,
    remove_unfinished,
    require_space,
    write_json,
)
from unlearnable.core.presets import require_seed
from unlearnable.data.card import MARKER, Card, PhotoRecord, PhotoSettings, private_folder
from unlearnable.data.decoding import Format
from unlearnable.data.folders import Scan, scan_photos
from unlearnable.data.image_files import NO_CLASSES, class_names
from unlearnable.data.images import Images
from unlearnable.data.others import Others, read_others
from unlearnable.data.sources import check_side
from unlearnable.data.threads import THREADS, in_processes
from unlearnable.models.pretrained import INPUT_SIZE, read_imagenet_weights, require_installed
from unlearnable.protection.methods.base import Method
from unlearnable.protection.methods.class_uap import ClassUAP
from unlearnable.protection.methods.clusters import UnlearnableClusters
from unlearnable.protection.methods.from_generator import GENERATOR, Generated
from unlearnable.protection.methods.min_min import SEM, MinMin
from unlearnable.protection.methods.noise_net import NoiseNet
from unlearnable.protection.pace import noise_seconds
from unlearnable.protection.photo_files import (
    WORK,
    drop_written,
    measured_over,
    refuse_foreign,
    write_photo,
)
from unlearnable.protection.photo_plan import (
    Plan,
    check_places,
    plan,
    refuse_strangers,
    refuse_unprotected,
    shown,
)
from unlearnable.protection.protect import check_eps, protect, settings_of
from unlearnable.training.precision import Precision

PhotoMethod = MinMin | NoiseNet | Generated | UnlearnableClusters | ClassUAP
Level = Literal["light", "normal", "strong"]
BUDGETS: dict[Level, int] = {
    "light": 4,
    "normal": 8,
    "strong": 16,
}  # how far a pixel moves, in /255
SIZE = 32  # pixels, the side at which the noise is made
LEAST_BYTES = 0.5  # per pixel of a photo that is written without loss; one and more is usual
USUAL_SECONDS = 0.5  # to read, write and check a photo of one megapixel on one core


def method_for(
    folder: Path,
    *,
    level: Level | None = None,
    size: int | None = None,
    train_steps: int | None = None,
    gray_prob: float | None = None,
    generator: Path | None = None,
    model: str | None = None,
    others: bool = False,
    pretrained: bool = False,
) -> tuple[PhotoMethod, int]:
    """Choose the method for a folder of photos, and the side in pixels at which it makes its noise:
    NoiseNet, or Unlearnable Clusters if the folder has no sub-folders and so no classes. Among the
    photos of ``others`` it is SEM, and a folder without sub-folders is a class. pretrained: against
    networks with ImageNet weights as well, ClassUAP at their size.

    level: the budget (default: normal). size: default 32. train_steps: of the surrogate. gray_prob:
    fraction of gray views for which the noise is made. generator: generator.safetensors of an
    earlier run, whose settings it keeps. model: its network, where that is your own. Raises
    UserError for options that do not go together.
    """
    if generator:
        if level or size or train_steps or gray_prob is not None or pretrained:
            raise UserError(
                "A generator keeps the settings that it was made with; leave out --level, --size, "
                "--train-steps, --gray-prob and --pretrained."
            )
        further = Generated.of(generator, model)
        return further, further.size
    changes: dict[str, float] = {"eps": BUDGETS[level or "normal"]}
    if pretrained:
        if gray_prob is not None or class_names(folder) == NO_CLASSES and not others:
            raise UserError(
                "--pretrained needs photos in sub-folders, one per class, and does without gray "
                "views; leave out --pretrained or --gray-prob."
            )
        require_installed(ClassUAP.networks)
        for name in ClassUAP.networks:
            read_imagenet_weights(name)  # now, and not after the photos are read
        changes |= {"train_steps": train_steps, "steps": train_steps} if train_steps else {}
        return ClassUAP.preset("photos", **changes), size or INPUT_SIZE
    size = size or SIZE
    if class_names(folder) == NO_CLASSES and not others:
        if gray_prob is not None:
            raise UserError("Unlearnable Clusters has no gray views; leave out --gray-prob.")
        changes |= {"train_steps": train_steps, "steps": train_steps} if train_steps else {}
        return UnlearnableClusters.preset("short", **changes), size
    changes |= {"train_steps": train_steps} if train_steps else {}
    changes |= {"gray_prob": gray_prob} if gray_prob is not None else {}
    if others:  # a class alone: SEM holds under adversarial training too
        return SEM.preset("short", **changes), size
    return NoiseNet.preset("short", adv_eps=changes["eps"] / 4, **changes), size


def protect_photos(
    folder: Path | str,
    out: Path | str,
    method: Method,
    *,
    size: int = SIZE,
    kind: Format = "png",
    keep_metadata: bool = False,
    skip_bad: bool = False,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    scan: Scan | None = None,
    others: Others | Path | str | None = None,
    callbacks: Sequence[Callback] = (),
) -> Card:
    """Protect the photos of ``folder`` at their own sizes and return the card. ``folder`` is never
    written to.

    out: gets the same sub-folders and names, lossless (``kind``), and nothing else; card.json and,
    if the method has a surrogate, generator.safetensors go into ``private_folder(out)``. The same
    call resumes. Where ``folder`` has more photos than last time, it protects the new ones with the
    generator and leaves the others as they are.
    size: the side at which the noise is made, in pixels.
    scan: what ``scan_photos`` read from ``folder`` at this size, if that was done before.
    others: a folder with everybody else's photos (or what ``read_others`` read from it): they are
    never written, serve the surrogate as the rest of the world, and the card remembers them. A
    ``folder`` without sub-folders is then one class.
    callbacks: hear the numbers of the surrogate's training.
    Under torchrun every process calls this and gets the card; they share reading, training, and
    writing, and all must see both folders.

    Raises UserError for folders that overlap, another run's folder, protected photos among the
    originals, originals that were changed since they were protected, own photos among the others'
    or others' that were changed, a broken contract, and for files that are not photos unless
    ``skip_bad`` (its ``details`` list them all).
    """
    folder, out = Path(folder), Path(out)
    check_side(size)
    if kind not in get_args(Format):
        raise unknown("format", kind, get_args(Format))
    check_places(folder, out, others.folder if isinstance(others, Others) else others)
    check_eps(method)
    seed = require_seed(seed)
    scan = scan or scan_photos(folder, (size,), skip_bad=skip_bad, fewest=method.least_images)
    if isinstance(others, str | Path):
        others = read_others(Path(others), folder, scan, size, skip_bad=skip_bad)
    photos, private = PhotoSettings(size, kind, keep_metadata), private_folder(out)
    with held(private):
        todo = plan(folder, out, method, scan, photos, others=others, seed=seed)
        distributed.barrier()  # every process has seen what was there
        on_first(lambda: refuse_unprotected(out, [*todo.kept.values()], size))
        ours = {_output_name(name, photos) for name in todo.names}
        ours |= {f.written for f in todo.kept.values()}
        if todo.before and todo.done:
            if todo.before.files:  # older cards have none
                refuse_strangers(out, ours)
            on_first(lambda: _tidy(private))
            return todo.before
        on_first(lambda: _require_space(out, todo, scan, photos))
        on_first(lambda: _claim(out, todo, photos, seed, scan))
        on_first(lambda: refuse_strangers(out, ours))
        own = [_output_name(todo.names[row], photos) for row in todo.rows]
        on_first(lambda: refuse_foreign(out, own))
        noise, new = private / WORK / "noise", []
        base = todo.before
        if todo.rows:
            part = scan.images[size].subset(torch.tensor(todo.rows))
            done = protect(
                shown(part, todo.method, todo.others),
                todo.method,
                noise,
                protected_classes=todo.others.own_classes if todo.others else (),
                seed=seed,
                device=device,
                precision=precision,
                callbacks=callbacks,
            )
            new = _write_all(out, todo, part, done.images, photos)
            base = _joined(base, done.card)
        assert base is not None  # a first run has photos
        card = _card(base, todo, new, scan, photos)
        on_first(lambda: _finish(out, card))
    return card


def _finish(out: Path, card: Card) -> None:
    """Write what the owner keeps, the card last. Raises UserError where ``out`` holds more than the
    card names."""
    private = private_folder(out)
    generator = private / WORK / "noise" / GENERATOR
    if generator.exists():
        move(generator, private / GENERATOR, private.parent)
    refuse_strangers(out, {f.written for f in card.files})
    card.write(private)
    _tidy(private)


def _require_space(out: Path, todo: Plan, scan: Scan, photos: PhotoSettings) -> None:
    """Raise UserError for a disk on which the photos surely have no room; those that an interrupted
    run has written need none."""
    left = (row for row in todo.rows if not (out / _output_name(todo.names[row], photos)).exists())
    require_space(out, LEAST_BYTES * sum(math.prod(scan.sizes[row]) for row in left))


def _claim(out: Path, todo: Plan, photos: PhotoSettings, seed: int, scan: Scan) -> None:
    """Say in the private folder what this run is, before anything else is written. Every setting
    belongs into it, because photos that are written are not written again. Raises UserError if an
    unfinished run there is another."""
    private = private_folder(out)
    run = {
        "method": todo.method.name,
        "settings": settings_of(todo.method),
        "photos": asdict(photos),
        "seed": seed,
        "digest": scan.images[photos.size].digest(),
        "content": config_hash({"photos": [(d.content, d.metadata) for d in scan.digests]}),
        "new": len(todo.rows),
    }
    if todo.others:
        run["others"] = todo.others.images[photos.size].digest()
    if (private / MARKER).exists() and (theirs := _marker(private)) != run:
        if todo.before is None:
            raise UserError(
                f"{out} holds an unfinished run of other photos or with other settings "
                f"({difference(theirs, run)}); give another folder, or delete it and {private}."
            )
        drop_written(out)
        shutil.rmtree(private / WORK, ignore_errors=True)
    write_json(private / MARKER, run)
    remove_unfinished(private)


def _marker(private: Path) -> object:
    """What an unfinished run said that it is; None if that is damaged."""
    try:
        return read_json(private / MARKER)
    except UserError:
        return None


def _joined(before: Card | None, done: Card) -> Card:
    """The card of a folder that has grown, but for what is measured over all of its photos."""
    if before is None:
        return done
    seconds = round(before.seconds + done.seconds, 1)
    return replace(before, passes=before.passes + done.passes, seconds=seconds)


def _card(
    base: Card, todo: Plan, new: list[tuple[PhotoRecord, bool]], scan: Scan, photos: PhotoSettings
) -> Card:
    """The card ``base`` over all photos. new: as ``_write_all`` returns it."""
    records = todo.kept | {record.original: record for record, _ in new}
    lost = {*base.lost_metadata} & todo.kept.keys()
    lost |= {record.original for record, lost in new if lost and photos.keep_metadata}
    clean, files = scan.images[photos.size], tuple(records[name] for name in todo.names)
    return replace(
        base,
        digest=clean.digest(),
        data=clean.source,
        classes=clean.classes,
        shape=tuple(clean.x.shape),
        measured=measured_over([f.measured for f in files]),
        photos=photos,
        left_out=tuple(scan.listing.problems),
        files=files,
        lost_metadata=tuple(name for name in todo.names if name in lost),
        protected_classes=(),  # of these photos, all
        others=todo.others.record(photos.size) if todo.others else None,
    )


def _tidy(private: Path) -> None:
    """Delete what only an unfinished run needs; the marker last."""
    shutil.rmtree(private / WORK, ignore_errors=True)
    remove_unfinished(private)
    (private / MARKER).unlink(missing_ok=True)


def estimate(todo: Plan, scan: Scan, photos: PhotoSettings, *, device: str = "auto") -> float:
    """Estimate the seconds that ``protect_photos`` takes here for what is to be done."""
    own, method = len(todo.rows), todo.method
    writing = _writing_seconds([scan.sizes[k] for k in todo.rows], photos)
    n, classes = own, len(scan.listing.classes)
    if todo.others and not isinstance(method, Generated):
        n, classes = n + len(todo.others), classes + len(todo.others.classes)
    size = photos.size, photos.size
    return writing + noise_seconds(method, size, n, classes, own=own, device=device)


def _writing_seconds(sizes: list[tuple[int, int]], photos: PhotoSettings) -> float:
    """Estimate what reading and writing photos of these sizes takes, by their pixels, from a
    made-up photo of one megapixel."""
    total = sum(width * height for width, height in sizes)
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    try:
        each = _seconds_of_one(noise, photos)
    except (OSError, UserError):  # no room for temporary files: what follows needs none
        each = USUAL_SECONDS
    return total / 2**20 * each / THREADS / distributed.world()


def _seconds_of_one(noise: np.ndarray, photos: PhotoSettings) -> float:
    """Measure what a photo of one megapixel takes."""
    with tempfile.TemporaryDirectory() as scratch:
        photo = Path(scratch) / "photo.jpg"
        # blurred: photos are smooth, and coding takes longer for what is not
        Image.fromarray(noise).resize((1024, 1024), Image.Resampling.BICUBIC).save(photo)
        begin = time.monotonic()
        write_photo(photo, Path(scratch) / "out", "photo", torch.zeros(3, 32, 32), 0, photos)
        return time.monotonic() - begin


def _output_name(name: str, photos: PhotoSettings) -> str:
    """The name of the protected photo whose original has this one, both CLASS/NAME."""
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}.{photos.format}"))


def _write_all(
    out: Path, todo: Plan, clean: Images, noisy: Images, photos: PhotoSettings
) -> list[tuple[PhotoRecord, bool]]:
    """Write every photo of ``todo.rows`` that is not there yet, read it back and check it; return
    what is known of each, and whether its original has metadata that cannot be kept. clean, noisy:
    their small copies; ``noisy`` may hold further images behind them."""

    def one(k: int) -> tuple[PhotoRecord, bool]:
        row = todo.rows[k]
        name = todo.names[row]
        to = _output_name(name, photos)
        delta = noisy.x[k].short() - clean.x[k].short()
        done = write_photo(todo.files[row], out, to, delta, todo.method.eps, photos)
        prints, own = (todo.fingerprints[row], done.pixels), todo.digests[row]
        return PhotoRecord(name, to, *prints, done.measured, own), done.lost_metadata

    return in_processes(one, range(len(todo.rows)), "writing photos")
