"""How a noise network is trained, and the noise that it makes. In turn: steps of the network down
the loss of the present surrogate, and a step of the surrogate on the images with its noise, made
adversarial. Every draw of both is under T."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core import distributed
from unlearnable.core.checkpoint import State
from unlearnable.core.device import to_device
from unlearnable.core.errors import UserError
from unlearnable.core.finite import diverged, is_finite
from unlearnable.core.seeding import batch_rows, generator, seed_own_draws
from unlearnable.core.units import in_unit, quantize
from unlearnable.core.weights import read_weights, restore_weights
from unlearnable.data.images import Images, chunks
from unlearnable.models.noise_network import NoiseNetwork
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.noise_net import NoiseNet
from unlearnable.protection.methods.noise_rows import resumable
from unlearnable.protection.methods.surrogate import untrained_surrogate
from unlearnable.training import augment
from unlearnable.training.pgd import n_fgsm, uniform_perturbation
from unlearnable.training.precision import arithmetic, channels_last

AT_ONCE = 256  # images of 32 x 32 whose noise is made at a time, once the network is trained
LOGGED = 100  # steps, about
BETAS = (0.5, 0.99)  # of Adam: the surrogate moves, so the past is worth less than usual


class NoiseNetLoop:
    """One run: the noise network and the surrogate, and their steps."""

    def __init__(self, method: NoiseNet, data: Images, run: Context):
        self.m, self.data, self.run = method, data, run
        if method.cell >= min(data.x.shape[-2:]):  # one cell: nothing is left without its mean
            raise UserError(
                f"A cell of {method.cell} pixels covers images of {data.size} wholly; make the "
                "noise at a larger size, or in smaller cells."
            )
        t = augment.for_size(*data.x.shape[-2:])
        self.t = augment.Gray(t, method.gray_prob) if method.gray_prob else t
        self.trainer = untrained_surrogate(method, data, run, self.t)
        self.network = network(method, len(data.classes), run)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=method.net_lr, betas=BETAS)
        self.spent = 0  # passes of the noise network, on this process

    def protected(self, i: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images ``i`` with the noise that the network gives them now, float [n, 3, H,
        W] in [0, 1], and their labels. Those that get no noise are as they are."""
        device = self.run.device
        x, y = self.data.pixels(i, device), self.data.labels(i, device)
        u = noise_of(self.network, x, y, self.m.eps, self.run)
        self.spent += len(i)
        if self.run.protected is not None:
            u = u * to_device(self.run.protected[i], device)[:, None, None, None]
        return (x + u).clamp(0, 1), y

    def step(self, step: int) -> Tensor:
        """Take the steps of the noise network and then that of the surrogate on batch ``step``.
        Returns the surrogate's mean loss, a tensor."""
        m, frozen, radius = self.m, self.trainer.frozen, in_unit(self.m.adv_eps)
        i = batch_rows(len(self.data), m.batch, self.run.seed, step)
        g = generator(self.run.device, self.run.seed, "noise net", step, distributed.rank())
        seed_own_draws(self.run.seed, "noise net", step, distributed.rank())
        for group in self.optimizer.param_groups:
            group["lr"] = m.net_lr * m.share_at(step)
        for _ in range(m.steps):
            z, y = self.protected(i)
            z = self.t(z, g)
            z = z + uniform_perturbation(z.detach(), g, eps=radius)
            self.optimizer.zero_grad()
            F.cross_entropy(frozen(z).float(), y).backward()
            distributed.average_gradients(self.network)
            self.optimizer.step()
        with torch.no_grad():
            z, y = self.protected(i)
            z = self.t(z, g)
        z = z + n_fgsm(frozen, z, y, g, eps=radius)
        return self.trainer.step(z, y, m.lr_at(step))

    def state(self) -> State:
        networks = {"network": self.network.state_dict(), "adam": self.optimizer.state_dict()}
        return self.trainer.state() | networks | {"spent": self.spent}

    def load(self, saved: State) -> None:
        self.trainer.load(saved)
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["adam"])
        self.spent = saved["spent"]


def network(m: NoiseNet, classes: int, run: Context) -> NoiseNetwork:
    """Return an untrained noise network, drawn by the run's seed."""
    with torch.random.fork_rng([]):
        torch.manual_seed(generator("cpu", run.seed, "noise network").initial_seed())
        fresh = NoiseNetwork(classes, m.width, zero_mean=m.zero_mean, cell=m.cell)
    channels_last(fresh)
    return fresh.to(run.device)


def noise_of(network: NoiseNetwork, x: Tensor, y: Tensor, eps: float, run: Context) -> Tensor:
    """Return the noise of images x [n, 3, H, W] of classes y, in pixels of [0, 1]."""
    x = x.contiguous(memory_format=torch.channels_last)
    with arithmetic(x.device, run.bfloat16):
        return in_unit(eps) * network(x, y)


@torch.no_grad()
def noise_of_all(network: NoiseNetwork, data: Images, m: NoiseNet, run: Context) -> Tensor:
    """Return the noise of all images, int8 [N, 3, H, W] in /255, on the CPU."""
    out = torch.zeros(data.x.shape, dtype=torch.int8)
    for i in chunks(data.x, AT_ONCE):
        x, y = data.pixels(i, run.device), data.labels(i, run.device)
        out[i] = quantize(noise_of(network, x, y, m.eps, run)).cpu()
    return out


def noise_net(m: NoiseNet, data: Images, run: Context) -> Noise:
    """Train the noise network, resuming from ``run.state``, and make the noise of all images; every
    process returns it."""
    loop = NoiseNetLoop(m, data, run)
    every = max(1, m.train_steps // LOGGED)

    def state() -> State:
        return loop.state() | {"log": run.watch.entries}

    def restore(saved: State) -> None:
        loop.load(saved)
        run.watch.resume(saved.get("log", ()))

    for step in resumable("noise network", m.train_steps, run, state=state, restore=restore):
        loss = loop.step(step)
        if (step + 1) % every == 0 or step + 1 == m.train_steps:
            run.watch.log(step=step + 1, loss=round(float(loss), 6))
    loop.trainer.frozen.require_finite()
    if not is_finite(loop.network.state_dict()):
        raise diverged("The noise network")
    spent = distributed.sum_int(loop.trainer.passes + loop.spent) + len(data)
    return Noise(noise_of_all(loop.network, data, m, run), loop.network.eval(), spent)


def noise_of_further(m: NoiseNet, file: Path, data: Images, run: Context) -> Noise:
    """Return the noise that the network in ``file`` gives further images of the same classes."""
    trained = network(m, len(data.classes), run)
    restore_weights(trained, read_weights(file)[0], file)
    return Noise(noise_of_all(trained.eval(), data, m, run), None, len(data))
