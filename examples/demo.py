"""The paper's story in minutes, on the embedded images: ``make demo``.

Noise that nobody sees makes a model fail that is trained on the images (EM). Adversarial training
undoes that noise; the robust methods withstand it, at this length in part. SEM stands for them
here: REM's adversary does not fit into minutes. The numbers are measured while you wait; nothing
here is promised.
"""

import sys
import time
from pathlib import Path

from unlearnable import EM, SEM, Recipe, UserError, learn, load, protect
from unlearnable.reports.contact_sheet import contact_sheet

OUT = Path("demo")
METHODS = {
    "clean": None,
    "EM": EM.preset("short", batch=100, train_steps=210, decay_every=105),
    # the paper's inner loop (ten steps from a fresh start, five draws of T), few surrogate steps
    "SEM(2)": SEM.preset(
        "short",
        batch=100,
        train_steps=60,
        decay_every=30,
        warm_start=False,
        steps=10,
        step=1.6,
        eot_samples=5,
    ),
}
LEARNERS = {"ordinary": 0, "adversarial (2/255)": 2}


def main() -> None:
    begin = time.monotonic()
    train, test = load("shapes", limit=1500), load("shapes", split="test", limit=1000)
    print(
        f"{len(train)} images of {', '.join(train.classes)}; clean test accuracy in % (chance: 10):\n"
    )
    print(f"{'trained on':12}" + "".join(f"{name:>22}" for name in LEARNERS), flush=True)
    for name, method in METHODS.items():
        data = train
        if method:
            data = protect(train, method, OUT / name).images
        if name == "SEM(2)":
            contact_sheet(train, data, OUT / "sheet.png")
        line = f"{name:12}"
        for radius in LEARNERS.values():
            recipe = Recipe.preset("short", steps=210, batch=100, adv_eps=radius, evals=1)
            done = learn(data, recipe, test=test, out=OUT / f"{name}-adv{radius}")
            line += f"{done.result['accuracy']:22.1f}"
        print(line, flush=True)
    print(f"\nOriginal, protected and magnified noise: {OUT / 'sheet.png'}")
    print(
        f"{time.monotonic() - begin:.0f} s, one seed; docs/results.md has real images and the spread."
    )


if __name__ == "__main__":
    try:
        main()
    except UserError as e:
        sys.exit(f"demo: {e}")
