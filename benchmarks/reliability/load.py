"""Load: 10,000 photos in 1,000 classes, many near-duplicates, photos 20,000 pixels wide and high,
very long names and paths, a CIFAR set of 1,000 classes, 1,000 audits. Every command must end as
expected, within its processor time and memory, and take at most 2.6 times as long for twice as
much: nothing may be quadratic.

    python benchmarks/reliability/load.py
    python benchmarks/reliability/load.py --only large
"""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from common import Ended, album, command, program, scratch
from PIL import Image

from unlearnable.data.decoding import BYTES_PER_PIXEL

FILES = 10_000
GROWTH = 2.6  # the most that the processor time of twice as much may be, times that of the half
SURE = 3.0  # seconds of the half, from which on that is judged: shorter ones are noise
FIXED = 1.0  # GiB that commands hold whatever they work on
HANG = 600  # seconds
LEARN = "--model convnet --batch 16 --steps 1 --evals 1"
VERIFY = f"verify photos out --seeds 1 --radii 0 {LEARN} --out verified"


class Failed(Exception):
    """What went wrong, in one line."""


def must(work: Path, args: str, seconds: float, memory: float = FIXED, status: int = 0) -> Ended:
    """Run a command in ``work``. It must end with ``status`` (with 2 in one sentence), within so
    many seconds of processor time and GiB of memory."""
    ended = command(args.split(), work, limit=HANG)
    held = ended.memory / 2**30
    short = " ".join(word if len(word) < 60 else f"{word[:30]}..." for word in args.split())
    print(
        f"    {short}: {ended.seconds:.1f} s, of the processor {ended.processor:.1f} s, "
        f"{held:.1f} GiB",
        flush=True,
    )
    wanted = (0, 3, 4) if args.startswith("verify") else (status,)  # 3 and 4: its verdicts
    problem = None
    if ended.status not in wanted or "Traceback" in ended.err:
        problem = f"status {ended.status}, {ended.err[-800:]}"
    elif ended.status == 2 and ended.err.count("unlearnable: ") != 1:
        problem = f"not one sentence: {ended.err[-800:]}"
    elif ended.processor > seconds:
        problem = f"takes {ended.processor:.0f} s of the processor, more than {seconds:.0f}"
    elif held > memory:
        problem = f"holds {held:.1f} GiB, more than {memory:.1f}"
    if problem:
        raise Failed(f"{short}: {problem}")
    return ended


