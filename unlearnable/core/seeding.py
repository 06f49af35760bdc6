"""Random generators named by their purpose: ``generator(device, seed, "noise", step)``.

No generator state has to be saved, and a resumed run draws what an uninterrupted one would have
drawn.
"""

import hashlib
from functools import lru_cache

import torch
from torch import Tensor

from unlearnable.core.distributed import rank, world
from unlearnable.core.errors import UserError


def generator(device: torch.device | str, *key: object) -> torch.Generator:
    """Return a random generator whose state depends on ``key`` alone: seed, purpose, step, rank."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "little") >> 1)


@lru_cache(maxsize=8)
def _shuffled(n: int, seed: int, epoch: int, rank: int, world: int) -> Tensor:
    own = torch.arange(rank, n, world)
    return own[torch.randperm(len(own), generator=generator("cpu", seed, "order", epoch, rank))]


def batch_rows(n: int, batch: int, seed: int, step: int) -> Tensor:
    """Return the row indices of this process's part of batch number ``step``.

    Every epoch is shuffled anew, and incomplete batches are left out (the final pass over the noise
    table covers every row). batch: images per step over all processes. Raises UserError if it does
    not divide over the processes.
    """
    if batch % world():
        raise UserError(
            f"Batch {batch} does not divide over {world()} processes; choose a multiple of "
            f"{world()}."
        )
    owned = len(range(rank(), n, world()))
    size = min(batch // world(), owned)
    per_epoch = owned // size
    start = step % per_epoch * size
    return _shuffled(n, seed, step // per_epoch, rank(), world())[start : start + size]
