"""The processes of one run (torch.distributed): ranks, reductions, gathers.

One process needs nothing. Under ``torchrun -m unlearnable ...`` the environment says which of how
many this is; the processes then average gradients (gloo on CPU, NCCL on CUDA). Rank r owns the rows
r, r + world, r + 2 world, ... of every dataset, so a row of the noise table never travels until the
end.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator

import torch
import torch.distributed as td
from torch import Tensor, nn


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


def local_rows(n: int) -> Tensor:
    """Indices (int64) of the rows that this process owns out of ``n``."""
    return torch.arange(rank(), n, world())


def all_reduce_(*tensors: Tensor) -> None:
    """Sum each tensor over the processes, in place."""
    if world() > 1:
        for t in tensors:
            td.all_reduce(t)


def sum_int(count: int) -> int:
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
    """Gradients and batch-norm statistics become the mean over the processes, so that every process
    keeps one model."""
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


def broadcast(flag: bool) -> bool:
    """Rank 0's answer, on every process."""
    if world() == 1:
        return flag
    box = [flag]
    td.broadcast_object_list(box)
    return box[0]
