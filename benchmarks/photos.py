"""Memory and time of a large folder of photos: does memory stay flat, and what does a large photo
cost?

Generates photos (smooth random color with grain, JPEG) and protects them in a process of its own
with a noise run of two steps, so that what is measured is the handling of files. Prints peak memory
of that process and the seconds a photo.

    python benchmarks/photos.py --count 1000 10000          # mixed sizes, 40 to 500 pixels a side
    python benchmarks/photos.py --count 8 --side 4000       # 12 megapixels each
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

RUN = """
import resource, sys, time
from unlearnable import SEM, protect_photos
begin = time.monotonic()
protect_photos(sys.argv[1], sys.argv[2], SEM.preset("short", train_steps=2))
unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20, time.monotonic() - begin)
"""


def generate(folder: Path, count: int, side: int | None) -> None:
    random = np.random.default_rng(0)
    grain = random.integers(-6, 7, (3000, 4000, 3), dtype=np.int16)
    for k in range(count):
        width, height = (side, side * 3 // 4) if side else random.integers(40, 501, 2)
        small = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        x = (
            np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.int16)
            + grain[:height, :width]
        )
        path = folder / f"class {k % 10}" / f"{k}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(x.clip(0, 255).astype(np.uint8)).save(path, quality=92)


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument(
        "--count", type=int, nargs="+", default=[1000, 10000], help="photos, one run each"
    )
    arguments.add_argument(
        "--side", type=int, help="width of every photo, at 4:3 (default: mixed, 40 to 500 pixels)"
    )
    options = arguments.parse_args()
    for count in options.count:
        with tempfile.TemporaryDirectory() as scratch:
            photos = Path(scratch) / "photos"
            generate(photos, count, options.side)
            command = [sys.executable, "-c", RUN, str(photos), str(Path(scratch) / "out")]
            memory, seconds = map(
                float,
                subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(),
            )
            print(
                f"{count} photos: {memory:.0f} MiB at most, {seconds:.0f} s, "
                f"{seconds / count:.3f} s per photo",
                flush=True,
            )


if __name__ == "__main__":
    main()
