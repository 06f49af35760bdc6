"""All campaigns in one warm process: what `make campaign` runs.

python benchmarks/reliability/all.py            # the figures of docs/reliability.md
python benchmarks/reliability/all.py --tiny     # the share that `make test` runs
"""

import argparse
import os
import sys
from pathlib import Path

import disk
import hostile
import kills
import own
import security
from common import warm

# cases of each, and the kinds of --tiny, which need few commands before the first case
FULL = {
    kills: (200, ""),
    disk: (100, ""),
    hostile: (10_000, ""),
    own: (300, ""),
    security: (300, ""),
}
TINY = {
    kills: (4, "lsp"),
    disk: (3, "lsp"),
    hostile: (60, ""),
    own: (8, "learn"),
    security: (12, "pickles"),
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    warm()
    plan = TINY if asked.tiny else FULL
    failed = sum(program.main(cases, asked.seed, only) for program, (cases, only) in plan.items())
    sys.exit(failed > 0)
