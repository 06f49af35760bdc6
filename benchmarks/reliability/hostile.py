"""Damage every file that the program reads, and type every option wrongly, many times per second in
one process: each input must be read, or refused with one sentence (UserError, exit status 2) within
a time limit. A child that crashes or hangs is a failure of the case it was at.

    python benchmarks/reliability/hostile.py --cases 10000
"""

import contextlib
import copy
import io
import json
import os
import pickle
import random
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import LIMITS, NETWORK, album, must, program, scratch
from PIL import Image

from unlearnable.cli.main import main as unlearnable
from unlearnable.core.checkpoint import Checkpoint
from unlearnable.core.errors import UserError
from unlearnable.data.decoding import read
from unlearnable.data.load import load
from unlearnable.experiments.records import Records
from unlearnable.protection.methods.base import Context
from unlearnable.protection.methods.from_generator import Generated
from unlearnable.protection.methods.noise_files import read_noise
from unlearnable.protection.methods.surrogate import read_surrogate
from unlearnable.protection.originals import noise_of
from unlearnable.reports.leaderboard import leaderboard
from unlearnable.reports.photo_page import report

SECONDS = 10  # for one input; most take milliseconds
MEMORY = 6 << 30  # bytes that a child may have beyond what it starts with
BATCH = 200  # cases per child
STRANGE = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**40, 0.5, -0.0, 1e308, float("nan"),
    float("inf"), "", "a", "\x00", "\x1b[2J", "é" * 300, "../../etc/passwd", "evil:net", [], [[]],
    [1, "a"], {}, {"": {}}, "1" * 5000,
)  # fmt: skip


class TooSlow(BaseException):
    """Nothing catches it."""


# ── the inputs ──


def prepare(folder: Path) -> None:
    """One good file of every kind."""
    (folder / "tiny.py").write_text(NETWORK)
    album(folder / "photos")
    network = "--model convnet --batch 16"
    words = f"{network} --limit 40"
    for args in (
        f"protect rem {words} --train-steps 1 --steps 1 --adv-steps 1 --eot-samples 1 --out noise",
        f"learn shapes {words} --steps 1 --evals 1 --test-limit 20 --out learned",
        "protect-photos photos hidden --size 32 --train-steps 1",
        "verify photos hidden --seeds 1 --radii 0 --model convnet --steps 1 --batch 16 "
        "--out verified",
        f"audit noise --test-limit 20 {network} --steps 1 --evals 1 --adv-steps 1 --out aud/x",
    ):
        must(args.split(), folder)
    cifar = folder / "root" / "cifar-10-batches-py"
    cifar.mkdir(parents=True)
    few = load("shapes", limit=10)
    batch = {b"data": few.x.flatten(1).numpy(), b"labels": few.y.tolist()}
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"):
        (cifar / name).write_bytes(pickle.dumps(batch, protocol=2))
    names = {b"label_names": [c.encode() for c in few.classes]}
    (cifar / "batches.meta").write_bytes(pickle.dumps(names, protocol=2))
    noise = np.ones((4, 3, 8, 8), np.int8)
    np.save(folder / "noise.npy", noise)
    for protocol in (0, 2, 4, 5):
        (folder / f"noise{protocol}.pkl").write_bytes(pickle.dumps(noise, protocol))
    state = Checkpoint(folder / "run", {"seed": 0, "settings": {"eps": 8}})
    state.save(1, lambda: {"done": 1, "table": torch.zeros(4, 3)}, force=True)
    for k, kind in enumerate(("png", "jpg", "webp", "gif", "bmp", "tiff")):
        Image.effect_noise((24 + k, 20), 40).convert("RGB").save(folder / f"image.{kind}")
    cells = {"cells": [json.loads(next(folder.rglob("cell.json")).read_text())]}
    cells["cells"][0]["config"]["what"] = "learner"
    (folder / "records").mkdir()
    (folder / "records" / "one.json").write_text(json.dumps(cells))


def _learner(folder: Path) -> None:
    few = load("shapes", limit=10)
    read_surrogate(folder / "learned", few, Context(seed=1), own="convnet")


def _state(folder: Path) -> None:
    Checkpoint(folder / "run", {"seed": 0, "settings": {"eps": 8}}).load()


