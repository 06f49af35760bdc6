"""All campaigns in one warm process: what `make campaign` runs.

python benchmarks/reliability/all.py            # the figures of docs/reliability.md
python benchmarks/reliability/all.py --tiny     # a small share; `make test` runs four of them
python benchmarks/reliability/all.py --programs disk load
"""

import argparse
import sys
import time
from functools import partial

import disk
import hostile
import kills
import load
import own
import security
import torch
from common import WORKERS, Figures, Main, measured, warm

from unlearnable.core.provenance import provenance

# name: (program, cases, kinds, processes). The commands of load use both cores themselves.
Plan = dict[str, tuple[Main, int, str, int]]
FULL: Plan = {
    "kills": (kills.main, 200, "", WORKERS),
    "disk": (disk.main, 100, "", WORKERS),
    "hostile": (hostile.main, 10_000, "", WORKERS),
    "own": (own.main, 300, "", WORKERS),
    "security": (security.main, 300, "", WORKERS),
    "load": (load.main, len(load.CASES), "", 1),
}
# kinds that need few commands before the first case
TINY: Plan = {
    "kills": (kills.main, 4, "lsp", 1),
    "disk": (disk.main, 3, "lsp", 1),
    "hostile": (hostile.main, 30, "", 1),
    "own": (own.main, 4, "learn", 1),
    "security": (security.main, 6, "pickles", 1),
    "load": (partial(load.main, files=50), 1, "audits", 1),
}


def rows(figures: list[Figures]) -> str:
    """The table of docs/reliability.md."""
    about = provenance(torch.device("cpu"))
    where = f"{about['hardware']}; {about['commit']}; {time.strftime('%Y-%m-%d')}"
    lines = [
        f"`{f.name}.py` | {f.cases:,} | {f.failures} | {f.seed} | {f.seconds:,.0f} | {where}"
        for f in figures
    ]
    head = "program | cases | failures | seed | seconds | machine, commit, date"
    return "\n".join(f"| {line} |" for line in (head, " | ".join(["---"] * 6), *lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--programs", nargs="+", choices=FULL, default=[*FULL])
    options = parser.parse_args()
    plan = TINY if options.tiny else FULL
    warm()
    done = [
        measured(name, main, cases, options.seed, only, workers)
        for name in options.programs
        for main, cases, only, workers in [plan[name]]
    ]
    print(rows(done))
    sys.exit(any(f.failures for f in done))
