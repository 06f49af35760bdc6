"""NTGA: noise against networks of infinite width, whose training has a closed form (Yuan & Wu, ICML
2021).

The neural tangent kernel K of an infinitely wide network does not change in training. Under
gradient flow on half the mean squared error over the m = n x classes outputs of n images, its mean
prediction at time t is

    f_t(x) = K(x, X) phi(K(X, X)) Y,    phi(K) = (I - exp(-t K / m)) / K,

(Lee et al., 2019; m as in the authors' program), and the noise on X ascends the cross-entropy of
f_t on other, clean images. phi(K) Y is the upper right block of exp([[-t K / m, t Y / m], [0, 0]]):
no inverse, and a gradient even where eigenvalues coincide.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core import distributed
from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.core.progress import Progress
from unlearnable.core.seeding import generator
from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context, Method, Noise
from unlearnable.training.pgd import pgd


@dataclass(frozen=True)
class NTGA(Method):
    """neural tangent generalization attack (Yuan & Wu, ICML 2021): needs no trained surrogate.
    Undone by adversarial training, and with a few thousand images it hardly hurts ordinary training
    either (docs/results.md). Memory: about 16 block^2 (fc), 40 block^2 H W (cnn) floats of 4 bytes
    a layer."""

    eps: float = 8.0
    """budget of the noise, in /255"""
    steps: int = 10
    """noise steps"""
    step: float | None = None
    """size of a noise step in /255; default: 1.1 eps / steps"""
    block: int = 512
    """images that are attacked together, against as many clean ones"""
    kernel: Literal["fc", "cnn"] = "fc"
    """fully connected, or 3 x 3 convolutions with a dense readout"""
    activation: Literal["erf", "relu"] = "erf"
    depth: int = 5
    """hidden layers"""
    w_var: float = 1.76
    """variance of the weights, times the number of inputs"""
    b_var: float = 0.18
    """variance of the biases"""
    time: float = 64.0
    """training time t at which the prediction is attacked (learning rate times steps)"""

    presets: ClassVar[dict[str, dict]] = {
        "paper": {},
        # ours: the authors' program has 2 x 2 filters, two linear layers more and the variances of
        # "paper"
        "cnn": {
            "kernel": "cnn",
            "activation": "relu",
            "depth": 2,
            "w_var": 2.0,
            "b_var": 0.01,
            "block": 100,
        },
    }

    def __post_init__(self) -> None:
        require(self, positive="eps steps step block depth w_var time", whole="b_var")
        if self.block < 2:
            raise UserError("block must be 2 or more: one image teaches no kernel.")

    def craft(self, data: Images, run: Context) -> Noise:
        own = distributed.local_rows(len(data))
        # shuffled, because folders come class by class and a block must hold many classes
        order = torch.randperm(
            len(own), generator=generator("cpu", run.seed, "ntga order", distributed.rank())
        )
        # the same number of blocks on every process: all of them save together
        largest, size = -(-len(data) // distributed.world()), min(self.block, len(own))
        blocks = order.tensor_split(-(-largest // size))
        table, done = torch.zeros((len(own), *data.x.shape[1:]), dtype=torch.int8), 0
        if saved := run.state.load():
            table, done = saved["table"], saved["done"]
        with Progress("NTGA noise", len(blocks), first=done) as progress:
            for k in range(done, len(blocks)):
                table[blocks[k]] = self.attack(data, own[blocks[k]], run, k)
                progress.at(k + 1)
                run.state.save(k + 1, {"table": table, "done": k + 1})
        return Noise(distributed.gather_rows(table, len(data)))

    def attack(self, data: Images, i: Tensor, run: Context, block: int) -> Tensor:
        """int8 noise for the images ``i``, ascending the loss on as many others."""
        g = generator("cpu", run.seed, "ntga", block, distributed.rank())
        others = torch.ones(len(data), dtype=torch.bool)
        others[i] = len(data) == len(i)  # a single block has only itself to be tested on
        j = others.nonzero()[:, 0]
        j = j[torch.randperm(len(j), generator=g)[: len(i)]]
        x, clean = data.pixels(i, run.device), data.pixels(j, run.device)
        y, target = (
            F.one_hot(data.labels(i, run.device), len(data.classes)).float(),
            data.labels(j, run.device),
        )

        def loss(z: Tensor) -> Tensor:
            f = prediction(self.ntk(z, z), self.ntk(clean, z), y, self.time)
            return F.cross_entropy(f, target, reduction="sum")

        step = self.step if self.step is not None else 1.1 * self.eps / self.steps
        u = pgd(loss, x, eps=self.eps / 255, step=step / 255, steps=self.steps)
        return (u * 255).round().to("cpu", torch.int8)

    def ntk(self, a: Tensor, b: Tensor) -> Tensor:
        """The kernel [N, M] between images a [N, C, H, W] and b [M, C, H, W]."""
        of = fc_ntk if self.kernel == "fc" else cnn_ntk
        return of(
            a, b, depth=self.depth, activation=self.activation, w_var=self.w_var, b_var=self.b_var
        )


def prediction(k: Tensor, k_test: Tensor, y: Tensor, t: float) -> Tensor:
    """f_t [M, classes] from K(X, X) [n, n], K(x, X) [M, n] and the targets [n, classes] (the
    module's formula)."""
    n, classes = y.shape
    top = torch.cat([-k * (t / y.numel()), y * (t / y.numel())], 1)
    both = F.pad(top, (0, 0, 0, classes))
    return k_test @ torch.linalg.matrix_exp(both)[:n, n:]


def fc_ntk(
    a: Tensor, b: Tensor, *, depth: int, activation: str, w_var: float, b_var: float
) -> Tensor:
    """[N, M]: tangent kernel of a fully connected network of ``depth`` hidden layers and a linear
    readout, standard scaling (Jacot et al., 2018; Lee et al., 2018)."""
    a, b = a.flatten(1), b.flatten(1)
    cross = w_var * (a @ b.T) / a.shape[1] + b_var
    own_a, own_b = (w_var * v.square().mean(1) + b_var for v in (a, b))
    own_a, own_b = own_a[:, None], own_b[None, :]
    tangent = cross
    for _ in range(depth):
        cross, slope, own_a, own_b = _dual(cross, own_a, own_b, activation)
        cross, own_a, own_b = (w_var * v + b_var for v in (cross, own_a, own_b))
        tangent = cross + w_var * slope * tangent
    return tangent


def cnn_ntk(
    a: Tensor, b: Tensor, *, depth: int, activation: str, w_var: float, b_var: float
) -> Tensor:
    """[N, M]: the same for ``depth`` 3 x 3 convolutions (stride 1, zero padding) and a dense
    readout of all positions. With that readout only covariances at equal positions count (Novak et
    al., 2019): [N, M, H, W]."""

    def convolved(v: Tensor) -> Tensor:
        return w_var * F.avg_pool2d(v, 3, 1, 1) + b_var

    cross = convolved((a[:, None] * b[None]).mean(2))
    own_a, own_b = (convolved(v.square().mean(1, keepdim=True)) for v in (a, b))
    own_b = own_b.transpose(0, 1)
    tangent = cross
    for layer in range(depth):
        cross, slope, own_a, own_b = _dual(cross, own_a, own_b, activation)
        if layer + 1 == depth:  # the readout
            cross = w_var * cross.mean((2, 3)) + b_var
            return cross + w_var * (slope * tangent).mean((2, 3))
        tangent = w_var * F.avg_pool2d(slope * tangent, 3, 1, 1)
        cross, own_a, own_b = convolved(cross), convolved(own_a), convolved(own_b)
        tangent = cross + tangent
    raise AssertionError(depth)


def _dual(
    cross: Tensor, own_a: Tensor, own_b: Tensor, activation: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """E[s(u) s(v)], E[s'(u) s'(v)], E[s(u)^2], E[s(v)^2] for (u, v) normal with variances own_a,
    own_b and covariance ``cross``: erf (Williams, 1997), ReLU (Cho & Saul, 2009)."""
    if activation == "erf":
        square = (1 + 2 * own_a) * (1 + 2 * own_b)
        value = 2 / math.pi * torch.asin(2 * cross * square.rsqrt())
        slope = 4 / math.pi * (square - 4 * cross.square()).rsqrt()
        return (
            value,
            slope,
            *(2 / math.pi * torch.asin(2 * v / (1 + 2 * v)) for v in (own_a, own_b)),
        )
    size = (own_a * own_b).sqrt()
    # an image with itself: the cosine is 1, where the angle has no gradient
    cosine = (cross / size.clamp(min=1e-12)).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = torch.acos(cosine)
    value = size / (2 * math.pi) * (torch.sin(angle) + (math.pi - angle) * cosine)
    return value, (math.pi - angle) / (2 * math.pi), own_a / 2, own_b / 2
