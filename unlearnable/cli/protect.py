"""``protect``: one sub-command per method, or a person's own as my_module:Class."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearnable.cli.help import doc, doc_with_presets
from unlearnable.cli.options import (
    Command,
    Machine,
    Selection,
    Verb,
    Watching,
    named,
    preset_in,
    value_of,
)
from unlearnable.cli.output import Done
from unlearnable.core.errors import UserError
from unlearnable.core.plugins import own_code
from unlearnable.core.text import printable
from unlearnable.data.card import CARD, find_private
from unlearnable.data.sources import DATA, check_source
from unlearnable.models import check_model
from unlearnable.protection.methods import METHODS, find_method
from unlearnable.protection.methods.base import Method

if TYPE_CHECKING:
    from unlearnable.data.images import Images
    from unlearnable.protection.protect import Protected

HELP = """Add noise to a data set, so that models trained on it fail.

unlearnable protect rem --data shapes --preset short
unlearnable protect em --data my_images/ --size 64 --out protected/em
unlearnable protect --settings protected/em/card.json --data other_images/ --size 64
unlearnable protect --generator shared.safetensors --data my_images/ --size 64

METHOD is one of these, or your own as my_module:Class (docs/adding-a-method.md). For photos at
their own sizes: unlearnable protect-photos."""


@dataclass(frozen=True)
class Protect(Verb):
    """Craft a method's noise and write the protected images."""

    method: Method
    """Settings of the method; sizes of noise are in /255."""
    preset: str = "paper"
    """named settings: they set the defaults of the method's options"""
    settings: Path | None = None
    """a card.json, or its folder: its method and settings set the defaults instead, and METHOD may
    be left out"""
    data: str = "shapes"
    """a name of `unlearnable ls data`, a folder with one sub-folder of images per class, FILE.npz,
    hf:NAME (Hugging Face), or my_module:loader; methods that need no classes also take a folder
    without sub-folders"""
    out: Path = Path("protected")
    """folder for the images, the card and the generator; the same command resumes"""
    selection: Selection = field(default_factory=Selection)
    protected_classes: tuple[str, ...] = ()
    """only these classes get noise, by name or by number from 0 (default: all); the others stay as
    they are, and the method's network sees them so"""
    machine: Machine = field(default_factory=Machine)
    watching: Watching = field(default_factory=Watching)

    def run(self) -> Done:
        if not self.settings:
            self.method.require_used(self.preset)
        check_source(self.data)
        _refuse_protected(self.data)
        check_model(str(vars(self.method).get("model", "convnet")))
        images = partial(self.selection.load, self.data)
        done = _protect(
            self.method, images, self.out, self.machine, self.watching, self.protected_classes
        )
        return _described(done, self.out)


@dataclass(frozen=True)
class FromGenerator(Verb):
    """Make noise with the generator of an earlier run, without training."""

    generator: Path
    """a file of `unlearnable share`, whose very noise is made again on its originals; or
    generator.safetensors of a protected folder, for further images of the same classes"""
    data: str = ""
    """the images, as without --generator (default: the public data set that a shared file names)"""
    out: Path = Path("protected/from-generator")
    """folder for the images and the card; the same command resumes"""
    selection: Selection = field(default_factory=Selection)
    model: str | None = None
    """the network, where it is your own (my_module:factory)"""
    machine: Machine = field(default_factory=Machine)

    def run(self) -> Done:
        from unlearnable.protection.methods.from_generator import Generated
        from unlearnable.protection.methods.shared import shared_run

        if not self.generator.is_dir() and shared_run(self.generator):
            return self._again()
        if not self.data:
            raise UserError("--data is missing: name the images to protect.")
        check_source(self.data)
        _refuse_protected(self.data)
        further = Generated.of(self.generator, self.model)
        done = _protect(further, partial(self.selection.load, self.data), self.out, self.machine)
        return _described(done, self.out)

    def _again(self) -> Done:
        """Make the noise of a shared file again."""
        from unlearnable.protection.methods.shared import Shared

        shared, selection = Shared.of(self.generator, self.model), self.selection
        if not self.data:
            if replace(selection, data_root=None) != Selection():
                raise UserError(
                    f"{self.generator} says which images it was made for; leave --limit, "
                    "--classes, --size, and --data-seed out, or name the images with --data."
                )
            told = shared.data
            selection = replace(
                selection,
                limit=told.get("limit"),
                classes=tuple(told.get("classes") or ()),
                data_seed=told.get("seed", 0),
            )
        source = self.data or self._public_set(shared.data)
        check_source(source)

        def originals() -> "Images":
            data = selection.load(source)
            shared.check(data)  # before the output folder is made
            return data

        done = _protect(
            shared, originals, self.out, self.machine, protected_classes=shared.protected_classes
        )
        same = shared.is_same(done.images)
        says = (
            "They are the shared images, bit for bit."
            if same
            else "They are not the shared images bit for bit: arithmetic differs between kinds of "
            "processors, numbers of threads, and versions of PyTorch."
        )
        described = _described(done, self.out)
        return Done(f"{described.text}\n{says}", described.data | {"same": same})

    def _public_set(self, told: dict[str, Any]) -> str:
        """The public data set that a shared file names: a file must not choose what else is read or
        run. Raises UserError."""
        if (source := told.get("source", "")) in DATA:
            return source
        raise UserError(
            f"{self.generator} says that its images are from {printable(source)}, and a file must "
            "not choose what is read; name them with --data."
            if source
            else f"{self.generator} does not say where its images are from; name them with --data."
        )


