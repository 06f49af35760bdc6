"""What protecting a folder of very many photos costs, from a few of them: time, disk, memory, and
how it is shared out."""

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from unlearnable.core.errors import UserError
from unlearnable.core.files import existing
from unlearnable.core.memory import memory_of_machine
from unlearnable.core.progress import format_duration
from unlearnable.data.card import PhotoSettings
from unlearnable.data.decoding import pixels, read
from unlearnable.data.image_files import count_files, listing
from unlearnable.data.threads import THREADS
from unlearnable.protection.methods.base import Method
from unlearnable.protection.pace import noise_seconds
from unlearnable.protection.photo_files import write_photo

MANY = 20_000  # photos, from which --dry-run looks at a sample instead of at every one
SAMPLE = 24
# Memory per photo: copies at the noise's size, and bytes of its record; together 37 kB at 32 px,
# measured between 1,000 and 7,000 photos.
COPIES, RECORD = 10, 6_000
STATE = 4  # bytes on the disk until all is done, per value of the small copy


@dataclass(frozen=True)
class PhotoCosts:
    """reading, writing: seconds per photo of one process. training: seconds of the noise in one
    process. bytes: of a protected photo. bad: of ``sample`` photos, those that cannot be read.
    memory: bytes per process. free, there: bytes of disk and of memory that this machine has."""

    photos: int
    classes: int
    sample: int
    bad: int
    reading: float
    writing: float
    training: float
    bytes: float
    state: int
    memory: int
    free: int
    there: int

    @property
    def seconds(self) -> float:
        """Of one process."""
        return self.photos * (self.reading + self.writing) + self.training

    @property
    def parts(self) -> int:
        """The folders into which the photos must be divided for this machine's memory."""
        return -(-self.memory // self.there)


def costs_of_many(
    folder: Path, out: Path, method: Method, photos: PhotoSettings, *, device: str = "auto"
) -> PhotoCosts:
    """Estimate what ``folder`` costs from ``SAMPLE`` photos that are spread over it. Raises
    UserError where none of them can be read."""
    found = listing(folder, 1)
    n, classes, side = len(found.files), len(found.classes), photos.size
    some = [found.files[k * n // SAMPLE][0] for k in range(SAMPLE)] if n > SAMPLE else []
    some = some or [path for path, _ in found.files]
    # the first also pays for what is loaded once
    tried = [_try(path, method.eps, photos) for path in some]
    if not (good := [each for each in tried if each]):
        raise UserError(f"None of {len(some)} files of {folder} can be read; the first: {some[0]}.")
    reading, writing, size = (sum(values) / len(values) for values in zip(*(good[1:] or good)))
    training = noise_seconds(method, (side, side), n, classes, device=device)
    return PhotoCosts(
        photos=n,
        classes=classes,
        sample=len(some),
        bad=len(tried) - len(good),
        reading=reading / THREADS,
        writing=writing / THREADS,
        training=training,
        bytes=size,
        state=n * STATE * 3 * side**2,
        memory=memory_for(n, side),
        free=shutil.disk_usage(existing(out)).free,
        there=memory_of_machine(),
    )


def _try(path: Path, eps: float, photos: PhotoSettings) -> tuple[float, float, int] | None:
    """Read one photo, and write it with noise elsewhere: the seconds of both, and its bytes."""
    side = photos.size
    g = torch.Generator().manual_seed(0)
    noise = torch.randint(-int(eps), int(eps) + 1, (3, side, side), generator=g)
    with tempfile.TemporaryDirectory() as scratch:
        out, begin = Path(scratch) / "out", time.monotonic()
        try:
            pixels(read(path), side)
            between = time.monotonic()
            write_photo(path, out, "photo", noise, eps, photos)
        except UserError:
            return None
        return between - begin, time.monotonic() - between, (out / "photo").stat().st_size


def memory_for(photos: int, side: int) -> int:
    """Return the bytes that each process needs for so many photos: their small copies, several
    times, and what it knows of each."""
    return photos * (COPIES * 3 * side**2 + RECORD)


def require_memory(folder: Path, side: int) -> None:
    """Raise UserError for more photos than this machine's memory holds, before any is read."""
    if (n := count_files(folder)) < MANY:
        return
    need, there = memory_for(n, side), memory_of_machine()
    if need > there:
        most = there // memory_for(1, side)
        raise UserError(
            f"{folder} holds {n:,} photos, which at {side} px need about {need / 1e9:.0f} GB of "
            f"memory, and this machine has {there / 1e9:.0f} GB; divide it into folders of at most "
            f"{most:,} with photos of every class, protect one, and the others with its generator "
            "(--generator OUT)."
        )


def describe_costs(costs: PhotoCosts, out: Path) -> list[str]:
    """Return the plan as lines for a person."""
    n, each = costs.photos, costs.reading + costs.writing
    bad = f"; {costs.bad} of them cannot be read" if costs.bad else ""
    full = "" if n * costs.bytes + costs.state < costs.free else ": too little"
    lines = [
        f"{n:,} photos in {costs.classes} classes, planned from {costs.sample} that are spread "
        f"over the folder{bad}. A run reads all first, and names those that cannot be used.",
        f"Time: {each:.2g} s per photo ({costs.reading:.2g} to read, {costs.writing:.2g} to write "
        f"and check) and {format_duration(costs.training)} for the noise, "
        f"{format_duration(costs.seconds)} with one process here. N processes take about an Nth "
        "of it (derived, not measured).",
        f"Disk: {costs.bytes / 1e6:.1f} MB per photo, {n * costs.bytes / 1e9:,.1f} GB in {out}, "
        f"and about {costs.state / 1e9:.1f} GB beside it until all is done; "
        f"{costs.free / 1e9:,.1f} GB are free{full}.",
        f"Memory: about {costs.memory / 1e9:.1f} GB per process; this machine has "
        f"{costs.there / 1e9:.1f} GB.",
    ]
    if costs.parts > 1:
        lines.append(
            f"Divide the folder into {costs.parts} or more of equal size with photos of every "
            "class, protect one, and the others with its generator (--generator OUT)."
        )
    return [
        *lines,
        "Shards: under torchrun each process reads and writes every N-th photo (--nproc-per-node N "
        "-m unlearnable protect-photos ..., docs/many-machines.md).",
        "Resume: the same command. Photos that are written are checked and not written again, the "
        "noise resumes from its last saved state, and all photos are read again "
        f"({format_duration(n * costs.reading)} with one process).",
    ]
