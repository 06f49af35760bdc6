"""Purification without any clean image, after D-VAE (Yu et al., "Purify Unlearnable Examples via
Rate-Constrained Variational Autoencoders", ICML 2024)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.core.progress import Progress
from unlearnable.core.seeding import generator
from unlearnable.core.units import to_pixels, to_unit
from unlearnable.data.images import chunks

STEPS, BATCH = 600, 64  # of each of the two stages
WIDTH, LATENT, EMBEDDING = 24, 32, 16  # channels
RATES = 1.0, 3.0  # nats per latent position in the two stages: the authors'
WEIGHT = 0.01  # of the rate in the loss: the authors'
LEAST_NOISE = 0.002  # mean square up to which the disentangled noise is free: the authors'
PATCH = 64  # pixels: larger images are learned from windows of that side
AT_ONCE = 256  # images of 32 x 32 that are purified at a time


class RateVAE(nn.Module):
    """An encoder to z at half the side, a decoder z -> image, and a second decoder
    (z, class embedding) -> noise. The embedding has a value per position. size: (height, width) of
    the images, even."""

    def __init__(self, classes: int, size: tuple[int, int]):
        super().__init__()
        self.encoder = nn.Sequential(
            *_layer(3, WIDTH, 2), *_layer(WIDTH, 2 * WIDTH, 1), *_layer(2 * WIDTH, 2 * WIDTH, 1)
        )
        self.moments = nn.Conv2d(2 * WIDTH, 2 * LATENT, 1)
        self.decoder = _decoder(LATENT)
        self.noise_decoder = _decoder(LATENT + EMBEDDING)
        self.embedding = nn.Parameter(
            torch.randn(classes, EMBEDDING, size[0] // 2, size[1] // 2) / EMBEDDING**0.5
        )

    def forward(
        self, x: Tensor, y: Tensor, draw: Tensor | None = None, corner: tuple[int, int] = (0, 0)
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the reconstruction and the noise, [N, 3, H, W], and the rate in nats per latent
        position, the mean over batch and positions. x: windows of the images whose upper left
        pixel is ``corner``, even numbers; y: labels [N]. draw: standard normal numbers in the
        shape of z (None: z is its mean)."""
        mean, log_variance = self.moments(self.encoder(x)).chunk(2, 1)
        log_variance = log_variance.clamp(-10, 10)
        rate = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
        z = mean if draw is None else mean + (log_variance / 2).exp() * draw
        top, left = (c // 2 for c in corner)
        own = self.embedding[y, :, top : top + z.shape[2], left : left + z.shape[3]]
        return self.decoder(z) + 0.5, self.noise_decoder(torch.cat([z, own], 1)), rate


def _layer(a: int, b: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]


def _decoder(inputs: int) -> nn.Sequential:
    """[N, inputs, h, w] -> [N, 3, 2 h, 2 w], 0 at first."""
    last = nn.Conv2d(WIDTH, 3, 3, padding=1)
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    return nn.Sequential(
        *_layer(inputs, 2 * WIDTH, 1),
        nn.Upsample(scale_factor=2),
        *_layer(2 * WIDTH, WIDTH, 1),
        last,
    )


def loss_of(
    model: RateVAE,
    x: Tensor,
    y: Tensor,
    draw: Tensor,
    corner: tuple[int, int],
    rate: float,
    weight: float = WEIGHT,
) -> Tensor:
    """Return |r - x|^2 + |clip(r + p) - x|^2 + weight max(KL, rate) + max(|p|^2, LEAST_NOISE) for
    the reconstruction r and the noise p, squares as means over pixels. A code of few nats holds
    the image and not the noise, which the class embedding then has to supply."""
    reconstruction, noise, nats = model(x, y, draw, corner)
    whole = (reconstruction + noise).clamp(0, 1)
    error = F.mse_loss(reconstruction, x) + F.mse_loss(whole, x)
    return error + weight * nats.clamp(min=rate) + noise.square().mean().clamp(min=LEAST_NOISE)


def train_vae(
    x: Tensor, y: Tensor, rate: float, *, stage: int = 0, steps: int = STEPS, weight: float = WEIGHT
) -> RateVAE:
    """Train on x, uint8 [N, 3, H, W] with even sides, and labels y [N], with Adam, on the device
    of x. stage: names the random draws."""
    with torch.random.fork_rng([]):
        torch.manual_seed(generator("cpu", "D-VAE", stage).initial_seed())
        model = RateVAE(int(y.max()) + 1, (x.shape[2], x.shape[3])).to(x.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    with Progress(f"purifying without clean images ({stage + 1} of 2)", steps) as progress:
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * min(1.0, 2 * (1 - step / steps))
            training_step(model, optimizer, x, y, rate, (stage, step), weight)
            progress.at(step + 1)
    return model.eval()


def training_step(
    model: RateVAE,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    rate: float,
    key: tuple[int, int],
    weight: float = WEIGHT,
) -> None:
    """Take one step on a random batch of x and y. key: (stage, step), names the draws."""
    g = generator("cpu", "D-VAE", *key)
    i = torch.randint(len(x), (min(BATCH, len(x)),), generator=g)
    top, left = (
        2 * int(torch.randint(max(0, side - PATCH) // 2 + 1, (), generator=g))
        for side in x.shape[2:]
    )
    window = to_unit(x[i, :, top : top + PATCH, left : left + PATCH])
    draw = torch.randn(len(i), LATENT, window.shape[2] // 2, window.shape[3] // 2, generator=g)
    optimizer.zero_grad()
    loss_of(model, window, y[i], draw.to(x.device), (top, left), rate, weight).backward()
    optimizer.step()


@torch.no_grad()
def _split(model: RateVAE, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The reconstruction of x and x without the disentangled noise, uint8."""
    parts = []
    for i in chunks(x, AT_ONCE):
        image = to_unit(x[i])
        reconstruction, noise, _ = model(image, y[i])
        parts.append((to_pixels(reconstruction), to_pixels(image - noise)))
    return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])


def d_vae(x: Tensor, y: Tensor, steps: int | None = None) -> Tensor:
    """Purify x, uint8 [N, 3, H, W], with labels y [N], by its authors' two stages: x1 = x - p of a
    VAE held to ``RATES[0]``, then another one trained on x1 and held to ``RATES[1]``, and its
    reconstruction of x1 - p.

    It differs from theirs in size: their encoder is a ResNet-18 of 256 latent channels, trained
    for 60 epochs per stage with Adam at 0.005; this one has three convolutions, 32 latent
    channels and ``STEPS`` steps of ``BATCH`` images, so that it blurs more. Theirs lets the noise
    grow freely during the first epochs; here its bound holds from the first step.
    """
    height, width = x.shape[2:]
    steps = STEPS if steps is None else steps
    # to even sides, for the stride of 2
    x = torch.cat([x, x[..., -1:]], 3) if width % 2 else x
    x = torch.cat([x, x[..., -1:, :]], 2) if height % 2 else x
    first = train_vae(x, y, RATES[0], stage=0, steps=steps)
    x = _split(first, x, y)[1]
    second = train_vae(x, y, RATES[1], stage=1, steps=steps)
    x = _split(second, x, y)[1]
    return _split(second, x, y)[0][..., :height, :width].contiguous()
