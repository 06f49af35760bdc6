"""How class-wise universal perturbations are made: sign steps on one noise per class, through
pretrained networks whose heads were fitted to the clean images."""

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core import distributed
from unlearnable.core.checkpoint import State
from unlearnable.core.seeding import batch_rows, generator
from unlearnable.core.units import in_unit, quantize, to_pixels, to_unit
from unlearnable.data.images import Images
from unlearnable.data.jpeg import jpeg
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.class_uap import ClassUAP
from unlearnable.protection.methods.noise_rows import resumable
from unlearnable.protection.methods.surrogate import train_surrogate
from unlearnable.training.augment import ResizedCrop
from unlearnable.training.frozen import Frozen

AREA = (0.5, 1.0)  # of a crop
QUALITY = (20, 90)  # of JPEG
LOWEST = 3 / 7  # of the networks' side, the lowest resolution that is seen: 96 px of 224
FIRST, LAST = 1 / 5, 1 / 40  # size of the sign steps, of eps


def class_uap(m: ClassUAP, data: Images, run: Context) -> Noise:
    """Make the noise of all images, resuming from ``run.state``; every process returns it."""
    networks, passes = [], 0
    for name in m.networks:
        model, spent = train_surrogate(data, m.head(name), run, features=False, name=name)
        networks.append(Frozen(model, bfloat16=run.bfloat16))
        passes += spent
    noise = ClassNoise(m, data, run, networks)
    noise.train()
    for network in networks:
        network.require_finite()
    passes += distributed.sum_int(sum(network.passes for network in networks))
    return Noise(noise.delta(), None, passes)


class ClassNoise:
    """One noise per class, [classes, 3, H, W] in [-1, 1]."""

    def __init__(self, m: ClassUAP, data: Images, run: Context, networks: list[Frozen]):
        self.m, self.data, self.run, self.networks = m, data, run, networks
        self.own = torch.arange(len(data))
        if run.protected is not None:
            self.own = self.own[run.protected]
        self.crop = ResizedCrop(m.input_size, AREA, (1.0, 1.0))
        shape = len(data.classes), *data.x.shape[1:]
        self.noise, self.speed = (torch.zeros(shape, device=run.device) for _ in range(2))

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
        here = (count > 0)[:, None, None, None]
        size = total.abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-12)
        self.speed = torch.where(here, m.momentum * self.speed + total / size, self.speed)
        eps, left = in_unit(m.eps), 1 - k / m.steps
        move = (FIRST * left + LAST) * eps * self.speed.sign()
        self.noise = torch.where(here, (self.noise - move).clamp(-eps, eps), self.noise)

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
        ahead = logits.gather(1, y[:, None]) - logits.gather(1, target[:, None])
        return ahead.sum() / logits.detach().std().clamp(min=1e-6)

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
        table = quantize(self.noise).cpu()
        out = torch.zeros(self.data.x.shape, dtype=torch.int8)
        out[self.own] = table[self.data.y[self.own]]
        return out
