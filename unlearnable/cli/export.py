"""``export``."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from unlearnable.cli.options import options
from unlearnable.core.errors import UserError
from unlearnable.data.load import load
from unlearnable.protection.export import export_cifar, noise_of, originals_of
from unlearnable.protection.methods.noise_files import write_noise


@dataclass(frozen=True)
class _Export:
    folder: Positional[Path]
    """a protected folder"""
    noise: Path | None = None
    """write the noise, int8 N x 3 x H x W in /255: .npy, or by any other suffix the pickle of Fu et
    al.'s program"""
    cifar: Path | None = None
    """write DIR/cifar-10-batches-py with protected training and clean test images"""
    root: str | None = None
    """where the named sets lie"""


def export_verb(args: list[str]) -> None:
    o = options(
        "export",
        "Take the noise, or the official CIFAR layout, out of a protected folder.",
        _Export,
        args,
    )
    if not o.noise and not o.cifar:
        raise UserError("Nothing to export; give --noise FILE or --cifar DIR.")
    if o.noise:
        write_noise(noise_of(o.folder, o.root), o.noise)
        print(o.noise)
    if o.cifar:
        originals_of(o.folder, o.root)  # says so when this is no protected folder
        print(export_cifar(load(o.folder), load(o.folder, split="test", root=o.root), o.cifar))
