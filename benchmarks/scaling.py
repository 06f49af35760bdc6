"""How much faster two processes are than one: `protect` and `protect-photos` by torchrun, and the
cells of an audit on Ray (skipped where that is not installed).

    python benchmarks/scaling.py [IMAGES]

Every process computes with one thread, so a machine with two idle cores shows the most that two
processes can gain. The first start of a worker is in the numbers.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

ONE = [sys.executable, "-m", "unlearnable"]
STEPS = "100"  # of every training
TWO = [
    *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend"),
    *("c10d", "--rdzv-endpoint", "localhost:0", "-m", "unlearnable"),
]


def seconds(command: list[str], folder: Path) -> float:
    """How long a command takes in ``folder``, which must succeed."""
    begin = time.monotonic()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return time.monotonic() - begin


def album(folder: Path, images: int) -> None:
    """Made-up photos of one megapixel in two classes."""
    random = np.random.default_rng(0)
    for k in range(images):
        path = folder / "ab"[k % 2] / f"{k}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(small).resize((1024, 1024), Image.Resampling.BICUBIC).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=int, nargs="?", default=256)
    images = parser.parse_args().images
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        album(folder / "photos", images)
        noise = ["protect", "em", "--preset", "short", "--data", "shapes", "--limit", str(images)]
        noise += ["--train-steps", STEPS]
        photos = ["protect-photos", "photos", "--train-steps", STEPS]
        audit = ["audit", "by-1", "--test-limit", "200", "--steps", STEPS]
        runs = [
            ("protect em", [*ONE, *noise, "--out", "by-1"], [*TWO, *noise, "--out", "by-2"]),
            ("protect-photos", [*ONE, *photos, "out-1"], [*TWO, *photos, "out-2"]),
        ]
        if find_spec("ray"):
            one, two = ([*ONE, *audit, "--out", f"audit-{k}", "--cells", f"c-{k}"] for k in "12")
            runs.append(("audit --ray", one, [*two, "--cell-threads", "1", "--ray"]))
        print("| | one process, s | two, s | times as fast |\n|---|---|---|---|")
        for name, one, two in runs:
            a, b = seconds(one, folder), seconds(two, folder)
            print(f"| {name}, {images} images | {a:.1f} | {b:.1f} | {a / b:.2f} |", flush=True)


if __name__ == "__main__":
    main()
