"""The cells of which all tables are made: one learner, trained on one set, tested on clean images.
A cell is made once, kept as one small JSON file, and shared by every table that asks for it."""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from unlearnable.core.files import config_hash
from unlearnable.data.images import Images
from unlearnable.data.load import load
from unlearnable.data.subsets import clean_mask, mix_in_clean
from unlearnable.evaluation.store import get_or_compute
from unlearnable.evaluation.train_and_test import train_and_test
from unlearnable.experiments.records import Records
from unlearnable.protection.methods import METHODS
from unlearnable.protection.methods.base import Method
from unlearnable.protection.protect import protect
from unlearnable.training.precision import Precision
from unlearnable.training.recipe import Recipe


@dataclass(frozen=True)
class LearnerSpec:
    """A learner: what it trains on, and how. fraction: of every class is protected, the rest clean.
    rest: it trains on that clean rest alone.  countermeasure: a line of ``COUNTERMEASURES``, done
    to the training images first.  recipe: the fields of the lab's recipe that it changes."""

    method: Method | None = None
    fraction: float = 1.0
    rest: bool = False
    countermeasure: str | None = None
    recipe: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class NoiseSpec:
    """A noise: what making it costs and how visible it is."""

    method: Method


Spec = LearnerSpec | NoiseSpec


@dataclass(frozen=True)
class Runner:
    """A data set, a learner's recipe and the folder ``root`` in which protected sets and cells are
    kept.

    limit, test_limit: at most this many images, the same number of every class (None: all)."""

    data: str
    recipe: Recipe
    limit: int | None = None
    test_limit: int | None = None
    root: Path = Path("results")
    data_root: str | None = None
    device: str = "auto"
    precision: Precision = "auto"

    @cached_property
    def clean(self) -> Images:
        return load(self.data, limit=self.limit, root=self.data_root)

    @cached_property
    def test(self) -> Images:
        return load(self.data, split="test", limit=self.test_limit, root=self.data_root)

    @property
    def trials(self) -> Path:
        """The folder of the trainings themselves, for audits of the protected sets to share
        (``--cells``)."""
        return self.root / "trials"

    @property
    def machine(self) -> dict:
        return {"device": self.device, "precision": self.precision}

    def protected(self, method: Method | None, seed: int) -> Images:
        """The images with that noise (None: the clean ones), crafted the first time and read
        afterwards."""
        if method is None:
            return self.clean
        self.make(
            NoiseSpec(method), seed
        )  # where another process is at the same noise, this waits for it
        return protect(
            self.clean, method, self.place(method, seed), seed=seed, **self.machine
        ).images

    def asked(self, spec: Spec, seed: int) -> dict:
        """The configuration under which ``make`` keeps its result."""
        asked = self._noise(spec.method, seed)
        if isinstance(spec, NoiseSpec):
            return asked | {"what": "noise"}
        recipe = asdict(replace(self.recipe, **dict(spec.recipe)))
        asked |= {"what": "learner", "recipe": recipe, "test": self.test_limit}
        return asked | {
            "fraction": spec.fraction,
            "rest": spec.rest,
            "countermeasure": spec.countermeasure,
        }

    def make(self, spec: Spec, seed: int, *, wait: bool = True) -> dict | None:
        """The cell, made the first time, read afterwards: of a learner its accuracy and peak in %,
        its log and evidence, of a noise its card (budget, measured, passes, seconds, hardware,
        ...).

        Where another process is at it: waited for, or (``wait`` False) None."""
        asked = self.asked(spec, seed)
        if found := self.book.of(asked).get(seed):
            return found
        compute = self._card if isinstance(spec, NoiseSpec) else self._train
        if cell := get_or_compute(self.root, asked, lambda _: compute(spec, seed), wait=wait):
            self.book.add(cell)
        return cell

    def _card(self, spec: NoiseSpec, seed: int) -> dict:
        card = protect(
            self.clean, spec.method, self.place(spec.method, seed), seed=seed, **self.machine
        ).card
        return {k: v for k, v in card.to_json().items() if k not in ("classes", "digest", "data")}

    def _train(self, spec: LearnerSpec, seed: int) -> dict:
        data = _mixed(self.protected(spec.method, seed), self.clean, spec.fraction, spec.rest, seed)
        recipe = replace(self.recipe, **dict(spec.recipe))
        done = train_and_test(
            self.trials,
            data,
            self.test,
            recipe,
            countermeasure=spec.countermeasure,
            seed=seed,
            **self.machine,
        )
        return {k: v for k, v in done.items() if k != "config"}

    @cached_property
    def book(self) -> Records:
        """What was in ``root`` when it was first looked at, and what was made here since."""
        return Records(self.root)

    def _noise(self, method: Method | None, seed: int) -> dict:
        """What names the images with that noise."""
        name = method and next(
            (n for n, m in METHODS.items() if m is type(method)), type(method).__name__
        )
        return {
            "data": self.data,
            "limit": self.limit,
            "method": name,
            "settings": method and asdict(method),
            "seed": seed,
        }

    def place(self, method: Method, seed: int) -> Path:
        """The folder of the images with that noise."""
        return self.root / "protected" / config_hash(self._noise(method, seed))


def _mixed(protected: Images, clean: Images, fraction: float, rest: bool, seed: int) -> Images:
    """``protected`` with 1 - fraction of every class clean, or (``rest``) only those clean ones."""
    if rest:
        keep = clean_mask(clean.y, 1 - fraction, seed)
        return replace(clean, x=clean.x[keep], y=clean.y[keep])
    return protected if fraction == 1 else mix_in_clean(protected, clean, 1 - fraction, seed)