def _refuse_protected(data: str) -> None:
    """Raise UserError for images that are protected already: the noise of both would add up, beyond
    what the card says."""
    if Path(data).is_dir() and find_private(Path(data), CARD):
        raise UserError(
            f"{data} is protected already, and noise on noise would go beyond the budget; give the "
            "originals."
        )


def _protect(
    method: Method,
    load: "Callable[[], Images]",
    out: Path,
    machine: Machine,
    watching: Watching | None = None,
    protected_classes: tuple[str, ...] = (),
) -> "Protected":
    from unlearnable.core import distributed
    from unlearnable.core.device import pick_device
    from unlearnable.protection.protect import protect

    device = pick_device(machine.device)
    with distributed.processes(device):
        data = load()
        source = data.source.get("source")
        return protect(
            data,
            method,
            out,
            protected_classes=protected_classes,
            seed=machine.seed,
            device=str(device),
            precision=machine.precision,
            callbacks=watching.callbacks(out.resolve().name, source) if watching else (),
        )


def _described(done: "Protected", out: Path) -> Done:
    m, some = done.card.measured, done.card.protected_classes
    text = (
        f"{len(done.images)} images in {out}: "
        + (f"only {', '.join(map(printable, some))} protected, " if some else "")
        + f"noise at most {m['linf']}/255, PSNR "
        f"{m['psnr']} dB, SSIM {m['ssim']}, made in {done.card.seconds:.0f} s.\n"
        f"See it: unlearnable show {shlex.quote(str(out))}    "
        f"Measure it: unlearnable learn {shlex.quote(str(out))}"
    )
    return Done(text, {"out": out, "images": len(done.images), **done.card.to_json()})


def command(args: list[str]) -> Command:
    name = named(args)
    if "--generator" in [a.partition("=")[0] for a in args]:
        if name:
            raise UserError(
                f"--generator has its own method and settings; leave {printable(name)} out."
            )
        return Command(doc(FromGenerator), FromGenerator)
    own = {} if name in METHODS or not name else {name: _own(name)}
    kinds = {**METHODS, **own}
    again = _again(kinds.get(name), args)
    if again and not name:
        return again
    commands = {n: _command(n, kind, args if n == name else []) for n, kind in kinds.items()}
    return Command(HELP, commands=commands | ({name: again} if again else {}), noun="METHOD")


def _again(kind: type[Method] | None, args: list[str]) -> Command | None:
    """The method of --settings, with the settings of that card as defaults; None without that
    option. kind: the method, where it is typed too. Raises UserError."""
    card = value_of("--settings", args)
    if card is None:
        if "--settings" in args:
            raise UserError("--settings needs a card.json, or the folder of one.")
        return None
    if value_of("--preset", args) is not None:
        raise UserError("--preset and --settings both set the defaults; give one of them.")
    from unlearnable.protection.settings import method_of_card

    method = method_of_card(Path(card), kind, model=value_of("--model", args))
    text = f"{doc(type(method))}\n\nThe settings are those of {card}."
    default = Protect(method, settings=Path(card), out=Path("protected") / method.name)
    return Command(text, Protect, default)


def _own(name: str) -> type[Method]:
    """The method my_module:Class. Raises UserError, also for a folder of photos."""
    if ":" not in name and Path(name).is_dir():
        raise UserError(
            f"{name} is a folder, and protect takes a method; for photos at their own sizes use "
            f"`unlearnable protect-photos {name} OUT`."
        )
    return find_method(name)


def _command(name: str, kind: type[Method], args: list[str]) -> Command:
    preset = preset_in(args, kind, "paper")
    out = Path("protected") / name.rpartition(":")[2]
    text = doc_with_presets(kind, kind, preset)
    with own_code("method", name, "failed"):
        return Command(text, Protect, Protect(kind.preset(preset), preset, out=out))
