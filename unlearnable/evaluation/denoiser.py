"""A small U-Net that learns from pairs, images clean and protected, to undo the protection. An
attacker has such pairs because some images leaked, or makes them (``attacker.py``)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.core.errors import UserError
from unlearnable.core.progress import Progress
from unlearnable.core.seeding import generator
from unlearnable.core.units import to_pixels, to_unit
from unlearnable.data.images import Images, chunks
from unlearnable.training import augment

NETWORK = "u-net"  # in the keys of results: an earlier version had another
WIDTH = 24  # channels at full size; twice and four times that below
STEPS, BATCH, VISITS = 400, 64, 16  # steps at least, and visits of every pair at least
PATCH = 64  # pixels: larger images are learned from windows of that side
AT_ONCE = 256  # images of 32 x 32 that are denoised at a time


class Denoiser(nn.Module):
    """Predict the noise and subtract it: a small U-Net (Ronneberger et al., 2015) of three scales,
    without normalization; the identity at first. Takes and returns [N, 3, H, W] of any size."""

    def __init__(self) -> None:
        super().__init__()
        w = WIDTH
        self.top = _convolutions(3, w)
        self.middle = _convolutions(w, 2 * w, 2 * w, stride=2)
        self.bottom = _convolutions(2 * w, 4 * w, 4 * w, stride=2)
        self.up_middle = _convolutions(6 * w, 2 * w)
        self.up_top = _convolutions(3 * w, w)
        self.noise = nn.Conv2d(w, 3, 3, padding=1)
        for parameter in self.noise.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        # to multiples of 4, because the lower scales have a half and a quarter of the side
        padded = F.pad(x, (0, -width % 4, 0, -height % 4), mode="replicate")
        top = self.top(padded)
        middle = self.middle(top)
        bottom = self.bottom(middle)
        middle = self.up_middle(torch.cat([_doubled(bottom), middle], 1))
        top = self.up_top(torch.cat([_doubled(middle), top], 1))
        return x - self.noise(top)[..., :height, :width]


def _convolutions(*widths: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolutions and ReLUs through these widths, the first one with ``stride``."""
    layers: list[nn.Module] = []
    for k, (a, b) in enumerate(zip(widths, widths[1:])):
        layers += [nn.Conv2d(a, b, 3, stride if k == 0 else 1, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


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
    T the same for both halves of a pair. steps: default ``steps_for``. Raises UserError for sets
    that are not pairs."""
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
    torch.manual_seed(seed)
    model = Denoiser().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with Progress("training a denoiser", steps) as progress:
        for step in range(steps):
            drawn = np.random.default_rng((seed, step))
            i = torch.from_numpy(drawn.choice(rows, min(BATCH, len(rows)), replace=False))
            window = _window(clean.x.shape[-2:], drawn)
            noisy, goal = (
                _batch(images, i, window, generator(device, seed, step), device)
                for images in (protected, clean)  # the same generator: T moves a pair alike
            )
            for group in optimizer.param_groups:  # constant, then down to 0 over the second half
                group["lr"] = 1e-3 * min(1.0, 2 * (1 - step / steps))
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
    g: torch.Generator,
    device: torch.device | str,
) -> Tensor:
    return augment.FlipCrop()(images.pixels(i, device)[:, :, *window], g)


@torch.no_grad()
def denoised(model: Denoiser, x: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Return the images x, uint8 [N, 3, H, W], after the denoiser."""
    out = torch.empty_like(x)
    for i in chunks(x, AT_ONCE):
        out[i] = to_pixels(model(to_unit(x[i]).to(device))).cpu()
    return out
