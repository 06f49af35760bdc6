"""The command line: one function a verb, options generated from the dataclasses' fields and docstrings. Here are the
verbs of noise and of one's own pictures; the others have rooms in verbs/."""

import dataclasses
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional, arg

from unlearnable.core import distributed
from unlearnable.core.device import pick_device
from unlearnable.core.errors import UserError
from unlearnable.core.progress import format_duration
from unlearnable.data.image_files import NO_CLASSES, Format, Listing, listing
from unlearnable.data.load import load
from unlearnable.data.subsets import near_duplicates
from unlearnable.evaluation.verify import verify, verify_table
from unlearnable.protection.methods import METHODS, find_method
from unlearnable.protection.methods.clusters import UnlearnableClusters
from unlearnable.protection.methods.from_generator import Generated
from unlearnable.protection.methods.min_min import SEM, MinMin
from unlearnable.protection.photos import WORK, check_files, check_places, estimate, protect_photos
from unlearnable.protection.protect import protect
from unlearnable.report import report
from unlearnable.training.recipe import Recipe
from unlearnable.verbs.learning import audit_verb, learn_verb
from unlearnable.verbs.looking import export_verb, ls_verb, show_verb
from unlearnable.verbs.options import Machine, Source, about, options, take
from unlearnable.verbs.tables import report_tables, reproduce_verb

USAGE = """usage: unlearnable VERB ...

  protect METHOD   make a set of pictures unlearnable       unlearnable protect rem --data shapes --preset short
  protect PHOTOS OUT   a folder of your own pictures, at their own sizes    unlearnable protect photos/ protected/
                       (without classes, that is without sub-folders, too)
  verify PHOTOS OUT    the proof: learners on the clean and on the protected pictures
  report FOLDER        the same as one HTML page; of audits, a leaderboard; of results, tables and plots
  learn DATA       train a learner, test it on clean pictures   unlearnable learn protected/rem --preset short
  audit FOLDER     what the best countermeasure leaves of a protection     unlearnable audit protected/rem
  reproduce TABLE  the paper's tables, measured here beside its figures; without a TABLE: which there are
  show FOLDER      a sheet of originals, protected pictures and noise, as PNG
  export FOLDER    the noise (.npy, or the pickle of Fu et al.) or the official CIFAR layout
  ls [WHAT]        methods, models, data, counters, suites, presets

All sizes of noise are in /255. unlearnable VERB --help shows a verb's options; --preset NAME (of `ls presets`) sets a
method's or a learner's defaults. On several processes: torchrun --nproc-per-node 2 -m unlearnable VERB ...
"""


# ── protect ──


def _protect(args: list[str]) -> None:
    if not args or args[0] in ("-h", "--help"):
        print(
            "usage: unlearnable protect METHOD [options]      unlearnable protect METHOD --help\n\n"
            "METHOD is one of these, or your own as my_module:Class (docs/adding-a-method.md):"
        )
        return ls_verb("methods")
    if len(args) > 1 and not args[1].startswith("-") and args[0] not in METHODS:
        return _protect_photos(args)
    name, args = args[0], args[1:]
    preset, args = take(args, "--preset", "paper")
    method = find_method(name).preset(preset)

    out = Annotated[Path, arg(help="folder for the pictures, the card and the generator; the same command resumes")]
    fields = [("out", out), ("source", Source), ("machine", Machine), ("method", type(method))]
    options = dataclasses.make_dataclass("Protect", fields, frozen=True)
    text = f"{about(type(method))} Presets: {', '.join(method.presets)} (--preset; now {preset})."
    default = options(Path("protected") / name.rpartition(":")[2], Source(), Machine(), method)
    o = options(f"protect {name}", text, options, args, default)
    device = pick_device(o.machine.device)
    with distributed.processes(device):
        done = protect(
            o.source.load(), o.method, o.out, seed=o.machine.seed, device=str(device), precision=o.machine.precision
        )
    if done:
        m = done.card["measured"]
        print(
            f"{len(done.images)} pictures in {o.out}: noise at most {m['linf']}/255, PSNR {m['psnr']} dB, "
            f"SSIM {m['ssim']}, made in {done.card['seconds']:.0f} s.\n"
            f"See it: unlearnable show {o.out}    Prove it: unlearnable learn {o.out}"
        )


LEVELS = {"light": 4, "normal": 8, "strong": 16}


