"""The sources of images by name, and the checks of a source that need no images: quick, so that a
mistyped name is answered at once."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from unlearnable.core.errors import UserError
from unlearnable.core.plugins import Entry
from unlearnable.data.card import CARD, find_private

if TYPE_CHECKING:
    from unlearnable.data.images import Images

Reader = Callable[[Path, str, int, int | None, tuple[str, ...] | None], "Images"]
"""(root, split, seed, limit, classes) -> images. A reader may use the last two to read less;
``load`` applies them to whatever it returns."""

DATA: dict[str, Entry[Reader]] = {
    "shapes": Entry(
        "10 classes of textured shapes on clutter, 32 px, generated from the seed: no files needed",
        "unlearnable.data.load:generated_shapes",
    ),
    "cifar10": Entry(
        "CIFAR-10, 50,000 + 10,000 images of 32 px (Krizhevsky, 2009)",
        "unlearnable.data.cifar:cifar10",
    ),
    "cifar100": Entry(
        "CIFAR-100, 50,000 + 10,000 images of 32 px (Krizhevsky, 2009)",
        "unlearnable.data.cifar:cifar100",
    ),
    "imagenet100": Entry(
        "the first 100 classes of ILSVRC2012 at 256 px (the paper's ImageNet subset)",
        "unlearnable.data.folders:imagenet100",
    ),
}


def check_source(source: str | Path) -> None:
    """Raise UserError unless ``source`` is a name of DATA or a folder."""
    if str(source) not in DATA and not Path(source).is_dir():
        known = ", ".join(DATA)
        raise UserError(
            f"There is no folder {source} and no dataset of that name (known: {known})."
        )


def check_folder(folder: Path) -> None:
    """Raise UserError unless ``folder`` is there."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}; check the path.")


def check_protected(folder: Path) -> None:
    """Raise UserError unless ``folder`` is a protected one."""
    check_folder(folder)
    if find_private(folder, CARD) is None:
        raise UserError(
            f"{folder} is not a protected folder (it has no card.json); make one with "
            "`unlearnable protect`."
        )
