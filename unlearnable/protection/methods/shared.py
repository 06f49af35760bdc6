"""Noise that somebody shared, made again on the originals."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypedDict

from unlearnable.core.errors import UserError
from unlearnable.core.typed_json import mismatch
from unlearnable.data.card import Source
from unlearnable.protection.methods.base import Context, Method, Noise
from unlearnable.protection.methods.from_generator import Generated

if TYPE_CHECKING:
    from unlearnable.data.images import Images
    from unlearnable.training.recipe import Recipe

SHARED = "shared"  # the key under which a generator's file holds the following


class SharedRun(TypedDict):
    """What a shared file says beside its generator. digest, protected: of the originals and of the
    protected images, sha256. data: the arguments of ``load`` that give the originals, where the
    owner let them be known."""

    digest: str
    protected: str
    seed: int
    bfloat16: bool
    protected_classes: list[str]
    card: dict[str, Any]
    data: Source | None


@dataclass(frozen=True)
class Shared(Method):
    """the noise of a shared file, made again from its generator: the same noise for the same
    images, bit for bit on the same kind of machine."""

    name = "shared"
    least_images: ClassVar[int] = 1
    least_classes: ClassVar[int] = 1

    generator: Generated
    digest: str
    """sha256 of the originals"""
    protected: str
    """sha256 of the protected images that were shared"""
    seed: int
    """of the run that is made again"""
    bfloat16: bool
    protected_classes: tuple[str, ...] = ()
    """the only classes that have noise; empty if all have"""
    data: dict[str, Any] = field(default_factory=dict)
    """the arguments of ``load`` that give the originals; empty where they are not told"""

    @property
    def eps(self) -> float:
        return self.generator.eps

    @classmethod
    def of(cls, file: Path, model: str | None = None) -> Self:
        """Read a shared file. model: the network, where it is your own (my_module:factory). Raises
        UserError for another file."""
        run = shared_run(file)
        if run is None:
            raise UserError(f"{file} is not a file that `unlearnable share` wrote; check the path.")
        return cls(
            Generated.of(file, model),
            run["digest"],
            run["protected"],
            run["seed"],
            run["bfloat16"],
            tuple(run["protected_classes"]),
            dict(run["data"] or {}),
        )

    def check(self, data: Images) -> None:
        """Raise UserError unless ``data`` are the originals."""
        if data.digest() != self.digest:
            raise UserError(
                f"{self.generator.file} was made for other images (its digest is "
                f"{self.digest[:12]}, that of these is {data.digest()[:12]}); give the same "
                "images with the same labels, class names and order."
            )

    def is_same(self, images: Images) -> bool:
        """Whether ``images`` are the shared protected images, bit for bit."""
        return images.digest() == self.protected

    def craft(self, data: Images, run: Context) -> Noise:
        self.check(data)
        return self.generator.craft(data, replace(run, seed=self.seed, bfloat16=self.bfloat16))

    def passes(self, images: int) -> int:
        return self.generator.passes(images)

    def probe(self, images: int) -> Recipe | None:
        return self.generator.probe(images)


def shared_run(file: Path) -> SharedRun | None:
    """Return what a shared file says; None for a generator that is not shared. Raises UserError for
    a file that cannot be read and a damaged one."""
    from unlearnable.core.weights import read_weights

    metadata = read_weights(file)[1].get("unlearnable", "")
    try:
        about = json.loads(metadata)
    except (ValueError, RecursionError):
        return None
    run = about.get(SHARED) if isinstance(about, dict) else None
    if run is None:
        return None
    if problem := mismatch(run, SharedRun):
        raise UserError(f"{file} is damaged ({SHARED} has {problem}); fetch it again.")
    return run
