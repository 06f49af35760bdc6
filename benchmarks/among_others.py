"""One class among others: only some classes are protected, the rest of what a learner sees stays
clean. What do learners reach on the protected classes, and on the others (docs/photographs.md)?

    OMP_NUM_THREADS=1 python benchmarks/among_others.py PHOTOS --own glass
    OMP_NUM_THREADS=1 python benchmarks/among_others.py cifar10 --own 3 --limit 5000 --methods em
    python benchmarks/among_others.py cifar100 --own 0 1 2 3 4 5 6 7 8 9 --seeds 0
    python benchmarks/among_others.py                        # prints the table of what is there

A folder of photos goes through protect-photos and verify, with one seed of the noise and as many
splits as there are seeds; a named set through protect, with its own test images, once per seed.
Everything resumes. A frozen network is tried where its weights are installed.
"""

import argparse
import shutil
from dataclasses import asdict, fields, replace
from itertools import groupby
from pathlib import Path

from unlearnable.core.files import config_hash
from unlearnable.data.image_files import listing
from unlearnable.data.load import load
from unlearnable.data.sources import DATA
from unlearnable.data.subsets import find_classes
from unlearnable.evaluation.learners import of_radius, pretrained
from unlearnable.evaluation.results import VerifiedRow
from unlearnable.evaluation.store import Json, get_or_compute, rows
from unlearnable.evaluation.train_and_test import train_and_test
from unlearnable.evaluation.verdict import left, verdict
from unlearnable.evaluation.verify import verify
from unlearnable.models.pretrained import installed
from unlearnable.protection.methods import METHODS
from unlearnable.protection.methods.base import Method
from unlearnable.protection.photos import protect_photos
from unlearnable.protection.protect import protect
from unlearnable.reports.tables import mean_std
from unlearnable.training.recipe import Recipe

RESULTS = Path("results/among-others")


def on_photos(source: Path, own: list[str], method: Method, options: argparse.Namespace) -> None:
    """Protect the photos of the classes ``own`` among the others' and verify them; store the
    verification's rows."""
    found = listing(source)
    mine = find_classes(tuple(own), found.classes)
    recipe = shortened(Recipe.preset("photos"), options.steps)
    about = noise(source.name, len(found.files), mine, method)
    place = RESULTS / "protected" / config_hash(about)

    def compute(run: Path) -> Json:
        for path, c in found.files:
            name = found.classes[c]
            to = place / ("photos" if name in mine else "others") / name
            to.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to / path.name)
        protect_photos(place / "photos", place / "out", method, others=place / "others")
        done = verify(
            place / "photos",
            place / "out",
            recipe,
            out=place / "verified",
            radii=tuple(options.radii),
            countermeasures=(),
            seeds=len(options.seeds),
        )
        return {"chance": done.chance, "rows": [asdict(row) for row in done.rows]}

    splits = {"splits": len(options.seeds)}
    get_or_compute(RESULTS, about | splits | learning(recipe, options), compute)


def on_images(source: str, own: list[str], method: Method, options: argparse.Namespace) -> None:
    """Protect the classes ``own`` of a named set, train every learner on the clean and on the
    partly protected images, and store what they reach on these classes and on the others."""
    clean = load(source, limit=options.limit, root=options.data_root)
    test = load(source, split="test", limit=options.test_limit, root=options.data_root)
    mine = find_classes(tuple(own), clean.classes)
    theirs = tuple(name for name in clean.classes if name not in mine)
    recipe, chance = shortened(Recipe.preset("short"), options.steps), 100 / len(clean.classes)
    learners = [of_radius(r) for r in options.radii]
    learners += [pretrained("frozen", name) for name in installed()]
    for seed in options.seeds:
        about = noise(source, len(clean), mine, method) | {"seed": seed}
        place = RESULTS / "protected" / config_hash(about)

        def compute(run: Path, seed: int = seed, place: Path = place) -> Json:
            some = protect(clean, method, place, protected_classes=mine, seed=seed).images
            found = []
            for by in learners:
                a, b = (
                    train_and_test(by, x, test, seed, recipe=recipe, results=RESULTS / "trainings")
                    for x in (clean, some)
                )
                reached = a.accuracy_on(mine), b.accuracy_on(mine)
                row = VerifiedRow(
                    by.name,
                    [reached[0]],
                    [reached[1]],
                    left(*reached, chance),
                    verdict(*reached, chance),
                    [a.accuracy_on(theirs)],
                    [b.accuracy_on(theirs)],
                )
                found.append(asdict(row))
            return {"chance": chance, "rows": found}

        tested = {"test": len(test)}
        get_or_compute(RESULTS, about | tested | learning(recipe, options), compute)