@dataclass(frozen=True)
class _Photos:
    folder: Positional[Path]
    """your pictures, in one sub-folder a class, or all in it directly if you have no classes; never written to"""
    out: Positional[Path]
    """gets the same sub-folders and names"""
    level: Literal["light", "normal", "strong"] | None = None
    """how far a pixel may change: 4, 8 or 16 of 255. As measured (docs/results.md): light is hardly visible and does
    not protect, normal protects and tints smooth areas, strong protects more and shows (default: normal)"""
    size: int | None = None
    """the side at which the noise is made, in pixels: more is slower, and protected less (default: 32). The pictures
    keep their own sizes"""
    steps: int | None = None
    """training steps of the noise's own network (default: 800)"""
    gray: float | None = None
    """share of gray views for which the noise is made, 0 to 1 (default: 0), against models that train on grayscale
    copies. It costs protection in colour: read docs/results.md and verify"""
    format: Format = "png"
    """both are lossless"""
    keep_metadata: bool = False
    """keep EXIF data (place, camera, time); it is dropped otherwise. The colour profile is always kept"""
    skip_bad: bool = False
    """protect the rest when some files cannot be read"""
    generator: Path | None = None
    """generator.safetensors of an earlier run: protect further pictures of the same classes without training"""
    dry_run: bool = False
    """say what would be done, and stop"""
    machine: Machine = field(default_factory=Machine)


def _protect_photos(args: list[str]) -> None:
    text = (
        "Protect a folder of your own pictures, at their own sizes: with SEM noise against adversarial training 2/255, "
        "or, where it has no sub-folders and so no classes, with Unlearnable Clusters."
    )
    o = options("protect PHOTOS OUT", text, _Photos, args)
    check_places(o.folder, o.out)
    method, size = _photo_method(o)
    if o.dry_run:
        return _dry_run(o, method, size)
    if not (o.out / WORK).exists() and not (o.out / "card.json").exists():  # a run that goes on says what is left
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
        f"{card['shape'][0]} pictures in {o.out}: noise at most {m['linf']}/255, PSNR {m['psnr']:.1f} dB (lowest "
        f"{m['lowest_psnr']:.1f}), SSIM {m['ssim']:.3f}.\n"
        + (f"Prove it: unlearnable verify {o.folder} {o.out}\n" if card["classes"] != [*NO_CLASSES] else "")
        + f"Publish the pictures. Keep {o.out / 'generator.safetensors'}, card.json and the originals to yourself."
    )


PhotoMethod = MinMin | Generated | UnlearnableClusters


def _photo_method(o: _Photos) -> tuple[PhotoMethod, int]:
    """What protects this folder, and the size at which its noise is made."""
    if o.generator:
        if o.steps or o.level or o.size or o.gray is not None:
            raise UserError(
                "A generator keeps the settings that it was made with; leave --level, --size, --steps, --gray."
            )
        method = Generated.of(o.generator)
        return method, method.size
    size, eps = o.size or 32, LEVELS[o.level or "normal"]
    if o.folder.is_dir() and listing(o.folder).classes == NO_CLASSES:
        print(
            f"{o.folder} has no sub-folders, so its pictures have no classes: Unlearnable Clusters is used, not SEM. "
            "It protected nothing where it was measured (docs/results.md); if you can, sort the pictures into classes."
        )
        if o.gray is not None:
            raise UserError("Unlearnable Clusters have no gray views; leave --gray.")
        steps = {"train_steps": o.steps, "steps": o.steps} if o.steps else {}
        return UnlearnableClusters.preset("short", eps=eps, **steps), size
    return SEM.preset("short", eps=eps, gray=o.gray or 0.0, **({"train_steps": o.steps} if o.steps else {})), size


def _about_time(found: Listing, o: _Photos, method: PhotoMethod, size: int) -> str:
    seconds = estimate(found, method, size=size, kind=o.format, device=o.machine.device)
    return f"On this machine that takes about {format_duration(seconds)}."


def _dry_run(o: _Photos, method: PhotoMethod, size: int) -> None:
    found = listing(o.folder, check=True)
    _say(found.problems)
    counts = [sum(label == c for _, label in found.files) for c in range(len(found.classes))]
    for name, n in zip(found.classes, counts) if found.classes != NO_CLASSES else ():
        print(f"{name}: {n} pictures" + (" (few: under 50, a learner may learn nothing anyway)" if n < 50 else ""))
    if len(found.classes) == 1 and found.classes != NO_CLASSES:
        print("There is one class only: nothing tells classes apart, so there is nothing to protect against.")
    images = load(o.folder, size=size, skip_bad=True)
    groups = near_duplicates(images.x)
    print(
        f"{len(found.files)} pictures would be protected into {o.out} at their own sizes, the noise made at {size} px; "
        f"{len(groups) - len(groups.unique())} of them are near-duplicates of others."
    )
    if n := len(found.problems):
        print(f"{n} file{'s' * (n > 1)} cannot be; nothing is protected before that is repaired, but with --skip-bad.")
    print(_about_time(found, o, method, size))


def _say(problems: list[str]) -> None:
    for problem in problems:
        print(f"unlearnable: left out: {problem}", file=sys.stderr)


