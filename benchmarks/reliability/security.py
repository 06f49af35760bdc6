"""Files made to do harm: pickles that call functions or forge types, generators, surrogates, cards
and verifications that name modules, modules beside the images that shadow installed ones, names
that lead elsewhere or speak to terminals and browsers, links. Nothing foreign may run, be imported
or written to, and every case must end with a result or one sentence.

    python benchmarks/reliability/security.py --cases 300
"""

import json
import pickle
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from common import NETWORK, album, campaign, command, must, program, scratch
from safetensors import safe_open
from safetensors.torch import save_file

from unlearnable.protection import photos

TINY = "--model convnet --batch 16 --limit 20 --train-steps 1 --steps 1".split()
# what a pickle may try to call; each would leave a file if it ran
CALLS = [
    ("os", "mknod"), ("posix", "mknod"), ("builtins", "open"), ("__builtin__", "open"),
    ("io", "open"),
    ("pathlib", "Path.touch"), ("numpy", "save"), ("numpy", "fromfile"), ("numpy", "memmap"),
    ("numpy._core.multiarray", "fromfile"), ("numpy.core.multiarray", "_reconstruct.__globals__"),
    ("numpy", "dtype.__class__"), ("_codecs", "decode"), ("evil", "run"), ("torch", "load"),
]  # fmt: skip
SHADOWS = "sympy lazy_loader tyro torch numpy safetensors PIL kornia jinja2 mpmath networkx".split()
# where a link may be planted that leads what `protect-photos` writes elsewhere
LINKS = (
    "out/cat", "out/cat/0.png", "out.private", "out.private/card.json", "out.private/run.json",
    "out.private/work", "out.private/work/noise", "out.private/work/photos",
    "out.private/work/photos/cat",
)  # fmt: skip
NAMES = ("<script>alert(1)</script>", "\x1b]0;owned\x07", "a\nb", "\u202egpj", "..'\"&", "%s{0}")