# kind: (the file that is damaged, what reads it)
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "cifar batch": (
        "root/cifar-10-batches-py/data_batch_3",
        lambda f: load("cifar10", root=f / "root"),
    ),
    "cifar meta": (
        "root/cifar-10-batches-py/batches.meta",
        lambda f: load("cifar10", root=f / "root"),
    ),
    "noise npy": ("noise.npy", lambda f: read_noise(f / "noise.npy")),
    **{
        f"noise pickle {p}": (f"noise{p}.pkl", lambda f, p=p: read_noise(f / f"noise{p}.pkl"))
        for p in (0, 2, 4, 5)
    },
    "images npy": ("noise/images.npy", lambda f: load(f / "noise")),
    "labels npy": ("noise/labels.npy", lambda f: load(f / "noise")),
    "card": (
        "noise/card.json",
        lambda f: (noise_of(f / "noise"), load(f / "noise", split="test", limit=20)),
    ),
    "card of photos": (
        "hidden.private/card.json",
        lambda f: report(f / "hidden", f / "verified", out=f / "x.html"),
    ),
    "verified": (
        "verified/verify.json",
        lambda f: report(f / "hidden", f / "verified", out=f / "x.html"),
    ),
    "audit": ("aud/x/audit.json", lambda f: leaderboard(f / "aud" / "x", f / "board")),
    "generator": (
        "noise/generator.safetensors",
        lambda f: Generated.of(f / "noise/generator.safetensors"),
    ),
    "surrogate's weights": ("learned/model.safetensors", _learner),
    "surrogate's result": ("learned/result.json", _learner),
    "record": ("records/one.json", lambda f: Records(f / "records")),
    "state": ("run/state/00000001-0.pt", _state),
    "state's step": ("run/state/latest", _state),
    "state's marker": ("run/state/config.json", _state),
    **{
        f"image {e}": (f"image.{e}", lambda f, e=e: read(f / f"image.{e}"))
        for e in ("png", "jpg", "webp", "gif", "bmp", "tiff")
    },
}


# ── the damage ──


def damaged(data: bytes, random_: random.Random) -> bytes:
    """``data`` with one to three random wounds."""
    for _ in range(random_.randint(1, 3)):
        a, b = sorted(random_.randrange(len(data) + 1) for _ in range(2))
        # headers decide most: every other wound is near the beginning
        a, b = (a % 200, a % 200 + (b - a) % 64) if random_.random() < 0.5 else (a, b)
        piece = random_.choice(
            (
                b"",
                bytes(b - a),
                random_.randbytes(min(b - a, 4096)),
                data[a:b] * 2,
                b"\xff" * (b - a),
            )
        )
        data = data[:a] + piece + data[b:]
        if data and random_.random() < 0.5:
            at = random_.randrange(min(len(data), random_.choice((64, len(data)))))
            data = data[:at] + bytes([data[at] ^ 1 << random_.randrange(8)]) + data[at + 1 :]
    return data


def damaged_json(data: bytes, random_: random.Random) -> bytes:
    """The JSON with one to three values replaced, removed or moved."""
    value = json.loads(data)
    for _ in range(random_.randint(1, 3)):
        value = _wound(value, random_)
    return json.dumps(value).encode()


def _wound(value: object, random_: random.Random) -> object:
    inner = (
        list(value)
        if isinstance(value, dict)
        else list(range(len(value)))
        if isinstance(value, list)
        else []
    )
    if not inner or random_.random() < 0.1:
        return copy.deepcopy(random_.choice(STRANGE))  # what is returned may be wounded again
    key = random_.choice(inner)
    if random_.random() < 0.25:
        del value[key]
    else:
        value[key] = _wound(value[key], random_)
    return value


# ── one case ──


def one(folder: Path, random_: random.Random, only: str = "") -> str | None:
    """Read one damaged file, or type one wrong command; what went wrong."""
    kinds = [k for k in (*READERS, *["options"] * 8) if only in k]
    kind = random_.choice(kinds)
    if kind == "options":
        return _typed(folder, random_)
    name, reader = READERS[kind]
    path = folder / name
    good = path.read_bytes()
    tree = path.suffix == ".json" or path.name == "latest"
    wound = damaged_json if tree and random_.random() < 0.8 else damaged
    bad = wound(good, random_)
    path.write_bytes(bad)
    try:
        return _within(lambda: reader(folder), kind)
    finally:
        path.write_bytes(good)


def _within(act: Callable[[], object], what: str) -> str | None:
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        act()
    except UserError as e:
        if not str(e).strip() or "\x1b" in str(e):
            return f"{what}: says {str(e)!r}"
    except TooSlow:
        return f"{what}: takes more than {SECONDS} s"
    except BaseException as e:
        where = traceback.extract_tb(e.__traceback__)[-1]
        return f"{what}: {type(e).__name__}: {e} ({where.filename}:{where.lineno})"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


