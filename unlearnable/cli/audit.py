"""``audit``."""

import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tyro import MISSING

from unlearnable.cli.help import doc_with_presets
from unlearnable.cli.options import Command, Machine, Machines, Protected, Verb, preset_in
from unlearnable.cli.output import Done, say
from unlearnable.core.presets import require
from unlearnable.data.sources import check_protected, check_source
from unlearnable.evaluation.suites import check_recipe, find_suite
from unlearnable.training.recipe import Recipe

if TYPE_CHECKING:
    from unlearnable.data.images import Images
    from unlearnable.evaluation.learners import Learner


@dataclass(frozen=True)
class Audit(Verb):
    """Measure what the best countermeasure leaves of a protection. Every learner of a suite trains
    on the protected and on the clean images; the highest accuracy on clean test images counts. The
    suite sets adversarial training and augmentation.

    unlearnable audit protected/rem
    """

    folder: Protected
    """a protected folder"""
    preset: str = "short"
    """named settings of the learners: they set the defaults of the recipe below"""
    suite: str = "quick"
    """quick, standard, full, pretrained (ImageNet weights), or adaptive (attackers who know the
    method; they protect other images with it, which takes as long as the protection did)"""
    out: Path | None = None
    """folder for audit.json (default: audits/<name of the folder>, for seeds above 0 with
    -seed-<seed>)"""
    cells: Path = Path("audits/cells")
    """folder for every training's result and what attackers made: audits of the same originals
    share those on clean images"""
    test: str | None = None
    """clean test images: a name or a folder (default: the test split of the originals' source)"""
    test_limit: int | None = None
    """at most this many test images, the same number of every class"""
    data_root: str | None = None
    """where the named data sets lie (default: $UNLEARNABLE_DATA, else ./data)"""
    originals: str | None = None
    """my_module:loader again, where the originals come from that function of yours: a card alone
    must not choose what is run"""
    recipe: Recipe = field(default_factory=Recipe)
    """How the learners train."""
    machine: Machine = field(default_factory=Machine)
    machines: Machines = field(default_factory=Machines)

    def __post_init__(self) -> None:
        require(self, positive="test_limit")

    def run(self) -> Done:
        learners, cluster = find_suite(self.suite), self.machines.cluster()
        check_recipe(self.suite, self.recipe)
        # the suites have learners of both attacks
        replace(self.recipe, attack="pgd").require_used(self.preset)
        check_protected(self.folder)
        if self.test:
            check_source(self.test)
        from unlearnable.data.load import load
        from unlearnable.evaluation.audit import audit, check_places
        from unlearnable.protection.originals import clean_test_images, originals_of
        from unlearnable.reports.tables import audit_rows, to_text

        clean = originals_of(self.folder, self.data_root, self.originals)  # raises before any work
        protected = load(self.folder).for_learning()
        test = clean_test_images(
            self.folder,
            self.test,
            protected.size,
            limit=self.test_limit,
            root=self.data_root,
            originals=self.originals,
        )
        seed = self.machine.seed
        name = self.folder.resolve().name + (f"-seed-{seed}" if seed else "")
        out = self.out or Path("audits") / name
        check_places(self.folder, test, out, self.cells)  # before anything is timed
        self._announce(learners, clean, protected, test)
        done = audit(
            self.folder,
            self.suite,
            self.recipe,
            out=out,
            cells=self.cells,
            test=test,
            root=self.data_root,
            originals=self.originals,
            seed=seed,
            device=self.machine.device,
            precision=self.machine.precision,
            cluster=cluster,
        )
        table = audit_rows(done)
        more = f"All audits in one table: unlearnable report audits {shlex.quote(str(out.parent))}"
        data = {"out": out, **done.to_json()}
        return Done(f"{to_text(table)}\n{more}", data, tables=lambda: [table, more])

    def _announce(
        self, learners: "tuple[Learner, ...]", clean: "Images", protected: "Images", test: "Images"
    ) -> None:
        """Say what is trained and how long that takes here."""
        from unlearnable.core.progress import format_duration
        from unlearnable.evaluation.attacker import attacker_of, with_attacker
        from unlearnable.evaluation.cost import estimate, preparation

        device, attacker = self.machine.device, None
        if any(by.own_pairs for by in learners):
            attacker = attacker_of(
                self.folder,
                clean,
                test,
                results=self.cells,
                root=self.data_root,
                device=device,
                precision=self.machine.precision,
            )
            learners = with_attacker(learners, attacker)
        say(
            f"{2 * len(learners)} trainings, of {len(learners)} learners on clean and on protected "
            f"images: {'; '.join(learner.name for learner in learners)}."
        )
        before = preparation(learners, protected, attacker, device=device)
        precision = self.machine.precision
        time = before + estimate(
            learners, protected, self.recipe, device=device, precision=precision
        )
        if attacker is not None:
            say(
                f"The attacker protects {attacker.where} with {attacker.method.name} and another "
                "seed, once."
            )
        part = f" ({format_duration(before)} of it before the learners train)" if before else ""
        say(
            f"On this machine that takes about {format_duration(time)}{part}, less what is in "
            f"{self.cells} already."
        )


def command(args: list[str]) -> Command:
    preset = preset_in(args, Recipe, "short")
    text = doc_with_presets(Audit, Recipe, preset)
    return Command(text, Audit, Audit(MISSING, preset, recipe=Recipe.preset(preset)))
