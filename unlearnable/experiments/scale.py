"""The scales of every table, with the same code: ``paper``, the authors' settings, ``gpu``, their
networks and inner loops in minutes per cell on a GPU, ``full``, all images and up to an hour per
learner on 2 CPU cores, and ``small``, what they can do in minutes."""

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from unlearnable.core.errors import UserError
from unlearnable.data.sources import DATA
from unlearnable.evaluation.learners import Changes
from unlearnable.protection.methods.base import Method
from unlearnable.protection.methods.fixed_surrogate import TAP
from unlearnable.protection.methods.min_min import EM, REM, SEM, MinMin
from unlearnable.protection.methods.ntga import NTGA
from unlearnable.training.recipe import Recipe

M = TypeVar("M", bound=Method)


@dataclass(frozen=True)
class Scale:
    """A scale on one data set.

    limit, test_limit: at most this many images, the same number of every class (None: all).
    radius: of the learner's adversarial training and of REM and SEM where a table has one, in /255;
    radii: where it has several. surrogate_steps: of the min-min methods (None: the preset's).
    fractions: of the images that are protected, in %. networks: of the table of networks, with the
    changes of the recipe for each."""

    name: str
    data: str
    about: str
    recipe: Recipe
    limit: int | None = None
    test_limit: int | None = None
    radius: float = 4.0
    radii: tuple[int, ...] = (0, 1, 2, 3, 4)
    surrogate_steps: int | None = None
    fractions: tuple[int, ...] = (20, 40, 60, 80, 100)
    networks: tuple[tuple[str, Changes], ...] = ()

    def method(self, kind: type[M], preset: str = "", **changes: Any) -> M:
        """Return a method at ``preset``, or at this scale's where it has one, with this scale's
        number of surrogate steps."""
        authors = ("imagenet",) if self.data == "imagenet100" else ()
        wanted = {
            "small": ("short",),
            "full": ("full", "short"),
            "gpu": authors,
            "paper": authors,
        }
        own = next((n for n in wanted[self.name] if n in kind.presets), "paper")
        method = kind.preset(preset or own, **changes)
        if self.surrogate_steps and isinstance(method, MinMin):
            decay = self.surrogate_steps * 2 // 5  # the authors' 2,000 of 5,000
            between = method.refresh_every
            if not method.stop_error:  # as many passes over the noise as the preset has
                between = -(-between * self.surrogate_steps // method.train_steps)
            stepped: dict[str, Any] = (
                {"decay_every": decay} if method.slots.schedule == "step" else {}
            )
            return replace(
                method, train_steps=self.surrogate_steps, refresh_every=between, **stepped
            )
        return method

    @property
    def _authors(self) -> bool:
        """Whether noise has the authors' inner loop."""
        return self.name in ("paper", "gpu")

    @property
    def em(self) -> MinMin:
        """The EM of the papers' comparisons: noise updated when its batch is visited, no T. (The
        authors' program stores noise made on augmented images by the image's number; here noise and
        image are aligned.)"""
        if not self._authors:
            return self.method(EM, eot_samples=0)
        if self.data == "imagenet100":
            return self.method(EM, warm_start=False, refresh_every=0, stop_error=0.0)
        return self.method(EM, "eot", eot_samples=0)

    @property
    def em_t(self) -> MinMin:
        """EM with T: REM without an adversary."""
        if not self._authors:
            return self.method(EM)
        if self.data == "imagenet100":
            return self.method(EM, eot_samples=4, warm_start=False, refresh_every=0, stop_error=0.0)
        return self.method(EM, "eot")

    def rem(self, rho_a: float) -> MinMin:
        """REM for the radius rho_a in /255; for 0 that is EM with T."""
        return self.method(REM, adv_eps=float(rho_a)) if rho_a else self.em_t

    def sem(self, rho_a: float) -> MinMin:
        return self.method(SEM, adv_eps=float(rho_a))

    @property
    def tap(self) -> Method:
        if not self._authors:
            return self.method(TAP)
        large = self.data == "imagenet100"
        tap = TAP(model="resnet18-fu", steps=100, step=0.16) if large else TAP()
        shorter = self.name == "gpu"
        return replace(tap, train_steps=4000, schedule="onecycle") if shorter else tap

    @property
    def ntga(self) -> Method:
        return self.method(NTGA)

    def compared(self) -> dict[str, Method | None]:
        """Return the rows of the paper's comparisons: clean images, the three baselines, REM and
        SEM for ``radius``."""
        rows: dict[str, Method | None] = {
            "clean": None,
            "EM": self.em,
            "TAP": self.tap,
            "NTGA": self.ntga,
        }
        return rows | {
            f"{kind}({self.radius:g})": make(self.radius)
            for kind, make in (("REM", self.rem), ("SEM", self.sem))
        }

    def affordable(self) -> dict[str, Method | None]:
        """Return ``compared``, without TAP and NTGA except at the paper's scale, for tables with
        many cells per row."""
        left_out = ("TAP", "NTGA") if self.name != "paper" else ()
        return {name: method for name, method in self.compared().items() if name not in left_out}


def get_scale(name: str, data: str) -> Scale:
    """Return the scale ``small``, ``full``, ``gpu`` or ``paper`` on ``data``. Raises UserError for
    other names."""
    if data not in DATA:
        raise UserError(
            f"There is no data set '{data}' for the tables; there are {', '.join(DATA)}."
        )
    if name == "paper":
        networks = ("vgg16-fu", "resnet18-fu", "resnet50", "densenet121-fu", "wrn-34-10-fu")
        if data == "imagenet100":  # nothing but ResNet-18 was published there
            networks = ("vgg16", "resnet18-fu", "resnet50", "densenet121", "wrn-34-10")
        return Scale(
            name,
            data,
            "the authors' settings: all images, ResNet-18, 40,000 learner steps; for a GPU",
            Recipe.preset("imagenet" if data == "imagenet100" else "paper"),
            networks=tuple((n, (("model", n),)) for n in networks),
        )
    if name == "gpu":
        network = "resnet18-fu" if data == "imagenet100" else "resnet18"
        return Scale(
            name,
            data,
            "all images, ResNet-18, 2,000 of the authors' surrogate steps, 2,000 learner steps "
            "(ten epochs of CIFAR) with N-FGSM; minutes per cell on a GPU",
            Recipe.preset("full", model=network),
            radii=(0, 2, 4),
            surrogate_steps=2000,
            fractions=(40, 80, 100),
            networks=tuple((n, (("model", n),)) for n in (network, "airbench-half", "vgg16")),
        )
    if name == "full":
        return Scale(
            name,
            data,
            "all images, airbench at half its widths, 2,000 learner steps (ten epochs of CIFAR); "
            "up to an hour per learner on 2 CPU cores",
            # at its full widths a learner takes three times as long: the table of networks has it
            Recipe.preset("full", model="airbench-half"),
            radii=(0, 2, 4),
            fractions=(40, 80, 100),
            networks=(
                *(
                    (n, (("model", n),))
                    for n in ("airbench-half", "airbench", "airbench-whitened", "convnet")
                ),
                ("vgg11", (("model", "vgg11"), ("steps", 1000))),
            ),
        )
    if name == "small":
        # 800 steps of these two would take an hour per cell
        wide: tuple[tuple[str, Changes], ...] = tuple(
            (n, (("model", n), ("steps", 300))) for n in ("vgg16", "resnet18")
        )
        return Scale(
            name,
            data,
            "5,000 training and 2,000 test images, convnet, 800 learner steps; for 2 CPU cores",
            Recipe.preset("short"),
            limit=5000,
            test_limit=2000,
            radius=2.0,
            radii=(0, 2, 4),
            fractions=(40, 80, 100),
            networks=(("convnet", ()), *wide),
        )
    raise UserError(f"There is no scale '{name}'; the scales are small, full, gpu and paper.")
