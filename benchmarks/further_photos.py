"""Are photos protected that the generator never saw? Of a folder of photos a quarter is held out
clean, half of the rest is protected by a run of its own, the other half from that run's generator
(docs/photographs.md).

    OMP_NUM_THREADS=1 python benchmarks/further_photos.py PHOTOS --seeds 0 1 2
    python benchmarks/further_photos.py PHOTOS --seeds        # prints the table of what is there
"""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import torch

from unlearnable.data.image_files import listing
from unlearnable.data.images import Images
from unlearnable.data.load import load
from unlearnable.data.subsets import holdout_split, near_duplicates
from unlearnable.evaluation.store import get_or_compute, rows
from unlearnable.protection.methods.from_generator import Generated
from unlearnable.protection.photos import method_for, protect_photos
from unlearnable.reports.tables import mean_std
from unlearnable.training.learn import learn
from unlearnable.training.recipe import Recipe

RESULTS = Path("results/further")


SIZE = 48  # at which the learner sees them; the noise is made at 32


def joined(one: Images, other: Images) -> Images:
    return replace(one, x=torch.cat([one.x, other.x]), y=torch.cat([one.y, other.y]))


def run(photos: Path, seed: int, radii: list[float]) -> None:
    found, all_ = listing(photos), load(photos, size=SIZE)
    test = holdout_split(all_.y, near_duplicates(all_.x), 0.25, seed)
    rest = (~test).nonzero().flatten()
    half = holdout_split(all_.y[rest], torch.arange(len(rest)), 0.5, seed)
    place = RESULTS / f"photos-{seed}"
    for name, members in (("old", rest[~half]), ("new", rest[half])):
        for k in members.tolist():
            path, c = found.files[k]
            (place / name / found.classes[c]).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place / name / found.classes[c] / path.name)
    method, _ = method_for(place / "old")
    protect_photos(place / "old", place / "old-out", method, seed=seed)
    further = Generated.of(place / "old-out")
    protect_photos(place / "new", place / "new-out", further, seed=seed)
    old, new, old_out, new_out = (
        load(place / n, size=SIZE) for n in ("old", "new", "old-out", "new-out")
    )
    held_out = replace(all_, x=all_.x[test], y=all_.y[test])
    sets = {
        "new, clean": new,
        "new, protected": new_out,
        "old and new, clean": joined(old, new),
        "old and new, protected": joined(old_out, new_out),
        "old protected, new clean": joined(old_out, new),
    }
    for radius in radii:
        for name, data in sets.items():

            def cell(run: Path, data: Images = data, radius: float = radius) -> dict:
                recipe = Recipe.preset("photos", adv_eps=radius)
                done = learn(data, recipe, test=held_out, out=run, seed=seed)
                return {
                    k: done.result[k]
                    for k in ("accuracy", "seconds", "hardware", "torch", "commit", "command")
                }

            get_or_compute(RESULTS, {"on": name, "radius": radius, "seed": seed}, cell)


def table() -> str:
    lines = ["| trained on | ordinary | AT-2 | seeds |", "|---|---|---|---|"]
    for name in dict.fromkeys(c["config"]["on"] for c in rows(RESULTS)):
        cells = [[c["accuracy"] for c in rows(RESULTS, on=name, radius=r)] for r in (0.0, 2.0)]
        scores = " | ".join(mean_std(c) if c else "-" for c in cells)
        lines.append(f"| {name} | {scores} | {max(map(len, cells))} |")
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument(
        "photos", type=Path, help="a folder with one sub-folder of photos a class"
    )
    arguments.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    arguments.add_argument(
        "--radii", type=float, nargs="+", default=[0.0], help="0 is ordinary training"
    )
    options = arguments.parse_args()
    for seed in options.seeds:
        run(options.photos, seed, options.radii)
    print(table())


if __name__ == "__main__":
    main()
