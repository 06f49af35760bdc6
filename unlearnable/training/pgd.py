"""Projected gradient descent, the one inner loop, and the perturbations made with it."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Loss = Callable[[Tensor], Tensor]
Norm = Literal["linf", "l2"]


def pgd(
    loss: Loss,
    x: Tensor,
    *,
    eps: float,
    step: float,
    steps: int,
    minimize: bool = False,
    start: Tensor | None = None,
    valid: bool = True,
    norm: Norm = "linf",
) -> Tensor:
    """Return the delta that projected gradient descent or ascent finds in a ball (Madry et al.,
    2018), without gradient: sign steps in the L-infinity ball, or steps of that length along the
    gradient in the L2 ball.

    loss: x + delta -> scalar, a sum over images. x: [N, ...]; eps and step are in the unit of x
    (pixels in [0, 1]). start: the first delta (default 0). valid: also keep x + delta in [0, 1].
    """
    delta = torch.zeros_like(x) if start is None else start
    for _ in range(steps):
        delta = delta.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss(x + delta), delta)
        direction = gradient.sign() if norm == "linf" else gradient / _length(gradient)
        delta = delta.detach() + (-step if minimize else step) * direction
        delta = (
            delta.clamp_(-eps, eps)
            if norm == "linf"
            else delta * (eps / _length(delta)).clamp(max=1)
        )
        if valid:
            delta = (x + delta).clamp_(0, 1) - x
    return delta.detach()


def _length(x: Tensor) -> Tensor:
    """Return the L2 norm of every image, [N, 1, ...], never 0."""
    return x.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, *[1] * (x.dim() - 1))


def uniform(x: Tensor, eps: float, g: torch.Generator) -> Tensor:
    """Draw U(-eps, eps) in the shape of x."""
    return torch.empty_like(x).uniform_(-eps, eps, generator=g)


def adversary(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    g: torch.Generator,
    *,
    eps: float,
    step: float,
    steps: int,
    norm: Norm = "linf",
) -> Tensor:
    """Return the perturbation a of x [N, C, H, W] that maximizes the cross-entropy: PGD from a
    random start, x + a valid.

    model: in eval mode with frozen parameters (see ``Frozen``). eps 0 returns zeros and draws
    nothing.
    """
    if eps == 0:
        return torch.zeros_like(x)
    start = uniform(x, eps, g)
    if norm == "l2":
        start = start / _length(start) * eps
    start = (x + start).clamp_(0, 1) - x
    return pgd(
        lambda z: total_loss(model, z, y),
        x,
        eps=eps,
        step=step,
        steps=steps,
        start=start,
        norm=norm,
    )


def n_fgsm(
    model: nn.Module, x: Tensor, y: Tensor, g: torch.Generator, *, eps: float, k: float = 2.0
) -> Tensor:
    """N-FGSM (de Jorge et al., NeurIPS 2022): from U(-k eps, k eps), one sign step of length eps up
    the cross-entropy. One pass, where ``adversary`` has ``steps``.

    As in the paper, x + delta is valid but delta is not clipped to the ball: it reaches (k + 1)
    eps. Arguments and result as for ``adversary``.
    """
    if eps == 0:
        return torch.zeros_like(x)
    start = (x + uniform(x, k * eps, g)).clamp_(0, 1) - x
    return pgd(
        lambda z: total_loss(model, z, y), x, eps=(k + 1) * eps, step=eps, steps=1, start=start
    )


def uniform_perturbation(x: Tensor, g: torch.Generator, *, eps: float) -> Tensor:
    """Draw a perturbation from the ball, x + a valid: SEM's stand-in for the adversary (Liu et al.,
    2024)."""
    return (x + uniform(x, eps, g)).clamp_(0, 1) - x


def total_loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy summed over the batch: an image's gradient then does not depend on
    the batch size. y: labels [N], or shares of labels [N, classes]."""
    return F.cross_entropy(model(x).float(), y, reduction="sum")
