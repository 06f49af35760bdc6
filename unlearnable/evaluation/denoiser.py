"""A small denoiser, trained by a learner that has some of the images both clean and protected
(leaked pairs)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.core.errors import UserError
from unlearnable.core.progress import Progress
from unlearnable.core.seeding import generator
from unlearnable.core.units import to_pixels, to_unit
from unlearnable.data.images import Images
from unlearnable.training import augment

STEPS, BATCH, WIDTH, DEPTH = 400, 64, 32, 5  # about a minute on 2 cores at 32 px


class Denoiser(nn.Module):
    """Predict the noise and subtract it: ``DEPTH`` 3x3 convolutions (a small DnCNN, Zhang et al.,
    2017)."""

    def __init__(self) -> None:
        super().__init__()
        widths = [3, *[WIDTH] * (DEPTH - 1), 3]
        convolutions = [nn.Conv2d(a, b, 3, padding=1) for a, b in zip(widths, widths[1:])]
        for parameter in convolutions[-1].parameters():
            nn.init.zeros_(parameter)  # the identity at first
        layers: list[nn.Module] = [m for c in convolutions for m in (c, nn.ReLU())]
        self.layers = nn.Sequential(*layers[:-1])  # no ReLU after the last

    def forward(self, x: Tensor) -> Tensor:
        return x - self.layers(x)


def train_denoiser(
    clean: Images, protected: Images, *, fraction: float, seed: int = 0, steps: int = STEPS
) -> Denoiser:
    """Train a denoiser on ``fraction`` of the pairs, drawn by ``seed`` (Adam, mean absolute error,
    on the CPU). Raises UserError for sets that are not pairs."""
    if clean.x.shape != protected.x.shape:
        raise UserError(
            "The leaked pairs must be the same images clean and protected, in the same order."
        )
    if not 0 < fraction <= 1:
        raise UserError(
            f"The leaked fraction of the images must be above 0 and at most 1, not {fraction}."
        )
    count = max(1, round(fraction * len(clean)))
    rows = np.random.default_rng(seed).permutation(len(clean))[:count]
    torch.manual_seed(seed)
    model = Denoiser()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    t = augment.FlipCrop()
    with Progress("training a denoiser", steps) as progress:
        for step in range(steps):
            drawn = np.random.default_rng((seed, step))
            i = torch.from_numpy(drawn.choice(rows, min(BATCH, len(rows)), replace=False))
            # the same generator for both halves, so that T moves a pair alike
            noisy, goal = (
                t(d.pixels(i, "cpu"), generator("cpu", seed, step)) for d in (protected, clean)
            )
            loss = F.l1_loss(model(noisy), goal)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            progress.at(step + 1)
    return model.eval()


@torch.no_grad()
def denoised(model: Denoiser, x: Tensor) -> Tensor:
    """Return the images x, uint8 [N, 3, H, W], after the denoiser."""
    out = torch.empty_like(x)
    for i in torch.arange(len(x)).split(256):
        out[i] = to_pixels(model(to_unit(x[i])))
    return out
