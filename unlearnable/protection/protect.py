"""``protect``, the verb around every method: craft the noise, check the contract, write.

The contract: the noise consists of whole steps of 1/255, has the shape of the images and stays
within the method's budget; labels, their order and the size of the images do not change.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unlearnable.core import distributed
from unlearnable.core.callbacks import Callback
from unlearnable.core.checkpoint import Checkpoint, held, tidy
from unlearnable.core.device import describe_place, pick_device
from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write, require_space
from unlearnable.core.finite import diverged, is_finite
from unlearnable.core.plugins import own_code
from unlearnable.core.presets import require_seed
from unlearnable.core.provenance import provenance
from unlearnable.core.seeding import global_draws_kept
from unlearnable.core.text import printable
from unlearnable.core.units import LEVELS, add_noise
from unlearnable.core.watch import Watch
from unlearnable.core.weights import pack_weights
from unlearnable.data.card import Card, check_outside, check_unpublished
from unlearnable.data.images import Images, chunks
from unlearnable.data.load import load
from unlearnable.data.subsets import class_mask, find_classes
from unlearnable.data.visibility import visibility
from unlearnable.protection.methods.base import (
    Context,
    Method,
    Noise,
    check_method,
    check_noise,
    own_names,
)
from unlearnable.training.precision import Precision, use_bfloat16

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Protected:
    """images: the protected images. card: what was done and measured."""

    images: Images
    card: Card


def protect(
    data: Images,
    method: Method,
    out: Path | str | None = None,
    *,
    protected_classes: Sequence[str | int] | str | int = (),
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    callbacks: Sequence[Callback] = (),
) -> Protected:
    """Protect ``data``.

    protected_classes: only these, by name or by number from 0 (default: all); the images of the
    other classes are written as they are, and the method's surrogate sees them so.
    out: gets images.npy (uint8 N x 3 x H x W), labels.npy, card.json and, if the method has a
    surrogate, generator.safetensors; until they are written it holds the state from which the same
    call resumes. callbacks: hear the numbers of the surrogate's training. Under torchrun every
    process calls ``protect`` and gets the result.

    Raises UserError for a broken contract, for another run's folder, for images without classes
    where the method needs them, and for classes to protect that are not there.
    """
    seed = require_seed(seed)
    check_eps(method)
    out = Path(out) if out else None
    check_unpublished(out)
    check_outside(data.source.get("source"), out)
    some = _some_classes(data, protected_classes)
    where = pick_device(device)
    with held(out), global_draws_kept(where):
        return _protect(data, method, out, some, seed, where, precision, callbacks)


def _protect(
    data: Images,
    method: Method,
    out: Path | None,
    some: tuple[str, ...],
    seed: int,
    where: torch.device,
    precision: Precision,
    callbacks: Sequence[Callback],
) -> Protected:
    """some: the only classes to protect, empty for all."""
    bfloat16 = use_bfloat16(precision, where)
    config = _config(data, method, seed, bfloat16)
    config |= {"protected_classes": some} if some else {}
    logger.debug("noise %s: %s", describe_place(where, bfloat16, out), config)
    if out and (out / "card.json").exists():
        return _finished(out, {"protected_classes": some} | config)
    if out:
        # images, noise table, and saved states of the run: about four times the images
        require_space(out, 4 * data.x.numel())
    state, about = Checkpoint(out, config), provenance(where)
    own = class_mask(data, some) if some else None
    with Watch("surrogate", config, callbacks) as watch:
        noise = _craft(data, method, Context(seed, where, bfloat16, state, own, watch))
    if out and distributed.rank() != 0:
        state.claim()
        state.remove()  # waits until rank 0 has written
        return Protected(load(out), Card.read(out))
    delta = noise.delta if out else distributed.broadcast(noise.delta)
    protected = apply_noise(data, delta, eps=method.eps)
    before, after = data.x, protected.x
    if own is not None:
        after[~own] = before[~own]
        before, after = before[own], after[own]
    card = Card(
        **config,
        data=data.source,
        classes=data.classes,
        shape=tuple(protected.x.shape),
        budget=method.budget,
        passes=noise.passes,
        measured=visibility(before, after),
        seconds=round(state.seconds, 1),
        **about,
    )
    if out:
        state.claim()
        _write(out, protected, noise, card)
    state.remove()
    return Protected(protected, card)


def _craft(data: Images, method: Method, run: Context) -> Noise:
    """Let ``method`` make its noise. Raises UserError where its code or its network fails, if that
    is a person's own, and for a surrogate that diverged."""
    own, network = own_names(method)
    with own_code("method", own, "failed"), own_code("model", network, "failed"):
        noise = check_noise(method.craft(data, run), method)
    if noise.generator is not None and not is_finite(noise.generator.state_dict()):
        raise diverged(f"The surrogate of {method.name}")
    return noise


def _config(data: Images, method: Method, seed: int, bfloat16: bool) -> dict[str, Any]:
    """What tells this run from others, as the card holds it. Raises UserError for images that the
    method cannot protect."""
    check_images(data, method)
    return {
        "method": method.name,
        "settings": settings_of(method),
        "digest": data.digest(),
        "seed": seed,
        "bfloat16": bfloat16,
        **method.further_key,
    }


