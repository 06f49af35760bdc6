"""A protected set as one file of a few MB: the generator, the card, and digests, from which whoever
has the originals makes the very noise again."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write
from unlearnable.core.weights import read_weights
from unlearnable.data.card import Card, check_outside, check_unpublished, find_private
from unlearnable.data.load import load
from unlearnable.data.sources import DATA
from unlearnable.protection.methods.from_generator import GENERATOR, Generated
from unlearnable.protection.methods.min_min import MinMin
from unlearnable.protection.methods.shared import SHARED

PRIVATE = ("data", "command")  # keys of a card that hold paths and names of the owner's


def share(folder: Path | str, out: Path | str, *, private: bool = False) -> Path:
    """Write the shared file of a protected folder and return its path.

    private: also tell where the originals lay and the command that was typed; by default only the
    name of a public data set is told.

    Raises UserError for photos, for noise that its generator alone does not give again, and for
    another file that is there already.
    """
    folder, out = Path(folder), Path(out)
    check_unpublished(out)
    card = Card.read(folder)
    check_outside(card.data.get("source"), out)
    file = _generator(folder, card)
    weights, metadata = read_weights(file)
    told = card.to_json()
    named = card.data.get("source") in DATA
    run: dict[str, Any] = {
        "digest": card.digest,
        "protected": load(folder).digest(),
        "seed": card.seed,
        "bfloat16": card.bfloat16,
        "protected_classes": [*card.protected_classes],
        "data": card.originals(folder) if named or (private and card.data) else None,
        "card": told if private else {k: told[k] for k in told if k not in PRIVATE},
    }
    about = json.loads(metadata["unlearnable"]) | {SHARED: run}
    packed = save(weights, {"unlearnable": json.dumps(about)})
    if not out.exists():
        with atomic_write(out) as tmp:
            tmp.write_bytes(packed)
    elif not out.is_file() or out.read_bytes() != packed:  # else killed after it was written
        raise UserError(f"{out} exists; give another name, or delete it.")
    return out


def _generator(folder: Path, card: Card) -> Path:
    """The generator of ``folder``, if it gives the noise again. Raises UserError."""
    if card.photos:
        raise UserError(
            f"{folder} holds photos: publish them as they are, and keep their generator to "
            "yourself."
        )
    file = find_private(folder, GENERATOR)
    if file is None:
        raise UserError(
            f"{folder} has no generator: {card.method} makes its noise without a network that "
            "could be shared; give its card.json (`protect --settings`) or its noise (`export "
            "--noise`)."
        )
    family = Generated.of(file, card.settings.get("model")).family
    if not isinstance(family, MinMin):
        return file  # nothing of its noise is drawn
    reason = ""
    if family.warm_start:
        reason = "it was warm-started, from the noise of earlier visits"
    elif family.stop_error:
        reason = "it was made when the surrogate was good enough, at a step that is not recorded"
    elif card.processes > 1:
        reason = "it was made on several processes, each of which drew its own"
    if reason:
        raise UserError(
            f"The generator of {folder} does not give its noise again ({reason}); give the noise "
            "itself (`export --noise`)."
        )
    return file
