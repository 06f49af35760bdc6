"""Noise for further images, from the network that an earlier run left."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypedDict

from unlearnable.core.errors import UserError
from unlearnable.core.text import printable
from unlearnable.core.typed_json import mismatch
from unlearnable.data.card import find_private
from unlearnable.models import check_named
from unlearnable.protection.methods.base import Context, GeneratorMethod, Method, Noise

if TYPE_CHECKING:
    from unlearnable.data.images import Images
    from unlearnable.training.recipe import Recipe

GENERATOR = "generator.safetensors"  # its name in a protected folder or beside it


class About(TypedDict):
    """What a generator's file says about itself."""

    method: str
    settings: dict[str, Any]
    classes: list[str]
    shape: list[int]


@dataclass(frozen=True)
class Generated(Method):
    """noise for further images of the same classes from generator.safetensors, without training:
    the last pass of the min-min family (Fu et al., 2022, algorithm 1), repeated where the noise is
    warm-started, a pass through a noise network, or the noise of a class. Any number of images of
    any of the classes."""

    least_images: ClassVar[int] = 1
    least_classes: ClassVar[int] = 1

    file: str
    """generator.safetensors of a protected folder"""
    family: GeneratorMethod
    """the method and settings that made it"""
    classes: tuple[str, ...]
    size: int
    """height of the images it was trained on, in pixels"""

    @property
    def named_file(self) -> Path:
        return Path(self.file)

    @property
    def eps(self) -> float:
        return self.family.eps

    @classmethod
    def of(cls, file: Path, model: str | None = None) -> Self:
        """Read how a generator was made. file: a generator.safetensors, or the protected folder
        that it belongs to. model: the network it is, where that is your own (my_module:factory),
        because a file from elsewhere must not choose what is imported. Raises UserError for a file
        that is not a generator, or one of a method that cannot continue from it."""
        if file.is_dir():  # photos have it in the folder beside them
            file = find_private(file, GENERATOR) or file
        elif not file.is_file() and file.name == GENERATOR:
            file = find_private(file.parent, GENERATOR) or file
        about = _about(file)
        family = _family(file, about)
        if not isinstance(family, GeneratorMethod):
            raise UserError(
                f"{file} was made by {about['method']}; only the min-min family, noise-net, "
                "class-uap, and gratings protect further images."
            )
        family.check_further(file)
        if family.generator_model is not None:
            check_named(family.generator_model, model, file)
        return cls(str(file), family, tuple(about["classes"]), about["shape"][2])

    def check_classes(self, data: Images) -> None:
        """Raise UserError for images of classes that the generator was not made with."""
        present = [data.classes[c] for c in data.y.unique().tolist()]
        if unknown := sorted({*present} - {*self.classes}):
            knows = ", ".join(printable(c) for c in self.classes if c)
            if not data.labeled:
                raise UserError(
                    f"{self.file} knows the classes {knows}; put the images into a sub-folder with "
                    "the name of their class."
                )
            raise UserError(
                f"{self.file} knows the classes {knows}, and not "
                f"{', '.join(map(printable, unknown))}; give the folders those names, or protect "
                "these images without a generator, into another folder."
            )

    def craft(self, data: Images, run: Context) -> Noise:
        import torch

        self.check_classes(data)
        if data.x.shape[2] != self.size:
            raise UserError(
                f"{self.file} was made at {self.size} px, and the images have {data.x.shape[2]} px."
            )
        numbers = [self.classes.index(c) if c in self.classes else -1 for c in data.classes]
        y = torch.tensor(numbers)[data.y]
        data = replace(data, y=y, classes=self.classes)
        return self.family.further(Path(self.file), data, run)

    def passes(self, images: int) -> int:
        return self.family.further_passes(images)

    def probe(self, images: int) -> Recipe | None:
        return self.family.further_probe(images)


def _about(file: Path) -> About:
    """How a generator was made. Raises UserError for another file."""
    from unlearnable.core.weights import read_weights

    try:
        about = json.loads(read_weights(file)[1]["unlearnable"])
    except (KeyError, ValueError, RecursionError):
        about = None
    if mismatch(about, About) or len(about["shape"]) != 4:
        raise _no_generator(file)
    return about


def _family(file: Path, about: About) -> Method:
    """The method and settings that made a generator, as the same dataclass. Raises UserError."""
    from unlearnable.protection.methods import METHODS

    kind = METHODS.get(about["method"])
    if kind is None or mismatch(about["settings"], kind):
        raise _no_generator(file)
    try:
        return kind(**about["settings"])
    except TypeError as e:  # settings that it does not have
        raise _no_generator(file) from e


def _no_generator(file: Path) -> UserError:
    return UserError(f"{file} is not a generator that `unlearnable protect` wrote; check the path.")
