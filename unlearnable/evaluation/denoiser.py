"""A small U-Net that learns from pairs, images clean and protected, to undo the protection. An
attacker has such pairs because some images leaked, or makes them (``attacker.py``)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.core.errors import UserError
from unlearnable.core.progress import Progress
from unlearnable.core.units import in_unit, to_pixels, to_unit
from unlearnable.data.images import Images, chunks

NETWORK = "u-net-4"  # in the keys of results: earlier versions had others
WIDTHS = (24, 48, 96, 96)  # channels at full size and at a half, a quarter, an eighth of the side
STEPS, BATCH, VISITS = 400, 64, 10  # steps at least, and visits of every pair at least
RATE, WARM_UP = 1e-3, 50  # of Adam, and steps until it is reached
SCALE = in_unit(8)  # of the predicted noise: the usual budget
PATCH = 64  # pixels: larger images are learned from windows of that side
AT_ONCE = 256  # images of 32 x 32 that are denoised at a time


class Denoiser(nn.Module):
    """Predict the noise and subtract it: a small U-Net (Ronneberger et al., 2015) of four scales
    with group normalization; the identity at first. Takes and returns [N, 3, H, W] of any size."""

    def __init__(self) -> None:
        super().__init__()
        scales = list(zip(WIDTHS, WIDTHS[1:]))
        self.first = nn.Conv2d(3, WIDTHS[0], 3, padding=1)
        self.top = _convolutions(WIDTHS[0], WIDTHS[0])
        self.down = nn.ModuleList(_convolutions(a, b, b, stride=2) for a, b in scales)
        self.up = nn.ModuleList(_convolutions(a + b, a, a) for a, b in scales)
        self.noise = nn.Conv2d(WIDTHS[0], 3, 3, padding=1)
        for parameter in self.noise.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        # to multiples of 8, because the lowest scale has an eighth of the side
        padded = F.pad(x, (0, -width % 8, 0, -height % 8), mode="replicate")
        scales = [self.top(self.first(4 * padded - 2))]
        for down in self.down:
            scales.append(down(scales[-1]))
        below = scales.pop()
        for up in reversed(self.up):
            below = up(torch.cat([F.interpolate(below, scale_factor=2.0), scales.pop()], 1))
        return x - SCALE * self.noise(below)[..., :height, :width]


def _convolutions(*widths: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolutions, each normalized and with a ReLU, through these widths, the first one with
    ``stride``."""
    layers: list[nn.Module] = []
    for k, (a, b) in enumerate(zip(widths, widths[1:])):
        layers += [
            nn.Conv2d(a, b, 3, stride if k == 0 else 1, padding=1),
            nn.GroupNorm(8, b),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


def steps_for(pairs: int) -> int:
    """Return the training steps for that many pairs."""
    return max(STEPS, VISITS * -(-pairs // BATCH))


def train_denoiser(
    clean: Images,
    protected: Images,
    *,
    fraction: float = 1.0,
    seed: int = 0,
    steps: int | None = None,
    device: torch.device | str = "cpu",
) -> Denoiser:
    """Train a denoiser on ``fraction`` of the pairs, drawn by ``seed``: Adam, mean absolute error,
    half of the pairs mirrored. steps: default ``steps_for``. Raises UserError for sets that are
    not pairs."""
    if clean.x.shape != protected.x.shape:
        raise UserError(
            "The leaked pairs must be the same images clean and protected, in the same order."
        )
    if not 0 < fraction <= 1:
        raise UserError(
            f"The leaked fraction of the images must be above 0 and at most 1, not {fraction}."
        )
    count = max(1, round(fraction * len(clean)))
    steps = steps_for(count) if steps is None else steps
    rows = np.random.default_rng(seed).permutation(len(clean))[:count]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = Denoiser().to(device)
    optimizer = torch.optim.Adam(model.parameters())
    with Progress("training a denoiser", steps) as progress:
        for step in range(steps):
            drawn = np.random.default_rng((seed, step))
            i = torch.from_numpy(drawn.choice(rows, min(BATCH, len(rows)), replace=False))
            window = _window(clean.x.shape[-2:], drawn)
            mirrored = torch.from_numpy(drawn.random(len(i)) < 0.5)
            noisy, goal = (
                _batch(images, i, window, mirrored, device) for images in (protected, clean)
            )
            for group in optimizer.param_groups:  # down to 0 over the second half
                group["lr"] = RATE * min(1.0, (step + 1) / WARM_UP, 2 * (1 - step / steps))
            training_step(model, optimizer, noisy, goal)
            progress.at(step + 1)
    return model.eval()


def training_step(
    model: Denoiser, optimizer: torch.optim.Optimizer, noisy: Tensor, goal: Tensor
) -> None:
    """Take one step toward ``model(noisy)`` = ``goal``, both [N, 3, H, W] in [0, 1]."""
    loss = F.l1_loss(model(noisy), goal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _window(size: torch.Size, drawn: np.random.Generator) -> tuple[slice, slice]:
    """A window of at most PATCH x PATCH pixels."""
    starts = [int(drawn.integers(max(1, side - PATCH + 1))) for side in size]
    return slice(starts[0], starts[0] + PATCH), slice(starts[1], starts[1] + PATCH)


def _batch(
    images: Images,
    i: Tensor,
    window: tuple[slice, slice],
    mirrored: Tensor,
    device: torch.device | str,
) -> Tensor:
    # not shifted: much noise lies on a grid of blocks, whose place the network can then learn
    x = images.pixels(i, device)[:, :, *window]
    return torch.where(mirrored.to(device).view(-1, 1, 1, 1), x.flip(3), x)


@torch.no_grad()
def denoised(model: Denoiser, x: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Return the images x, uint8 [N, 3, H, W], after the denoiser."""
    out = torch.empty_like(x)
    for i in chunks(x, AT_ONCE):
        out[i] = to_pixels(model(to_unit(x[i]).to(device))).cpu()
    return out
