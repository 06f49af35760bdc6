"""The command line: one function a verb, options generated from the dataclasses' fields and docstrings."""

import dataclasses
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import tyro
from tyro.conf import OmitArgPrefixes, Positional, arg

from . import dist, state
from .audit import SUITES, audit
from .audit import estimate as estimate_audit
from .audit import plan as audit_plan
from .audit import table as audit_table
from .counter import COUNTERS, counter, dilute
from .data import DESCRIPTIONS, Images, load
from .errors import UserError
from .leaderboard import leaderboard
from .learn import Precision, Recipe, learn
from .methods import METHODS, SEM, find
from .methods.generated import Generated
from .methods.imported import write_noise
from .methods.min_min import MinMin
from .models import MODELS, describe
from .photos import WORK, check_files, check_places, estimate, protect_photos
from .pictures import Format, Listing, listing
from .progress import in_words
from .protect import clean_of, export_cifar, noise_of, protect, sheet
from .report import report
from .strong_augment import STRONG
from .verify import near_duplicates, verify
from .verify import table as verify_table

T = TypeVar("T")

USAGE = """usage: unlearnable VERB ...

  protect METHOD   make a set of pictures unlearnable       unlearnable protect rem --data shapes --preset short
  protect PHOTOS OUT   a folder of your own pictures, at their own sizes    unlearnable protect photos/ protected/
  verify PHOTOS OUT    the proof: learners on the clean and on the protected pictures
  report FOLDER        the same as one HTML page; of a folder of audits, a leaderboard
  learn DATA       train a learner, test it on clean pictures   unlearnable learn protected/rem --preset short
  audit FOLDER     what the best countermeasure leaves of a protection     unlearnable audit protected/rem
  show FOLDER      a sheet of originals, protected pictures and noise, as PNG
  export FOLDER    the noise (.npy, or the pickle of Fu et al.) or the official CIFAR layout
  ls [WHAT]        methods, models, data, counters, suites, presets

All sizes of noise are in /255. unlearnable VERB --help shows a verb's options; --preset NAME (of `ls presets`) sets a
method's or a learner's defaults. On several processes: torchrun --nproc-per-node 2 -m unlearnable VERB ...
"""


@dataclass(frozen=True)
class Source:
    """Which pictures."""

    data: str = "shapes"
    """a name of `unlearnable ls data`, a folder with one sub-folder of pictures a class, or a protected folder"""
    limit: int | None = None
    """at most this many pictures, the same number of every class"""
    classes: tuple[str, ...] | None = None
    """only these classes"""
    size: int | None = None
    """resize the pictures of a folder to size x size pixels"""
    data_seed: int = 0
    """chooses the pictures under --limit; generates `shapes`"""
    root: str | None = None
    """where the named sets lie (default: $UNLEARNABLE_DATA, else ./data)"""

    def load(self) -> Images:
        return load(
            self.data,
            limit=self.limit,
            classes=self.classes,
            seed=self.data_seed,
            size=self.size,
            root=self.root,
        )


@dataclass(frozen=True)
class Machine:
    """How it runs."""

    seed: int = 0
    """draws weights, batches, noise"""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""
    precision: Precision = "auto"
    """bf16 or fp32 networks; auto: bf16 where it is fast"""


def _options(verb: str, text: str, options: type[T], args: list[str], default: T | None = None) -> T:
    kind = OmitArgPrefixes[options]  # --eps, not --method.eps
    return tyro.cli(
        kind, args=args, prog=f"unlearnable {verb}", description=text, **({"default": default} if default else {})
    )


def _take(args: list[str], option: str, fallback: str) -> tuple[str, list[str]]:
    """The value of one option, taken out of the arguments: a preset has to be known before the other defaults are."""
    for k, a in enumerate(args):
        if a == option and k + 1 < len(args):
            return args[k + 1], args[:k] + args[k + 2 :]
        if a.startswith(option + "="):
            return a.split("=", 1)[1], args[:k] + args[k + 1 :]
    return fallback, args


# ── protect ──


def _about(kind: type) -> str:
    """A class's docstring in one line."""
    return " ".join((kind.__doc__ or "").split())


