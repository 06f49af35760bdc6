"""``learn``."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from unlearnable.cli.options import Machine, Source, options, take
from unlearnable.core import distributed
from unlearnable.core.device import pick_device
from unlearnable.core.errors import UserError
from unlearnable.core.files import config_hash
from unlearnable.data.load import load
from unlearnable.data.subsets import mix_in_clean
from unlearnable.evaluation.countermeasures import apply_countermeasure
from unlearnable.protection.export import originals_of
from unlearnable.training.learn import learn
from unlearnable.training.recipe import Recipe


@dataclass(frozen=True)
class _Learn:
    out: Path | None = None
    """folder for log.jsonl, result.json and the model (default: runs/<hash of the settings>)"""
    test: str | None = None
    """clean test images: a name or a folder (default: the test split of the training images'
    source)"""
    test_limit: int | None = None
    """at most this many test images, the same number of every class"""
    countermeasure: str | None = None
    """a countermeasure of `unlearnable ls countermeasures`, or my_module:function, done to the
    training images first"""
    countermeasure_test: bool = False
    """do it to the test images too"""
    clean_fraction: float = 0.0
    """this share of every class comes clean: from a protected folder's originals"""
    source: Source = field(default_factory=Source)
    machine: Machine = field(default_factory=Machine)
    recipe: Recipe = field(default_factory=Recipe)


def learn_verb(args: list[str]) -> None:
    preset, args = take(args, "--preset", "paper")
    if args and not args[0].startswith("-"):
        args = ["--data", *args]
    text = f"Train a learner and test it on clean images. Presets: {', '.join(Recipe.presets)} (--preset; now {preset})."
    o = options("learn DATA", text, _Learn, args, _Learn(recipe=Recipe.preset(preset)))
    data = o.source.load().for_learning()
    asked = dataclasses.replace(o.source, limit=o.test_limit)
    test = load(
        o.test or asked.data,
        split="train" if o.test and Path(o.test).is_dir() else "test",
        limit=o.test_limit,
        classes=asked.classes,
        seed=asked.data_seed,
        size=asked.size or (data.size if o.test and Path(o.test).is_dir() else None),
        root=asked.root,
    )
    if o.clean_fraction:
        data = mix_in_clean(
            data, originals_of(Path(o.source.data), o.source.root), o.clean_fraction, o.machine.seed
        )
    if o.countermeasure:
        data = apply_countermeasure(o.countermeasure, data)
        test = apply_countermeasure(o.countermeasure, test) if o.countermeasure_test else test
    elif o.countermeasure_test:
        raise UserError(
            "--countermeasure-test needs a countermeasure; give --countermeasure NAME too."
        )
    settings = {
        "recipe": dataclasses.asdict(o.recipe),
        "data": data.digest(),
        "test": test.digest(),
        "seed": o.machine.seed,
    }
    out = o.out or Path("runs") / config_hash(settings)
    device = pick_device(o.machine.device)
    with distributed.processes(device):
        done = learn(
            data,
            o.recipe,
            test=test,
            out=out,
            seed=o.machine.seed,
            device=str(device),
            precision=o.machine.precision,
        )
        if distributed.rank() == 0:
            r = done.result
            print(
                f"Accuracy on {len(test)} clean test images: {r['accuracy']:.1f} % (peak {r['peak']:.1f} %, chance "
                f"{100 / len(data.classes):.1f} %), {r['seconds']:.0f} s. Log and model: {out}"
            )
