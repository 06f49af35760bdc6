"""How class-wise universal perturbations are made: sign steps on one noise per class, through
pretrained networks whose heads were fitted to the clean images. With coarse noise, the steps start
from it and keep it: what they change are patterns finer than its cells."""

from dataclasses import asdict, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core import distributed
from unlearnable.core.checkpoint import State
from unlearnable.core.seeding import batch_rows, generator
from unlearnable.core.units import in_unit, to_pixels, to_unit
from unlearnable.data.convert import resized
from unlearnable.data.images import Images
from unlearnable.data.jpeg import jpeg
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.class_table import ClassTable
from unlearnable.protection.methods.class_uap import COARSE_SIDE, ClassUAP
from unlearnable.protection.methods.losses import margin
from unlearnable.protection.methods.noise_net_loop import noise_net
from unlearnable.protection.methods.noise_rows import resumable
from unlearnable.protection.methods.surrogate import train_surrogate
from unlearnable.training.augment import ResizedCrop
from unlearnable.training.frozen import Frozen

AREA = (0.5, 1.0)  # of a crop
QUALITY = (20, 90)  # of JPEG
LOWEST = 3 / 7  # of the networks' side, the lowest resolution that is seen: 96 px of 224
FIRST, LAST = 1 / 5, 1 / 40  # size of the sign steps, of eps
CELLS = 8  # the coarse noise is what is left of noise in the means of 8 x 8 cells
MENDED = 3  # times that a step's noise gets its coarse part back and is clipped again


def cell_means(x: Tensor) -> Tensor:
    """Return the means of x [n, 3, H, W] over the cells, interpolated between them, in its
    shape."""
    means = F.adaptive_avg_pool2d(x, CELLS)
    return F.interpolate(means, x.shape[-2:], mode="bilinear")


def class_uap(m: ClassUAP, data: Images, run: Context) -> Noise:
    """Make the noise of all images, resuming from ``run.state``; every process returns it."""
    networks, passes = [], 0
    for name in m.networks:
        model, spent = train_surrogate(data, m.head(name), run, features=False, name=name)
        networks.append(Frozen(model, bfloat16=run.bfloat16))
        passes += spent
    coarse, spent = coarse_noise(m, data, run)
    noise = ClassNoise(m, data, run, networks, coarse)
    noise.train()
    for network in networks:
        network.require_finite()
    passes += spent + distributed.sum_int(sum(network.passes for network in networks))
    return Noise(noise.delta(), ClassTable(noise.noise), passes)


def coarse_noise(m: ClassUAP, data: Images, run: Context) -> tuple[Tensor | None, int]:
    """Return the mean of the noise that noise-net makes for the images of each class, float
    [classes, 3, H, W] in pixels of [0, 1], and the passes that it cost. None without any. Its
    state lies beside that of the run, which resumes it."""
    if (method := m.coarse_method()) is None:
        return None, 0
    state = run.state.part("coarse", asdict(method))
    small = replace(data, x=resized(data.x, COARSE_SIDE))
    made = noise_net(method, small, replace(run, state=state))
    run.state.count_at_least(state.seconds)
    assert made.delta is not None  # every process has it
    noise = torch.zeros(len(data.classes), *small.x.shape[1:])
    for c in range(len(noise)):
        own = data.y == c
        if run.protected is not None:
            own &= run.protected
        if own.any():
            noise[c] = in_unit(m.coarse) * made.delta[own].float().mean(0)
    return F.interpolate(noise, data.x.shape[-2:], mode="bilinear").to(run.device), made.passes


