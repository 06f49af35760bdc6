"""TAP, HYPO and EntF: sign steps down one goal, on a surrogate that stays as it is. Class swap
takes the same steps on several."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from unlearnable.core import distributed
from unlearnable.core.seeding import generator
from unlearnable.core.units import in_unit
from unlearnable.data.images import Images, at_once
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.class_swap import ClassSwap
from unlearnable.protection.methods.fixed_surrogate import FeatureDistance, FixedSurrogate
from unlearnable.protection.methods.noise_rows import batches, craft_rows
from unlearnable.protection.methods.surrogate import read_surrogate, train_surrogate
from unlearnable.training import augment
from unlearnable.training.frozen import Frozen
from unlearnable.training.pgd import pgd, total_loss, uniform

# images [n, 3, H, W] and labels [n] -> what the noise lowers, a sum
Goal = Callable[[Tensor, Tensor], Tensor]


def on_fixed_surrogate(m: FixedSurrogate, data: Images, run: Context) -> Noise:
    """Take ``m.steps`` sign steps down ``m.goal`` for every image, batch by batch, resuming from
    ``run.state``."""
    if m.surrogate:
        model, trained = read_surrogate(Path(m.surrogate), data, run, own=m.model), 0
    else:
        features = isinstance(m.goal, FeatureDistance)
        model, trained = train_surrogate(data, m.surrogate_recipe(), run, features=features)
    frozen = Frozen(model, bfloat16=run.bfloat16)
    if isinstance(m.goal, FeatureDistance):
        goal = feature_goal(m.goal, frozen, mean_by_class(frozen.features, data, run.device))
    else:
        shift = m.goal.shift

        def goal(z: Tensor, y: Tensor) -> Tensor:
            return total_loss(frozen, z, (y + shift) % len(data.classes))

    delta, passes = noise_on(m, goal, [frozen], data, run)
    return Noise(delta, model.eval(), trained + passes)


def noise_on(
    m: FixedSurrogate | ClassSwap,
    goal: Goal,
    networks: Sequence[Frozen],
    data: Images,
    run: Context,
) -> tuple[Tensor | None, int]:
    """Take the steps down ``goal``, which looks at the ``networks``, for every image that gets
    noise, batch by batch, resuming from ``run.state``. Returns the noise, int8 [N, 3, H, W] on rank
    0, and the passes that it cost."""
    delta = craft_rows(
        f"{m.name} noise",
        data,
        batches(len(data), m.batch, among=run.protected),
        run,
        lambda i, k: descend(m, goal, data, i, run, k),
        networks=networks,
    )
    return delta, distributed.sum_int(sum(network.passes for network in networks))


def feature_goal(goal: FeatureDistance, frozen: Frozen, centers: Tensor) -> Goal:
    """Return the distance of an image's features from its target among ``centers`` [classes, D],
    negative where they are to leave it."""
    push = goal.how == "push"

    def distance(z: Tensor, y: Tensor) -> Tensor:
        features = frozen.features(z)
        target = y if push else _nearest_other(features.detach(), centers, y)
        # epsilon under the root: the distance of a feature from itself has no gradient
        each = (features - centers[target]).square().sum(1).add(1e-12).sqrt()
        return -each.sum() if push else each.sum()

    return distance


def _nearest_other(features: Tensor, centers: Tensor, y: Tensor) -> Tensor:
    """Return the class whose center is nearest to each of the ``features`` [n, D], but for its own
    class ``y``."""
    away = torch.cdist(features.float(), centers.float())
    return away.scatter(1, y[:, None], float("inf")).argmin(1)


@torch.no_grad()
def mean_by_class(look: Callable[[Tensor], Tensor], data: Images, device: torch.device) -> Tensor:
    """Return the mean of ``look`` over the clean images of every class, [classes, D].

    look: images [n, 3, H, W] in [0, 1], as T shows them to a test -> [n, D]."""
    t = augment.for_size(*data.x.shape[-2:])
    count = torch.zeros(len(data.classes), device=device)
    total = torch.zeros(0)
    for i in distributed.local_rows(len(data)).split(at_once(data.x, 500)):
        seen, y = look(t.test(data.pixels(i, device))), data.labels(i, device)
        if not len(total):
            total = seen.new_zeros(len(count), seen.shape[1])
        total.index_add_(0, y, seen)
        count += torch.bincount(y, minlength=len(count))
    distributed.all_reduce_(total, count)
    return total / count.clamp(min=1)[:, None]


def descend(
    m: FixedSurrogate | ClassSwap, goal: Goal, data: Images, i: Tensor, run: Context, chunk: int
) -> Tensor:
    """Return the noise of the images ``i`` in [-1, 1]: ``m.steps`` sign steps down ``goal``."""
    g = generator(run.device, run.seed, "fixed", chunk, distributed.rank())
    t = augment.for_size(*data.x.shape[-2:])
    x, y = data.pixels(i, run.device), data.labels(i, run.device)

    def loss(z: Tensor) -> Tensor:
        if not m.eot_samples:  # the whole image: a crop would leave its border at the random start
            return goal(z, y)
        return goal(t(z.repeat(m.eot_samples, 1, 1, 1), g), y.repeat(m.eot_samples))

    eps, step = in_unit(m.eps), in_unit(m.step)
    start = None if m.zero_start else (x + uniform(x, eps, g)).clamp(0, 1) - x
    return pgd(loss, x, eps=eps, step=step, steps=m.steps, minimize=True, start=start)
