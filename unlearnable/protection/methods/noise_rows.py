"""The rows of a noise table over processes and batches: who owns which, the loop that resumes, and
the gathering at the end."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from unlearnable.core import distributed
from unlearnable.core.checkpoint import State
from unlearnable.core.progress import Progress
from unlearnable.core.units import quantize
from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context
from unlearnable.training.frozen import Frozen


def process_chunks(rows: Tensor, images: int, size: int) -> tuple[Tensor, ...]:
    """Divide this process's ``rows`` of ``images`` into chunks of about ``size``: equally many on
    every process, because all save together and class-wise noise sums gradients over them."""
    largest = -(-images // distributed.world())
    return rows.tensor_split(-(-largest // max(1, size)))


def batches(
    images: int,
    batch: int,
    shuffle: torch.Generator | None = None,
    *,
    among: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Divide this process's share of ``images``, in order or shuffled; ``batch`` counts over all
    processes. among: only these of them, bool [N]."""
    rows = distributed.local_rows(images)
    if among is not None:
        rows, images = rows[among[rows]], int(among.sum())
    if shuffle is not None:
        rows = rows[torch.randperm(len(rows), generator=shuffle)]
    return process_chunks(rows, images, batch // distributed.world())


def places(i: Tensor) -> Tensor:
    """Return where this process's table holds the rows ``i`` of the data set."""
    return i // distributed.world()


def resumable(
    title: str,
    total: int,
    run: Context,
    *,
    state: Callable[[], State],
    restore: Callable[[State], None],
    at_most: bool = False,
) -> Iterator[int]:
    """Yield the steps that are left of ``total``, saving ``state()`` after each. ``at_most``: the
    caller may leave early."""
    done = 0
    if saved := run.state.load():
        done = saved["done"]
        restore(saved)

    def snapshot() -> State:
        return state() | {"done": step + 1}

    with Progress(title, total, first=done, at_most=at_most) as progress:
        for step in range(done, total):
            yield step
            progress.at(step + 1)
            run.state.save(step + 1, snapshot)


def craft_rows(
    title: str,
    data: Images,
    parts: tuple[Tensor, ...],
    run: Context,
    make: Callable[[Tensor, int], Tensor],
    *,
    networks: Sequence[Frozen] = (),
) -> Tensor | None:
    """Make the noise of the images in ``parts``, part by part: int8 [N, 3, H, W] on rank 0, 0 for
    the others.

    make: (rows of the data set, number of the part) -> noise in [-1, 1]; networks: what it runs
    on, whose counts of passes belong to the state."""
    own = len(distributed.local_rows(len(data)))
    table = torch.zeros((own, *data.x.shape[1:]), dtype=torch.int8)

    def state() -> State:
        return {"table": table, "passes": [network.passes for network in networks]}

    def restore(saved: State) -> None:
        table.copy_(saved["table"])
        for network, passes in zip(networks, saved["passes"], strict=True):
            network.passes = passes

    for k in resumable(title, len(parts), run, state=state, restore=restore):
        if not len(parts[k]):  # other processes have more
            continue
        noise = quantize(make(parts[k], k)).cpu()
        for network in networks:
            network.require_finite()
        table[places(parts[k])] = noise
    return distributed.gather_rows(table, len(data))