# ── verify ──


@dataclass(frozen=True)
class _Verify:
    photos: Positional[Path]
    """the originals"""
    protected: Positional[Path]
    """what `unlearnable protect PHOTOS OUT` made of them"""
    out: Path | None = None
    """folder for the results (default: verified/<name of the protected folder>)"""
    seeds: int = 3
    """how often everything is repeated, with other pictures held out"""
    radii: tuple[float, ...] = (0.0, 2.0)
    """0 is ordinary training, others adversarial training of that radius in /255"""
    counters: tuple[str, ...] = ("gray",)
    """ordinary training again, on pictures after each of these (`unlearnable ls counters`, or my_module:function)"""
    size: int | None = None
    """the side at which the learner sees the pictures (default: 1.5 times that at which the noise was made)"""
    holdout: float = 0.25
    """share of clean pictures of every class that is used for testing only"""
    machine: Machine = field(default_factory=Machine)
    recipe: Recipe = field(default_factory=Recipe)


def _verify(args: list[str]) -> None:
    preset, args = take(args, "--preset", "photos")
    text = "Learners on your clean and on your protected pictures, tested on clean ones that were held out."
    default = _Verify(tyro.MISSING, tyro.MISSING, recipe=Recipe.preset(preset))
    o = options(
        "verify", f"{text} Presets: {', '.join(Recipe.presets)} (--preset; now {preset}).", _Verify, args, default
    )
    done = verify(
        o.photos,
        o.protected,
        o.recipe,
        out=o.out or Path("verified") / o.protected.resolve().name,
        radii=o.radii,
        counters=o.counters,
        seeds=o.seeds,
        size=o.size,
        holdout=o.holdout,
        device=o.machine.device,
        precision=o.machine.precision,
    )
    print(verify_table(done))
    print(f"As a page: unlearnable report {o.protected}")


# ── report ──


@dataclass(frozen=True)
class _Report:
    folder: Positional[Path]
    """a folder of protected photographs, one with audits in it, or one with results of `unlearnable reproduce`"""
    verified: Path | None = None
    """the folder that `unlearnable verify` wrote (default: verified/<name of the protected folder>, if it is there)"""
    out: Path | None = None
    """the page (default: <name of the folder>.html); for audits and results a folder (default: their own)"""
    count: int = 3
    """photographs shown, one a class"""
    root: str | None = None
    """where the named sets lie, to show pictures and noise of results"""


def _report(args: list[str]) -> None:
    text = (
        "Of protected photographs: one self-contained HTML page, what the protection gains, costs, and does not do. Of "
        "audits: tables of worst-case learnability; of results: the tables and plots; as Markdown, CSV and HTML."
    )
    o = options("report", text, _Report, args)
    if not (o.folder / "card.json").exists() and report_tables(o.folder, o.out, o.root):
        return
    name = o.folder.resolve().name
    proof = o.verified
    if proof is None and (default := Path("verified") / name).joinpath("verify.json").exists():
        proof = default
    print(report(o.folder, proof, out=o.out or Path(f"{name}.html"), count=o.count))


VERBS = {
    "protect": _protect,
    "verify": _verify,
    "report": _report,
    "learn": learn_verb,
    "audit": audit_verb,
    "reproduce": reproduce_verb,
    "show": show_verb,
    "export": export_verb,
    "ls": lambda args: ls_verb(*args[:1]),
}


def main() -> None:
    """Exit status: 0 done, 1 interrupted, 2 the user's mistake (one sentence on standard error)."""
    sys.path.insert(0, os.getcwd())  # for --model my_module:factory
    args = sys.argv[1:]
    if not args or args[0] in ("-h", "--help"):
        print(USAGE)
        return
    try:
        if args[0] not in VERBS:
            raise UserError(f"There is no verb '{args[0]}'; the verbs are {', '.join(VERBS)}.")
        VERBS[args[0]](args[1:])
        sys.stdout.flush()
        _leave(0)
    except UserError as e:
        for detail in e.details:
            print(f"unlearnable: {detail}", file=sys.stderr)
        _stop(2, " ".join(str(e).split()))
    except KeyboardInterrupt:
        _stop(1, "interrupted; the same command goes on from the last saved state.")
    except BrokenPipeError:  # whoever reads (head, less) has seen enough; the rest goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _stop(status: int, sentence: str) -> None:
    if int(os.environ.get("RANK", 0)) == 0:  # the others say the same
        print(f"unlearnable: {sentence}", file=sys.stderr)
    _leave(status)
    sys.exit(status)


def _leave(status: int) -> None:
    """One process of several ends here, its work done, without the interpreter's clean-up: there a thread that the
    process group left running aborts the process now and then ("terminate called without an active exception")."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
