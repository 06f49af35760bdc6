"""What the campaigns share: commands in forked children of one warm process, folders compared, and
a seed that repeats each case."""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # every optimizer loads it, in seconds
from PIL import Image

from unlearnable.cli import main as cli
from unlearnable.cli.interrupts import interruptible
from unlearnable.cli.main import VERBS, main
from unlearnable.core import checkpoint
from unlearnable.data import shapes
from unlearnable.evaluation import audit, verify  # noqa: F401  warm
from unlearnable.protection import photos  # noqa: F401  warm
from unlearnable.reports import contact_sheet, leaderboard, photo_page  # noqa: F401  warm

SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
KIBIBYTE = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss
WORKERS = min(2, os.cpu_count() or 1)
VOLATILE = {"seconds", "command", "commit"}  # of JSON: what two equal runs differ in
NETWORK = """from torch import nn
def net(classes):
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended. status: minus the signal that killed it. processor: its seconds of
    processor time. memory: the most that it held, in bytes, with what it shares with its parent."""

    status: int
    out: str
    err: str
    seconds: float
    processor: float
    memory: int

    @property
    def done(self) -> bool:
        """Whether the command came to its end; 3 and 4 are verdicts of ``verify``."""
        return self.status in (0, 3, 4)


class Limits:
    """What ``warm`` lets commands do. parse_only: read the command line and do no work."""

    parse_only = False


LIMITS = Limits()


