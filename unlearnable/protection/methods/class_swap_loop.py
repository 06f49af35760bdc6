"""Class swap: the networks, which classes trade places, and the noise that moves every image across
the margin."""

from dataclasses import replace

import torch
from torch import Tensor

from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.class_swap import ClassSwap
from unlearnable.protection.methods.fixed_surrogate_loop import mean_by_class, noise_on
from unlearnable.protection.methods.losses import margin
from unlearnable.protection.methods.surrogate import train_surrogate
from unlearnable.training.augment import gray, luma
from unlearnable.training.frozen import Frozen

APART = 1000  # between the seeds of networks that train alike


def class_swap(m: ClassSwap, data: Images, run: Context) -> Noise:
    """Train the networks, pair the classes, and take ``m.steps`` sign steps for every image, batch
    by batch, resuming from ``run.state``."""
    models, trained = [], 0
    for surrogate in m.surrogates:
        seen = replace(data, x=gray(data.x)) if surrogate.gray else data
        apart = replace(run, seed=run.seed + APART * surrogate.draw)
        model, cost = train_surrogate(
            seen, m.recipe(surrogate), apart, features=False, name=surrogate.name
        )
        models.append(model)
        trained += cost
    networks = [Frozen(model, bfloat16=run.bfloat16) for model in models]
    partner = torch.tensor(pairs(confusion(networks[0], data, run.device)), device=run.device)

    def goal(z: Tensor, y: Tensor) -> Tensor:
        """Return the sum of the margins of the images z [n, 3, H, W] of classes y [n]."""
        total = torch.zeros((), device=run.device)
        for s, network in zip(m.surrogates, networks, strict=True):
            margins = margin(network(luma(z) if s.gray else z), y, partner[y])
            total = total + s.weight * margins.clamp(min=-s.enough).sum()
        return total

    delta, passes = noise_on(m, goal, networks, data, run)
    return Noise(delta, models[0].eval(), trained + passes)


def confusion(network: Frozen, data: Images, device: torch.device) -> Tensor:
    """Return the mean probability of every class on the clean images of every class,
    [classes, classes], on the CPU."""
    return mean_by_class(lambda x: network(x).softmax(1), data, device).cpu()


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
