"""Perturbation-induced linearization."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.core.seeding import generator
from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context, Method, Noise
from unlearnable.training.pgd import pgd


@dataclass(frozen=True)
class PIL(Method):
    """perturbation-induced linearization (2026): noise that one linear classifier reads, on images
    that it cannot. Seconds on a CPU; undone by adversarial training beyond a small radius."""

    eps: float = 8.0
    """budget, in /255"""
    steps: int = 30
    """noise steps"""
    step: float = 0.8
    """size of a noise step in /255"""
    epochs: int = 30
    """passes over the images that train the linear classifier"""
    noise_weight: float = 0.9
    """weight of the cross-entropy on the noise; 1 - noise_weight: of the images' divergence from a
    uniform guess"""

    def __post_init__(self) -> None:
        require(self, positive="eps step epochs", whole="steps noise_weight")
        if self.noise_weight > 1:
            raise UserError(f"noise_weight must lie in 0..1, not {self.noise_weight}.")

    def craft(self, data: Images, run: Context) -> Noise:
        weight = linear_classifier(data, self.epochs, run)
        noise = torch.empty(data.x.shape, dtype=torch.int8)
        for i in torch.arange(len(data)).split(512):
            x, y = data.pixels(i, run.device), data.labels(i, run.device)

            def loss(d: Tensor, x: Tensor = x, y: Tensor = y) -> Tensor:
                guess = F.log_softmax((x - d).flatten(1) @ weight, 1)
                read = F.cross_entropy(d.flatten(1) @ weight, y, reduction="sum")
                # KL(uniform || guess), up to a constant
                return self.noise_weight * read - (1 - self.noise_weight) * guess.mean(1).sum()

            zero = torch.zeros_like(x)
            d = pgd(
                loss,
                zero,
                eps=self.eps / 255,
                step=self.step / 255,
                steps=self.steps,
                minimize=True,
                valid=False,
            )
            noise[i] = (-255 * d).round().to("cpu", torch.int8)
        return Noise(noise)


def linear_classifier(data: Images, epochs: int, run: Context, batch: int = 128) -> Tensor:
    """[3 H W, classes]: bias-free logistic regression on pixels in [0, 1], SGD with a cosine from
    0.01 to 0 (0.1 diverges on pixels that are not centered)."""
    size = data.x[0].numel()
    weight = torch.zeros(size, len(data.classes), device=run.device, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.01, momentum=0.9)
    steps = epochs * max(1, len(data) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        # every process draws all batches: the regression is too small to divide
        order = torch.randperm(len(data), generator=generator("cpu", run.seed, "pil", step))[:batch]
        logits = data.pixels(order, run.device).flatten(1) @ weight
        optimizer.zero_grad()
        F.cross_entropy(logits, data.labels(order, run.device)).backward()
        optimizer.step()
        schedule.step()
    return weight.detach()
