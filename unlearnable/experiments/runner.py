"""Measure the cells of tables. A result is computed once, kept as one small JSON file, and shared
by every table and audit that asks for it."""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from unlearnable.core.files import config_hash, lock
from unlearnable.data.images import Images
from unlearnable.data.load import load
from unlearnable.data.subsets import clean_mask, mix_in_clean
from unlearnable.evaluation.learners import Learner
from unlearnable.evaluation.store import Json, get_or_compute, without_defaults
from unlearnable.evaluation.train_and_test import train_and_test, training_config
from unlearnable.experiments.grid import LearnerSpec, NoiseSpec, Spec
from unlearnable.experiments.records import Records, canonical, resolved
from unlearnable.experiments.scale import Scale
from unlearnable.protection.methods.base import Method
from unlearnable.protection.protect import Protected, protect
from unlearnable.training.precision import Precision, precision_key

MOST_SENT = 1 << 32  # bytes of images


@dataclass(frozen=True)
class Runner:
    """Measures at one scale. folder: where protected sets and results are kept. data_root: where
    the named data sets lie."""

    scale: Scale
    folder: Path = Path("results")
    data_root: str | None = None
    device: str = "auto"
    precision: Precision = "auto"

    @cached_property
    def clean(self) -> Images:
        return load(self.scale.data, limit=self.scale.limit, root=self.data_root)

    @cached_property
    def test(self) -> Images:
        return load(self.scale.data, split="test", limit=self.scale.test_limit, root=self.data_root)

    @cached_property
    def records(self) -> Records:
        """What was in ``folder`` when it was first looked at, and what was measured here since."""
        return Records(self.folder)

    def __getstate__(self) -> dict[str, Any]:
        """What is sent to another machine: results are looked for where it arrives, and images that
        are too many are loaded there."""
        large = len(self.clean) and self.clean.x.nbytes > MOST_SENT
        left = {"records", "_texts"} | ({"clean", "test"} if large else set())
        return {k: v for k, v in vars(self).items() if k not in left}

    def at(self, folder: Path) -> "Runner":
        """Return the same runner with its results in ``folder``."""
        if folder == self.folder:
            return self
        other = replace(self, folder=folder)
        vars(other).update({k: v for k, v in vars(self).items() if k in ("clean", "test")})
        return other

    @property
    def trainings(self) -> Path:
        """The folder of the trainings' results, which audits of the protected sets can share."""
        return self.folder / "trainings"

    def protected_folder(self, method: Method, seed: int) -> Path:
        """The folder of the images with that noise."""
        return self.folder / "protected" / config_hash(self._noise_config(method, seed))

    def config(self, spec: Spec, seed: int) -> Json:
        """Return the configuration by which the result of ``measure`` is found."""
        config = self._noise_config(spec.method, seed)
        if isinstance(spec, NoiseSpec):
            return config | {"what": "noise"}
        by = spec.learner
        further = without_defaults(asdict(by), Learner())
        return config | {
            "what": "learner",
            "recipe": asdict(by.recipe(self.scale.recipe)),
            "test": self.scale.test_limit,
            "fraction": spec.fraction,
            "rest": spec.rest,
            "countermeasure": by.countermeasure,
            **by.further_key(self.scale.recipe),
            **{k: v for k, v in further.items() if k in ("countermeasure_test", "leaked")},
        }

    def found(self, spec: Spec) -> dict[int, Json]:
        """Return what is stored of a cell, by seed."""
        if spec not in self._texts:  # a report asks for the same cells many times
            self._texts[spec] = canonical(self.config(spec, 0))
        return self.records.of(self._texts[spec])

    @cached_property
    def _texts(self) -> dict[Spec, str]:
        return {}

    def measure(self, spec: Spec, seed: int, *, wait: bool = True) -> Json:
        """Return the result, computed the first time and read afterwards: the fields of ``Result``
        for a learner, the card (budget, measured, passes, seconds, hardware, ...) for a noise.

        Where another process is computing it, wait for it, or raise ``Busy`` (``wait`` False)."""
        if found := self.found(spec).get(seed):
            return found

        def compute(_: Path) -> Json:
            return (
                self._card(spec, seed) if isinstance(spec, NoiseSpec) else self._train(spec, seed)
            )

        result = resolved(
            get_or_compute(self.folder, self.config(spec, seed), compute, wait=wait), self.folder
        )
        self.records.add(result)
        return result

    def protected(self, method: Method | None, seed: int) -> Images:
        """Return the images with that noise (None: the clean ones), crafted the first time and read
        afterwards."""
        if method is None:
            return self.clean
        noise = NoiseSpec(method)
        self.measure(noise, seed)  # waits where another process makes the same noise
        # and for its turn: ``protect`` refuses a folder that another process only reads, too
        with lock(self.folder / config_hash(self.config(noise, seed)), wait=True):
            return self._protect(method, seed).images

    def _protect(self, method: Method, seed: int) -> Protected:
        return protect(
            self.clean,
            method,
            self.protected_folder(method, seed),
            seed=seed,
            device=self.device,
            precision=self.precision,
        )

    def _card(self, spec: NoiseSpec, seed: int) -> Json:
        card = self._protect(spec.method, seed).card.to_json()
        return {k: v for k, v in card.items() if k not in ("classes", "digest", "data")}

    def _train(self, spec: LearnerSpec, seed: int) -> Json:
        """Train, and return where the result is stored."""
        protected = self.protected(spec.method, seed)
        images, pairs = _training_set(protected, self.clean, spec, seed), (self.clean, protected)
        recipe = self.scale.recipe
        train_and_test(
            spec.learner,
            images,
            self.test,
            seed,
            recipe=recipe,
            results=self.trainings,
            pairs=pairs,
            device=self.device,
            precision=self.precision,
        )
        config = training_config(
            spec.learner,
            images,
            self.test,
            seed,
            recipe=recipe,
            pairs=pairs,
            precision=self.precision,
        )
        return {"result": f"{self.trainings.name}/{config_hash(config)}/cell.json"}

    def _noise_config(self, method: Method | None, seed: int) -> Json:
        """What names the images with that noise."""
        return {
            "data": self.scale.data,
            "limit": self.scale.limit,
            "method": method and method.name,
            # every method is a dataclass, but their base class is not
            "settings": method and asdict(cast(Any, method)),
            "seed": seed,
            **(method.further_key if method else {}),
            **precision_key(self.precision),
        }


def _training_set(protected: Images, clean: Images, spec: LearnerSpec, seed: int) -> Images:
    """``protected`` with 1 - fraction of every class clean, or (``rest``) only those clean ones."""
    if spec.rest:
        return clean.subset(clean_mask(clean.y, 1 - spec.fraction, seed))
    if spec.fraction == 1:
        return protected
    return mix_in_clean(protected, clean, 1 - spec.fraction, seed)