def doubled(
    work: Path, fill: Callable[[Path, int], None], n: int, commands: dict[str, float]
) -> None:
    """Run commands, each with the most seconds that it may take, on n / 2 and on n; compare."""
    took: dict[str, list[float]] = {args: [] for args in commands}
    for size in (n // 2, n):
        inner = work / str(size) / "work"
        inner.mkdir(parents=True)
        fill(inner, size)
        for args, seconds in commands.items():
            took[args].append(must(inner, args, seconds, memory=FIXED + n / FILES).processor)
        shutil.rmtree(inner.parent)
    for args, (half, whole) in took.items():
        print(f"    {args}: {whole / half:.1f} times as long for twice as much")
        if half > SURE and whole / half > GROWTH:
            raise Failed(f"{args}: {whole / half:.1f} times as long for twice as much")


def photos(work: Path, n: int, *, classes: int, scenes: int | None = None) -> None:
    """n small photos in so many classes (0: in none), of so many scenes (None: of n)."""
    random_ = np.random.default_rng(0)
    drawn = random_.integers(0, 256, (scenes or n, 5, 6, 3), dtype=np.uint8)
    for k in range(n):
        folder = work / "photos" / (f"class {k % classes}" if classes else "")
        folder.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(drawn[k % len(drawn)]).resize((48, 40), Image.Resampling.BICUBIC)
        image.save(folder / f"{k}.jpg", quality=int(random_.integers(70, 95)))


# ── the cases ──


def classes(work: Path, n: int) -> None:
    """Every verb on photos in many classes."""
    doubled(
        work,
        lambda inner, size: photos(inner, size, classes=size // 10),
        n,
        {
            "protect-photos photos out --dry-run": 60,
            "protect-photos photos out --size 8 --train-steps 1": 200,
            VERIFY: 120,
            "report photos out --verified verified --out page.html": 20,
            "show out --count 20": 60,
            "export out --noise noise.npy": 60,
        },
    )


def duplicates(work: Path, n: int) -> None:
    """Photos of few scenes."""
    fill = partial(photos, classes=10, scenes=max(20, n // 50))
    doubled(work, fill, n, {"protect-photos photos o --dry-run": 60})


def flat(work: Path, n: int) -> None:
    """Photos in no classes."""
    doubled(work, partial(photos, classes=0), n, {"protect-photos photos o --dry-run": 60})


def large(work: Path, n: int) -> None:
    """A photo 20,000 pixels wide, and one as high; fewer where n is smaller."""
    long = max(2000, 20_000 * min(n, FILES) // FILES)
    album(work / "photos", each=2)
    drawn = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    for name, size in (("wide", (long, long // 10)), ("high", (long // 10, long))):
        image = Image.fromarray(drawn).resize(size, Image.Resampling.BICUBIC)
        image.save(work / "photos" / "cat" / f"{name}.jpg")
    memory = FIXED + 2 * long * (long // 10) * BYTES_PER_PIXEL / 2**30  # both at once
    must(work, "protect-photos photos out --dry-run", 60, memory)
    webp = "protect-photos photos out --format webp --train-steps 1"
    if long > 16383:
        must(work, webp, 60, memory, status=2)
    must(work, "protect-photos photos out --train-steps 1", 120, memory)
    must(work, VERIFY, 60, memory)
    must(work, "report photos out --out page.html --count 4", 60, memory)
    must(work, "show out", 60, memory)


def names(work: Path, n: int) -> None:
    """The longest names that file systems take, and a path of nearly 4,096 bytes."""
    album(work / "photos")
    long = work / "photos" / ("c" * 255)
    (work / "photos" / "cat").rename(long)
    for k, path in enumerate(sorted(long.iterdir())):
        path.rename(long / f"{k}{'n' * 249}.jpg")  # .webp would fit too
    must(work, "protect-photos photos out --train-steps 1", 30)
    must(work, VERIFY, 30)
    must(work, "report photos out --verified verified --out page.html", 30)
    must(work, "show out", 30)
    for length, status in ((3400, 0), (3900, 2)):  # classes and names come to it
        room = length - len(os.fsencode(work))
        deep = Path(*["d" * 200] * (room // 201), "e" * (room % 201 or 1))
        (work / deep).mkdir(parents=True)
        shutil.copytree(work / "photos" / "dog", work / deep / "in" / "dog")
        shutil.copytree(work / "photos" / "dog", work / deep / "in" / ("k" * 100))
        to = deep / "out" / ("o" * (1 if status == 0 else 150))
        must(work, f"protect-photos {deep / 'in'} {to} --train-steps 1", 30, status=status)


def cifar(work: Path, n: int) -> None:
    """A set in the layout of CIFAR-10, with many classes."""
    folder, many = work / "root" / "cifar-10-batches-py", max(10, n // 10)
    folder.mkdir(parents=True)
    random_ = np.random.default_rng(0)
    for k, name in enumerate((*(f"data_batch_{k}" for k in range(1, 6)), "test_batch")):
        data = random_.integers(0, 256, (n // 5, 3072), dtype=np.uint8)
        labels = [(k + i) % many for i in range(n // 5)]
        (folder / name).write_bytes(pickle.dumps({b"data": data, b"labels": labels}, protocol=2))
    meta = {b"label_names": [b"class %d" % k for k in range(many)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))
    data = "--data cifar10 --data-root root"
    must(work, f"protect lsp {data} --out lsp", 30, FIXED + 1)
    words = "--model convnet --batch 16 --train-steps 1 --steps 1"
    words += f" --noise-type classwise --limit {max(20, n // 5)}"
    must(work, f"protect em {words} {data} --out em", 60, FIXED + 1)
    must(work, "show lsp --count 1000 --data-root root", 60, FIXED + 1)
    must(work, "export lsp --noise noise.npy --cifar out --data-root root", 60, FIXED + 1)
    must(work, f"learn lsp {LEARN} --data-root root --out learned", 120, FIXED + 1)


def audits(work: Path, n: int) -> None:
    """A folder of many audits, n / 10."""
    words = f"{LEARN} --adv-steps 1 --test-limit 20"
    must(work, "protect lsp --limit 40 --out lsp", 30)
    must(work, f"audit lsp {words} --out one", 120)
    audit = json.loads((work / "one" / "audit.json").read_text())

    def fill(inner: Path, size: int) -> None:
        for k in range(size):
            folder = inner / "audits" / str(k)
            folder.mkdir(parents=True)
            copy = audit | {"seed": k}
            (folder / "audit.json").write_text(json.dumps(copy))

    doubled(work, fill, max(2, n // 10), {"report audits audits --out board": 60})


def lists(work: Path, n: int) -> None:
    """What needs no files."""
    must(work, "ls", 10)
    must(work, "protect uniform --limit 99999999999 --out out", 10, status=2)


CASES: dict[str, Callable[[Path, int], None]] = {
    "classes": classes,
    "duplicates": duplicates,
    "flat": flat,
    "large": large,
    "names": names,
    "cifar": cifar,
    "audits": audits,
    "lists": lists,
}


def main(count: int, seed: int, only: str = "", *, files: int = FILES) -> int:
    """Case number k is that of the seed ``seed + k``; there are as many as CASES. files: instead of
    10,000, for a quick look."""
    kinds = [kind for kind in CASES if only in kind]
    failed = 0
    for k in range(seed, seed + count):
        kind = kinds[k % len(kinds)]
        print(f"load: {kind}", flush=True)
        with scratch() as folder:
            work = folder / "work"
            work.mkdir()
            try:
                CASES[kind](work, files)
            except Failed as e:
                failed += 1
                print(f"load: {kind}: {e}\n    repeat: --cases 1 --seed {k}", flush=True)
    return failed


if __name__ == "__main__":
    # the commands use both cores themselves, and their times are to mean something
    program(__doc__, main, len(CASES), workers=1)
