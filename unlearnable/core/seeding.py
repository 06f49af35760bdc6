"""Random generators named by their purpose: ``generator(device, seed, "noise", step)``.

No generator state has to be saved, and a resumed run draws what an uninterrupted one would have
drawn.
"""

import hashlib
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from unlearnable.core.distributed import rank, world
from unlearnable.core.errors import UserError

Purpose = Literal["surrogate", "learner"]
"""of a network that trains"""


def generator(device: torch.device | str, *key: object) -> torch.Generator:
    """Return a random generator whose state depends on ``key`` alone: seed, purpose, step, rank."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "little") >> 1)


def seed_own_draws(*key: object) -> None:
    """Seed torch's global generator, from which dropout, kornia, and a person's own code draw. Its
    numbers are others than those of ``generator`` with the same key: an augmentation that repeated
    the draws of T's flip would do to every mirrored image the same."""
    torch.manual_seed(generator("cpu", "own draws", *key).initial_seed())


def global_draws_kept(device: torch.device) -> AbstractContextManager[None]:
    """Inside, torch's global generators may be seeded; afterwards a caller's next draws are what
    they would have been."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def seed_of(purpose: Purpose, seed: int) -> int:
    """Return the seed for a network's weights and batches. With the run's own seed for both, a
    learner would start from the weights and see the batches that the noise was made on, which no
    outside learner does."""
    return seed if purpose == "surrogate" else generator("cpu", seed, purpose).initial_seed()


@lru_cache(maxsize=8)
def _shuffled(n: int, seed: int, epoch: int, rank: int, world: int) -> Tensor:
    own = torch.arange(rank, n, world)
    return own[torch.randperm(len(own), generator=generator("cpu", seed, "order", epoch, rank))]


def batch_rows(n: int, batch: int, seed: int, step: int) -> Tensor:
    """Return the row indices of this process's part of batch number ``step``.

    Every epoch is shuffled anew, and incomplete batches are left out (the final pass over the noise
    table covers every row). batch: images per step over all processes. Raises UserError if it does
    not divide over the processes, and for fewer images than processes.
    """
    if batch % world():
        raise UserError(
            f"Batch {batch} does not divide over {world()} processes; choose a multiple of "
            f"{world()}."
        )
    if n < world():
        raise UserError(f"{n} images do not divide over {world()} processes; start at most {n}.")
    owned = len(range(rank(), n, world()))
    size = min(batch // world(), owned)
    per_epoch = owned // size
    start = step % per_epoch * size
    return _shuffled(n, seed, step // per_epoch, rank(), world())[start : start + size]
