"""What a protection method is: a frozen dataclass of settings with one verb, ``craft``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from unlearnable.core.errors import UserError
from unlearnable.core.files import file_digest
from unlearnable.core.plugins import own_code_key
from unlearnable.core.presets import Presets

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor, nn

    from unlearnable.core.checkpoint import Checkpoint
    from unlearnable.core.watch import Watch
    from unlearnable.data.images import Images, Size
    from unlearnable.training.recipe import Recipe


def _cpu() -> torch.device:
    import torch

    return torch.device("cpu")


def _unsaved() -> Checkpoint:
    from unlearnable.core.checkpoint import Checkpoint

    return Checkpoint(None, {})


def _unwatched() -> Watch:
    from unlearnable.core.watch import Watch

    return Watch()


@dataclass(frozen=True, eq=False)
class Context:
    """Where a method runs; nothing here belongs to its settings.

    protected: bool [N], the images that get noise (None: all). The others stay as they are and
    serve the surrogate as they are; ``protect`` drops what a method makes for them all the same.
    watch: the log of the surrogate's training, and who hears of it.
    """

    seed: int = 0
    device: torch.device = field(default_factory=_cpu)
    bfloat16: bool = False
    state: Checkpoint = field(default_factory=_unsaved)
    protected: Tensor | None = None
    watch: Watch = field(default_factory=_unwatched)


@dataclass(frozen=True, eq=False)
class Noise:
    """What a method made.

    delta: int8 [N, 3, H, W] in /255, on the CPU (int16 where it may exceed 127; None on ranks other
    than 0); generator: the surrogate, if any; passes: forward and backward passes of one image that
    it cost, over all processes; notes: what the generator needs to be told beside its weights, as
    JSON holds it."""

    delta: Tensor | None
    generator: nn.Module | None = None
    passes: int = 0
    notes: dict[str, Any] = field(default_factory=dict)


def own_names(method: Method) -> tuple[str, str]:
    """Return a method as my_module:Method, empty for one of this package, and the network that its
    settings name, if any."""
    kind, package = type(method), Method.__module__.partition(".")[0]
    ours = kind.__module__.startswith(f"{package}.")
    own = "" if ours else f"{kind.__module__}:{kind.__qualname__}"
    return own, str(getattr(getattr(method, "family", method), "model", ""))


def check_noise(noise: object, method: Method) -> Noise:
    """Return what ``method.craft`` returned if it is ``Noise`` of the right types; numbers and
    shape are checked where it is added. Raises UserError for anything else."""
    from torch import Tensor, nn

    if not isinstance(noise, Noise):
        raise _broken(method, "craft", "a Noise", noise)
    if not isinstance(noise.delta, Tensor | None):
        raise _broken(method, "craft", "noise whose delta is a tensor", noise.delta)
    if not isinstance(noise.generator, nn.Module | None):
        raise _broken(method, "craft", "noise whose generator is a network", noise.generator)
    if type(noise.passes) is not int or noise.passes < 0:
        raise _broken(method, "craft", "noise whose passes are 0 or more", noise.passes)
    return noise


def check_method(method: Method) -> None:
    """Raise UserError where what a method says of itself is not of the right type."""
    for name, kinds, wanted in (
        ("name", str, "a text"),
        ("eps", int | float, "a number"),
        ("budget", str, "a text"),
        ("needs_labels", bool, "True or False"),
    ):
        if not isinstance(value := getattr(method, name, None), kinds):
            raise _broken(method, name, wanted, value)


def _broken(method: Method, what: str, wanted: str, value: object) -> UserError:
    return UserError(
        f"{what} of the method {type(method).__name__} must give {wanted}, not one of type "
        f"{type(value).__name__}; correct the method."
    )


class Method(Presets, ABC):
    """The base class of all methods. The fields of a subclass are its settings, in /255 where they
    are pixels."""

    name: ClassVar[str]
    """what commands, cards and tables call it; default: the name of the class"""

    form: ClassVar[int] = 1
    """raised where the same settings give other noise than before: earlier results are not found"""

    least_images: ClassVar[int] = 2
    """so many images it needs at least"""

    least_classes: ClassVar[int] = 2
    """and so many classes, if it needs labels"""

    if TYPE_CHECKING:  # at run time a field of the subclass, or a class variable

        @property
        def eps(self) -> float:
            """The L-infinity budget of the noise in /255; 255 where something else bounds it."""

        @property
        def needs_labels(self) -> bool:
            """False: it also takes images without classes."""

    else:
        needs_labels = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" not in vars(cls):
            cls.name = cls.__name__

    @property
    def further_key(self) -> dict[str, Any]:
        """What a result is found by beside the settings: ``form``, from the second on, what lies in
        the file that a setting only names (``named_file``), and a person's own code."""
        key: dict[str, Any] = {"form": self.form} if self.form > 1 else {}
        if self.named_file is not None and self.named_file.is_file():  # else ``craft`` refuses
            key |= {"file_digest": file_digest(self.named_file)[:16]}
        return key | own_code_key(*own_names(self))

    @property
    def named_file(self) -> Path | None:
        """The file that a setting names and the noise hangs on, if any."""
        return None

    @property
    def budget(self) -> str:
        """What bounds the noise, in words, for cards and tables."""
        return f"L-inf {self.eps:g}/255"

    @abstractmethod
    def craft(self, data: Images, run: Context) -> Noise:
        """Make the noise for every image of ``data``, resuming from ``run.state``."""

    counts_protected: ClassVar[bool] = False
    """whether ``passes`` and ``probe`` also take how many of the images get noise (None: all); the
    rest serve the surrogate alone"""

    def passes(self, images: int) -> int:
        """Count the forward and backward passes of one image that noise for ``images`` images costs
        at most; 0 where no network is involved."""
        return 0

    def probe(self, images: int) -> Recipe | None:
        """Describe a training whose passes cost what these do, for ``seconds_per_pass``; None where
        there are none."""
        return None

    def parts(self, size: Size) -> list[tuple[Method, Size]]:
        """Return the methods that make this one's noise for images of ``size``, each with the size
        at which it does: their passes differ in what they cost."""
        return [(self, size)]