def _protect(args: list[str]) -> None:
    if not args or args[0] in ("-h", "--help"):
        print(
            "usage: unlearnable protect METHOD [options]      unlearnable protect METHOD --help\n\n"
            "METHOD is one of these, or your own as my_module:Class (docs/adding-a-method.md):"
        )
        return _list("methods")
    if len(args) > 1 and not args[1].startswith("-") and args[0] not in METHODS:
        return _protect_photos(args)
    name, args = args[0], args[1:]
    preset, args = _take(args, "--preset", "paper")
    method = find(name).preset(preset)

    out = Annotated[Path, arg(help="folder for the pictures, the card and the generator; the same command resumes")]
    fields = [("out", out), ("source", Source), ("machine", Machine), ("method", type(method))]
    options = dataclasses.make_dataclass("Protect", fields, frozen=True)
    text = f"{_about(type(method))} Presets: {', '.join(method.presets)} (--preset; now {preset})."
    default = options(Path("protected") / name.rpartition(":")[2], Source(), Machine(), method)
    o = _options(f"protect {name}", text, options, args, default)
    device = dist.pick_device(o.machine.device)
    with dist.processes(device):
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
    """your pictures, in one sub-folder a class; never written to"""
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
        "Protect a folder of your own pictures, at their own sizes, with SEM noise against adversarial training 2/255."
    )
    o = _options("protect PHOTOS OUT", text, _Photos, args)
    check_places(o.folder, o.out)
    if o.generator:
        method = Generated.of(o.generator)
        size = method.size
        if o.steps or o.level or o.size:
            raise UserError(
                "A generator keeps the level and size that it was made with; leave --level, --size, --steps."
            )
    else:
        size = o.size or 32
        method = SEM.preset("short", eps=LEVELS[o.level or "normal"], **({"train_steps": o.steps} if o.steps else {}))
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
        f"Prove it: unlearnable verify {o.folder} {o.out}\n"
        f"Publish the pictures. Keep {o.out / 'generator.safetensors'}, card.json and the originals to yourself."
    )


def _about_time(found: Listing, o: _Photos, method: MinMin | Generated, size: int) -> str:
    seconds = estimate(found, method, size=size, kind=o.format, device=o.machine.device)
    return f"On this machine that takes about {in_words(seconds)}."


def _dry_run(o: _Photos, method: MinMin | Generated, size: int) -> None:
    found = listing(o.folder, check=True)
    _say(found.problems)
    counts = [sum(label == c for _, label in found.files) for c in range(len(found.classes))]
    for name, n in zip(found.classes, counts):
        print(f"{name}: {n} pictures" + (" (few: under 50, a learner may learn nothing anyway)" if n < 50 else ""))
    if len(found.classes) == 1:
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
    size: int | None = None
    """the side at which the learner sees the pictures (default: 1.5 times that at which the noise was made)"""
    holdout: float = 0.25
    """share of clean pictures of every class that is used for testing only"""
    machine: Machine = field(default_factory=Machine)
    recipe: Recipe = field(default_factory=Recipe)


