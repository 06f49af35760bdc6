"""What is on the page: one folder, one job at a time, whoever looks. It outlives the browser's tab,
so that a page that is opened again shows where the work stands."""

import itertools
import os
import time
from dataclasses import replace
from pathlib import Path

from unlearnable.app.messages import (
    Answer,
    Effort,
    Failed,
    Finished,
    Found,
    Job,
    Level,
    Look,
    Measure,
    Measured,
    Picture,
    Preview,
    Protect,
    ProtectedPhotos,
    Ready,
    Stopped,
    Working,
)
from unlearnable.app.worker import Worker
from unlearnable.core.errors import UserError


class Desk:
    """The state of the page, and what can be done with it. Every method that starts something
    raises UserError where that cannot be."""

    def __init__(self, effort: Effort | None = None):
        self.effort = effort or Effort()
        self.worker = Worker(self.hear)
        self.folder: Path | None = None
        self.out: Path | None = None
        self.level: Level = "normal"
        self.leave_out = False
        self.photo = 0
        self.job: Job | None = None
        self.began = 0.0
        self.working = Working("Starting")
        self.said: Failed | Stopped | None = None
        """how the last job ended, if not well"""
        self.of: type[Job] | None = None
        """which kind of job that was"""
        self.found: Found | None = None
        self.ready: Ready | None = None
        self.picture: Picture | None = None
        self.shown = 0
        """counts the pictures, which a browser would keep"""
        self.done: ProtectedPhotos | None = None
        self.measured: Measured | None = None

    # ── what a person does ──

    def look(self, typed: str) -> None:
        """Look at another folder, as it was typed or chosen."""
        self._require_rest()
        folder = as_folder(typed)
        self.folder, self.out = folder, folder.with_name(f"{folder.name}-protected")
        self.level, self.leave_out, self.photo = "normal", False, 0
        self.found = self.picture = None
        self._look()

    def write_to(self, typed: str) -> None:
        """Choose where the protected photos go."""
        self._require_rest()
        self.out = as_folder(typed)
        self._look()

    def again(self) -> None:
        """Prepare to protect the same photos into another folder, for instance stronger."""
        folder, _ = self._places()
        names = (f"{folder.name}-protected-{number}" for number in itertools.count(2))
        free = (path for name in names if not (path := folder.with_name(name)).exists())
        self.write_to(str(next(free)))

    def choose(self, level: Level) -> None:
        self._require_rest()
        self.level = level

    def show(self, photo: int) -> None:
        """Show the ``photo``-th of a few photos before and after, at the chosen strength."""
        folder, _ = self._places()
        self.photo = photo
        self._start(Preview(folder, self.level, photo, self.effort))

    def protect(self) -> None:
        if self.found and self.found.problems and not self.leave_out:
            raise UserError(
                "Some files cannot be protected; tick above that they are left out, or repair them "
                "and look inside again."
            )
        self._start(Protect(*self._places(), self.level, self.leave_out, self.effort))

    def measure(self) -> None:
        self._start(Measure(*self._places(), self.effort))

    def stop(self) -> None:
        self.worker.interrupt()

    def close(self) -> None:
        self.worker.close()

    # ── what comes of it ──

    def hear(self, answer: Answer) -> None:
        """Take what the working process says; called in another thread."""
        match answer:
            case Working():
                self.working = answer
            case Found():
                self.found = answer
            case Ready():
                self.ready, self.done, self.measured = answer, answer.done, answer.measured
                self.level = answer.level or self.level
            case Picture():
                self.picture, self.shown = answer, self.shown + 1
            case ProtectedPhotos():
                self.done, self.measured = answer, None
            case Measured():
                self.measured = answer
            case Finished() | Failed() | Stopped():
                self._over(answer)

    def _over(self, answer: Finished | Failed | Stopped) -> None:
        if isinstance(self.job, Protect) and self.ready:
            self.ready = replace(self.ready, unfinished=not isinstance(answer, Finished))
        self.said = None if isinstance(answer, Finished) else answer
        self.of = type(self.job) if self.job else None
        self.job = None

    @property
    def seconds(self) -> float:
        """How long the job has been going on."""
        return time.monotonic() - self.began

    # ── inside ──

    def _look(self) -> None:
        self.ready = self.done = self.measured = None
        self._start(Look(*self._places(), self.level, self.effort))

    def _places(self) -> tuple[Path, Path]:
        if self.folder is None or self.out is None:
            raise UserError("Choose a folder first.")
        return self.folder, self.out

    def _require_rest(self) -> None:
        if self.job is not None:
            raise UserError("Something is being done; stop it first, or wait until it is done.")

    def _start(self, job: Job) -> None:
        self._require_rest()
        self.job, self.said, self.began = job, None, time.monotonic()
        self.working = Working("Starting")
        self.worker.start(job)


def as_folder(typed: str) -> Path:
    """The folder that a person means. Raises UserError where that is none, or a whole disk."""
    text = typed.strip().strip("\"'").removeprefix("file://")
    if not text:
        raise UserError("Type the path of a folder, or browse to it.")
    folder = Path(os.path.abspath(Path(text).expanduser()))
    if not folder.name:
        raise UserError(f"{folder} is a whole disk; choose a folder in it.")
    return folder
