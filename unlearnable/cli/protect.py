"""``protect``: one sub-command per method, or a person's own as my_module:Class."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearnable.cli.help import doc
from unlearnable.cli.options import Command, Machine, Selection, Verb, named, preset_in, value_of
from unlearnable.core.errors import UserError
from unlearnable.core.plugins import own_code
from unlearnable.core.text import printable
from unlearnable.data.sources import DATA, check_source
from unlearnable.models import check_model
from unlearnable.protection.methods import METHODS, find_method
from unlearnable.protection.methods.base import Method

if TYPE_CHECKING:
    from unlearnable.data.images import Images

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

    def run(self) -> None:
        check_source(self.data)
        check_model(str(vars(self.method).get("model", "convnet")))
        _protect(
            self.method,
            self.data,
            self.out,
            self.selection,
            self.machine,
            self.protected_classes,
        )


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

    def run(self) -> None:
        from unlearnable.protection.methods.from_generator import Generated
        from unlearnable.protection.methods.shared import Shared, shared_run

        if self.generator.is_dir() or shared_run(self.generator) is None:
            if not self.data:
                raise UserError("--data is missing: name the images to protect.")
            further = Generated.of(self.generator, self.model)
            _protect(further, self.data, self.out, self.selection, self.machine)
            return
        method, selection, data = Shared.of(self.generator, self.model), self.selection, self.data
        if not data:
            data, told = self._public_data(method.data), method.data
            selection = replace(
                selection,
                limit=told.get("limit"),
                classes=tuple(told.get("classes") or ()),
                data_seed=told.get("seed", 0),
            )
        images = _protect(method, data, self.out, selection, self.machine, method.protected_classes)
        if images is not None:
            print(
                "They are the shared images, bit for bit."
                if method.is_same(images)
                else "They are not the shared images bit for bit: arithmetic differs between kinds "
                "of processors, numbers of threads, and versions of PyTorch."
            )

    def _public_data(self, told: dict[str, Any]) -> str:
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


def _protect(
    method: Method,
    source: str,
    out: Path,
    selection: Selection,
    machine: Machine,
    some: tuple[str, ...] = (),
) -> "Images | None":
    """Protect, say what was done, and return the protected images; None except on rank 0."""
    check_source(source)
    from unlearnable.core import distributed
    from unlearnable.core.device import pick_device
    from unlearnable.protection.methods.shared import Shared
    from unlearnable.protection.protect import protect

    device = pick_device(machine.device)
    with distributed.processes(device):
        data = selection.load(source)
        if isinstance(method, Shared):
            method.check(data)  # before the output folder is made
        done = protect(
            data,
            method,
            out,
            protected_classes=some,
            seed=machine.seed,
            device=str(device),
            precision=machine.precision,
        )
    if distributed.rank() != 0:
        return None
    m, some = done.card.measured, done.card.protected_classes
    print(
        f"{len(done.images)} images in {out}: "
        + (f"only {', '.join(map(printable, some))} protected, " if some else "")
        + f"noise at most {m['linf']}/255, PSNR "
        f"{m['psnr']} dB, SSIM {m['ssim']}, made in {done.card.seconds:.0f} s.\n"
        f"See it: unlearnable show {out}    "
        f"Measure it: unlearnable learn {out}"
    )
    return done.images


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
    text = f"{doc(kind)}\n\nPresets: {', '.join(kind.presets)}; now {preset}."
    with own_code("method", name, "failed"):
        return Command(text, Protect, Protect(kind.preset(preset), preset, out=out))
