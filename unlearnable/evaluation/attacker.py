"""An attacker who protects other images with this program and learns from the pairs to undo it.

What they know: the method and its settings, from the card; not its seed, and not the originals.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from unlearnable.core.device import pick_device
from unlearnable.core.errors import UserError
from unlearnable.core.files import config_hash, lock
from unlearnable.core.weights import read_weights, restore_weights, write_weights
from unlearnable.data.card import Card
from unlearnable.data.images import Images
from unlearnable.data.load import load
from unlearnable.data.subsets import clean_mask, select
from unlearnable.evaluation.denoiser import NETWORK, Denoiser, train_denoiser
from unlearnable.evaluation.learners import Learner
from unlearnable.evaluation.store import Json
from unlearnable.protection.methods.base import Method
from unlearnable.protection.methods.fixed_surrogate import OnSurrogate
from unlearnable.protection.protect import protect, settings_of
from unlearnable.protection.settings import method_of_card
from unlearnable.training.precision import Precision, precision_key

MOST_PAIRS = 4000  # protected in one run, of which smaller attackers use a part
SET_ASIDE = 0.25  # of the images, where the source has fewer others than that
SEED = 900_001  # of the attacker's draws and noise: never the protection's own

Pairs = tuple[Images, Images]


@dataclass(frozen=True, eq=False)
class Attacker:
    """clean: images of the attacker's own, at most ``MOST_PAIRS``. method, seed: how they protect
    them. kept: bool [N], the protected images that are left to train on where the attacker's were
    set aside from their originals; None: all. folder: keeps what they made, for every audit."""

    clean: Images
    method: Method
    seed: int
    kept: Tensor | None
    folder: Path
    device: str = "auto"
    precision: Precision = "auto"

    @property
    def where(self) -> str:
        """Where the attacker's images come from, in words."""
        n = f"{len(self.clean):,}"
        if self.kept is None:
            return f"{n} other images of {self.clean.source['source']}"
        return f"{n} of the originals, set aside from these trainings"

    @property
    def run(self) -> Json:
        """What the attacker's protection run is found by."""
        return {
            "method": self.method.name,
            "settings": settings_of(self.method),
            "seed": self.seed,
            "images": self.clean.digest(),
            **precision_key(self.precision),
            **self.method.further_key,
        }

    def key(self, pairs: int) -> Json:
        """What a learner with a purifier from ``pairs`` pairs is found by."""
        return {**self.run, "pairs": pairs, "denoiser": NETWORK}

    @property
    def own_folder(self) -> Path:
        return self.folder / "pairs" / config_hash(self.run)

    def file(self, pairs: int) -> Path:
        """The weights of the purifier from ``pairs`` pairs."""
        return self.own_folder / f"{NETWORK}-{pairs}.safetensors"

    def made(self) -> bool:
        """Whether the attacker's protection run is done."""
        return (self.own_folder / "protected" / "card.json").exists()


def attacker_of(
    folder: Path,
    clean: Images,
    test: Images,
    *,
    results: Path,
    root: Path | str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
) -> Attacker:
    """Return the attacker of a protected folder; nothing is trained yet. clean: its originals.

    Their images are those of the same source that are neither among the originals nor among the
    ``test`` images. Where a quarter of the originals is more than that (all of the source is
    protected, or a person's photos), that quarter is set aside for the attacker and nobody who has
    a purifier trains on it. Raises UserError where the method cannot run on other images.
    """
    card = Card.read(folder)
    method = _method(folder, card)
    seed = SEED + (card.seed == SEED)
    most = min(MOST_PAIRS, int(SET_ASIDE * len(clean)))
    others, kept = _others(clean.source, clean, test, root), None
    if others is None or len(others) < most:
        aside = clean_mask(clean.y, most / len(clean), SEED)
        others, kept = clean.subset(aside), ~aside
    if not len(others):
        raise UserError(
            f"{folder} holds {len(clean)} images, too few to set some aside for an attacker's "
            "purifier; choose the suite full, or protect more images."
        )
    return Attacker(others, method, seed, kept, results, device, precision)


def _method(folder: Path, card: Card) -> Method:
    """The method of the card with its settings, on a surrogate of the attacker's own. Raises
    UserError for one that is not a method of this program for any images: what comes from elsewhere
    must not choose what is imported."""
    try:
        method = method_of_card(folder)
        if isinstance(method, OnSurrogate):  # the owner's was trained on the originals
            method = replace(method, surrogate="")
        if "file" not in card.settings:
            return method
        problem = "its noise comes from a file"
    except UserError as e:
        problem = str(e).removesuffix(".")
    raise UserError(
        f"{folder} was protected by {card.method} with settings that only its owner can run again, "
        f"or settings that {card.method} does not have ({problem}), so that no attacker can make "
        "pairs with it; choose the suite full, whose denoiser learns from leaked pairs."
    )


def _others(source: Json, clean: Images, test: Images, root: Path | str | None) -> Images | None:
    """At most ``MOST_PAIRS`` images of the source besides ``clean`` and ``test``; None where all of
    it is protected."""
    if source.get("limit") is None:
        return None
    # of a larger limit, the images of a smaller one are a part
    whole = load(**source | {"limit": source["limit"] + MOST_PAIRS}, root=root)
    if whole.x.shape[1:] != clean.x.shape[1:] or whole.classes != clean.classes:
        return None
    known = {*_prints(clean)} | {*_prints(test)}
    own = torch.tensor([print_ not in known for print_ in _prints(whole)])
    return select(whole.subset(own), MOST_PAIRS, None, SEED)


def _prints(images: Images) -> list[int]:
    """A hash of every image's pixels."""
    return [hash(x.numpy().tobytes()) for x in images.x]


def with_attacker(learners: tuple[Learner, ...], attacker: Attacker | None) -> tuple[Learner, ...]:
    """Return the learners with no more pairs than the attacker has; of two that are then the same,
    the first."""
    if attacker is None:
        return learners
    most = len(attacker.clean)
    return tuple(
        dict.fromkeys(
            replace(by, name=f"purifier from {most:,} pairs", own_pairs=most)
            if by.own_pairs > most
            else by
            for by in learners
        )
    )


def pairs_of(attacker: Attacker, pairs: int, *, wait: bool = True) -> Pairs:
    """Return ``pairs`` of the attacker's images clean and protected. All of them are protected
    together, once; the result is kept. Raises ``Busy`` where another process is at it and ``wait``
    is False."""
    with lock(attacker.own_folder, wait=wait):
        done = protect(
            attacker.clean,
            attacker.method,
            attacker.own_folder / "protected",
            seed=attacker.seed,
            device=attacker.device,
            precision=attacker.precision,
        )
    protected = replace(attacker.clean, x=done.images.x)
    clean, protected = (select(images, pairs, None, SEED) for images in (attacker.clean, protected))
    return clean, protected


def purifier(attacker: Attacker, pairs: int, *, wait: bool = True) -> Denoiser:
    """Return the denoiser that the attacker trains on ``pairs`` pairs: trained once, kept, and the
    same for every learner and seed."""
    file, device = attacker.file(pairs), pick_device(attacker.device)
    if not file.exists():
        clean, protected = pairs_of(attacker, pairs, wait=wait)
        with lock(attacker.own_folder, wait=wait):
            if not file.exists():  # another process was not faster
                trained = train_denoiser(clean, protected, seed=attacker.seed, device=device)
                write_weights(file, trained)
    model = Denoiser()
    restore_weights(model, read_weights(file)[0], file)
    return model.to(device).eval()
