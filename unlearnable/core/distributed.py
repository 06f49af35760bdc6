"""The processes of one run (torch.distributed): ranks, reductions, gathers.

A single process needs none of this. Under ``torchrun -m unlearnable ...`` the environment gives the
rank and the number of processes, which then average gradients (gloo on CPU, NCCL on CUDA). Rank r
owns the rows r, r + world, r + 2 world, ... of every data set, so a row of the noise table does not
travel until the end.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

import torch
import torch.distributed as td
from torch import Tensor, nn

from unlearnable.core.errors import UserError

T = TypeVar("T")


@contextlib.contextmanager
def processes(device: torch.device) -> Iterator[None]:
    """Join the processes that torchrun started. Does nothing for a single process."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1 or td.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)  # where NCCL sends what is not a tensor from
    td.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
        td.barrier()  # leave together, so that no connection closes while another still uses it
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
    """Return the indices (int64) of the rows that this process owns out of ``n``."""
    return torch.arange(rank(), n, world())


def all_reduce_(*tensors: Tensor) -> None:
    """Sum each tensor over the processes, in place."""
    if world() > 1:
        for t in tensors:
            td.all_reduce(t)


def sum_int(count: int) -> int:
    """Return the sum of a whole number over the processes."""
    return sum(gather(count))


def gather(value: T) -> list[T]:
    """Return every process's value (anything that pickles), by rank, on every process."""
    if world() == 1:
        return [value]
    values: list[Any] = [None] * world()
    td.all_gather_object(values, value)
    return values


def average_(tensors: Iterable[Tensor]) -> None:
    """Average the floating-point tensors over the processes, in place, in one message."""
    tensors = [t for t in tensors if t.is_floating_point()]
    if world() == 1 or not tensors:
        return
    flat = torch.cat([t.detach().reshape(-1) for t in tensors])
    td.all_reduce(flat)
    flat /= world()
    for t, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        t.detach().copy_(part.view_as(t))


def average_gradients(model: nn.Module) -> None:
    """Average gradients and batch-norm statistics over the processes, so that all of them keep the
    same model."""
    average_([p.grad for p in model.parameters() if p.grad is not None] + list(model.buffers()))


def gather_rows(rows: Tensor, n: int) -> Tensor | None:
    """Join the rows of all processes to the full table [n, ...] on rank 0; None elsewhere."""
    if world() == 1:
        return rows
    parts: list[Any] | None = [None] * world() if rank() == 0 else None
    td.gather_object(rows.cpu(), parts)
    if parts is None:
        return None
    table = rows.new_empty((n, *rows.shape[1:]), device="cpu")
    for r, part in enumerate(parts):
        table[r :: world()] = part
    return table


def broadcast(value: T) -> T:
    """Return rank 0's value (anything that pickles) on every process."""
    if world() == 1:
        return value
    box = [value]
    td.broadcast_object_list(box)
    return box[0]


def on_first(work: Callable[[], T]) -> T:
    """Let rank 0 alone do ``work``, and return its result on every process. What it raises as a
    UserError, all of them raise, so that none waits for another."""
    value, problem = None, None
    if rank() == 0:
        try:
            value = work()
        except UserError as e:
            problem = e
    value, problem = broadcast((value, problem))
    if problem is not None:
        raise problem
    return cast(T, value)
