"""Signals that end a command: Ctrl-C, and what ``kill`` and a terminal that closes send. Everything
is written atomically and resumed, so that stopping costs nothing but the last seconds. Imports
nothing but the standard library, so that it is in force while the rest is being imported."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

SENTENCE = "unlearnable: interrupted; the same command resumes from the last saved state."
STATUS = {"SIGINT": 1, "SIGTERM": 143, "SIGHUP": 129}  # of a command that a signal ended

_received: list[int] = []
"""the exit status for every signal so far"""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Inside, the first signal raises KeyboardInterrupt, wherever the program is, so that
    unfinished files are removed; the second ends the process at once. A command that a signal ended
    exits with its status and one sentence, whatever the interrupted code made of the exception."""
    _received.clear()
    before = {}
    for name in STATUS:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        with contextlib.suppress(TypeError, ValueError):  # not the main thread
            # nohup has the signal ignored; Python's own handler of Ctrl-C is the usual one
            if number and signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, _stop)
    try:
        yield
    except BaseException as e:
        # code that a signal met in an import or a callback may have made anything of it
        if not _received or isinstance(e, SystemExit):
            raise
        _say()
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:  # the others may wait for this one for ever
            os._exit(_received[0])
        raise SystemExit(_received[0]) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _received.clear()


def interrupted() -> bool:
    """Whether a signal has come."""
    return bool(_received)


def ignore() -> None:
    """Ignore these signals, when all is done and the interpreter is only cleaning up."""
    for name in STATUS:
        if number := getattr(signal, name, None):
            signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    _received.append(STATUS[signal.Signals(number).name])
    if len(_received) > 1:
        _say()
        os._exit(_received[0])
    raise KeyboardInterrupt


def _say() -> None:
    if int(os.environ.get("RANK", 0)) == 0:  # the others would say the same
        with contextlib.suppress(OSError, ValueError):
            print(SENTENCE, file=sys.stderr, flush=True)
