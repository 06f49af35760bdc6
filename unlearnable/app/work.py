"""The jobs of the page, done by the same verbs as the commands."""

import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import torch
from PIL import Image
from torch import Tensor

from unlearnable.app.messages import (
    Answer,
    Effort,
    Found,
    Job,
    Level,
    Look,
    Measure,
    Measured,
    Picture,
    Preview,
    Protect,
    ProtectedPhotos,
    Ready,
    Tried,
    Working,
)
from unlearnable.app.words import sentence, who
from unlearnable.core.errors import UserError
from unlearnable.core.files import read_json
from unlearnable.core.text import printable
from unlearnable.data.card import CARD, MARKER, Card, PhotoSettings, private_folder
from unlearnable.data.decoding import read
from unlearnable.data.folders import Scan, scan_photos
from unlearnable.data.image_files import NO_CLASSES, class_names, entries
from unlearnable.data.sources import check_folder
from unlearnable.evaluation.results import Verified
from unlearnable.evaluation.verify import expected_seconds, verify
from unlearnable.protection.methods.noise_net import NoiseNet
from unlearnable.protection.pace import noise_seconds
from unlearnable.protection.photo_files import write_photo
from unlearnable.protection.photo_plan import Plan, check_places, plan
from unlearnable.protection.photos import BUDGETS, SIZE, estimate, method_for, protect_photos
from unlearnable.protection.protect import protect
from unlearnable.reports.photo_page import report
from unlearnable.reports.verdict import FLAGS, NOT_TRIED, describe_verdict
from unlearnable.training.recipe import Recipe

SHOWN = 12  # photos for which the unfinished noise is made, the same number of every class
WINDOW = 960, 720  # pixels of a photo that are shown, at most
PHOTOS = PhotoSettings(SIZE, "png", keep_metadata=False)
Send = Callable[[Answer], None]


@dataclass
class Memory:
    """What was read of a folder, and the unfinished noise that was made for some of its photos, so
    that neither is computed twice. seen: what tells that the folder has changed."""

    folder: Path = Path()
    seen: object = None
    scan: Scan | None = None
    noise: dict[Level, tuple[list[int], Tensor]] = field(default_factory=dict)

    def scanned(self, folder: Path) -> Scan:
        """The photos of ``folder``; read again where a file has come, gone or changed."""
        now = _state(folder)
        if self.scan is None or (self.folder, self.seen) != (folder, now):
            self.scan = scan_photos(folder, (SIZE,), skip_bad=True)
            self.folder, self.seen, self.noise = folder, now, {}
        return self.scan


def _state(folder: Path) -> object:
    """Name, size and time of every file."""
    files = (p for place in (folder, *entries(folder)) if place.is_dir() for p in entries(place))
    stats = ((p, p.lstat()) for p in files)
    return tuple((str(p), s.st_size, s.st_mtime_ns) for p, s in stats)


def do(job: Job, memory: Memory, send: Send) -> None:
    """Do a job and send what comes of it. Raises UserError."""
    match job:
        case Look():
            look(job, memory, send)
        case Preview():
            send(preview(job, memory))
        case Protect():
            send(protect_folder(job, memory))
        case Measure():
            send(measure(job))


# ── before ──


def look(job: Look, memory: Memory, send: Send) -> None:
    """Send what the folder holds, then what is to be done with it and how long that takes."""
    check_folder(job.folder)
    if class_names(job.folder) == NO_CLASSES:
        raise UserError(
            f"The photos in {printable(job.folder)} are not sorted, and for unsorted photos "
            "the protection did nothing where it was measured; put the photos of each person, "
            "product, or whatever else a model would tell apart into a sub-folder of its own."
        )
    scan = memory.scanned(job.folder)
    names, count = scan.listing.classes, Counter(scan.listing.labels)
    inside = f"{printable(job.folder)}/"
    send(
        Found(
            job.folder,
            tuple((printable(name), count[c]) for c, name in enumerate(names)),
            tuple(problem.replace(inside, "") for problem in scan.listing.problems),
        )
    )
    send(Working("Trying how fast this computer is"))
    send(_ready(job, scan))


def _ready(job: Look, scan: Scan) -> Ready:
    private = private_folder(job.out)
    unfinished, level = (private / MARKER).exists(), _level_there(job.out)
    here = Ready(job.out, 0, 0, unfinished, level, 0.0, 0.0, 0.0)
    try:
        check_places(job.folder, job.out)
        method, _ = method_for(
            job.folder, level=level or job.level, train_steps=job.effort.train_steps
        )
        todo = plan(job.folder, job.out, method, scan, PHOTOS)
    except UserError as e:
        return replace(here, problem=str(e))
    here = replace(
        here,
        new=len(todo.rows),
        kept=len(todo.kept),
        measure_seconds=_measure_seconds(scan, job.effort),
    )
    if todo.before and todo.done and not unfinished:
        return replace(here, done=_done(job.out, todo.before), measured=_measured_before(job.out))
    return replace(here, seconds=_seconds(todo, scan), preview_seconds=_preview_seconds(job, scan))


def _level_there(out: Path) -> Level | None:
    """The level of the run, finished or not, that ``out`` holds."""
    for name in (CARD, MARKER):  # a folder that grows is as its card says
        try:
            eps = read_json(private_folder(out) / name)["settings"]["eps"]
            return next(level for level, most in BUDGETS.items() if most == eps)
        except (UserError, KeyError, TypeError, StopIteration):
            pass
    return None


def _seconds(todo: Plan, scan: Scan) -> float:
    return estimate(todo, scan, PHOTOS) if todo.rows else 0.0


