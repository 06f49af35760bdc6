"""How long training takes on this machine, tried in a few seconds.

A piece of work says how many passes it costs (``Recipe.passes``, ``Method.passes``: forward and
backward passes of one image); ``seconds_per_pass`` says how long one takes. Their product is the
estimate.
"""

import time
from functools import lru_cache
from statistics import median

import torch

from unlearnable.core import distributed
from unlearnable.core.device import pick_device
from unlearnable.core.plugins import own_code
from unlearnable.core.seeding import global_draws_kept
from unlearnable.data.images import Images
from unlearnable.training.learn import training_step
from unlearnable.training.precision import Precision, use_bfloat16
from unlearnable.training.recipe import Recipe
from unlearnable.training.trainer import Trainer
from unlearnable.training.views import network_and_view

SMALL_BATCH = 16  # images per process of the first trial; slow networks stay with it
SLOW = 0.5  # seconds of a step from which a larger batch would not change the pace
STEPS, SECONDS = 5, 1.0  # timed at most


def seconds_per_pass(
    recipe: Recipe,
    size: tuple[int, int],
    *,
    images: int,
    classes: int = 10,
    device: str = "auto",
    precision: Precision = "auto",
) -> float:
    """Return the seconds that one pass of one image takes here when ``recipe`` trains on ``images``
    images of ``size`` (height, width), over all processes."""
    adversarial = recipe.adversarial and recipe.adv_steps > 0
    trial = Recipe(  # the pace does not depend on the radius, nor much on further PGD steps
        model=recipe.model,
        batch=recipe.batch,
        augment=recipe.augment,
        augmentation=recipe.augmentation,
        adv_eps=float(adversarial),
        adv_steps=min(3, recipe.adv_steps) if adversarial else 0,
        protocol="plain" if recipe.protocol == "plain" else "fine-tuned",  # `passes` knows frozen
        input_size=recipe.input_size,
        init_from=recipe.init_from,  # is not read
    )
    where = size, classes, device, precision
    per_image = (1 + trial.adv_steps) * trial.copies  # passes of a step
    world = distributed.world()
    batch, small = -(-min(recipe.batch, images) // world) * world, SMALL_BATCH * world
    if batch > small:
        first = _seconds_per_image(trial, small, *where)
        if first * batch > SLOW:
            return first / per_image
    return _seconds_per_image(trial, batch, *where) / per_image


def training_seconds(
    recipe: Recipe,
    size: tuple[int, int],
    *,
    images: int,
    classes: int,
    device: str = "auto",
    precision: Precision = "auto",
) -> float:
    """Estimate the seconds of a whole training by ``recipe``; as in ``seconds_per_pass``."""
    pace = seconds_per_pass(
        recipe, size, images=images, classes=classes, device=device, precision=precision
    )
    return recipe.passes(images) * pace


@lru_cache(maxsize=64)
def _seconds_per_image(
    recipe: Recipe,
    images: int,
    size: tuple[int, int],
    classes: int,
    device: str,
    precision: Precision,
) -> float:
    """Return the median time of a step on so many random images, divided by their number. The first
    step also pays for what is set up once and does not count."""
    where = pick_device(device)
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (images, 3, *size), dtype=torch.uint8, generator=g)
    data = Images(x, torch.arange(images) % classes, tuple(map(str, range(classes))))
    model, t = network_and_view(recipe, classes, size)
    model = model.to(where)
    bfloat16 = use_bfloat16(precision, where)
    trainer = Trainer(model, lr=0.0, momentum=0.0, weight_decay=0.0, bfloat16=bfloat16)
    times: list[float] = []
    # rank 0 decides for all, because a step waits for every process
    while distributed.broadcast(
        len(times) < 2 or (len(times) <= STEPS and sum(times[1:]) < SECONDS)
    ):
        begin = time.monotonic()
        with global_draws_kept(where), own_code("model", recipe.model, "failed in training"):
            training_step(trainer, recipe, data, t, 0, len(times), where).item()
        times.append(time.monotonic() - begin)
    return distributed.broadcast(median(times[1:]) / images)