def pickles(work: Path, random_: random.Random) -> str | None:
    """A pickle that calls something, or an array with a forged type."""
    ran = work / "ran"
    arguments = pickle.dumps((str(ran), "w"), 2)[2:-1]
    module, name = random_.choice(CALLS)
    line = module.encode() + b"\n" + name.encode() + b"\n"
    short = (
        b"\x8c"
        + bytes([len(module)])
        + module.encode()
        + b"\x8c"
        + bytes([len(name)])
        + name.encode()
    )
    plain = pickle.dumps(str(ran), 0)[:-1]
    forged = b"cnumpy\ndtype\n(X\x02\x00\x00\x00V8I0\nI1\ntR" + random_.choice((
        b"(I3\nX\x01\x00\x00\x00|NX\x01\x00\x00\x00a}X\x01\x00\x00\x00a(NI9999999\ntsI8\nI1\nI0\ntb",
        b"(I4\nX\x01\x00\x00\x00|(NI8\ntNNI-1\nI-1\nI63\nNtb",
    ))  # fmt: skip
    array = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntC\x01btR(I1\n(I99\nt"
    body = random_.choice((
        b"c" + line + arguments + b"R.",
        short + b"\x93" + arguments + b"R.",
        b"(" + plain + b"i" + line + b".",
        b"(c" + line + plain + b"o.",
        b"c" + line + arguments + b"\x81.",
        b"c" + line + arguments + b"}\x92.",
        b"c" + line + arguments + b"b.",
        plain + b"Q.", b"Pevil\n.", b"\x82\x01.",
        array + forged + b"I0\nC\x08AAAAAAAAtb.",
        array + b"cnumpy\ndtype\n(X\x01\x00\x00\x00OI0\nI1\ntRI0\n(lNatb.",
        b"Nr" + struct.pack("<I", random_.getrandbits(32)) + b".",
        b"})" + b"\x85" * random_.randrange(200_000) + b"Ns.",
        b"]" * random_.randrange(200_000) + b".",
    ))  # fmt: skip
    (work / "noise.pkl").write_bytes(b"\x80\x04" + body)
    args = "protect imported --file noise.pkl --limit 20 --out out".split()
    return _ended(command(args, work), work, refused=True)


def names_of_modules(work: Path, random_: random.Random) -> str | None:
    """Files that name a module, which lies in the current folder."""
    name = random_.choice(("evil:net", "evil:run", "evil", "os:system", ":", "evil:net:net"))
    kind = random_.choice(("generator", "surrogate", "card", "verified"))
    refused = True
    if kind == "generator":
        file = work / "hidden.private" / "generator.safetensors"
        with safe_open(file, "pt") as f:
            about = json.loads(f.metadata()["unlearnable"])
            tensors = {key: f.get_tensor(key) for key in f.keys()}  # noqa: SIM118
        about[random_.choice(("model", "method"))] = name
        about["settings"]["model"] = name
        save_file(tensors, file, metadata={"unlearnable": json.dumps(about)})
        args = f"protect-photos photos out --generator {file}"
    elif kind == "surrogate":
        _change(work / "learned" / "result.json", ("config", "recipe", "model"), name)
        args = "protect tap --surrogate learned --steps 1 --limit 20 --out out"
    elif kind == "card":
        _change(work / "noise" / "card.json", ("settings", "model"), name)
        args, refused = "show noise --out x.png", False
    else:
        _change(work / "verified" / "verify.json", ("recipe", "model"), name)
        args, refused = "report photos hidden --verified verified --out x.html", False
    return _ended(command(args.split(), work), work, refused=refused)


def shadows(work: Path, random_: random.Random) -> str | None:
    """A module beside the images that has the name of an installed one, in a process of its own."""
    name = random_.choice(SHADOWS)
    (work / f"{name}.py").write_text("open('ran', 'w')\nraise SystemExit(7)\n")
    args = random_.choice((["--version"], ["protect", "em", *TINY, "--out", "out"]))
    done = subprocess.run(
        [sys.executable, "-m", "unlearnable", *args], cwd=work, capture_output=True, text=True
    )
    if done.returncode or (work / "ran").exists():
        return f"{name}.py beside the images: status {done.returncode}, {done.stderr[-500:]}"
    return None


def names(work: Path, random_: random.Random) -> str | None:
    """Class folders and files with names for terminals and browsers."""
    name = random_.choice(NAMES)
    try:
        (work / "photos" / "cat").rename(work / "photos" / name.replace("/", "-"))
    except OSError:
        return None  # this file system refuses it too
    words = "protect-photos photos out --size 32 --train-steps 1"
    for args in (words + " --dry-run", words, "report photos out --out x.html"):
        ended = command(args.split(), work)
        if problem := _ended(ended, work, refused=None):
            return f"class {name!r}: {problem}"
        if "\x1b" in ended.out + ended.err:
            return f"class {name!r}: an escape sequence reaches the terminal from {args}"
    page = work / "x.html"
    if page.exists() and "<script>alert" in page.read_text(encoding="utf-8"):
        return f"class {name!r}: runs in the page"
    return None


def plant(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.symlink_to(target)


def while_it_runs(link: Path, target: Path) -> None:
    """Plant the link when the noise is made, and before the photos are written."""
    real = photos.protect

    def protect(*args, **kwargs):
        done = real(*args, **kwargs)
        plant(link, target)
        return done

    photos.protect = protect


def elsewhere(work: Path, random_: random.Random) -> str | None:
    """A card whose classes and source lead out of the folder; links in the output folder."""
    target = work.parent / "target"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    if random_.random() < 0.5:
        way = random_.choice(("../../target", str(target), "..", "/etc"))
        _change(work / "hidden.private" / "card.json", ("classes",), [way, "dog"])
        args = random_.choice(
            (
                "verify photos hidden --seeds 1 --steps 1 --out v",
                "report photos hidden --out x.html",
            )
        )
        problem = _ended(command(args.split(), work), work, refused=None)
    else:
        args = "protect-photos photos out --size 32 --train-steps 1"
        link = work / random_.choice(LINKS)
        if random_.random() < 0.5:
            plant(link, target)
            ended = command(args.split(), work)
        else:
            ended = command(args.split(), work, before=lambda: while_it_runs(link, target))
        problem = _ended(ended, work, refused=None)
    if written := list(target.iterdir()):
        return f"{args}: wrote {written} through a link"
    return problem


KINDS: dict[str, Callable[[Path, random.Random], str | None]] = {
    "pickles": pickles,
    "modules": names_of_modules,
    "names": names,
    "elsewhere": elsewhere,
    "shadows": shadows,
}
WEIGHTS = {"pickles": 20, "modules": 6, "names": 2, "elsewhere": 3, "shadows": 1}


def _change(path: Path, keys: tuple[str, ...], value: object) -> None:
    whole = inner = json.loads(path.read_text())
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(whole))


def _ended(ended, work: Path, *, refused: bool | None) -> str | None:
    """What is wrong with how a command ended. refused: it must be (None: it may be)."""
    wrong = {True: ended.status != 2, False: not ended.done}
    wrong[None] = all(wrong.values())
    if (work / "ran").exists():
        return f"foreign code ran: {ended.err[-500:]}"
    if wrong[refused] or "Traceback" in ended.err:
        return f"status {ended.status}, {ended.err[-800:]}"
    return None


def prepare(folder: Path, kinds: list[str]) -> None:
    folder.mkdir()
    if kinds == ["pickles"]:  # which need no other files
        return
    album(folder / "photos")
    (folder / "evil.py").write_text("open('ran', 'w')\n" + NETWORK + "run = net\n")
    for args in (
        ["protect", "em", *TINY, "--out", "noise"],
        "learn shapes --model convnet --limit 20 --batch 16 --steps 1 --out learned".split(),
        "protect-photos photos hidden --size 32 --train-steps 1".split(),
        "verify photos hidden --seeds 1 --radii 0 --steps 1 --batch 16 --out verified".split(),
    ):
        must(args, folder)


def main(count: int, seed: int, only: str = "") -> int:
    kinds = [kind for kind in KINDS if only in kind]
    with scratch() as folder:
        prepare(folder / "inputs", kinds)

        def case(random_: random.Random) -> str | None:
            kind = random_.choices(kinds, [WEIGHTS[kind] for kind in kinds])[0]
            work = folder / "case" / "work"
            shutil.rmtree(work.parent, ignore_errors=True)
            shutil.copytree(folder / "inputs", work)
            problem = KINDS[kind](work, random_)
            return problem and f"{kind}: {problem}"

        return campaign("security", case, count, seed)


if __name__ == "__main__":
    program(__doc__, main, 300)
