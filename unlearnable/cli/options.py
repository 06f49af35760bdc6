"""What the verbs share: the value that a command line becomes, and common options."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro import MISSING_NONPROP
from tyro.conf import FlagCreatePairsOff, Positional, arg
from tyro.constructors import PrimitiveConstructorSpec

from unlearnable.cli.output import Done
from unlearnable.core.callbacks import WRITERS, Callback, WriterName, check_writers
from unlearnable.core.cluster import Cluster
from unlearnable.core.errors import UserError, unknown
from unlearnable.core.presets import Presets, require, require_seed
from unlearnable.data.card import check_outside, check_unpublished
from unlearnable.training.recipe import Precision

if TYPE_CHECKING:
    from unlearnable.data.images import Images


Flag = FlagCreatePairsOff[bool]
"""an option without a --no- twin"""
Folder = Annotated[Positional[Path], arg(metavar="FOLDER")]
Protected = Annotated[Positional[Path], arg(metavar="PROTECTED")]
Photos = Annotated[Positional[Path], arg(metavar="PHOTOS")]


@dataclass(frozen=True)
class Output:
    """What the command prints."""

    quiet: Flag = False
    """only errors and the result"""
    verbose: Flag = False
    """also settings, device, precision, and where files go"""
    json: Flag = False
    """the result as one JSON document, alone on standard output (docs/watching.md)"""

    def __post_init__(self) -> None:
        if self.quiet and self.verbose:
            raise UserError("--quiet and --verbose say opposite things; give one of them.")


@dataclass(frozen=True)
class Verb(ABC):
    """A command line: the fields are its arguments and options, ``run`` does what it says."""

    output: Output = field(default_factory=Output, kw_only=True)

    @abstractmethod
    def run(self) -> "Done | None":
        """Do it; return what was found, None where there is nothing to say."""


@dataclass(frozen=True)
class NoOptions:
    """Of a command that is not read, because another was called."""


@dataclass(frozen=True)
class Command:
    """A command for tyro: with a ``kind``, a dataclass of options (``default``: an instance with
    other defaults), or with further ``commands``, which are called a ``noun`` (METHOD, TABLE).

    help: shown by --help; its first sentence stands in the list of commands."""

    help: str
    kind: Any = NoOptions
    default: Any = MISSING_NONPROP
    commands: "Mapping[str, Command]" = field(default_factory=dict)
    noun: str = ""

    @property
    def options(self) -> Any:
        """The dataclass of options, or the instance with other defaults."""
        return self.kind if self.default is MISSING_NONPROP else self.default


def value_of(option: str, args: list[str]) -> str | None:
    """What the arguments give to ``option`` (--preset), None where they do not name it. For options
    that set the defaults of others, and so are needed before those are read."""
    value = None
    for at, following in zip(args, [*args[1:], None]):
        if at == option:
            value = following
        elif at.startswith(f"{option}="):
            value = at.partition("=")[2]
    return value


def preset_in(args: list[str], kind: type[Presets], default: str) -> str:
    """The preset that the arguments name. Raises UserError for an unknown one."""
    typed = value_of("--preset", args)
    name = default if typed is None else typed
    if name not in kind.presets:
        raise unknown("preset", name, kind.presets)
    return name


def named(args: list[str]) -> str:
    """The word that the arguments begin with, if any."""
    return args[0] if args and not args[0].startswith("-") else ""


@dataclass(frozen=True)
class Selection:
    """Which images to use."""

    limit: int | None = None
    """at most this many, the same number of every class"""
    classes: tuple[str, ...] = ()
    """only these classes (default: all)"""
    size: int | None = None
    """resize the images of a folder to SIZE x SIZE pixels"""
    data_seed: int = 0
    """chooses the images under --limit, and generates `shapes`"""
    data_root: str | None = None
    """where the named data sets lie (default: $UNLEARNABLE_DATA, else ./data)"""

    def __post_init__(self) -> None:
        require(self, positive="limit size")
        require_seed(self.data_seed)

    def load(self, data: str) -> "Images":
        """The images of ``data``: a name of ``DATA`` or a folder."""
        from unlearnable.data.load import load

        return load(
            data,
            limit=self.limit,
            classes=self.classes or None,
            seed=self.data_seed,
            size=self.size,
            root=self.data_root,
        )


@dataclass(frozen=True)
class Watching:
    """Where else the numbers of the training go, step by step."""

    watch: tuple[WriterName, ...] = ()
    """jsonl (a line of JSON per step), tensorboard, or wandb (Weights & Biases, offline unless
    $WANDB_MODE says online); several are fine"""
    watch_folder: Path = Path("watch")
    """folder for what these write; never inside a folder that is published"""

    def __post_init__(self) -> None:
        check_writers(self.watch)
        if self.watch_folder != Path("watch") and not self.watch:
            raise UserError(
                "--watch-folder is where --watch writes; give --watch jsonl too, or leave it out."
            )

    def callbacks(self, name: str, *sources: object) -> list[Callback]:
        """The writers, in a folder of that name. sources: of the images that are read. Raises
        UserError for a place that is published, or among those."""
        self.check_place(name, *sources)
        return [WRITERS[writer](self.watch_folder / name) for writer in self.watch]

    def check_place(self, name: str, *sources: object) -> None:
        """What ``callbacks`` raises, before any work."""
        if self.watch:
            check_unpublished(self.watch_folder / name)
            for source in sources:
                check_outside(source, self.watch_folder / name)


@dataclass(frozen=True)
class Machine:
    """Seed, device, and precision."""

    seed: int = 0
    """what everything random is drawn from: weights, batches, noise, photos to hold out"""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""
    precision: Precision = "auto"
    """arithmetic of the networks; auto: bf16 where it is fast"""

    def __post_init__(self) -> None:
        require_seed(self.seed)


Address = Annotated[
    str,
    PrimitiveConstructorSpec(
        nargs="*",
        metavar="[ADDRESS]",
        instance_from_str=lambda typed: " ".join(typed) or "local",
        is_instance=lambda value: isinstance(value, str),
        str_from_instance=lambda value: [value],
    ),
]


@dataclass(frozen=True)
class Machines:
    """Spread the work over several machines."""

    ray: Address | None = None
    """spread the work over a Ray cluster (the extra ray): HOST:PORT of its head, or auto for the
    one that this machine belongs to; without an address, one is started here. Put it last
    (docs/many-machines.md)"""
    cell_threads: int | None = None
    """with --ray: CPU threads per training (default: as many as without --ray, so that the results
    have the same bits)"""
    cell_gpus: float | None = None
    """with --ray: GPUs per training, also a fraction (default: 1 where the cluster has GPUs)"""

    def __post_init__(self) -> None:
        require(self, positive="cell_threads")
        if self.ray is None and (self.cell_threads, self.cell_gpus) != (None, None):
            raise UserError("--cell-threads and --cell-gpus are for a cluster; give --ray too.")

    def cluster(self) -> Cluster | None:
        """The cluster; None: this process alone. Raises UserError where Ray is not installed."""
        return None if self.ray is None else Cluster(self.ray, self.cell_threads, self.cell_gpus)
