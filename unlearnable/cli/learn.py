"""``learn``."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro import MISSING
from tyro.conf import Positional, arg

from unlearnable.cli.help import doc_with_presets
from unlearnable.cli.options import Command, Flag, Machine, Selection, Verb, Watching, preset_in
from unlearnable.cli.output import Done
from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.core.text import printable
from unlearnable.data.sources import check_source
from unlearnable.evaluation.countermeasures import describe_countermeasure
from unlearnable.training.recipe import Recipe

if TYPE_CHECKING:
    from unlearnable.data.images import Images


# settings of an adversary without one; audits and verifications have radii of their own
NO_RADIUS = {
    "attack adv_steps adv_step": "the training is not adversarial; give --adv-eps or --adv-l2"
}


@dataclass(frozen=True)
class Learn(Verb):
    """Train a learner on images and test it on clean ones.

    unlearnable learn protected/rem --preset short --adv-eps 2
    """

    data: Annotated[Positional[str], arg(metavar="DATA")]
    """a protected folder, or as --data of protect: a name of `unlearnable ls data`, a folder with
    one sub-folder of images per class, FILE.npz, hf:NAME, or my_module:loader"""
    preset: str = "paper"
    """named settings of the learner: they set the defaults of the recipe below"""
    out: Path | None = None
    """folder for log.jsonl, result.json and the model (default: runs/<hash of the settings>)"""
    test: str | None = None
    """clean test images: a name or a folder (default: the test split of the training images'
    source)"""
    originals: str | None = None
    """my_module:loader again, where DATA was protected from that function of yours: a card alone
    must not choose what is run"""
    test_limit: int | None = None
    """at most this many test images, the same number of every class"""
    countermeasure: str | None = None
    """a name of `unlearnable ls countermeasures`, or my_module:function, applied to the training
    images first"""
    countermeasure_test: Flag = False
    """apply it to the test images too"""
    clean_fraction: float = 0.0
    """this fraction of every class comes clean, from a protected folder's originals"""
    recipe: Recipe = field(default_factory=Recipe)
    """How the learner trains."""
    selection: Selection = field(default_factory=Selection)
    machine: Machine = field(default_factory=Machine)
    watching: Watching = field(default_factory=Watching)

    def __post_init__(self) -> None:
        require(self, positive="test_limit")
        self.recipe.check_learner()
        self.recipe.require_used(self.preset, {} if self.recipe.adversarial else NO_RADIUS)
        if self.countermeasure:
            describe_countermeasure(self.countermeasure)
        elif self.countermeasure_test:
            raise UserError(
                "--countermeasure-test needs a countermeasure; give --countermeasure NAME too."
            )

    def run(self) -> Done:
        check_source(self.data)
        if self.test:
            check_source(self.test)
        from unlearnable.core import distributed
        from unlearnable.core.device import pick_device
        from unlearnable.core.files import config_hash, file_digest
        from unlearnable.core.plugins import own_code_key
        from unlearnable.training.learn import learn
        from unlearnable.training.precision import use_bfloat16

        data, test = self._images()
        settings = {
            "recipe": dataclasses.asdict(self.recipe),
            "data": data.digest(),
            "test": test.digest(),
            "seed": self.machine.seed,
        }
        device = pick_device(self.machine.device)
        if use_bfloat16(self.machine.precision, device):  # another result, so another folder
            settings["bfloat16"] = True
        if self.recipe.init_from and (start := Path(self.recipe.init_from)).is_file():
            settings["init_from"] = file_digest(start)
        settings |= own_code_key(self.recipe.model)
        out = self.out or Path("runs") / config_hash(settings)
        with distributed.processes(device):
            done = learn(
                data,
                self.recipe,
                test=test,
                out=out,
                seed=self.machine.seed,
                device=str(device),
                precision=self.machine.precision,
                callbacks=self.watching.callbacks(out.resolve().name, self.data, self.test),
            )
        r, how, chance = done.result, self.recipe.protocol, 100 / len(data.classes)
        used = f"{self.recipe.model}, {how}: " if how != "plain" else ""
        text = (
            f"{used}Accuracy on {len(test)} clean test images: {r['accuracy']:.1f} % (peak "
            f"{r['peak']:.1f} %, chance {chance:.1f} %), {r['seconds']:.0f} s. Log and model: {out}"
        )
        groups = _by_group(self.data, r.get("by_class", {}))
        about = {"out": out, "test_images": len(test), "chance": chance}
        return Done("\n".join(filter(None, (text, groups))), about | r)

    def _images(self) -> "tuple[Images, Images]":
        """Training and test images."""
        from unlearnable.data.load import load
        from unlearnable.data.subsets import mix_in_clean
        from unlearnable.evaluation.countermeasures import apply_countermeasure
        from unlearnable.protection.originals import originals_of

        data, chosen = self.selection.load(self.data).for_learning(), self.selection
        folder = bool(self.test) and Path(self.test or "").is_dir()
        test = load(
            self.test or self.data,
            split="train" if folder else "test",
            limit=self.test_limit,
            classes=chosen.classes,
            seed=chosen.data_seed,
            size=chosen.size or (data.size if folder else None),
            root=chosen.data_root,
            originals=self.originals,
        )
        if self.clean_fraction:
            clean = originals_of(Path(self.data), chosen.data_root, self.originals)
            data = mix_in_clean(data, clean, self.clean_fraction, self.machine.seed)
        if self.countermeasure:
            data = apply_countermeasure(self.countermeasure, data, self.machine.device)
        if self.countermeasure and self.countermeasure_test:
            test = apply_countermeasure(self.countermeasure, test, self.machine.device)
        return data, test


def _by_group(data: str, by_class: dict[str, float]) -> str:
    """The accuracies on the protected classes and on the others, where not all are protected."""
    from unlearnable.data.card import CARD, Card, find_private

    own = Card.read(Path(data)).protected_classes if find_private(Path(data), CARD) else ()
    groups = [
        [v for name, v in by_class.items() if (name in own) == mine] for mine in (True, False)
    ]
    if not own or not all(groups):
        return ""
    protected, others = (sum(group) / len(group) for group in groups)
    names = ", ".join(map(printable, own))
    return f"On the protected classes ({names}): {protected:.1f} %; on the others: {others:.1f} %."


def command(args: list[str]) -> Command:
    preset = preset_in(args, Recipe, "paper")
    text = doc_with_presets(Learn, Recipe, preset)
    return Command(text, Learn, Learn(MISSING, preset, recipe=Recipe.preset(preset)))
