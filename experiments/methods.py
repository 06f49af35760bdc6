"""The first table: does the noise protect, against which learner? (docs/results.md)

5,000 CIFAR-10 pictures (500 a class), `convnet`, tested on 2,000 clean test pictures. Clean; EM without T in
its two schedules (all noise in passes, a batch's at its visit) and with T; SEM(2) and REM(2) with and without `warm`:
under ordinary and adversarial training. An hour or two a seed on 2 cores.

    python experiments/first_table.py --seeds 0 1        # CIFAR-10 in $UNLEARNABLE_DATA; prints the table
    python experiments/first_table.py --seeds            # prints the table of what is there
"""

import argparse
from pathlib import Path

from unlearnable import EM, REM, SEM, Images, Method, Recipe, learn, load, protect
from unlearnable.results import once, rows, spread

RESULTS = Path("results/first_table")
RADII = (0, 2, 4)
METHODS: dict[str, Method | None] = {
    "clean": None,
    "EM (no T, passes)": EM(model="convnet"),
    "EM (no T, visits)": EM.preset("short", samples=0),
    "EM": EM.preset("short"),
    "SEM(2) warm": SEM.preset("short"),
    "REM(2) warm": REM.preset("short"),
    "SEM(2) cold": SEM.preset("short", warm=False, steps=5, step=3.2),
    "REM(2) cold": REM.preset("short", warm=False, steps=5, step=3.2),
}


def protected(name: str, train: Images, seed: int) -> Images:
    method = METHODS[name]
    if method is None:
        return train
    out = RESULTS / "protected" / f"{name.replace(' ', '-')}-{seed}"
    done = protect(train, method, out, seed=seed)
    once(RESULTS, {"method": name, "seed": seed}, lambda _: {"card": done.card})
    return done.images


def learner(data: Images, test: Images, radius: int, seed: int, folder: Path) -> dict:
    done = learn(data, Recipe.preset("short", adv_eps=radius), test=test, out=folder / "run", seed=seed)
    return {k: done.result[k] for k in ("accuracy", "peak", "seconds", "hardware", "torch", "commit", "command")}


def run(seed: int, methods: list[str], radii: list[int]) -> None:
    train, test = load("cifar10", limit=5000), load("cifar10", split="test", limit=2000)
    for name in methods:
        data = protected(name, train, seed)
        for radius in radii:
            config = {"method": name, "radius": radius, "seed": seed}
            once(RESULTS, config, lambda folder: learner(data, test, radius, seed, folder))  # noqa: B023  called at once


def table() -> str:
    lines = ["| | ordinary | AT-2 | AT-4 | seeds | noise made in | PSNR |", "|---|---|---|---|---|---|---|"]
    for name in METHODS:
        cells = [[c["accuracy"] for c in rows(RESULTS, method=name, radius=r)] for r in RADII]
        cards = [c["card"] for c in rows(RESULTS, method=name) if "card" in c]
        if any(cells):
            seconds = spread([c["seconds"] for c in cards]) + " s" if cards else "-"
            psnr = spread([c["measured"]["psnr"] for c in cards]) + " dB" if cards else "-"
            scores = " | ".join(spread(c) if c else "-" for c in cells)
            lines.append(f"| {name} | {scores} | {max(map(len, cells))} | {seconds} | {psnr} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--methods", nargs="*", default=list(METHODS), metavar="NAME")
    parser.add_argument("--radii", type=int, nargs="*", default=list(RADII))
    args = parser.parse_args()
    for seed in args.seeds:
        run(seed, args.methods, args.radii)
    print(table())
