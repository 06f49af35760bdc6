"""Rank, device and random numbers: what a process has to know about itself.

One process needs nothing. Under ``torchrun -m unlearnable ...`` the environment says which of how many this is; the
processes then average gradients (gloo on CPU, NCCL on CUDA). Rank r owns the rows r, r + world, r + 2 world, ... of
every dataset, so a row of the noise table never travels until the end.

Random draws are a function of *what they are for*: ``generator(device, seed, "noise", step)``. No generator state has
to be saved, and a resumed run draws what the uninterrupted one would have drawn.
"""

import contextlib
import ctypes
import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache

import torch
import torch.distributed as td
from torch import Tensor, nn

from .errors import UserError


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` is this process's CUDA device where there is one, else the CPU."""
    if name == "auto":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as e:
        raise UserError(f"Device '{name}' cannot be used on this machine; use --device cpu or auto.") from e
    return device


@contextlib.contextmanager
def processes(device: torch.device) -> Iterator[None]:
    """Join the processes that torchrun started; does nothing for a single one."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1 or td.is_initialized():
        yield
        return
    td.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
        td.barrier()  # leave together: nobody closes a connection that another still uses
    finally:
        td.destroy_process_group()


def world() -> int:
    return td.get_world_size() if td.is_initialized() else 1


def rank() -> int:
    return td.get_rank() if td.is_initialized() else 0


def barrier() -> None:
    if world() > 1:
        td.barrier()


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Tell glibc's malloc to keep what is freed for the next tensor. It hands large blocks back to the system at once,
    and fresh ones cost a page fault every 4 KiB: a third of the time of a small network (docs/results.md). Does
    nothing on other systems."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # malloc.h; the last is at most 32 MiB
        library.mallopt(trim_threshold, 2**31 - 1)
        library.mallopt(mmap_threshold, 2**25)
        library.mallopt(top_pad, 2**26)


def sent(t: Tensor, device: torch.device | str) -> Tensor:
    """``t`` on ``device``; to a CUDA device from page-locked memory, so that nothing waits for the copy."""
    device = torch.device(device)
    return t.pin_memory().to(device, non_blocking=True) if device.type == "cuda" and not t.is_cuda else t.to(device)


def own_rows(n: int) -> Tensor:
    """Indices (int64) of the rows that this process owns out of ``n``."""
    return torch.arange(rank(), n, world())


def sum_(*tensors: Tensor) -> None:
    """Sum each tensor over the processes, in place."""
    if world() > 1:
        for t in tensors:
            td.all_reduce(t)


def total(count: int) -> int:
    """The sum of a whole number over the processes."""
    if world() == 1:
        return count
    counts: list[int] = [0] * world()
    td.all_gather_object(counts, count)
    return sum(counts)


def average_(tensors: Iterable[Tensor]) -> None:
    """Average float tensors over the processes, in place, in one message."""
    tensors = [t for t in tensors if t.is_floating_point()]
    if world() == 1 or not tensors:
        return
    flat = torch.cat([t.detach().reshape(-1) for t in tensors])
    td.all_reduce(flat)
    flat /= world()
    for t, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        t.detach().copy_(part.view_as(t))


def average_gradients(model: nn.Module) -> None:
    """Gradients and batch-norm statistics become the mean over the processes, so that every process keeps one model."""
    average_([p.grad for p in model.parameters() if p.grad is not None] + list(model.buffers()))


def gather_rows(rows: Tensor, n: int) -> Tensor | None:
    """The full table [n, ...] on rank 0 (None elsewhere) from every process's own rows."""
    if world() == 1:
        return rows
    parts = [None] * world() if rank() == 0 else None
    td.gather_object(rows.cpu(), parts)
    if parts is None:
        return None
    table = rows.new_empty((n, *rows.shape[1:]), device="cpu")
    for r, part in enumerate(parts):
        table[r :: world()] = part
    return table


def agree(flag: bool) -> bool:
    """Rank 0's answer, on every process."""
    if world() == 1:
        return flag
    box = [flag]
    td.broadcast_object_list(box)
    return box[0]


def generator(device: torch.device | str, *key: object) -> torch.Generator:
    """A random generator whose state depends on ``key`` alone: seed, purpose, step, rank."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "little") >> 1)


@lru_cache(maxsize=8)
def _shuffled(n: int, seed: int, epoch: int, rank: int, world: int) -> Tensor:
    own = torch.arange(rank, n, world)
    return own[torch.randperm(len(own), generator=generator("cpu", seed, "order", epoch, rank))]


def batch_rows(n: int, batch: int, seed: int, step: int) -> Tensor:
    """Row indices of this process's part of batch number ``step``: a fresh shuffle every epoch, incomplete batches left
    out (the noise tables' final pass covers every row). ``batch`` counts over all processes."""
    if batch % world():
        raise UserError(f"Batch {batch} does not divide over {world()} processes; choose a multiple of {world()}.")
    owned = len(range(rank(), n, world()))
    size = min(batch // world(), owned)
    per_epoch = owned // size
    start = step % per_epoch * size
    return _shuffled(n, seed, step // per_epoch, rank(), world())[start : start + size]
