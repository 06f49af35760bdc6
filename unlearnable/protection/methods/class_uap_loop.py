"""How class-wise universal perturbations are made: sign steps on one noise per class, through
pretrained networks whose heads were fitted to the clean images, over SEM noise that stays as it
is."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core import distributed
from unlearnable.core.checkpoint import Checkpoint, State
from unlearnable.core.seeding import batch_rows, generator
from unlearnable.core.units import in_unit, quantize, round_pixels, to_pixels, to_unit
from unlearnable.data.images import Images
from unlearnable.data.jpeg import jpeg
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.class_uap import BENEATH_SIZE, ClassUAP
from unlearnable.protection.methods.noise_rows import resumable
from unlearnable.protection.methods.surrogate import train_surrogate
from unlearnable.training.augment import ResizedCrop
from unlearnable.training.frozen import Frozen

AREA = (0.5, 1.0)  # of a crop
QUALITY = (20, 90)  # of JPEG
LOWEST = 3 / 7  # of the networks' side, the lowest resolution that is seen: 96 px of 224
FIRST, LAST = 1 / 5, 1 / 40  # size of the sign steps, of eps
CHUNK = 256  # images shrunk or enlarged at a time


def class_uap(m: ClassUAP, data: Images, run: Context) -> Noise:
    """Make the noise of all images, resuming from ``run.state``; every process returns it."""
    own = torch.arange(len(data)) if run.protected is None else run.protected.nonzero()[:, 0]
    saved = run.state.load()
    beneath, passes = (saved["beneath"], saved["spent"]) if saved else _beneath(m, data, run)
    networks, heads = [], 0
    for name in m.networks:
        model, spent = train_surrogate(data, m.head(name), run, features=False, name=name)
        networks.append(Frozen(model, bfloat16=run.bfloat16))
        heads += spent
    noise = ClassNoise(m, data, run, networks, beneath, own)
    noise.train(passes)
    for network in networks:
        network.require_finite()
    through = distributed.sum_int(sum(network.passes for network in networks))
    return Noise(noise.delta(), None, passes + heads + through)


def _beneath(m: ClassUAP, data: Images, run: Context) -> tuple[Tensor, int]:
    """The noise beneath, int8 [N, 3, h, w] in /255 at its own size, on every process, and the
    passes that it cost."""
    small = _resized(data, min(BENEATH_SIZE, data.size))
    if m.beneath is None:
        return torch.zeros(small.x.shape, dtype=torch.int8), 0
    run.state.claim()
    folder = run.state.folder and run.state.folder / "beneath"
    done = m.beneath.craft(small, replace(run, state=Checkpoint(folder, {"beneath": m.name})))
    delta = distributed.broadcast(done.delta)
    assert delta is not None  # rank 0 has it
    return delta, done.passes


def _resized(data: Images, side: int) -> Images:
    """``data`` with a shorter side of ``side`` pixels."""
    height, width = data.x.shape[-2:]
    size = round(height * side / data.size), round(width * side / data.size)
    if size == (height, width):
        return data
    parts = [
        F.interpolate(x.float(), size, mode="bilinear", antialias=True) for x in data.x.split(CHUNK)
    ]
    return replace(data, x=torch.cat([round_pixels(x) for x in parts]), source={})


class ClassNoise:
    """One noise per class, [classes, 3, H, W] in [-1, 1], over that which lies beneath."""

    def __init__(
        self,
        m: ClassUAP,
        data: Images,
        run: Context,
        networks: list[Frozen],
        beneath: Tensor,
        own: Tensor,
    ):
        self.m, self.data, self.run, self.networks = m, data, run, networks
        self.beneath, self.own = beneath, own
        self.crop = ResizedCrop(m.input_size, AREA, (1.0, 1.0))
        strength = m.beneath_strength
        self.strength = torch.tensor([strength, strength, 1.0]).view(1, 3, 1, 1).to(run.device)
        shape = len(data.classes), *data.x.shape[1:]
        self.noise, self.speed = (torch.zeros(shape, device=run.device) for _ in range(2))

    def under(self, i: Tensor) -> Tensor:
        """What lies beneath the noise of the images ``i``, [n, 3, H, W] in [-1, 1]."""
        low = to_unit(self.beneath[i].to(self.run.device)) * self.strength
        size = self.data.x.shape[-2:]
        return low if low.shape[-2:] == size else F.interpolate(low, size, mode="bicubic")

    def over(self, i: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """Return the whole noise of the images ``i`` of classes ``y``, within eps."""
        eps = in_unit(self.m.eps)
        return (self.under(i) + noise).clamp(-eps, eps)

    def step(self, k: int) -> None:
        """Take a sign step of the noises of the classes that are in batch ``k``."""
        m, device = self.m, self.run.device
        i = self.own[batch_rows(len(self.own), m.batch, self.run.seed, k)]
        x, y = self.data.pixels(i, device), self.data.labels(i, device)
        each = self.noise[y].requires_grad_()
        seen = self.view((x + self.over(i, y, each)).clamp(0, 1), k)
        (gradient,) = torch.autograd.grad(self.goal(seen, y), each)
        member = F.one_hot(y, len(self.noise)).to(gradient).T  # [classes, n]
        total = (member @ gradient.flatten(1)).view_as(self.noise)
        count = member.sum(1)
        distributed.all_reduce_(total, count)
        here = (count > 0)[:, None, None, None]
        size = total.abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-12)
        self.speed = torch.where(here, m.momentum * self.speed + total / size, self.speed)
        eps, left = in_unit(m.eps), 1 - k / m.steps
        move = (FIRST * left + LAST) * eps * self.speed.sign()
        # twice eps: it may turn round what lies beneath
        self.noise = torch.where(here, (self.noise - move).clamp(-2 * eps, 2 * eps), self.noise)

    def goal(self, seen: Tensor, y: Tensor) -> Tensor:
        """Return by how much the own class is ahead of the next one, summed over images and
        networks; each network's logits in units of their own spread."""
        target = (y + 1) % len(self.data.classes)
        total = seen.new_zeros(())
        for network in self.networks:
            logits = network(seen)
            ahead = logits.gather(1, y[:, None]) - logits.gather(1, target[:, None])
            total = total + ahead.sum() / logits.detach().std().clamp(min=1e-6)
        return total

    def view(self, x: Tensor, k: int) -> Tensor:
        """Return a batch as a learner might see it: some as JPEG files, some at a lower resolution,
        and all cropped, flipped and at the networks' size. JPEG passes gradients as they are."""
        g = generator("cpu", self.run.seed, "views", k, distributed.rank())
        draw = torch.rand(3, generator=g).tolist()
        if draw[0] < self.m.hardened / 2:
            low, high = QUALITY
            file = jpeg(to_pixels(x.detach()).cpu(), round(low + (high - low) * draw[1]))
            x = x + (to_unit(file).to(x) - x).detach()
        elif draw[0] < self.m.hardened:
            side = round(self.m.input_size * (LOWEST + (1 - LOWEST) * draw[1]))
            x = F.interpolate(x, (side, side), mode="bilinear", antialias=True)
        return self.crop(
            x, generator(self.run.device, self.run.seed, "crops", k, distributed.rank())
        )

    def train(self, spent: int) -> None:
        """Take all steps, resuming from the run's state. spent: passes of the noise beneath."""

        def state() -> State:
            passes = [network.passes for network in self.networks]
            tables = {"noise": self.noise, "speed": self.speed, "beneath": self.beneath}
            return tables | {"passes": passes, "spent": spent}

        def restore(saved: State) -> None:
            self.noise, self.speed = (saved[k].to(self.run.device) for k in ("noise", "speed"))
            for network, passes in zip(self.networks, saved["passes"], strict=True):
                network.passes = passes

        if self.run.state.load() is None:  # what lies beneath is not made twice
            self.run.state.save(0, state() | {"done": 0}, force=True)
        for k in resumable("class noise", self.m.steps, self.run, state=state, restore=restore):
            self.step(k)

    @torch.no_grad()
    def delta(self) -> Tensor:
        """Return the whole noise of all images, int8 [N, 3, H, W] in /255, on the CPU."""
        out = torch.zeros(self.data.x.shape, dtype=torch.int8)
        for i in self.own.split(CHUNK):
            y = self.data.labels(i, self.run.device)
            out[i] = quantize(self.over(i, y, self.noise[y])).cpu()
        return out
