"""``protect``: one sub-command per method, or a person's own as my_module:Class."""

from dataclasses import dataclass, field
from pathlib import Path

from unlearnable.cli.help import doc
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
from unlearnable.data.sources import check_source
from unlearnable.models import check_model
from unlearnable.protection.methods import METHODS, find_method
from unlearnable.protection.methods.base import Method

HELP = """Add noise to a data set, so that models trained on it fail.

unlearnable protect rem --data shapes --preset short
unlearnable protect em --data my_images/ --size 64 --out protected/em
unlearnable protect --settings protected/em/card.json --data other_images/ --size 64

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
        check_source(self.data)
        check_model(str(vars(self.method).get("model", "convnet")))
        from unlearnable.core import distributed
        from unlearnable.core.device import pick_device
        from unlearnable.protection.protect import protect

        device = pick_device(self.machine.device)
        with distributed.processes(device):
            done = protect(
                self.selection.load(self.data),
                self.method,
                self.out,
                protected_classes=self.protected_classes,
                seed=self.machine.seed,
                device=str(device),
                precision=self.machine.precision,
                callbacks=self.watching.callbacks(self.out.resolve().name),
            )
        m, some = done.card.measured, done.card.protected_classes
        text = (
            f"{len(done.images)} images in {self.out}: "
            + (f"only {', '.join(map(printable, some))} protected, " if some else "")
            + f"noise at most {m['linf']}/255, PSNR "
            f"{m['psnr']} dB, SSIM {m['ssim']}, made in {done.card.seconds:.0f} s.\n"
            f"See it: unlearnable show {self.out}    "
            f"Measure it: unlearnable learn {self.out}"
        )
        return Done(text, {"out": self.out, "images": len(done.images), **done.card.to_json()})


def command(args: list[str]) -> Command:
    name = named(args)
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
