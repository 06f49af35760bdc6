"""The cells of which all tables are made: one learner, trained on one set, tested on clean pictures. A cell is made
once, kept as one small JSON file, and shared by every table that asks for it."""

import shutil
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from ..counter import clean_rows, counter, dilute
from ..data import Images, load
from ..learn import Precision, Recipe, learn
from ..methods import METHODS, Method
from ..protect import protect
from ..results import once
from ..state import key

KEPT = ("accuracy", "peak", "log", "passes", "seconds", "hardware", "torch", "version", "commit", "command")


@dataclass(frozen=True)
class Lab:
    """A data set, a learner's recipe and the folder ``root`` in which protected sets and cells are kept.

    limit, test_limit: at most this many pictures, the same number of every class (None: all)."""

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
    def machine(self) -> dict:
        return {"device": self.device, "precision": self.precision}

    def protected(self, method: Method | None, seed: int) -> Images:
        """The pictures with that noise (None: the clean ones), crafted the first time and read afterwards."""
        if method is None:
            return self.clean
        return protect(self.clean, method, self._place(method, seed), seed=seed, **self.machine).images

    def card(self, method: Method, seed: int) -> dict:
        """What making the noise cost and how visible it is: budget, measured, passes, seconds, hardware, ..."""

        def compute(_: Path) -> dict:
            card = protect(self.clean, method, self._place(method, seed), seed=seed, **self.machine).card
            return {k: v for k, v in card.items() if k not in ("classes", "digest", "data")}

        return once(self.root, {**self._asked(method, seed), "what": "noise"}, compute)

    def cell(
        self,
        method: Method | None,
        seed: int,
        *,
        share: float = 1.0,
        rest: bool = False,
        countered: str | None = None,
        **changes: object,
    ) -> dict:
        """A learner's accuracy and peak in %, its log and evidence.

        share: of every class is protected, the rest clean.  rest: train on that clean rest alone.  countered: a line
        of ``COUNTERS``, done to the training pictures first.  changes: fields of the recipe (``adv_eps=2``)."""
        recipe = replace(self.recipe, **changes)
        asked = {**self._asked(method, seed), "what": "learner", "recipe": asdict(recipe), "test": self.test_limit}
        asked |= {"share": share, "rest": rest, "counter": countered}

        def compute(folder: Path) -> dict:
            data = _mixed(self.protected(method, seed), self.clean, share, rest, seed)
            data = counter(countered, data) if countered else data
            done = learn(data, recipe, test=self.test, out=folder / "run", seed=seed, **self.machine)
            shutil.rmtree(folder / "run")  # weights: a hundred tables of them fill a disk
            return {k: done.result[k] for k in KEPT}

        return once(self.root, asked, compute)

    def _asked(self, method: Method | None, seed: int) -> dict:
        name = method and next((n for n, m in METHODS.items() if m is type(method)), type(method).__name__)
        return {
            "data": self.data,
            "limit": self.limit,
            "method": name,
            "settings": method and asdict(method),
            "seed": seed,
        }

    def _place(self, method: Method, seed: int) -> Path:
        return self.root / "protected" / key(self._asked(method, seed))


def _mixed(protected: Images, clean: Images, share: float, rest: bool, seed: int) -> Images:
    """``protected`` with 1 - share of every class clean, or (``rest``) only those clean ones."""
    if rest:
        keep = clean_rows(clean.y, 1 - share, seed)
        return replace(clean, x=clean.x[keep], y=clean.y[keep])
    return protected if share == 1 else dilute(protected, clean, 1 - share, seed)
