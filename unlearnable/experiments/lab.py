"""The cells of which all tables are made: one learner, trained on one set, tested on clean pictures. A cell is made
once, kept as one small JSON file, and shared by every table that asks for it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from ..counter import clean_rows, dilute
from ..data import Images, load
from ..learn import Precision, Recipe
from ..methods import METHODS, Method
from ..protect import protect
from ..results import once
from ..state import key
from ..trials import trial
from .book import Book


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
    def trials(self) -> Path:
        """The folder of the trainings themselves, for audits of the protected sets to share (``--cells``)."""
        return self.root / "trials"

    @property
    def machine(self) -> dict:
        return {"device": self.device, "precision": self.precision}

    def protected(self, method: Method | None, seed: int) -> Images:
        """The pictures with that noise (None: the clean ones), crafted the first time and read afterwards."""
        if method is None:
            return self.clean
        self.card(method, seed)  # where another process is at the same noise, this waits for it
        return protect(self.clean, method, self.place(method, seed), seed=seed, **self.machine).images

    def card(self, method: Method, seed: int, *, wait: bool = True) -> dict | None:
        """What making the noise cost and how visible it is: budget, measured, passes, seconds, hardware, ...

        Where another process is at it: waited for, or (``wait`` False) None; so too ``cell``."""

        def compute(_: Path) -> dict:
            card = protect(self.clean, method, self.place(method, seed), seed=seed, **self.machine).card
            return {k: v for k, v in card.items() if k not in ("classes", "digest", "data")}

        return self._once(self.card_asked(method, seed), compute, wait)

    def cell(
        self,
        method: Method | None,
        seed: int,
        *,
        share: float = 1.0,
        rest: bool = False,
        countered: str | None = None,
        wait: bool = True,
        **changes: object,
    ) -> dict | None:
        """A learner's accuracy and peak in %, its log and evidence.

        share: of every class is protected, the rest clean.  rest: train on that clean rest alone.  countered: a line
        of ``COUNTERS``, done to the training pictures first.  changes: fields of the recipe (``adv_eps=2``)."""

        def compute(_: Path) -> dict:
            data = _mixed(self.protected(method, seed), self.clean, share, rest, seed)
            recipe = replace(self.recipe, **changes)
            done = trial(self.trials, data, self.test, recipe, countered=countered, seed=seed, **self.machine)
            return {k: v for k, v in done.items() if k != "config"}

        asked = self.cell_asked(method, seed, share=share, rest=rest, countered=countered, **changes)
        return self._once(asked, compute, wait)

    def card_asked(self, method: Method, seed: int) -> dict:
        """The configuration under which ``card`` keeps its result."""
        return {**self._asked(method, seed), "what": "noise"}

    def cell_asked(
        self,
        method: Method | None,
        seed: int,
        *,
        share: float = 1.0,
        rest: bool = False,
        countered: str | None = None,
        **changes: object,
    ) -> dict:
        """The configuration under which ``cell`` keeps its result."""
        recipe = replace(self.recipe, **changes)
        asked = {**self._asked(method, seed), "what": "learner", "recipe": asdict(recipe), "test": self.test_limit}
        return asked | {"share": share, "rest": rest, "counter": countered}

    @cached_property
    def book(self) -> Book:
        """What was in ``root`` when it was first looked at, and what was made here since."""
        return Book(self.root)

    def _once(self, asked: dict, compute: Callable[[Path], dict], wait: bool) -> dict | None:
        if found := self.book.of(asked).get(asked["seed"]):
            return found
        if cell := once(self.root, asked, compute, wait=wait):
            self.book.add(cell)
        return cell

    def _asked(self, method: Method | None, seed: int) -> dict:
        name = method and next((n for n, m in METHODS.items() if m is type(method)), type(method).__name__)
        return {
            "data": self.data,
            "limit": self.limit,
            "method": name,
            "settings": method and asdict(method),
            "seed": seed,
        }

    def place(self, method: Method, seed: int) -> Path:
        """The folder of the pictures with that noise."""
        return self.root / "protected" / key(self._asked(method, seed))


def _mixed(protected: Images, clean: Images, share: float, rest: bool, seed: int) -> Images:
    """``protected`` with 1 - share of every class clean, or (``rest``) only those clean ones."""
    if rest:
        keep = clean_rows(clean.y, 1 - share, seed)
        return replace(clean, x=clean.x[keep], y=clean.y[keep])
    return protected if share == 1 else dilute(protected, clean, 1 - share, seed)