def _some_classes(data: Images, named: Sequence[str | int] | str | int) -> tuple[str, ...]:
    """The only classes to protect, empty where that is all of them. Raises UserError for one that
    is not there or has no image."""
    if isinstance(named, str | int):  # "12" is one class, and not the classes 1 and 2
        named = (named,)
    if not named:
        return ()
    if not data.labeled:
        raise UserError("These images have no classes to choose from; leave protected_classes out.")
    some = find_classes(tuple(map(str, named)), data.classes)
    if empty := [name for name in some if not class_mask(data, (name,)).any()]:
        raise UserError(f"The class {printable(empty[0])} has no images to protect.")
    return () if some == data.classes else some


def check_images(data: Images, method: Method) -> None:
    """Raise UserError for images that the method cannot protect."""
    name = method.name
    if len(data) < method.least_images:
        least = "two" if method.least_images == 2 else "one"
        raise UserError(f"There are {len(data)} images to protect; {least} or more are needed.")
    if data.unclipped:
        raise UserError("These are images after a countermeasure; protect the images themselves.")
    if method.needs_labels and not data.labeled:
        raise UserError(
            f"{name} needs classes, and these images have none; put the images of each class into "
            "a sub-folder of its own, or use unlearnable-clusters."
        )
    present = data.y.unique()  # a set may name classes of which it holds no image
    if method.needs_labels and len(present) < method.least_classes:
        only = printable(data.classes[int(present[0])])
        raise UserError(
            f"All images are of one class, {only}, and {name} makes noise that keeps models from "
            "telling classes apart; add the images of another class, in a sub-folder of their own."
        )


def check_eps(method: Method) -> None:
    """Raise UserError for a budget that noise in whole steps of 1/255 cannot keep or use, before
    anything is made with it."""
    check_method(method)
    # the tables of noise are int8; a method whose eps is no setting may return int16
    most = 127 if any(f.name == "eps" for f in fields(method)) else LEVELS
    if not (1 <= method.eps <= most and method.eps == int(method.eps)):
        raise UserError(
            f"Noise is stored in whole steps of 1/255: eps must be a whole number from 1 to "
            f"{most}, not {method.eps:g}."
        )


def settings_of(method: Method) -> dict[str, Any]:
    """Return every field of the method as JSON holds it. Raises UserError for one that JSON does
    not."""
    try:
        return json.loads(json.dumps(asdict(method)))
    except (TypeError, ValueError, RecursionError) as e:
        raise UserError(
            f"The settings of {method.name} cannot be written as JSON ({e}); keep to numbers, "
            "texts and tuples of them."
        ) from e


def apply_noise(data: Images, delta: Tensor | None, *, eps: float) -> Images:
    """Check the contract and return clip(x + delta, 0, 255). delta: int8 or int16 [N, 3, H, W].
    eps: the budget in /255. Raises UserError for a broken contract."""
    if delta is None or delta.dtype not in (torch.int8, torch.int16):
        raise UserError(
            "The noise must be int8 or int16 in units of 1/255, not "
            f"{getattr(delta, 'dtype', delta)}."
        )
    if delta.layout != torch.strided or delta.device.type != "cpu":
        raise UserError(
            f"The noise must be a dense tensor on the CPU, not {delta.layout} on {delta.device}."
        )
    if delta.shape != data.x.shape:
        raise UserError(
            f"The noise has the shape {list(delta.shape)}, but the images have "
            f"{list(data.x.shape)}."
        )
    # abs() of int8 -128 is -128
    if (worst := max(int(delta.max()), -int(delta.min()))) > eps:
        raise UserError(f"The noise reaches {worst}/255, above the budget of {eps:g}/255.")
    x = torch.empty(tuple(data.x.shape), dtype=torch.uint8)
    for i in chunks(data.x, 4096):
        x[i] = add_noise(data.x[i], delta[i])
    return Images(x, data.y, data.classes)


def _write(out: Path, protected: Images, noise: Noise, card: Card) -> None:
    """Write the card last: where it is, everything is."""
    # One entry, because safetensors writes several in a random order, and the same run must give
    # the same bytes.
    about = {"model": card.settings.get("model"), "method": card.method, "settings": card.settings}
    about |= {"classes": card.classes, "shape": card.shape}
    about |= {"notes": noise.notes} if noise.notes else {}
    packed = (
        None
        if noise.generator is None
        else pack_weights(noise.generator, {"unlearnable": json.dumps(about)})
    )
    for name, array in (("images.npy", protected.x), ("labels.npy", protected.y)):
        with atomic_write(out / name) as tmp, open(tmp, "wb") as f:
            np.save(f, array.numpy())
    if packed is not None:
        with atomic_write(out / "generator.safetensors") as tmp:
            tmp.write_bytes(packed)
    card.write(out)


def _finished(out: Path, config: dict[str, Any]) -> Protected:
    """Load the finished output of the same run. Raises UserError for another run's."""
    card = Card.read(out)
    if {k: getattr(card, k) for k in config} != config:
        raise UserError(
            f"{out} holds another run's protected images; give another --out, or delete it."
        )
    if distributed.rank() == 0:
        tidy(out)  # where the run was killed between its card and the end of its state
    return Protected(load(out), card)
