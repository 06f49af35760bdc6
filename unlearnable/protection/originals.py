"""What belongs to a protected folder: its originals, clean test images, and its noise."""

from pathlib import Path

import torch
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.text import printable
from unlearnable.data.card import Card
from unlearnable.data.folders import in_order_of_originals, incomplete, read_folder
from unlearnable.data.images import Images
from unlearnable.data.load import load, originals_source


def originals_of(
    folder: Path, root: Path | str | None = None, originals: str | None = None
) -> Images:
    """Load the images from which a protected folder was made. root: where the named sets lie.
    originals: their source, my_module:loader, where that is a function of one's own.
    Raises UserError if they are not known, not there, or have changed, and where protected photos
    are missing or were added."""
    card = Card.read(folder)
    where = originals_source(card, folder, originals)
    if card.photos and not Path(where["source"]).is_dir():
        raise UserError(
            f"The originals of {folder} are not in {printable(where['source'])}, as its card says; "
            "run the command in the folder in which they were protected, or put them back."
        )
    clean = (
        read_folder(Path(where["source"]), card.photos.size, True, fewest=card.fewest)
        if card.photos
        else load(**where, root=root)
    )
    if card.photos and in_order_of_originals(folder, card) is None:
        raise incomplete(folder)
    if clean.digest() != card.digest:
        raise UserError(
            f"The images of {card.data['source']} have changed since {folder} was made from them; "
            "protect them again."
        )
    return clean


def clean_test_images(
    folder: Path,
    test: str | None,
    size: int,
    *,
    limit: int | None = None,
    root: Path | str | None = None,
    originals: str | None = None,
) -> Images:
    """Load clean test images for a protected folder. test: a name, or a folder, whose images are
    resized to ``size`` (None: the test split of the originals' source). limit: at most so many, the
    same number of every class; the rest as of ``originals_of``."""
    if test:
        split = "train" if Path(test).is_dir() else "test"
        return load(test, split=split, limit=limit, root=root, size=size)
    return load(folder, split="test", limit=limit, root=root, originals=originals)


def noise_of(folder: Path, root: Path | str | None = None, originals: str | None = None) -> Tensor:
    """Return protected minus original, int8 [N, 3, H, W]; arguments as of ``originals_of``. Raises
    UserError if the noise exceeds 127/255 (OPS, CUDA)."""
    noise = load(folder).x.short() - originals_of(folder, root, originals).x.short()
    if (worst := int(noise.abs().max())) > 127:
        raise UserError(
            f"The noise of {folder} reaches {worst}/255, more than int8 holds; use the images "
            "themselves."
        )
    return noise.to(torch.int8)
