"""Kill every verb that writes at random moments, by SIGKILL, SIGTERM and SIGINT, once to three
times in a row, and run the same command to its end: the files must be bit for bit those of the
uninterrupted run, and nothing may be left behind.

    python benchmarks/reliability/kills.py --cases 200
"""

import random
import signal
from functools import partial
from pathlib import Path

from common import command, program
from verbs import Case, disturbed

STATUS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 1}


def one(case: Case, folder: Path, random_: random.Random) -> str | None:
    """Kill one command; what went wrong."""
    work, words = case.fresh(folder), " ".join(case.args)
    for _ in range(random_.choice((1, 1, 2, 3))):
        number = random_.choice(list(STATUS))
        ended = command(
            case.args, work, kill=(number, random_.uniform(0, 1.1) * case.ended.seconds)
        )
        if not (ended.done or ended.status == STATUS[number]) or "Traceback" in ended.err:
            return f"{words}: {number.name} ended with {ended.status}, {ended.err[-1500:]}"
    return case.resumes(work)


main = partial(disturbed, "kills", one)

if __name__ == "__main__":
    program(__doc__, main, 200)
