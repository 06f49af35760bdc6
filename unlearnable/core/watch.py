"""The log of one training, and those who watch it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from unlearnable.core import distributed
from unlearnable.core.callbacks import Callback, Run, Scalars


class Watch:
    """``with Watch("learner", settings, callbacks) as watch: watch.log(scalars)``. ``entries`` is
    the log, on every process: it belongs to the state of the run, and ``resume`` takes it back. The
    callbacks hear of it on rank 0."""

    def __init__(
        self,
        kind: Literal["learner", "surrogate"] = "surrogate",
        settings: Mapping[str, Any] | None = None,
        callbacks: Sequence[Callback] = (),
    ):
        self.kind, self.settings, self.callbacks = kind, settings or {}, tuple(callbacks)
        self.entries: list[dict[str, float]] = []
        self._told: list[Callback] = []
        self._begun = False

    def __enter__(self) -> "Watch":
        return self

    def resume(self, entries: Sequence[Scalars]) -> None:
        """Take what was logged before, and tell the callbacks that the run begins."""
        self.entries = [dict(entry) for entry in entries]
        self._begun = True
        run = Run(self.kind, self.settings, tuple(self.entries))
        for callback in self.callbacks if distributed.rank() == 0 else ():
            callback.begin(run)
            self._told.append(callback)

    def log(self, **scalars: float) -> None:
        """Add the numbers of a step."""
        if not self._begun:
            self.resume(())
        self.entries.append(scalars)
        for callback in self._told:
            callback.log(scalars)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        told, self._told = self._told, []
        for callback in told:
            callback.end(kind is None)
