"""``protect``: the one verb around every method. It crafts, checks the contract and writes.

The contract: the noise is whole steps of 1/255, has the images' shape and stays within the method's
budget; labels, their order and the images' size are untouched.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from unlearnable.core import distributed
from unlearnable.core.checkpoint import Checkpoint
from unlearnable.core.device import pick_device
from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write, read_json, write_json
from unlearnable.core.provenance import provenance
from unlearnable.data.images import Images
from unlearnable.data.load import load
from unlearnable.data.visibility import visibility
from unlearnable.protection.methods.base import Context, Method
from unlearnable.training.precision import Precision, use_bfloat16


@dataclass(frozen=True, eq=False)
class Protected:
    """images: the protected images; card: what was done and measured (card.json)."""

    images: Images
    card: dict


def protect(
    data: Images,
    method: Method,
    out: Path | str | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
) -> Protected | None:
    """Protect ``data``. With ``out``: images.npy (uint8 N x 3 x H x W), labels.npy, card.json and,
    where the method has a surrogate, generator.safetensors; until done, the state from which the
    same call resumes.

    Returns None on other ranks than 0 under torchrun. Raises UserError for a broken contract or
    another run's folder.
    """
    out = Path(out) if out else None
    where = pick_device(device)
    bfloat16 = use_bfloat16(precision, where)
    if len(data) < 2:
        raise UserError(f"There are {len(data)} images to protect; two or more are needed.")
    name = method.name
    if method.needs_labels and not data.labeled:
        raise UserError(
            f"{name} needs classes, and these images have none; put those of each class into a sub-folder of its "
            "own, or take unlearnable-clusters."
        )
    config = {
        "method": name,
        "settings": asdict(method),
        "digest": data.digest(),
        "seed": seed,
        "bfloat16": bfloat16,
    }
    if out and (out / "card.json").exists():
        return _finished(out, config)
    if out:
        _check_space(out, data)
    state = Checkpoint(out, config)
    crafted = method.craft(data, Context(seed, where, bfloat16, state))
    if distributed.rank() != 0:
        state.remove()
        return None
    protected = apply_noise(data, crafted.delta, eps=method.eps)
    card = {
        **config,
        "data": data.source,
        "classes": list(data.classes),
        "shape": list(protected.x.shape),
        "budget": method.budget,
        "passes": crafted.passes,
        "measured": visibility(data.x, protected.x),
        "seconds": round(state.seconds, 1),
        **provenance(where),
    }
    if out:
        _write(out, protected, crafted.generator, card)
    state.remove()
    return Protected(protected, card)


def apply_noise(data: Images, delta: Tensor | None, *, eps: float) -> Images:
    """clip(x + delta, 0, 255), after checking the contract. delta: int8 or int16 [N, 3, H, W]; eps
    in /255."""
    if delta is None or delta.dtype not in (torch.int8, torch.int16):
        raise UserError(
            f"The noise must be int8 or int16 in units of 1/255, not {getattr(delta, 'dtype', delta)}."
        )
    if delta.shape != data.x.shape:
        raise UserError(
            f"The noise has the shape {list(delta.shape)}, but the images {list(data.x.shape)}."
        )
    # abs() of int8 -128 is -128
    if (worst := max(int(delta.max()), -int(delta.min()))) > eps:
        raise UserError(f"The noise reaches {worst}/255, above the budget of {eps:g}/255.")
    x = torch.empty(tuple(data.x.shape), dtype=torch.uint8)
    for i in torch.arange(len(data)).split(4096):
        x[i] = (data.x[i].short() + delta[i]).clamp_(0, 255).to(torch.uint8)
    return Images(x, data.y, data.classes)


def _check_space(out: Path, data: Images) -> None:
    """Before hours of work: images, noise table and states of the run need about four times the
    images."""
    parent = next(p for p in [out, *out.absolute().parents] if p.exists())
    need, free = 4 * data.x.numel(), shutil.disk_usage(parent).free
    if free < need:
        raise UserError(
            f"No space left for {out}: about {need >> 20} MiB are needed and {free >> 20} MiB are free."
        )


def _write(out: Path, protected: Images, generator: nn.Module | None, card: dict) -> None:
    """The card comes last: where it stands, everything stands."""
    for name, array in (("images.npy", protected.x), ("labels.npy", protected.y)):
        with atomic_write(out / name) as tmp, open(tmp, "wb") as f:
            np.save(f, array.numpy())
    if generator is not None:
        # one entry: safetensors writes several in a random order, and the same run must give the
        # same bytes
        kept = {k: card[k] for k in ("method", "settings", "classes", "shape")}
        about = {"unlearnable": json.dumps({"model": card["settings"]["model"], **kept})}
        with atomic_write(out / "generator.safetensors") as tmp:
            save_file(
                {k: v.cpu().contiguous() for k, v in generator.state_dict().items()},
                tmp,
                metadata=about,
            )
    write_json(out / "card.json", card)


def _finished(out: Path, config: dict) -> Protected:
    """The output of the same run, already there."""
    card = read_json(out / "card.json")
    if {k: card.get(k) for k in config} != json.loads(json.dumps(config)):
        raise UserError(
            f"{out} holds another run's protected images; give another --out, or delete it."
        )
    return Protected(load(out), card)
