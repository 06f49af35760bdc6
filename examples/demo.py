"""The paper's story in three minutes, on the embedded images: ``make demo``.

Noise that is hard to see makes ordinary training fail (EM). Adversarial training undoes most of
that noise; robust noise (SEM) withstands it. Every number is measured while you wait.
"""

import argparse
import sys
import time
from pathlib import Path

from torch import nn

from unlearnable import EM, SEM, Images, Recipe, UserError, learn, load, protect
from unlearnable.core.display import shown
from unlearnable.core.progress import Stages
from unlearnable.models.layers import classifier, conv_bn_relu
from unlearnable.reports.contact_sheet import contact_sheet

MODEL = "demo:small_network"
EPS = 6  # budget of the noise, in /255
BUILT_FOR = 4  # radius of the adversary that SEM is built to withstand, in /255
RADIUS = 3  # of adversarial training, in /255


def small_network(classes: int) -> nn.Sequential:
    """The package's convnet at half its widths and half its resolution: 0.14M weights."""
    layers, inputs = [], 3
    for width, stride in ((16, 2), (32, 1), (64, 2), (64, 1), (128, 2)):
        layers.append(conv_bn_relu(inputs, width, 3, stride))
        inputs = width
    return classifier(nn.Sequential(*layers), inputs, classes)


METHODS = {
    "clean": None,
    # both at most about 70,000 passes of one image; EM stops once its error is below 1%
    "EM": EM(eps=EPS, steps=5, model=MODEL, train_steps=90, batch=50),
    "SEM": SEM(
        eps=EPS,
        eot_samples=0,
        warm_start=True,
        adv_eps=BUILT_FOR,
        adv_steps=1,
        adv_step=BUILT_FOR,
        model=MODEL,
        train_steps=90,
        batch=50,
    ),
}
LEARNERS = {
    name: Recipe(
        model=MODEL,
        steps=360,
        batch=50,
        lr=0.2,
        schedule="onecycle",
        augment=False,
        adv_eps=radius,
        attack="n-fgsm",
        evals=1,
    )
    for name, radius in (("ordinary", 0), (f"adversarial ({RADIUS}/255)", RADIUS))
}
# what a piece of the work takes, in units of an ordinary training
WORK = {"EM": 1.4, "SEM": 3.2, "ordinary": 1.0, "adversarial": 2.0}

BEFORE = f"""\
1,500 images three times: as they are, with EM noise, with SEM noise (within {EPS}/255).
On each, an ordinary and an adversarial training. About 3 minutes on two CPU cores.
"""
AFTER = f"""\
Chance is 10. EM makes ordinary training fail; adversarial training undoes it, on most seeds
wholly. SEM, built for a radius of {BUILT_FOR}/255, withstands it, on some seeds only in part.
Small on purpose: a small network, no augmentation. Five seeds: docs/results.md ("The demo").
"""


def run(train: Images, test: Images, out: Path, seed: int) -> dict[str, list[float]]:
    """Protect, train, test: by name of the noise, the accuracy of every learner in %."""
    rows: dict[str, list[float]] = {name: [] for name in METHODS}
    learners = len(METHODS) * (WORK["ordinary"] + WORK["adversarial"])
    with shown(), Stages("demo", WORK["EM"] + WORK["SEM"] + learners) as stages:
        for name, method in METHODS.items():
            data = train
            if method:
                stages.begin(WORK[name])
                data = protect(train, method, out / name, seed=seed).images
                contact_sheet(train, data, out / "sheet.png")
            for recipe in LEARNERS.values():
                stages.begin(WORK["adversarial" if recipe.adversarial else "ordinary"])
                folder = out / f"{name}-adv{recipe.adv_eps:g}"
                done = learn(data, recipe, test=test, out=folder, seed=seed)
                rows[name].append(done.result["accuracy"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="The paper's story on the embedded images.")
    parser.add_argument("--seed", type=int, default=0, help="of images, noise and trainings")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for what it writes")
    options = parser.parse_args()
    begin = time.monotonic()
    print(BEFORE, flush=True)
    train = load("shapes", limit=1500, seed=options.seed)
    test = load("shapes", split="test", limit=1000, seed=options.seed)
    rows = run(train, test, options.out, options.seed)
    print(f"{'accuracy in %':15}" + "".join(f"{name:>22}" for name in LEARNERS))
    for name, accuracies in rows.items():
        print(f"{name:15}" + "".join(f"{accuracy:22.1f}" for accuracy in accuracies))
    print(f"\n{AFTER}\nOriginal, protected and magnified noise: {options.out / 'sheet.png'}")
    print(f"{time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except UserError as e:
        sys.exit(f"demo: {e}")
