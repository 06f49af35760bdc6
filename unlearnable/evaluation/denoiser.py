"""A small denoiser that a learner trains who holds some of the images both clean and protected
(leaked pairs)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.core.errors import UserError
from unlearnable.core.progress import Progress
from unlearnable.core.seeding import generator
from unlearnable.data.images import Images
from unlearnable.training import augment

STEPS, BATCH, WIDTH, DEPTH = 400, 64, 32, 5  # about a minute on 2 cores at 32 px


class Denoiser(nn.Module):
    """What is left of the noise, to be subtracted: ``DEPTH`` 3x3 convolutions (Zhang et al., 2017,
    DnCNN, small)."""

    def __init__(self):
        super().__init__()
        widths = [3, *[WIDTH] * (DEPTH - 1), 3]
        layers = [
            m
            for a, b in zip(widths, widths[1:])
            for m in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU())
        ]
        self.layers = nn.Sequential(*layers[:-1])
        nn.init.zeros_(self.layers[-1].weight)  # the identity at first
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, x: Tensor) -> Tensor:
        return x - self.layers(x)


def train_denoiser(
    clean: Images, protected: Images, *, fraction: float, seed: int = 0, steps: int = STEPS
) -> Denoiser:
    """Learn clean from protected on ``fraction`` of the pairs, drawn by ``seed`` (Adam, mean
    absolute error, on the CPU). Raises UserError for sets that are not pairs."""
    if clean.x.shape != protected.x.shape:
        raise UserError(
            "The leaked pairs must be the same images clean and protected, in the same order."
        )
    if not 0 < fraction <= 1:
        raise UserError(
            f"The leaked share of the images must be above 0 and at most 1, not {fraction}."
        )
    rows = np.random.default_rng(seed).permutation(len(clean))[
        : max(1, round(fraction * len(clean)))
    ]
    torch.manual_seed(seed)
    model = Denoiser()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    t = augment.FlipCrop()
    with Progress("training a denoiser", steps) as progress:
        for step in range(steps):
            i = torch.from_numpy(
                np.random.default_rng((seed, step)).choice(
                    rows, min(BATCH, len(rows)), replace=False
                )
            )
            pair = torch.cat(
                [d.pixels(i, "cpu") for d in (protected, clean)], 1
            )  # one draw of T for both
            noisy, goal = torch.cat(
                [t(half, generator("cpu", seed, step)) for half in pair.split(3, 1)]
            ).split(len(i))
            loss = F.l1_loss(model(noisy), goal)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            progress.at(step + 1)
    return model.eval()


@torch.no_grad()
def denoised(model: Denoiser, x: Tensor) -> Tensor:
    """uint8 [N, 3, H, W] through the denoiser."""
    out = torch.empty_like(x)
    for i in torch.arange(len(x)).split(256):
        out[i] = (model(x[i].float() / 255).clamp(0, 1) * 255).round().to(torch.uint8)
    return out
