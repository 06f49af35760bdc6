"""Those who watch a training: what a callback is, and the writers that come with the package. None
of the libraries behind them is loaded before a run begins."""

import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from unlearnable.core.errors import UserError, install
from unlearnable.core.files import atomic_write, config_hash, read_json, write_json

if TYPE_CHECKING:
    import wandb
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger(__name__)

Scalars = Mapping[str, float]
"""what is logged of a step: ``step`` itself, ``loss`` of the last batch and, where there are test
images, ``accuracy`` in %"""


@dataclass(frozen=True)
class Run:
    """A training that is watched. kind: what is trained; settings: all that its numbers depend on,
    as JSON holds it; log: what earlier processes logged of it, up to the state it resumes from."""

    kind: Literal["learner", "surrogate"]
    settings: Mapping[str, Any]
    log: Sequence[Scalars] = ()

    @property
    def name(self) -> str:
        """The same for the same settings, wherever and whenever it runs."""
        return f"{self.kind}-{config_hash(json.loads(json.dumps(self.settings)))}"


class Callback(Protocol):
    """Watches runs, one at a time, on rank 0. A run that is resumed begins again, in another
    process: steps after its last saved state are then told again."""

    def begin(self, run: Run) -> None:
        """Hear that ``run`` begins, or resumes."""

    def log(self, scalars: Scalars) -> None:
        """Hear the numbers of a step."""

    def end(self, finished: bool) -> None:
        """Hear that the run is over; not finished: it failed, or was interrupted."""


@dataclass
class JsonLines:
    """Writes a line of JSON per step into ``folder``, replaced whole, so that it is never cut off.
    name: of the file (default: that of the run)."""

    folder: Path
    name: str = ""
    _file: Path = field(init=False, repr=False)
    _lines: list[Scalars] = field(init=False, repr=False)

    def begin(self, run: Run) -> None:
        self._file = self.folder / (self.name or f"{run.name}.jsonl")
        self._lines = list(run.log)

    def log(self, scalars: Scalars) -> None:
        self._lines.append(scalars)
        with atomic_write(self._file) as tmp:
            text = "".join(json.dumps(dict(line)) + "\n" for line in self._lines)
            tmp.write_text(text, encoding="utf-8")

    def end(self, finished: bool) -> None:
        """Everything is written already."""


@dataclass
class _NewSteps(ABC):
    """Writes into ``folder`` what a library keeps; a step that is there already is not written
    again."""

    folder: Path
    _last: int = field(init=False, repr=False, default=-1)

    @abstractmethod
    def write(self, step: int, scalars: Scalars) -> None:
        """Write the numbers of a new step, ``step`` itself not among them."""

    def log(self, scalars: Scalars) -> None:
        step = int(scalars["step"])
        if step > self._last:
            self._last = step
            self.write(step, {k: v for k, v in scalars.items() if k != "step"})


@dataclass
class TensorBoard(_NewSteps):
    """Writes scalars for TensorBoard (the extra tensorboard) into a folder per run in ``folder``. A
    step that is there already is not written again."""

    _writer: "SummaryWriter" = field(init=False, repr=False)

    def begin(self, run: Run) -> None:
        _require("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        own = self.folder / run.name
        self._last = max(_steps_in(own), default=-1)
        self._writer = SummaryWriter(str(own))
        if self._last < 0:
            self._writer.add_text("settings", f"```json\n{json.dumps(run.settings, indent=2)}\n```")
        for scalars in run.log:
            self.log(scalars)

    def write(self, step: int, scalars: Scalars) -> None:
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, finished: bool) -> None:
        self._writer.close()
        logger.info("See the training: tensorboard --logdir %s", self.folder)


def _steps_in(folder: Path) -> Iterator[int]:
    """Yield the steps of all scalars in TensorBoard's files in ``folder``."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    for file in sorted(folder.glob("events.out.tfevents.*")):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                if not value.tag.startswith("settings"):
                    yield event.step


@dataclass
class WeightsAndBiases(_NewSteps):
    """Writes scalars for Weights & Biases (the extra wandb) into ``folder``. Nothing leaves the
    machine and no account is needed, unless the environment variable WANDB_MODE says online. A run
    has one id for all processes that resume it; a step that was logged is not logged again."""

    project: str = "unlearnable"
    _run: "wandb.Run" = field(init=False, repr=False)
    _ledger: Path = field(init=False, repr=False)

    def begin(self, run: Run) -> None:
        _require("wandb")
        import wandb

        mode: Any = os.environ.get("WANDB_MODE") or "offline"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._ledger = self.folder / f"{run.name}.wandb.json"
        self._last = int(read_json(self._ledger)["step"]) if self._ledger.exists() else -1
        try:
            self._run = wandb.init(
                project=self.project,
                dir=self.folder,
                id=run.name,
                name=f"{self.folder.name} {run.kind}",
                config=dict(run.settings),
                resume="allow",
                mode=mode,
                settings=wandb.Settings(
                    silent=True, console="off", disable_git=True, disable_code=True
                ),
            )
        except wandb.errors.Error as e:
            raise UserError(
                f"Weights & Biases does not begin the run ({' '.join(str(e).split())}); run `wandb "
                "login`, or leave WANDB_MODE out to write on this machine only."
            ) from e
        for scalars in run.log:
            self.log(scalars)

    def write(self, step: int, scalars: Scalars) -> None:
        write_json(self._ledger, {"step": step})  # before: a kill between must not log it twice
        self._run.log(dict(scalars), step=step)

    def end(self, finished: bool) -> None:
        offline, where = self._run.offline, Path(self._run.dir).parent
        self._run.finish(exit_code=int(not finished))
        if offline:
            logger.info("To upload the training: wandb sync %s", where)


WriterName = Literal["jsonl", "tensorboard", "wandb"]
WRITERS: dict[WriterName, Callable[[Path], Callback]] = {
    "jsonl": JsonLines,
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
}


def check_writers(names: Sequence[WriterName]) -> None:
    """Raise UserError for a writer whose library is not installed."""
    for name in names:
        if name != "jsonl":
            _require(name)


def _require(package: Literal["tensorboard", "wandb"]) -> None:
    if not find_spec(package):
        raise UserError(
            f"{package}, which writes the training's numbers, is not installed, an extra: "
            f"{install(package)}."
        )