class GeneratorMethod(Method):
    """A method whose run leaves a generator, from which further images of the same classes get
    their noise: what ``Generated`` asks of the method that made its file."""

    @property
    def generator_model(self) -> str | None:
        """The network in the generator, a name or my_module:factory; None where it holds none."""
        return None

    def check_further(self, file: Path) -> None:
        """Raise UserError where the generator ``file`` of this method and these settings has
        nothing for further images."""

    @abstractmethod
    def further(self, file: Path, data: Images, run: Context) -> Noise:
        """Make the noise of further images with the generator ``file``, resuming from
        ``run.state``."""

    @abstractmethod
    def further_passes(self, images: int) -> int:
        """Count as ``passes`` does, for ``further``."""

    @abstractmethod
    def further_probe(self, images: int) -> Recipe | None:
        """Describe as ``probe`` does, for ``further``."""


class ClassTableMethod(GeneratorMethod):
    """A method whose generator is one noise per class, which costs further images nothing."""

    def further(self, file: Path, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.class_table import noise_of_further

        return noise_of_further(file, data)

    def further_passes(self, images: int) -> int:
        return 0

    def further_probe(self, images: int) -> None:
        return None


def mixed_probe(model: str, batch: int, *, frozen: int, training: int) -> Recipe:
    """Return an adversarial training with the same mix of passes: ``frozen`` in PGD, which are
    cheaper, and ``training``. More than three PGD steps per training step hardly change the
    mean."""
    from unlearnable.training.recipe import Recipe

    steps = min(3, round(frozen / max(1, training)))
    return Recipe(model=model, batch=batch, adv_eps=float(steps > 0), adv_steps=steps)
