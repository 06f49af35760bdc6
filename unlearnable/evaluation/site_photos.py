"""Photos as a site passes them on: at their own sizes through ``from_site``, then at the size at
which learners see them."""

from pathlib import Path

import numpy as np
import torch

from unlearnable.core.errors import UserError
from unlearnable.data.card import Card
from unlearnable.data.decoding import pixels, read
from unlearnable.data.images import Images
from unlearnable.data.threads import in_threads
from unlearnable.evaluation.transforms import from_site


def photos_from_site(
    folder: Path, card: Card, clean: Images, protected: Images
) -> tuple[Images, Images]:
    """Return the originals and the protected photos of ``folder`` after a site. clean, protected:
    the same photos as learners see them otherwise. Raises UserError for photos that are gone."""
    source = Path(card.originals(folder)["source"])
    return (
        _through(clean, [source / record.original for record in card.files]),
        _through(protected, [folder / record.written for record in card.files]),
    )


def _through(images: Images, files: list[Path]) -> Images:
    size = images.x.shape[-1]
    if len(files) != len(images):
        raise UserError(
            f"The card names {len(files)} photos and {len(images)} were read; protect them again."
        )
    seen = in_threads(lambda file: pixels(from_site(read(file)), size), files, "as a site does")
    source = {**images.source, "countermeasure": "site"}
    return Images(torch.from_numpy(np.stack(seen)), images.y, images.classes, source)
