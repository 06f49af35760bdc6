"""The process that works: one job after the other, told to the page as it goes. SIGINT ends it as
Ctrl-C ends a command, and so does a page that is gone."""

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import FrameType

from unlearnable.app.messages import Failed, Finished, Job, Stopped, Working
from unlearnable.core.errors import UserError, refused_by_system
from unlearnable.core.plugins import one_line
from unlearnable.core.progress import Tick, listeners
from unlearnable.core.text import printable

STAGES = {
    "reading images": "Reading the photos",
    "writing photos": "Writing the protected photos",
    "measuring": "Training test models on the clean and on the protected photos",
}
NOISE = "Making the noise"
_interrupted: list[int] = []


def main(page: Connection) -> None:
    """Do what the page asks for, until it is gone or interrupts."""
    signal.signal(signal.SIGINT, _later)  # also where nohup had it ignored
    if sys.platform != "win32":
        os.setsid()  # Ctrl-C in the terminal is for the server, which passes it on
    try:
        _work(page)
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            page.send(Stopped())
    except (EOFError, BrokenPipeError):  # the server is gone
        pass


def _work(page: Connection) -> None:
    from unlearnable.app.work import Memory, do  # loads torch, in seconds

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _interrupt)
    if _interrupted:
        raise KeyboardInterrupt
    listeners.append(listener := lambda tick: page.send(_working(tick)))
    try:
        memory = Memory()
        _jobs(page, lambda job: do(job, memory, page.send))
    finally:
        listeners.remove(listener)


def _jobs(page: Connection, do: Callable[[Job], None]) -> None:
    """Do one job after the other, until the server is gone."""
    while True:
        job: Job = page.recv()
        page.send(Working("Starting"))
        try:
            do(job)
        except BrokenPipeError:
            raise
        except Exception as e:
            if _interrupted:  # code that a signal met in an import may make anything of it
                raise KeyboardInterrupt from e
            page.send(_failed(e))
        else:
            page.send(Finished())


def _later(number: int, frame: FrameType | None) -> None:
    """While modules are loaded, of which half a one is of no use."""
    _interrupted.append(number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # once: files are being tidied up
    _interrupted.append(number)
    raise KeyboardInterrupt


def _working(tick: Tick) -> Working:
    return Working(STAGES.get(tick.title, NOISE), tick.step / tick.total, tick.seconds_left)


def _failed(e: Exception) -> Failed:
    """What the command would say, in one sentence; a fault of the program also goes to the
    terminal, whole."""
    if isinstance(e, UserError):
        return Failed(printable(str(e)), tuple(printable(detail) for detail in e.details))
    if isinstance(e, OSError) and e.errno is not None:
        return Failed(refused_by_system(e))
    traceback.print_exception(e)
    return Failed(
        f"The program failed ({printable(one_line(e))}); the terminal that it was started in says "
        "more. What was done is kept: start again to resume."
    )
