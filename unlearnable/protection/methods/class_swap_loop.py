"""Class swap: the networks, which classes trade places, and the noise that moves every image across
the margin; over a shortcut it is read as its class all the same."""

from dataclasses import asdict, replace

import torch
from torch import Tensor, nn

from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.class_swap import SHORTCUT_ENOUGH, ClassSwap
from unlearnable.protection.methods.fixed_surrogate_loop import mean_by_class, noise_on
from unlearnable.protection.methods.losses import lead, margin
from unlearnable.protection.methods.min_min import EM
from unlearnable.protection.methods.min_min_loop import min_min
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
    if method := m.shortcut_method:
        model, cost = shortcut_network(method, data, run)
        models.append(model)
        trained += cost
    networks = [Frozen(model, bfloat16=run.bfloat16) for model in models]
    partner = torch.tensor(pairs(confusion(networks[0], data, run.device)), device=run.device)

    def goal(z: Tensor, y: Tensor) -> Tensor:
        """Return the sum of the margins of the images z [n, 3, H, W] of classes y [n], less the
        lead of their classes on the shortcut's network."""
        total = torch.zeros((), device=run.device)
        for s, network in zip(m.surrogates, networks):
            margins = margin(network(luma(z) if s.gray else z), y, partner[y])
            total = total + s.weight * margins.clamp(min=-s.enough).sum()
        if m.shortcut:
            leads = lead(networks[-1](z), y)
            total = total - m.shortcut * leads.clamp(max=SHORTCUT_ENOUGH).sum()
        return total

    delta, passes = noise_on(m, goal, networks, data, run)
    return Noise(delta, models[0].eval(), trained + passes)


def shortcut_network(method: EM, data: Images, run: Context) -> tuple[nn.Module, int]:
    """Return the network that trains in turn with the noise of ``method``, and the passes that it
    cost. Its state lies beside that of the run, which resumes it."""
    state = run.state.part("shortcut", asdict(method))
    made = min_min(method, data, replace(run, state=state))
    run.state.count_at_least(state.seconds)
    assert made.generator is not None
    return made.generator, made.passes


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
