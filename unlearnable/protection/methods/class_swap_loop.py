"""Class swap: the networks, which classes trade places, and the noise that moves every image across
the margin."""

from dataclasses import replace

import torch
from torch import Tensor

from unlearnable.core import distributed
from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.class_swap import ClassSwap
from unlearnable.protection.methods.fixed_surrogate_loop import descend
from unlearnable.protection.methods.noise_rows import batches, craft_rows
from unlearnable.protection.methods.surrogate import train_surrogate
from unlearnable.training.augment import gray, luma
from unlearnable.training.frozen import Frozen


def class_swap(m: ClassSwap, data: Images, run: Context) -> Noise:
    """Train the networks, pair the classes, and take ``m.steps`` sign steps for every image, batch
    by batch, resuming from ``run.state``."""
    models, trained = [], 0
    for surrogate in m.surrogates:
        seen = replace(data, x=gray(data.x)) if surrogate.gray else data
        model, passes = train_surrogate(
            seen, m.recipe(surrogate), run, features=False, name=surrogate.name
        )
        models.append(model)
        trained += passes
    networks = [Frozen(model, bfloat16=run.bfloat16) for model in models]
    partner = torch.tensor(pairs(confusion(networks[0], data, run.device)), device=run.device)

    def goal(z: Tensor, y: Tensor) -> Tensor:
        """Return the sum of the margins of the images z [n, 3, H, W] of classes y [n]."""
        total = torch.zeros((), device=run.device)
        for s, network in zip(m.surrogates, networks, strict=True):
            margins = margin(network(luma(z) if s.gray else z), y, partner[y])
            total = total + s.weight * margins.clamp(min=-s.enough).sum()
        return total

    delta = craft_rows(
        f"{m.name} noise",
        data,
        batches(len(data), m.batch),
        run,
        lambda i, k: descend(m, goal, data, i, run, k),
        networks=networks,
    )
    made = sum(network.passes for network in networks)
    return Noise(delta, models[0].eval(), trained + distributed.sum_int(made))


def margin(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """Return by how much the class y [n] is ahead of ``target`` [n], per image."""
    return (logits.gather(1, y[:, None]) - logits.gather(1, target[:, None]))[:, 0]


@torch.no_grad()
def confusion(network: Frozen, data: Images, device: torch.device) -> Tensor:
    """Return the mean probability of every class on the clean images of every class,
    [classes, classes], on the CPU."""
    classes = len(data.classes)
    total, count = torch.zeros(classes, classes, device=device), torch.zeros(classes, device=device)
    for i in distributed.local_rows(len(data)).split(500):
        y = data.labels(i, device)
        total.index_add_(0, y, network(data.pixels(i, device)).softmax(1))
        count += torch.bincount(y, minlength=classes)
    distributed.all_reduce_(total, count)
    return (total / count.clamp(min=1)[:, None]).cpu()


def pairs(confused: Tensor) -> list[int]:
    """Return the partner of every class: those that are confused most become a pair first. An odd
    class out joins the pair that it is confused with most: the three trade places in a circle.

    confused: [classes, classes], at least two."""
    both = confused + confused.T
    classes = len(both)
    partner = list(range(classes))
    every = [(a, b) for a in range(classes) for b in range(a + 1, classes)]
    for a, b in sorted(every, key=lambda p: -float(both[p])):
        if partner[a] == a and partner[b] == b:
            partner[a], partner[b] = b, a
    if odd := [c for c in range(classes) if partner[c] == c]:
        c = odd[0]
        a = max(
            (k for k in range(classes) if k != c),
            key=lambda k: float(both[c, k] + both[c, partner[k]]),
        )
        partner[c], partner[a] = partner[a], c
    return partner
