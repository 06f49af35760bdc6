"""Fill the disk under every verb that writes, at a random point: files above a random size are
refused by the system, or a sync or a rename fails with an I/O error. The command must end
with one sentence and status 2 and leave no unfinished file, and the same command must then reach
the files of the undisturbed run.

    python benchmarks/reliability/disk.py --cases 100
"""

import errno
import os
import random
import resource
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from common import command, program
from verbs import Case, disturbed

from unlearnable.core.files import PART


def one(case: Case, folder: Path, random_: random.Random) -> str | None:
    """Disturb one command; what went wrong."""
    work, words = case.fresh(folder), " ".join(case.args)
    how = random_.choice((full(random_), failing(random_)))
    ended = command(case.args, work, before=how)
    one_line = ended.err.count("unlearnable: ") == 1 or ended.done
    if not (ended.done or ended.status == 2) or "Traceback" in ended.err or not one_line:
        return f"{words}: status {ended.status}, {ended.err[-1500:]}"
    if left := [p for p in work.rglob("*") if PART.fullmatch(p.name)]:
        return f"{words}: left {left}"
    return case.resumes(work)


def full(random_: random.Random) -> Callable[[], None]:
    """No file grows above a random size, 2 to 250 KB: below, what the command says would not fit
    into the files that catch it."""
    size = int(2000 * 2 ** random_.uniform(0, 7))

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def failing(random_: random.Random) -> Callable[[], None]:
    """One of the first calls of ``os.replace`` or ``os.fsync``, and all after it, fail."""
    name, number = random_.choice(("replace", "fsync")), random_.randrange(12)
    code = random_.choice((errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS))
    real, calls = getattr(os, name), []

    def fails(*args, **kwargs):
        calls.append(args)
        if len(calls) > number:
            raise OSError(code, os.strerror(code))
        return real(*args, **kwargs)

    return lambda: setattr(os, name, fails)


main = partial(disturbed, "disk", one)

if __name__ == "__main__":
    program(__doc__, main, 100)