class ClassNoise:
    """One noise per class, [classes, 3, H, W] in [-1, 1]. coarse: the noise that it starts from
    and whose means over cells it keeps, in the same shape; None: it starts from 0."""

    def __init__(
        self,
        m: ClassUAP,
        data: Images,
        run: Context,
        networks: list[Frozen],
        coarse: Tensor | None = None,
    ):
        self.m, self.data, self.run, self.networks = m, data, run, networks
        self.own = torch.arange(len(data))
        if run.protected is not None:
            self.own = self.own[run.protected]
        self.crop = ResizedCrop(m.input_size, AREA, (1.0, 1.0))
        shape = len(data.classes), *data.x.shape[1:]
        self.noise, self.speed = (torch.zeros(shape, device=run.device) for _ in range(2))
        self.wanted = None if coarse is None else cell_means(coarse)
        if coarse is not None:
            self.noise = coarse

    def step(self, k: int) -> None:
        """Take a sign step of the noises of the classes that are in batch ``k``."""
        m, device = self.m, self.run.device
        i = self.own[batch_rows(len(self.own), m.batch, self.run.seed, k)]
        x, y = self.data.pixels(i, device), self.data.labels(i, device)
        each = self.noise[y].requires_grad_()
        seen = self.view((x + each).clamp(0, 1), k)
        (gradient,) = torch.autograd.grad(seen, each, self.gradient(seen, y))
        member = F.one_hot(y, len(self.noise)).to(gradient).T  # [classes, n]
        total = (member @ gradient.flatten(1)).view_as(self.noise)
        count = member.sum(1)
        distributed.all_reduce_(total, count)
        if self.wanted is not None:
            total = total - cell_means(total)
        here = (count > 0)[:, None, None, None]
        size = total.abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-12)
        self.speed = torch.where(here, m.momentum * self.speed + total / size, self.speed)
        move = (FIRST * (1 - k / m.steps) + LAST) * in_unit(m.eps) * self.speed.sign()
        self.noise = torch.where(here, self.allowed(self.noise - move), self.noise)

    def allowed(self, noise: Tensor) -> Tensor:
        """Return the noise within the budget and, about, with the coarse part that it has to
        keep."""
        eps = in_unit(self.m.eps)
        if self.wanted is not None:
            for _ in range(MENDED):
                noise = noise + self.wanted - cell_means(noise.clamp(-eps, eps))
        return noise.clamp(-eps, eps)

    def gradient(self, seen: Tensor, y: Tensor) -> Tensor:
        """Return the gradient of ``goal``, summed over the networks, at ``seen``. One network after
        the other: what each keeps for its backward pass is most of the memory."""
        total = torch.zeros_like(seen)
        for network in self.networks:
            at = seen.detach().requires_grad_()
            total += torch.autograd.grad(self.goal(network, at, y), at)[0]
        return total

    def goal(self, network: Frozen, seen: Tensor, y: Tensor) -> Tensor:
        """Return by how much the own class is ahead of the next one, summed over images; the
        logits in units of their own spread."""
        target = (y + 1) % len(self.data.classes)
        logits = network(seen)
        return margin(logits, y, target).sum() / logits.detach().std().clamp(min=1e-6)

    def view(self, x: Tensor, k: int) -> Tensor:
        """Return a batch as a learner might see it: some as JPEG files, some at a lower resolution,
        and all cropped, flipped and at the networks' size. JPEG passes gradients as they are."""
        g = generator("cpu", self.run.seed, "views", k, distributed.rank())
        kind, degree = torch.rand(2, generator=g).tolist()
        if kind < self.m.hardened / 2:
            low, high = QUALITY
            file = jpeg(to_pixels(x.detach()).cpu(), round(low + (high - low) * degree))
            x = x + (to_unit(file).to(x) - x).detach()
        elif kind < self.m.hardened:
            side = round(self.m.input_size * (LOWEST + (1 - LOWEST) * degree))
            x = F.interpolate(x, (side, side), mode="bilinear", antialias=True)
        return self.crop(
            x, generator(self.run.device, self.run.seed, "crops", k, distributed.rank())
        )

    def train(self) -> None:
        """Take all steps, resuming from the run's state."""

        def state() -> State:
            passes = [network.passes for network in self.networks]
            return {"noise": self.noise, "speed": self.speed, "passes": passes}

        def restore(saved: State) -> None:
            self.noise, self.speed = (saved[k].to(self.run.device) for k in ("noise", "speed"))
            for network, passes in zip(self.networks, saved["passes"], strict=True):
                network.passes = passes

        for k in resumable("class noise", self.m.steps, self.run, state=state, restore=restore):
            self.step(k)

    def delta(self) -> Tensor:
        """Return the noise of all images, int8 [N, 3, H, W] in /255, on the CPU."""
        out = torch.zeros(self.data.x.shape, dtype=torch.int8)
        out[self.own] = ClassTable(self.noise).of(self.data.y[self.own])
        return out
