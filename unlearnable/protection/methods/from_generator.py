"""Noise for further images, from the surrogate of an earlier run."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from safetensors import SafetensorError, safe_open

from unlearnable.core import distributed
from unlearnable.core.errors import UserError
from unlearnable.core.progress import Progress
from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context, Method, Noise
from unlearnable.protection.methods.min_min import MinMin, MinMinLoop

VISITS = 20  # of a warm-started noise, which takes few steps a visit


@dataclass(frozen=True)
class Generated(Method):
    """noise for further images of the same classes from generator.safetensors, without training:
    the last pass of the min-min family (Fu et al., 2022, algorithm 1), repeated where the noise is
    warm-started."""

    file: str
    """generator.safetensors of a protected folder"""
    family: MinMin
    """the method and settings that made it"""
    classes: tuple[str, ...]
    size: int
    """height of the images it was trained on, in pixels"""

    @property
    def eps(self) -> float:
        return self.family.eps

    @classmethod
    def of(cls, file: Path) -> Self:
        """Raises UserError for a file that is no generator, or one of a method that cannot go on
        from it."""
        from unlearnable.protection.methods import METHODS

        try:
            with safe_open(file, "pt") as f:
                about = json.loads(f.metadata()["unlearnable"])
            family = METHODS[about["method"]](**about["settings"])
        except (OSError, SafetensorError, TypeError, KeyError, ValueError) as e:
            raise UserError(
                f"{file} is no generator that `unlearnable protect` wrote; check the path."
            ) from e
        if not isinstance(family, MinMin):
            raise UserError(
                f"{file} was made by {about['method']}; only the min-min family protects further images."
            )
        if family.noise_type == "classwise":
            raise UserError(
                f"{file} was made for class-wise noise, which is not kept in it; protect all images again."
            )
        return cls(str(file), family, tuple(about["classes"]), about["shape"][2])

    def craft(self, data: Images, run: Context) -> Noise:
        if data.classes != self.classes:
            raise UserError(
                f"{self.file} knows the classes {', '.join(self.classes)}; the images have {', '.join(data.classes)}."
            )
        if data.x.shape[2] != self.size:
            raise UserError(
                f"{self.file} was made at {self.size} px, and the images have {data.x.shape[2]} px."
            )
        loop = MinMinLoop(self.family, data, run)
        with safe_open(self.file, "pt") as f:
            loop.trainer.model.load_state_dict({k: f.get_tensor(k) for k in f.keys()})  # noqa: SIM118  not a dict
        loop.trainer.frozen.refresh()
        visits = VISITS if self.family.warm_start else 1
        work = [(visit, part) for visit in range(visits) for part in range(len(loop.parts))]
        done = 0
        if saved := run.state.load():
            loop.table, done = saved["table"].to(run.device), saved["done"]
        with Progress("noise for further images", len(work), first=done) as progress:
            for at in range(done, len(work)):
                visit, part = work[at]
                loop.renew(loop.parts[part], self.family.train_steps - 1 + visit, part)
                progress.at(at + 1)
                run.state.save(at + 1, {"table": loop.table, "done": at + 1})
        return Noise(loop.delta(), None, distributed.sum_int(loop.trainer.passes))
