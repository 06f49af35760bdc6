"""Work on many images in threads and processes, within a bound on the pixels held at one time."""

import os
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from unlearnable.core import distributed
from unlearnable.core.errors import UserError
from unlearnable.core.progress import Progress

A = TypeVar("A")
B = TypeVar("B")

THREADS = min(4, os.cpu_count() or 1)
AT_ONCE = 4096  # items of a process between two exchanges with the others
ROOM = 100_000_000  # pixels of all threads together; a larger image is worked on alone


class _Held(threading.local):
    """The pixels that this thread has claimed; None outside ``in_threads``."""

    pixels: int | None = None


_held = _Held()
_room = threading.Condition()
_taken = [0]


def claim(pixels: int) -> None:
    """Wait until there is room for an image of so many pixels. It counts until the thread turns to
    its next item. A second claim of the same item returns at once, so that no thread holds room
    while it waits for more."""
    if _held.pixels != 0:
        return
    with _room:
        _room.wait_for(lambda: not _taken[0] or _taken[0] + pixels <= ROOM)
        _taken[0] += pixels
    _held.pixels = pixels


def _release() -> None:
    with _room:
        _taken[0] -= _held.pixels or 0
        _room.notify_all()
    _held.pixels = None


def in_threads(work: Callable[[A], B], items: Sequence[A], title: str) -> list[B]:
    """Compute ``[work(item) for item in items]`` in threads: Pillow releases Python's lock while it
    codes and decodes images."""

    def bounded(item: A) -> B:
        _held.pixels = 0
        try:
            return work(item)
        finally:
            _release()

    done = []
    # Pillow warns of odd metadata and sizes; silenced here, because filters are global.
    quiet = warnings.catch_warnings(action="ignore")
    with quiet, ThreadPoolExecutor(THREADS) as pool, Progress(title, len(items)) as progress:
        try:
            for result in pool.map(bounded, items):
                done.append(result)
                progress.at(len(done))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return done


def in_processes(work: Callable[[A], B], items: Sequence[A], title: str) -> list[B]:
    """As ``in_threads``, and shared out over the processes of torchrun: each works on every
    world-th item, and all get all results. Where ``work`` raises a UserError, all raise the first
    of them."""
    world = distributed.world()
    if world == 1:
        return in_threads(work, items, title)

    def attempt(item: A) -> B | _Refused:
        try:
            return work(item)
        except UserError as e:
            return _Refused(e)

    done: list[B] = []
    for first in range(0, len(items), AT_ONCE * world):
        block = items[first : first + AT_ONCE * world]
        part = (
            f"{title}, part {first // (AT_ONCE * world) + 1}" if len(items) > len(block) else title
        )
        own = in_threads(attempt, block[distributed.rank() :: world], part)
        theirs = distributed.gather(own)
        for k in range(len(block)):
            result = theirs[k % world][k // world]
            if isinstance(result, _Refused):
                raise result.error
            done.append(result)
    return done


@dataclass(frozen=True)
class _Refused:
    """What another process is told of an item that raised."""

    error: UserError
