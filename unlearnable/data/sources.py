"""The sources of images by name, and the checks of a source that need no images: quick, so that a
mistyped name is answered at once."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from unlearnable.core.errors import UserError, install
from unlearnable.core.plugins import Entry, names_object
from unlearnable.data.card import CARD, check_finished, find_card, find_private

if TYPE_CHECKING:
    from unlearnable.data.convert import LoadOptions
    from unlearnable.data.images import Images

SIDES = (16, 1024)  # pixels, of photos as networks see them

NamedReader = Callable[[Path, str, int, int | None, tuple[str, ...] | None], "Images"]
"""(root, split, seed, limit, classes) -> images. A reader may use the last two to read less;
``load`` applies them to whatever it returns."""

DATA: dict[str, Entry[NamedReader]] = {
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


Reader = Callable[[str, "LoadOptions"], "Images"]
"""(source, what of it is asked for) -> images"""

LOADER = "my_module:loader"  # the form of the name of a person's own function
HF = "hf:"  # begins the name of a data set of Hugging Face
READERS: dict[str, Entry[Reader]] = {
    "FILE.npz": Entry(
        "train_images, train_labels, test_images, test_labels, as in MedMNIST",
        "unlearnable.data.npz:read_npz",
    ),
    f"{HF}NAME": Entry(
        "a folder or name that Hugging Face datasets loads (the extra hf)",
        "unlearnable.data.hub:read_hub",
    ),
    LOADER: Entry(
        'your own function of "train" or "test": arrays, or a data set of torch or Hugging Face',
        "unlearnable.data.loaders:read_loader",
    ),
}


def find_reader(source: str | Path) -> str | None:
    """Return the key of READERS that reads ``source``; None for a name of DATA and for a folder."""
    text = str(source)
    if text in DATA or Path(text).is_dir():
        return None
    if text.startswith(HF):
        return f"{HF}NAME"
    if text.endswith(".npz"):
        return "FILE.npz"
    return LOADER if names_object(text) else None


def check_source(source: str | Path) -> None:
    """Raise UserError unless ``source`` is a name of DATA, a folder into which no run writes, or a
    file or a name that one of READERS reads. A loader is not called and a hub not asked."""
    reader = find_reader(source)
    if reader == f"{HF}NAME":
        require_hf()
    elif reader == "FILE.npz" and not Path(source).is_file():
        raise UserError(f"There is no file {source}; check the path.")
    elif reader is None and str(source) not in DATA:
        folder = Path(source)
        if not folder.is_dir():
            known = ", ".join((*DATA, *READERS))
            raise UserError(
                f"There is no folder {source} and no dataset of that name (known: {known})."
            )
        if find_private(folder, CARD) is None:
            check_finished(folder)


def check_side(size: int | None) -> None:
    """Raise UserError for a side in pixels at which the networks here cannot see photos, or that no
    machine has the memory for."""
    least, most = SIDES
    if size is not None and not (type(size) is int and least <= size <= most):
        raise UserError(
            f"size must be a whole number between {least} and {most} pixels, not {size}."
        )


def require_hf() -> None:
    """Raise UserError where Hugging Face datasets is not installed."""
    if importlib.util.find_spec("datasets") is None:
        raise UserError(f"Hugging Face datasets is not installed, an extra: {install('hf')}.")


def check_folder(folder: Path) -> None:
    """Raise UserError unless ``folder`` is there."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}; check the path.")


def check_protected(folder: Path) -> None:
    """Raise UserError unless ``folder`` is a protected one."""
    check_folder(folder)
    find_card(folder)
