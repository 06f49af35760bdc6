"""How long an audit takes on this machine: its trainings, and what its learners do before."""

import time
from collections.abc import Callable

import torch

from unlearnable.core.device import pick_device
from unlearnable.data.images import Images, Size
from unlearnable.evaluation import denoiser, rate_vae
from unlearnable.evaluation.attacker import Attacker
from unlearnable.evaluation.learners import Learner
from unlearnable.protection.pace import noise_seconds
from unlearnable.training.pace import training_seconds
from unlearnable.training.precision import Precision
from unlearnable.training.recipe import Recipe


def estimate(
    learners: tuple[Learner, ...],
    data: Images,
    recipe: Recipe,
    *,
    device: str = "auto",
    precision: Precision = "auto",
) -> float:
    """Estimate the seconds that the trainings of an audit take here, each on clean and on protected
    images; what is done to the images before is not counted (``preparation``)."""
    n, classes, (height, width) = len(data), len(data.classes), data.x.shape[-2:]
    recipes = [learner.recipe(recipe) for learner in learners]
    size = height, width
    return sum(
        2 * training_seconds(r, size, images=n, classes=classes, device=device, precision=precision)
        for r in recipes
    )


def preparation(
    learners: tuple[Learner, ...], data: Images, attacker: Attacker | None, *, device: str = "auto"
) -> float:
    """Estimate the seconds of what an audit trains before its learners: denoisers, the autoencoders
    of D-VAE, and the attacker's protection of other images, less what the attacker has kept.
    Filters, patterns, kernels and the detector (a minute) are not counted."""
    size = data.x.shape[2], data.x.shape[3]
    total = 0.0
    for by in learners:
        if attacker and by.own_pairs and not attacker.file(by.own_pairs).exists():
            total += denoiser_seconds(by.own_pairs, size, device)
        if by.leaked:
            total += 2 * denoiser_seconds(max(1, round(by.leaked * len(data))), size, device)
        if by.countermeasure == "d-vae":
            total += 2 * vae_seconds(size, len(data.classes))
    return total + (0 if attacker is None or attacker.made() else protection_seconds(attacker))


def protection_seconds(attacker: Attacker) -> float:
    """Estimate the seconds in which the attacker protects their images."""
    height, width = attacker.clean.x.shape[-2:]
    return noise_seconds(
        attacker.method,
        (height, width),
        len(attacker.clean),
        len(attacker.clean.classes),
        device=attacker.device,
        precision=attacker.precision,
    )


def denoiser_seconds(pairs: int, size: Size, device: str = "auto") -> float:
    """Estimate the seconds in which a denoiser trains on that many pairs."""
    where = pick_device(device)
    model = denoiser.Denoiser().to(where)
    optimizer = torch.optim.Adam(model.parameters())
    sides = (min(side, denoiser.PATCH) for side in size)
    x = torch.rand(min(denoiser.BATCH, pairs), 3, *sides, device=where)
    step = _timed(lambda: denoiser.training_step(model, optimizer, x, x))
    return denoiser.steps_for(pairs) * step


def vae_seconds(size: Size, classes: int) -> float:
    """Estimate the seconds in which D-VAE purifies one set of images."""
    height, width = (side + -side % 2 for side in size)
    x = torch.zeros(rate_vae.BATCH, 3, height, width, dtype=torch.uint8)
    y = torch.zeros(len(x), dtype=torch.int64)
    model = rate_vae.RateVAE(classes, (height, width))
    optimizer = torch.optim.Adam(model.parameters())
    step = _timed(lambda: rate_vae.training_step(model, optimizer, x, y, 1.0, (0, 0)))
    return 2 * rate_vae.STEPS * step


def _timed(step: Callable[[], None]) -> float:
    """The seconds of one step; the first also pays for what is set up once and does not count."""
    step()
    begin = time.monotonic()
    step()
    return time.monotonic() - begin