def warm() -> None:
    """Load what commands load, and draw every chunk of ``shapes`` once."""
    torch.set_num_threads(1)  # a fork copies one thread only
    # A child makes torch's pool anew at its first use; threads that do so at once end in an
    # "INTERNAL ASSERT FAILED", which no process has that was not forked.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
    os.environ["UNLEARNABLE_DATA"] = os.devnull
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])  # for processes that are no forks
    for entry in VERBS.values():
        entry.load()
    real, drawn = shapes.generate, {}

    def generate(n: int, seed: int, *, classes=shapes.CLASSES, size: int = 32):
        key = (-(-n // shapes.CHUNK) * shapes.CHUNK, seed, classes, size)
        if key not in drawn:
            drawn[key] = real(key[0], seed, classes=classes, size=size)
        return tuple(a[:n].copy() for a in drawn[key])

    shapes.generate = generate
    parse = cli.parse

    def parsed(args: list[str]):
        called = parse(args)
        return None if LIMITS.parse_only else called

    cli.parse = parsed
    for n, seed in ((1, 0), (1, 1), (1000, 1)):  # training images, test images, all of these
        generate(n, seed)


def command(
    args: list[str],
    cwd: Path,
    *,
    kill: tuple[signal.Signals, float] | None = None,
    before: Callable[[], None] = lambda: None,
    limit: float = 120,
) -> Ended:
    """Run ``unlearnable args`` in a child; ``kill`` sends a signal after so many seconds. before:
    called in the child. A command that takes more than ``limit`` seconds counts as hanging."""
    begin = time.monotonic()
    outputs = [cwd.parent / name for name in ("out.txt", "err.txt")]
    for output in outputs:  # a child may be killed before it opens them
        output.write_bytes(b"")
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until the child's handlers are there
    child = os.fork()
    if not child:
        _child(args, cwd, before)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    status = None
    while status is None:
        time.sleep(0.002)
        done, code, used = os.wait4(child, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(code)
        elif kill and time.monotonic() - begin > kill[1]:
            os.kill(child, kill[0])
            kill = None
        elif time.monotonic() - begin > limit:
            os.kill(child, signal.SIGKILL)
            _, _, used = os.wait4(child, 0)
            status = -99
    processor, memory = used.ru_utime + used.ru_stime, used.ru_maxrss * KIBIBYTE
    said = [output.read_text(errors="replace") for output in outputs]
    return Ended(status, *said, time.monotonic() - begin, processor, memory)


def _child(args: list[str], cwd: Path, before: Callable[[], None]) -> None:
    for number, name in ((1, "out.txt"), (2, "err.txt")):
        os.dup2(os.open(cwd.parent / name, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), number)
    status = 1
    try:
        os.chdir(cwd)
        sys.argv = ["unlearnable", *args]
        checkpoint.SAVE_EVERY = 0.0
        with interruptible():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            before()
            main()
        status = 0
    except SystemExit as e:
        status = e.code if isinstance(e.code, int) else int(e.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def content(folder: Path) -> dict[str, str]:
    """Every file under ``folder``, but for what differs between equal runs, as path and hash."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() or p.is_symlink()):
        data = path.read_bytes()
        if path.suffix == ".json":
            data = json.dumps(_stable(json.loads(data))).encode()
        found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found | {str(p.relative_to(folder)): "" for p in folder.rglob("*") if p.is_dir()}


def _stable(value: object) -> object:
    if isinstance(value, dict):
        return {k: _stable(v) for k, v in value.items() if k not in VOLATILE}
    return [_stable(v) for v in value] if isinstance(value, list) else value


def differences(a: dict[str, str], b: dict[str, str]) -> str:
    return ", ".join(sorted(k for k in {*a, *b} if a.get(k) != b.get(k)))


def album(folder: Path, each: int = 5) -> None:
    """Small photos of two classes."""
    random_ = np.random.default_rng(0)
    for name, level in (("cat", 60), ("dog", 150)):
        (folder / name).mkdir(parents=True)
        for k in range(each):
            x = random_.integers(level, level + 60, (5, 6, 3), dtype=np.uint8)
            image = Image.fromarray(x).resize((48, 40), Image.Resampling.BICUBIC)
            image.save(folder / name / f"{k}.jpg")


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="reliability-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def must(args: list[str], cwd: Path) -> Ended:
    """Run a command that prepares inputs, or end the campaign."""
    ended = command(args, cwd)
    if not ended.done:
        raise SystemExit(f"a command fails by itself: {args}: {ended.err}")
    return ended


def campaign(name: str, case: Callable[[random.Random], str | None], cases: int, seed: int) -> int:
    """Run ``cases`` cases, number k with the seed ``seed + k``. ``case`` returns what went wrong.
    Prints failures and the seeds that repeat them; returns the number of failures."""
    failed = 0
    for k in range(seed, seed + cases):
        if problem := case(random.Random(k)):
            failed += 1
            print(f"{name}: {problem}\n    repeat: --cases 1 --seed {k}", flush=True)
    return failed


Main = Callable[[int, int, str], int]
"""(cases, first seed, only cases of this kind) -> failures"""


@dataclass(frozen=True)
class Figures:
    """What is said of a program that ran to its end."""

    name: str
    cases: int
    failures: int
    seed: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.cases} cases, {self.failures} failures, seeds {self.seed} to "
            f"{self.seed + self.cases - 1}, {self.seconds:.0f} s"
        )


def measured(
    name: str, main: Main, cases: int, seed: int, only: str = "", workers: int = 1
) -> Figures:
    """Run a program, its seeds divided over ``workers`` processes, and print its figures."""
    begin, workers = time.monotonic(), max(1, min(workers, cases))
    if workers == 1:
        failures = main(cases, seed, only)
    else:
        edges = [cases * k // workers for k in range(workers + 1)]
        counts = [b - a for a, b in zip(edges, edges[1:])]
        with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
            firsts = [seed + a for a in edges[:-1]]
            failures = sum(pool.map(main, counts, firsts, [only] * workers))
    figures = Figures(name, cases, failures, seed, time.monotonic() - begin)
    print(figures, flush=True)
    return figures


def program(about: str, main: Main, cases: int, *, workers: int = WORKERS) -> None:
    """What each program does when it is run by itself."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=cases)
    parser.add_argument("--seed", type=int, default=0, help="of the first case; each next adds 1")
    parser.add_argument("--only", default="", help="cases of this kind only")
    parser.add_argument("--workers", type=int, default=workers, help="processes")
    options = parser.parse_args()
    warm()
    name = Path(sys.argv[0]).stem
    done = measured(name, main, options.cases, options.seed, options.only, options.workers)
    sys.exit(done.failures > 0)
