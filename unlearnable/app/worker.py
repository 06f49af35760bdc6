"""The server's end of the process that works: it is started when there is something to do, keeps
what it has read for the next job, and ends where it is interrupted."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from unlearnable.app import child
from unlearnable.app.messages import Answer, Failed, Finished, Job, Stopped

GONE = Failed(
    "The work ended by itself, perhaps because the memory of this computer was full; close other "
    "programs and start again: it resumes."
)
PATIENCE = 20.0  # seconds that unfinished files may take to be tidied up


class Worker:
    """One process, one job at a time. ``hear`` gets every answer, in a thread of its own; the last
    one of a job is Finished, Failed or Stopped."""

    def __init__(self, hear: Callable[[Answer], None]):
        self._hear = hear
        self._process: SpawnProcess | None = None
        self._line: Connection | None = None
        self._stopping = self._busy = False

    def warm(self) -> None:
        """Start the process, which takes seconds, before there is anything to do."""
        if self._process is None or not self._process.is_alive():
            context = multiprocessing.get_context("spawn")
            self._line, theirs = context.Pipe()
            self._process = context.Process(target=child.main, args=(theirs,), daemon=True)
            self._process.start()
            self._stopping = False
            theirs.close()  # so that the end of the process ends the line

    def start(self, job: Job) -> None:
        """Send a job to the process, which must have none."""
        self.warm()
        assert self._line is not None
        self._busy = True
        self._line.send(job)
        threading.Thread(target=self._listen, args=(self._line,), daemon=True).start()

    def _listen(self, line: Connection) -> None:
        """Pass on what comes until the job is over."""
        while True:
            try:
                answer: Answer = line.recv()
            except (EOFError, OSError):
                answer = Stopped() if self._stopping else GONE
            if isinstance(answer, Stopped) or answer is GONE:
                self._end()
            over = isinstance(answer, Finished | Failed | Stopped)
            self._busy = not over
            self._hear(answer)
            if over:
                return

    def interrupt(self) -> None:
        """What Ctrl-C does to a command. The answer is Stopped."""
        process = self._process
        if process is not None and process.pid is not None and process.is_alive():
            self._stopping = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)

    def close(self) -> None:
        """Interrupt what is going on, and wait until it has tidied up."""
        if self._busy:
            self.interrupt()
        self._end(PATIENCE if self._busy else 0)

    def _end(self, patience: float = PATIENCE) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.join(patience)
            process.kill()
            process.join()