def _preview_seconds(job: Look, scan: Scan) -> float:
    method, _ = method_for(job.folder, train_steps=job.effort.preview_steps)
    n, classes = len(_few(scan.listing.labels)), len(scan.listing.classes)
    if not isinstance(method, NoiseNet):
        return 0.0
    return noise_seconds(method, (SIZE, SIZE), n, classes)


def _measure_seconds(scan: Scan, effort: Effort) -> float:
    return expected_seconds(
        len(scan.listing.files),
        len(scan.listing.classes),
        noise_size=SIZE,
        recipe=_recipe(effort),
        seeds=effort.seeds,
    )


def preview(job: Preview, memory: Memory) -> Picture:
    """One photo with the noise that ``protect-photos --train-steps 150`` would give it if the
    folder held only a few photos of every class: unfinished, and nearly as strong as it will be."""
    scan = memory.scanned(job.folder)
    method, _ = method_for(job.folder, level=job.level, train_steps=job.effort.preview_steps)
    if job.level not in memory.noise:
        rows = _few(scan.listing.labels)
        part = scan.images[SIZE].subset(torch.tensor(rows))
        done = protect(part, method)
        memory.noise[job.level] = rows, done.images.x.short() - part.x.short()
    rows, noise = memory.noise[job.level]
    k = job.photo % len(rows)
    path = scan.listing.files[rows[k]][0]
    with TemporaryDirectory() as scratch:
        write_photo(path, Path(scratch) / "out", "photo.png", noise[k], method.eps, PHOTOS)
        after = read(Path(scratch) / "out" / "photo.png")
    before = read(path)
    box = _middle(before.size)
    name = printable(path.relative_to(job.folder).as_posix())
    size = box[2] - box[0], box[3] - box[1]
    pngs = _png(before.crop(box), before), _png(after.crop(box), after)
    return Picture(name, job.level, *pngs, *size, more=len(rows) > 1)


def _few(labels: list[int]) -> list[int]:
    """The numbers of up to ``SHOWN`` photos, the first of every class, then the second, ..."""
    seen: Counter[int] = Counter()
    rank = []
    for k, label in enumerate(labels):
        rank.append((seen[label], label, k))
        seen[label] += 1
    return [k for _, _, k in sorted(rank)[:SHOWN]]


def _middle(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box of the middle of a photo."""
    width, height = (min(side, most) for side, most in zip(size, WINDOW))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def _png(part: Image.Image, whole: Image.Image) -> bytes:
    file = io.BytesIO()
    part.convert("RGB").save(file, format="PNG", icc_profile=whole.info.get("icc_profile"))
    return file.getvalue()


# ── protect and measure ──


@contextmanager
def _typed(*words: object) -> Iterator[None]:
    """Inside, cards and results record the command that does the same."""
    before = sys.argv
    sys.argv = ["unlearnable", *map(str, words)]
    try:
        yield
    finally:
        sys.argv = before


def protect_folder(job: Protect, memory: Memory) -> ProtectedPhotos:
    steps = job.effort.train_steps
    words = ["protect-photos", job.folder, job.out, "--level", job.level]
    words += ["--train-steps", steps] if steps else []
    words += ["--skip-bad"] if job.leave_out else []
    method, _ = method_for(job.folder, level=job.level, train_steps=steps)
    scan = memory.scanned(job.folder)
    if scan.listing.problems and not job.leave_out:
        raise UserError(
            "Some files cannot be protected; repair them, or agree that they are left out.",
            scan.listing.problems,
        )
    with _typed(*words):
        card = protect_photos(
            job.folder, job.out, method, size=SIZE, skip_bad=job.leave_out, scan=scan
        )
    return _done(job.out, card)


def _done(out: Path, card: Card) -> ProtectedPhotos:
    """Say what was protected; the page is written where there is none yet, or an older one."""
    private = private_folder(out)
    page, measured_in = private / "report.html", _verified_folder(out)
    newest = max(
        p.stat().st_mtime for p in (private / CARD, measured_in / "verify.json") if p.exists()
    )
    if not page.exists() or page.stat().st_mtime < newest:
        report(out, measured_in if _measured_before(out) else None, out=page)
    return ProtectedPhotos(out, private, card.shape[0], len(card.left_out), page)


def _verified_folder(out: Path) -> Path:
    """Where the results of ``verify`` lie: with what must not be published."""
    return private_folder(out) / "verified"


def measure(job: Measure) -> Measured:
    verified = _verified_folder(job.out)
    with _typed("verify", job.folder, job.out, "--out", verified):
        done = verify(
            job.folder, job.out, _recipe(job.effort), out=verified, seeds=job.effort.seeds
        )
    report(job.out, verified, out=private_folder(job.out) / "report.html")
    return measured(done)


def _recipe(effort: Effort) -> Recipe:
    steps = effort.measure_steps
    return Recipe.preset("photos", **({"steps": steps} if steps else {}))


def _measured_before(out: Path) -> Measured | None:
    """What an earlier run measured on these very photos, if any."""
    try:
        verified = Verified.read(_verified_folder(out) / "verify.json")
        return measured(verified) if verified.is_of(Card.read(out)) else None
    except UserError:
        return None


def measured(verified: Verified) -> Measured:
    """The verdict of ``verify`` for the page, its learners as persons."""
    rows = [replace(row, learner=who(row.learner)) for row in verified.rows]
    words = describe_verdict(replace(verified, rows=rows))
    untried = [
        f"{NOT_TRIED}: {item}." for p in words.parts if p.title == NOT_TRIED for item in p.items
    ]
    tried = (Tried(r.named, r.verdict, fmean(r.clean), fmean(r.protected)) for r in rows)
    care = (sentence(FLAGS[flag]) for flag in verified.flags if flag in FLAGS)
    notes = *words.notes, *untried
    return Measured(words.headline, words.good, tuple(tried), verified.chance, tuple(care), notes)