def _verify(args: list[str]) -> None:
    preset, args = _take(args, "--preset", "photos")
    text = "Learners on your clean and on your protected pictures, tested on clean ones that were held out."
    default = _Verify(tyro.MISSING, tyro.MISSING, recipe=Recipe.preset(preset))
    o = _options(
        "verify", f"{text} Presets: {', '.join(Recipe.presets)} (--preset; now {preset}).", _Verify, args, default
    )
    done = verify(
        o.photos,
        o.protected,
        o.recipe,
        out=o.out or Path("verified") / o.protected.resolve().name,
        radii=o.radii,
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
    """a folder of protected photographs, or one with audits in it"""
    verified: Path | None = None
    """the folder that `unlearnable verify` wrote (default: verified/<name of the protected folder>, if it is there)"""
    out: Path | None = None
    """the page (default: <name of the folder>.html); for audits a folder (default: the one with the audits)"""
    count: int = 3
    """pictures shown, one a class"""


def _report(args: list[str]) -> None:
    text = (
        "Of protected photographs: one self-contained HTML page, what the protection gains, costs, and does not do. Of "
        "audits: tables of worst-case learnability as Markdown, CSV and HTML."
    )
    o = _options("report", text, _Report, args)
    if not (o.folder / "card.json").exists() and any(o.folder.rglob("audit.json")):
        return print(*leaderboard(o.folder, o.out or o.folder), sep="\n")
    name = o.folder.resolve().name
    proof = o.verified
    if proof is None and (default := Path("verified") / name).joinpath("verify.json").exists():
        proof = default
    print(report(o.folder, proof, out=o.out or Path(f"{name}.html"), count=o.count))


# ── learn ──


@dataclass(frozen=True)
class _Learn:
    out: Path | None = None
    """folder for log.jsonl, result.json and the model (default: runs/<hash of the settings>)"""
    test: str | None = None
    """clean test pictures: a name or a folder (default: the test split of the training pictures' source)"""
    test_limit: int | None = None
    """at most this many test pictures, the same number of every class"""
    counter: str | None = None
    """a countermeasure of `unlearnable ls counters`, or my_module:function, done to the training pictures first"""
    counter_test: bool = False
    """do it to the test pictures too"""
    clean_share: float = 0.0
    """this share of every class comes clean: from a protected folder's originals"""
    source: Source = field(default_factory=Source)
    machine: Machine = field(default_factory=Machine)
    recipe: Recipe = field(default_factory=Recipe)


def _learn(args: list[str]) -> None:
    preset, args = _take(args, "--preset", "paper")
    if args and not args[0].startswith("-"):
        args = ["--data", *args]
    text = (
        f"Train a learner and test it on clean pictures. Presets: {', '.join(Recipe.presets)} (--preset; now {preset})."
    )
    o = _options("learn DATA", text, _Learn, args, _Learn(recipe=Recipe.preset(preset)))
    data = o.source.load()
    asked = dataclasses.replace(o.source, limit=o.test_limit)
    test = load(
        o.test or asked.data,
        split="train" if o.test and Path(o.test).is_dir() else "test",
        limit=o.test_limit,
        classes=asked.classes,
        seed=asked.data_seed,
        size=asked.size or (data.size if o.test and Path(o.test).is_dir() else None),
        root=asked.root,
    )
    if o.clean_share:
        data = dilute(data, clean_of(Path(o.source.data), o.source.root), o.clean_share, o.machine.seed)
    if o.counter:
        data = counter(o.counter, data)
        test = counter(o.counter, test) if o.counter_test else test
    elif o.counter_test:
        raise UserError("--counter-test needs a countermeasure; give --counter NAME too.")
    settings = {
        "recipe": dataclasses.asdict(o.recipe),
        "data": data.digest(),
        "test": test.digest(),
        "seed": o.machine.seed,
    }
    out = o.out or Path("runs") / state.key(settings)
    device = dist.pick_device(o.machine.device)
    with dist.processes(device):
        done = learn(
            data, o.recipe, test=test, out=out, seed=o.machine.seed, device=str(device), precision=o.machine.precision
        )
        if dist.rank() == 0:
            r = done.result
            print(
                f"Accuracy on {len(test)} clean test pictures: {r['accuracy']:.1f} % (peak {r['peak']:.1f} %, chance "
                f"{100 / len(data.classes):.1f} %), {r['seconds']:.0f} s. Log and model: {out}"
            )


# ── audit ──


@dataclass(frozen=True)
class _Audit:
    folder: Positional[Path]
    """a protected folder"""
    suite: str = "quick"
    """quick, standard or full"""
    out: Path | None = None
    """folder for every learner's log and result and for audit.json (default: audits/<name of the folder>)"""
    test: str | None = None
    """a folder of clean test pictures (default: the test split of the originals' source)"""
    test_limit: int | None = None
    """at most this many test pictures, the same number of every class"""
    root: str | None = None
    """where the named sets lie"""
    machine: Machine = field(default_factory=Machine)
    recipe: Recipe = field(default_factory=Recipe)


def _audit(args: list[str]) -> None:
    preset, args = _take(args, "--preset", "short")
    text = (
        "What the best countermeasure leaves of a protection: every learner of the suite on the protected and on the "
        f"clean pictures. Presets: {', '.join(Recipe.presets)} (--preset; now {preset})."
    )
    o = _options("audit", text, _Audit, args, _Audit(tyro.MISSING, recipe=Recipe.preset(preset)))
    learners, device = audit_plan(o.suite), {"device": o.machine.device}
    clean_of(o.folder, o.root)  # says so when this is no protected folder
    test = load(
        o.test or o.folder,
        split="train" if o.test else "test",
        limit=o.test_limit,
        root=o.root,
        size=load(o.folder).size if o.test else None,
    )
    names = ", ".join(learner.name for learner in learners)
    print(
        f"{2 * len(learners)} trainings of {o.recipe.steps} steps, each once on clean and once on protected: {names}.\n"
        f"On this machine that takes about {in_words(estimate_audit(learners, load(o.folder), o.recipe, **device))}.",
        flush=True,
    )
    done = audit(
        o.folder,
        o.suite,
        o.recipe,
        out=o.out or Path("audits") / o.folder.resolve().name,
        test=test,
        root=o.root,
        seed=o.machine.seed,
        device=o.machine.device,
        precision=o.machine.precision,
    )
    print(audit_table(done))
    print("Audits in one table: unlearnable report audits")


# ── show, export, ls ──


@dataclass(frozen=True)
class _Show:
    folder: Positional[Path]
    """a protected folder"""
    out: Path | None = None
    """the PNG (default: FOLDER/sheet.png)"""
    count: int = 10
    """how many pictures"""
    gain: int = 8
    """the noise is shown times this, around gray"""
    root: str | None = None
    """where the named sets lie"""


def _show(args: list[str]) -> None:
    o = _options("show", "A sheet of originals, protected pictures and magnified noise.", _Show, args)
    clean = clean_of(o.folder, o.root)
    out = o.out or o.folder / "sheet.png"
    sheet(clean, load(o.folder), out, count=o.count, gain=o.gain)
    print(out)


@dataclass(frozen=True)
class _Export:
    folder: Positional[Path]
    """a protected folder"""
    noise: Path | None = None
    """write the noise, int8 N x 3 x H x W in /255: .npy, or by any other suffix the pickle of Fu et al.'s program"""
    cifar: Path | None = None
    """write DIR/cifar-10-batches-py with protected training and clean test pictures"""
    root: str | None = None
    """where the named sets lie"""


def _export(args: list[str]) -> None:
    o = _options("export", "Take the noise, or the official CIFAR layout, out of a protected folder.", _Export, args)
    if not o.noise and not o.cifar:
        raise UserError("Nothing to export; give --noise FILE or --cifar DIR.")
    if o.noise:
        write_noise(noise_of(o.folder, o.root), o.noise)
        print(o.noise)
    if o.cifar:
        clean_of(o.folder, o.root)  # says so when this is no protected folder
        print(export_cifar(load(o.folder), load(o.folder, split="test", root=o.root), o.cifar))


def _list(what: str = "") -> None:
    tables = {
        "methods": {n: _about(m).split(". ")[0] for n, m in METHODS.items()},
        "models": {n: describe(n) for n in MODELS},
        "data": DESCRIPTIONS,
        "counters": {n: c.about for n, c in COUNTERS.items()},
        "strong": {n: c.about for n, c in STRONG.items()},
        "suites": {n: ", ".join(learner.name for learner in suite) for n, suite in SUITES.items()},
        "presets": {n: ", ".join(m.presets) for n, m in [*METHODS.items(), ("learn", Recipe)]},
    }
    if what and what not in tables:
        raise UserError(f"There is no list of '{what}'; the lists are {', '.join(tables)}.")
    for title, table in tables.items():
        if what in ("", title):
            print(title if not what else "", *(f"  {n:<13} {text}" for n, text in table.items()), sep="\n")


VERBS = {
    "protect": _protect,
    "verify": _verify,
    "report": _report,
    "learn": _learn,
    "audit": _audit,
    "show": _show,
    "export": _export,
    "ls": lambda args: _list(*args[:1]),
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
    except UserError as e:
        for detail in e.details:
            print(f"unlearnable: {detail}", file=sys.stderr)
        _stop(2, " ".join(str(e).split()))
    except KeyboardInterrupt:
        _stop(1, "interrupted; the same command goes on from the last saved state.")


def _stop(status: int, sentence: str) -> None:
    if int(os.environ.get("RANK", 0)) == 0:  # the others say the same
        print(f"unlearnable: {sentence}", file=sys.stderr)
    sys.exit(status)
