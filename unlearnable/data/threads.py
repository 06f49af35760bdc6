"""Work on many images in threads, within a bound on the pixels that are held at one time."""

import os
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from unlearnable.core.progress import Progress

A = TypeVar("A")
B = TypeVar("B")

THREADS = min(4, os.cpu_count() or 1)
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