def noise(source: str, images: int, own: tuple[str, ...], method: Method) -> Json:
    """What a protected set is found by, but for its seed."""
    about = {"data": source, "images": images, "own": [*own]}
    return about | {"method": method.name, "settings": asdict(method)}


def learning(recipe: Recipe, options: argparse.Namespace) -> Json:
    """What is tried on it."""
    return {"recipe": asdict(recipe), "radii": options.radii, "networks": [*installed()]}


def shortened(recipe: Recipe, steps: int | None) -> Recipe:
    return replace(recipe, steps=steps) if steps else recipe


def method_of(name: str, steps: int | None) -> Method:
    """The method at its preset for two CPU cores, where it has one."""
    kind = METHODS[name]
    has_steps = any(f.name == "train_steps" for f in fields(kind))
    preset = "short" if "short" in kind.presets else "paper"
    return kind.preset(preset, **({"train_steps": steps} if steps and has_steps else {}))


def table() -> str:
    """Return what is there: one row per set, method and learner."""
    heads = ("data", "own", "method", "steps", "learner", "own, clean", "own, protected", "left")
    heads += ("others, clean", "others, protected", "n")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]

    def key(cell: Json) -> tuple[str, ...]:
        about = cell["config"]
        steps = f"{about['settings'].get('train_steps', '-')}, {about['recipe']['steps']}"
        own = ", ".join(about["own"])
        return f"{about['data']}, {about['images']}", own, about["method"], steps

    for names, cells in groupby(sorted(rows(RESULTS), key=key), key):
        found: dict[str, dict[object, VerifiedRow]] = {}
        for cell in cells:  # the same seed may be there with more learners
            for row in map(VerifiedRow.from_json, cell["rows"]):
                found.setdefault(row.learner, {})[cell["config"].get("seed")] = row
                chance = cell["chance"]
        for learner, by_seed in found.items():
            parts = ("clean", "protected", "others_clean", "others_protected")
            a, b, c, d = ([v for row in by_seed.values() for v in getattr(row, p)] for p in parts)
            share = f"{100 * left(sum(a) / len(a), sum(b) / len(b), chance):.0f} %"
            cols = [*names, learner, mean_std(a), mean_std(b), share, mean_std(c), mean_std(d)]
            lines.append(f"| {' | '.join(cols)} | {len(a)} |")
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = arguments.add_argument
    add("source", nargs="?", help="a folder with one sub-folder per class, or a named data set")
    add("--own", nargs="+", default=["0"], help="the classes to protect, by name or number")
    add("--methods", nargs="+", default=["sem"], choices=sorted(METHODS))
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--radii", type=float, nargs="+", default=[0.0, 2.0], help="0 is ordinary training")
    add("--limit", type=int, default=5000, help="of a named set: images to train on")
    add("--test-limit", type=int, default=2000, help="of a named set: images to test on")
    add("--data-root", help="where the named sets lie")
    add("--steps", type=int, help="of noise and learners, to try the program (default: presets')")
    options = arguments.parse_args()
    for name in options.methods if options.source else ():
        run = on_images if options.source in DATA else on_photos
        source = options.source if options.source in DATA else Path(options.source)
        run(source, options.own, method_of(name, options.steps), options)
    print(table())


if __name__ == "__main__":
    main()
