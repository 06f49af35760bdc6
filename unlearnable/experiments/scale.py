"""The two sizes of every table, one code: ``paper``, the authors' settings, and ``small``, what 2
CPU cores can do."""

from dataclasses import dataclass, replace
from pathlib import Path

from unlearnable.core.errors import UserError
from unlearnable.data.sources import DATA
from unlearnable.experiments.runner import Runner
from unlearnable.protection.methods.base import Method
from unlearnable.protection.methods.fixed_surrogate import TAP
from unlearnable.protection.methods.min_min import EM, REM, SEM
from unlearnable.protection.methods.ntga import NTGA
from unlearnable.training.precision import Precision
from unlearnable.training.recipe import Recipe


@dataclass(frozen=True)
class Scale:
    """A size on one data set. radius: of the learner's AT and of REM and SEM where a table has one,
    in /255; radii: where it has several. shares: in %, of the images that are protected. networks:
    of the table of networks, with what their recipe changes besides."""

    size: str
    data: str
    about: str
    recipe: Recipe
    limit: int | None = None
    test_limit: int | None = None
    radius: float = 4.0
    radii: tuple[int, ...] = (0, 1, 2, 3, 4)
    fractions: tuple[int, ...] = (20, 40, 60, 80, 100)
    networks: tuple[tuple[str, tuple[tuple[str, object], ...]], ...] = ()

    def lab(
        self,
        root: Path,
        *,
        data_root: str | None = None,
        device: str = "auto",
        precision: Precision = "auto",
    ) -> Runner:
        return Runner(
            self.data, self.recipe, self.limit, self.test_limit, root, data_root, device, precision
        )

    def method(self, kind: type[Method], **changes: object) -> Method:
        """A method at this size's preset, where it has one."""
        wanted = {"small": "short", "paper": "imagenet" if self.data == "imagenet100" else "paper"}[
            self.size
        ]
        return kind.preset(wanted if wanted in kind.presets else "paper", **changes)

    @property
    def em(self) -> Method:
        """The EM of the papers' comparisons: noise renewed at a batch's visit, no T. (The authors'
        program stores noise made on augmented images by the image's number; here noise and image
        are aligned.)"""
        if self.size == "small":
            return self.method(EM, eot_samples=0)
        if self.data == "imagenet100":
            return self.method(EM, warm_start=False, refresh_every=0, stop_error=0.0)
        return EM.preset("eot", eot_samples=0)

    @property
    def em_t(self) -> Method:
        """EM with T: REM without an adversary."""
        if self.size == "small":
            return self.method(EM)
        if self.data == "imagenet100":
            return self.method(EM, eot_samples=4, warm_start=False, refresh_every=0, stop_error=0.0)
        return EM.preset("eot")

    def rem(self, rho_a: float, **changes: object) -> Method:
        """REM; without an adversary that is EM with T."""
        return (
            self.method(REM, adv_eps=float(rho_a), **changes)
            if rho_a
            else replace(self.em_t, **changes)
        )

    def sem(self, rho_a: float, **changes: object) -> Method:
        return self.method(SEM, adv_eps=float(rho_a), **changes)

    @property
    def tap(self) -> Method:
        if self.size == "paper" and self.data == "imagenet100":
            return TAP(steps=100, step=0.16)
        return self.method(TAP)

    @property
    def ntga(self) -> Method:
        return self.method(NTGA)

    def compared(self) -> dict[str, Method | None]:
        """The rows of the paper's comparisons: clean images, the three baselines, REM and SEM for
        ``radius``."""
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
        """``compared``; at the small size without TAP and NTGA, for tables of many cells a row."""
        left_out = ("TAP", "NTGA") if self.size == "small" else ()
        return {name: method for name, method in self.compared().items() if name not in left_out}


def get_scale(size: str, data: str) -> Scale:
    """Raises UserError for a size or a data set that there is not."""
    if data not in DATA:
        raise UserError(
            f"There is no data set '{data}' for the tables; there are {', '.join(DATA)}."
        )
    if size == "paper":
        preset = "imagenet" if data == "imagenet100" else "paper"
        about = "the authors' settings: all images, ResNet-18, 40,000 learner steps; for a GPU"
        others = ("vgg16", "resnet18", "resnet50", "densenet121", "wrn-34-10")
        networks = tuple((name, (("model", name),)) for name in others)
        return Scale(size, data, about, Recipe.preset(preset), networks=networks)
    if size == "small":
        about = "5,000 training and 2,000 test images, convnet, 800 learner steps; for 2 CPU cores"
        networks = (
            ("convnet", ()),
            *((n, (("model", n), ("steps", 300))) for n in ("vgg16", "resnet18")),
        )
        return Scale(
            size,
            data,
            about,
            Recipe.preset("short"),
            5000,
            2000,
            2.0,
            (0, 2, 4),
            (40, 80, 100),
            networks,
        )
    raise UserError(f"There is no size '{size}'; the sizes are paper and small.")