NUMBERS = ["nan", "inf", "-inf", "-1", "0", "0.5", "7.6", "128", "1e308", "9" * 20, "-" + "9" * 20]
TEXTS = [
    "",
    " ",
    "é",
    "\u202e",
    "\x1b[31m",
    "a" * 300,
    "None",
    "True",
    "[]",
    "{}",
    "--",
    "-",
    ":",
    "a:",
]
OTHERS = "evil:net meta cuda:99 mps photos noise noise.npy /dev/null /proc/1/mem".split()
VALUES = [*NUMBERS, *TEXTS, *OTHERS, "../" * 100]
RECIPE = "--preset --lr --batch --model --momentum --adv-eps --seed --device"
# what is typed, and the options that get a wrong value
TYPED = {
    "protect uniform": "--eps --noise-type --data --out --limit --classes --size --data-seed "
    "--seed --device --precision",
    "protect lsp": "--l2 --cells --separation --out --seed --device --limit --protected-classes",
    "protect imported": "--file --eps --out --limit --data",
    "protect": "--help --preset",
    "show noise": "--out --count --gain --data-root",
    "export noise": "--noise --cifar --data-root",
    "learn noise": f"{RECIPE} --out --test --test-limit --countermeasure --clean-fraction",
    "verify photos hidden": f"{RECIPE} --seeds --radii --countermeasures --size --holdout --others",
    "audit noise": f"{RECIPE} --suite --test --test-limit",
    "protect-photos photos o": "--level --size --train-steps --gray-prob --format --generator "
    "--model --seed --device --others",
    "report audits": "--out",
    "report results": "--out",
    "report photos hidden": "--out --count --verified",
    "reproduce eot --show": "--scale --data --seeds --rows --columns --results --device",
    "ls": "",
}
SLOW = {"learn noise", "verify photos hidden", "audit noise", "protect-photos photos o"}


def _typed(folder: Path, random_: random.Random) -> str | None:
    """Type a command with wrong values; status 0 or 2, with 2 one sentence."""
    words = random_.choice(list(TYPED))
    options = TYPED[words].split()
    args = words.split()
    for _ in range(random_.randint(1, 2)):
        name = random_.choice([*options, "--nothing"]) if options else "--nothing"
        value = random_.choice(VALUES)
        args += [f"{name}={value}"] if random_.random() < 0.5 else [name, value]
    if words.split()[0] == "protect" and "--limit" not in " ".join(args):
        args += ["--limit", "20"]
    out, err = io.StringIO(), io.StringIO()
    os.chdir(folder)
    sys.argv = ["unlearnable", *args]
    before = {p.name for p in folder.iterdir()}
    status = [0]

    def run() -> None:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                unlearnable()
            except SystemExit as e:
                status[0] = e.code or 0

    LIMITS.parse_only = words in SLOW
    problem = _within(run, f"typed {args}")
    for path in folder.iterdir():
        if path.name not in before:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
    if problem:
        return problem
    said = err.getvalue()
    if (
        status[0] not in (0, 2)
        or (status[0] == 2 and said.count("unlearnable: ") < 1)
        or "\x1b" in said
    ):
        return f"typed {args}: status {status[0]}, {said[-500:]!r}"
    return None


# ── children, so that a crash costs a batch and not the campaign ──


def batch(folder: Path, first: int, count: int, only: str) -> list[str]:
    """Run the cases of the seeds ``first`` .. in a child; the failures."""
    mine = folder.parent / f"copy-{first}"
    shutil.copytree(folder, mine)
    log = folder.parent / "log.txt"
    log.write_text("")
    child = os.fork()
    if not child:
        _limits()
        with open(log, "a", buffering=1) as f, open(os.devnull, "w") as null:
            os.dup2(null.fileno(), 2)
            for seed in range(first, first + count):
                f.write(f"{seed}\n")
                try:
                    problem = one(mine, random.Random(seed), only)
                except BaseException:  # of the campaign itself; a child must never return
                    problem = f"the case itself fails: {traceback.format_exc()[-900:]}"
                if problem:
                    f.write(f"{seed} {' '.join(problem.split())}\n")
        os._exit(0)
    _, code = os.waitpid(child, 0)
    shutil.rmtree(mine, ignore_errors=True)
    lines = log.read_text(errors="replace").splitlines()
    failures = [line for line in lines if " " in line]
    if code:
        at = lines[-1].split()[0] if lines else str(first)
        failures.append(f"{at} ended the process with {os.waitstatus_to_exitcode(code)}")
        done = int(at) + 1 - first
        failures += batch(folder, first + done, count - done, only) if done < count else []
    return failures


def _limits() -> None:
    def too_slow(*_: object) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, too_slow)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


def main(count: int, seed: int, only: str = "") -> int:
    failures = []
    with scratch() as folder:
        (folder / "good").mkdir()
        prepare(folder / "good")
        for first in range(seed, seed + count, BATCH):
            found = batch(folder / "good", first, min(BATCH, seed + count - first), only)
            for line in found:
                at, _, problem = line.partition(" ")
                print(f"hostile: {problem}\n    repeat: --cases 1 --seed {at}", flush=True)
            failures += found
    return len(failures)


if __name__ == "__main__":
    program(__doc__, main, 10_000)
