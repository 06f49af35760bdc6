"""How PIL noise is made: a linear classifier is trained, then noise that it reads."""

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core.seeding import generator
from unlearnable.core.units import in_unit, quantize
from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context
from unlearnable.protection.methods.noise_rows import resumable
from unlearnable.protection.methods.pil import PIL
from unlearnable.training.pgd import pgd


def pil(m: PIL, data: Images, run: Context) -> Tensor:
    """Return int8 noise [N, 3, H, W] on every process: the work is too small to divide."""
    weight = logistic_regression(data, m.epochs, run)
    noise = torch.zeros(data.x.shape, dtype=torch.int8)
    rows = torch.arange(len(data)).split(512)

    def restore(saved: dict) -> None:
        noise.copy_(saved["table"])

    for k in resumable(
        "PIL noise", len(rows), run, state=lambda: {"table": noise}, restore=restore
    ):
        noise[rows[k]] = quantize(_descend(m, data, rows[k], weight, run.device)).cpu()
    return noise


def _descend(m: PIL, data: Images, i: Tensor, weight: Tensor, device: torch.device) -> Tensor:
    """Return the noise of the images ``i`` in [-1, 1]: minus the paper's d, which is subtracted."""
    x, y = data.pixels(i, device), data.labels(i, device)

    def loss(d: Tensor) -> Tensor:
        guess = F.log_softmax((x - d).flatten(1) @ weight, 1)
        read = F.cross_entropy(d.flatten(1) @ weight, y, reduction="sum")
        # KL(uniform || guess), up to a constant
        return m.noise_weight * read - (1 - m.noise_weight) * guess.mean(1).sum()

    return -pgd(
        loss,
        torch.zeros_like(x),
        eps=in_unit(m.eps),
        step=in_unit(m.step),
        steps=m.steps,
        minimize=True,
        valid=False,
    )


def logistic_regression(data: Images, epochs: int, run: Context, batch: int = 128) -> Tensor:
    """Train bias-free logistic regression on pixels in [0, 1]: [3 H W, classes]. SGD with a cosine
    from 0.01 to 0 (0.1 diverges on pixels that are not centered)."""
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
