"""Every method against ordinary and adversarial training: does the noise protect, and against whom? (docs/results.md)

5,000 CIFAR-10 pictures (500 a class), `convnet`, tested on 2,000 clean test pictures, learner `Recipe.preset("short")`.
EM without T comes in its two schedules (all noise in passes, a batch's at its visit); EM with T, SEM(2) and REM(2)
with and without `warm`; SEM(4) is built for twice the radius. Ten to twenty minutes a method and seed on one core; two
seeds beside each other on two:

    OMP_NUM_THREADS=1 python experiments/methods.py --seeds 0 &      # CIFAR-10 in $UNLEARNABLE_DATA
    OMP_NUM_THREADS=1 python experiments/methods.py --seeds 1
    python experiments/methods.py --seeds               # prints the table of what is there
"""

import argparse
from pathlib import Path

from unlearnable import (
    AR,
    ASR,
    CUDA,
    EM,
    HYPO,
    LSP,
    MIUE,
    NTGA,
    OPS,
    PIL,
    REM,
    SEM,
    TAP,
    EntF,
    Images,
    Method,
    Recipe,
    Uniform,
    learn,
    load,
    protect,
)
from unlearnable.results import once, rows, spread

RESULTS = Path("results/methods")
RADII = (0, 2, 4)
METHODS: dict[str, Method | None] = {
    "clean": None,
    "EM (no T, passes)": EM(model="convnet"),
    "EM (no T, visits)": EM.preset("short", samples=0),
    "EM": EM.preset("short"),
    "SEM(2) warm": SEM.preset("short"),
    "REM(2) warm": REM.preset("short"),
    "SEM(4) warm": SEM.preset("short", adv_eps=4.0),
    "EM cold": EM.preset("short", warm=False, steps=5, step=3.2),
    "SEM(2) cold": SEM.preset("short", warm=False, steps=5, step=3.2),
    "REM(2) cold": REM.preset("short", warm=False, steps=5, step=3.2),
    "uniform": Uniform(),
    "uniform, a class": Uniform(per="class"),
    "LSP": LSP(),
    "AR": AR(),
    "OPS": OPS(),
    "CUDA": CUDA(),
    "PIL": PIL(),
    "TAP": TAP.preset("short"),
    "HYPO": HYPO.preset("short"),
    "EntF": EntF.preset("short"),
    "NTGA": NTGA(block=256),
    "ASR(2)": ASR.preset("short"),
    "MI-UE": MIUE.preset("short"),
}


def protected(name: str, train: Images, seed: int) -> Images:
    method = METHODS[name]
    if method is None:
        return train
    done = protect(train, method, RESULTS / "protected" / f"{name.replace(' ', '-')}-{seed}", seed=seed)
    once(RESULTS, {"method": name, "seed": seed}, lambda _: {"card": done.card})
    return done.images


def learner(data: Images, test: Images, radius: int, seed: int, folder: Path) -> dict:
    done = learn(data, Recipe.preset("short", adv_eps=radius), test=test, out=folder / "run", seed=seed)
    kept = ("accuracy", "peak", "passes", "seconds", "hardware", "torch", "commit", "command")
    return {k: done.result[k] for k in kept}


def run(seed: int, methods: list[str], radii: list[int]) -> None:
    train, test = load("cifar10", limit=5000), load("cifar10", split="test", limit=2000)
    for name in methods:
        data = protected(name, train, seed)
        for radius in radii:
            config = {"method": name, "radius": radius, "seed": seed}
            once(RESULTS, config, lambda folder: learner(data, test, radius, seed, folder))  # noqa: B023  called at once


def table() -> str:
    lines = [
        "| | budget | ordinary | AT-2 | AT-4 | seeds | passes a picture | noise made in | PSNR |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, method in METHODS.items():
        cells = [[c["accuracy"] for c in rows(RESULTS, method=name, radius=r)] for r in RADII]
        cards = [c["card"] for c in rows(RESULTS, method=name) if "card" in c]
        if any(cells):
            scores = " | ".join(spread(c) if c else "-" for c in cells)
            cost = ["-", "-", "-"]
            if cards:
                passes = max(c.get("passes", 0) for c in cards) / cards[0]["shape"][0]
                psnr = spread([c["measured"]["psnr"] for c in cards]) + " dB"
                cost = [f"{passes:.0f}", spread([c["seconds"] for c in cards]) + " s", psnr]
            budget = method.budget if method else "-"
            lines.append(f"| {name} | {budget} | {scores} | {max(map(len, cells))} | {' | '.join(cost)} |")
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
