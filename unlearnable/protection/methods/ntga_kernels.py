"""The kernels and the attack of NTGA (Yuan & Wu, ICML 2021): noise against networks of infinite
width, whose training has a closed form.

The neural tangent kernel K of an infinitely wide network does not change in training. Under
gradient flow on half the mean squared error over the m = n x classes outputs of n images, its mean
prediction at time t is

    f_t(x) = K(x, X) phi(K(X, X)) Y,    phi(K) = (I - exp(-t K / m)) / K,

(Lee et al., 2019; m as in the authors' program), and the noise on X ascends the cross-entropy of
f_t on other, clean images. phi(K) Y is the upper right block of exp([[-t K / m, t Y / m], [0, 0]]):
no inverse, and a gradient even where eigenvalues coincide.

The authors' program differs in two more things than the presets can name: every one of its ten
steps starts from the clean images (each is the same full step, so that its noise is the sign of one
gradient), and it regularizes the diagonal of K by 1e-4.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from unlearnable.core import distributed
from unlearnable.core.seeding import generator
from unlearnable.core.units import in_unit
from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context
from unlearnable.protection.methods.noise_rows import craft_rows, process_chunks
from unlearnable.protection.methods.ntga import NTGA
from unlearnable.training.pgd import pgd


def ntga(m: NTGA, data: Images, run: Context) -> Tensor | None:
    """Attack the images block by block: int8 [N, 3, H, W] on rank 0."""
    rows = distributed.local_rows(len(data))
    # shuffled, because folders come class by class and a block must hold many classes
    g = generator("cpu", run.seed, "ntga order", distributed.rank())
    rows = rows[torch.randperm(len(rows), generator=g)]
    blocks = process_chunks(rows, len(data), min(m.block, len(rows)))

    def make(i: Tensor, k: int) -> Tensor:
        if run.protected is not None and not run.protected[i].any():
            return torch.zeros(len(i), *data.x.shape[1:])
        return attack(m, data, i, run, k)

    return craft_rows("NTGA noise", data, blocks, run, make)


def attack(m: NTGA, data: Images, i: Tensor, run: Context, block: int) -> Tensor:
    """Return noise in [-1, 1] for the images ``i`` that raises the loss on others."""
    g = generator("cpu", run.seed, "ntga", block, distributed.rank())
    others = torch.ones(len(data), dtype=torch.bool)
    others[i] = len(data) == len(i)  # a single block has only itself to be tested on
    j = others.nonzero()[:, 0]
    j = j[torch.randperm(len(j), generator=g)[: m.targets or len(i)]]
    x = data.pixels(i, run.device)
    y = F.one_hot(data.labels(i, run.device), len(data.classes)).float()

    def loss(z: Tensor) -> Tensor:
        fit = fitted(kernel(m, z, z), y, m.time)

        def on(part: Tensor) -> Tensor:
            f = kernel(m, data.pixels(part, run.device), z) @ fit
            return F.cross_entropy(f, data.labels(part, run.device), reduction="sum")

        parts = j.split(len(i))
        if len(parts) == 1:
            return on(j)
        # computed again on the way back: the kernels of all parts at once fill the memory
        return torch.stack([checkpoint(on, part, use_reentrant=False) for part in parts]).sum()

    step = m.step if m.step is not None else 1.1 * m.eps / m.steps
    return pgd(loss, x, eps=in_unit(m.eps), step=in_unit(step), steps=m.steps)


def kernel(m: NTGA, a: Tensor, b: Tensor) -> Tensor:
    """Return the kernel [N, M] of ``m`` between images a [N, C, H, W] and b [M, C, H, W]."""
    shared = Layers(m.depth, m.activation, m.w_var, m.b_var)
    if m.kernel == "fc":
        return fc_ntk(a, b, shared, readout=m.readout)
    return cnn_ntk(a, b, shared, filter=m.filter, stride=m.stride, dense=m.dense)


def fitted(k: Tensor, y: Tensor, t: float) -> Tensor:
    """phi(K) Y [n, classes] from K(X, X) [n, n] and the targets [n, classes] (the module's
    formula)."""
    n, classes = y.shape
    top = torch.cat([-k * (t / y.numel()), y * (t / y.numel())], 1)
    both = F.pad(top, (0, 0, 0, classes))
    return torch.linalg.matrix_exp(both)[:n, n:]


def prediction(k: Tensor, k_test: Tensor, y: Tensor, t: float) -> Tensor:
    """f_t [M, classes] from K(X, X) [n, n], K(x, X) [M, n] and the targets [n, classes]."""
    return k_test @ fitted(k, y, t)


@dataclass(frozen=True)
class Layers:
    """The hidden layers of a network of infinite width. w_var: variance of the weights, times the
    number of inputs; b_var: of the biases."""

    depth: int
    activation: str
    w_var: float
    b_var: float


def fc_ntk(a: Tensor, b: Tensor, m: Layers, *, readout: bool = True) -> Tensor:
    """[N, M]: tangent kernel of a fully connected network of ``depth`` hidden layers, standard
    scaling (Jacot et al., 2018; Lee et al., 2018), with or without a linear readout."""
    a, b = a.flatten(1), b.flatten(1)
    cross = m.w_var * (a @ b.T) / a.shape[1] + m.b_var
    var_a, var_b = (m.w_var * v.square().mean(1) + m.b_var for v in (a, b))
    var_a, var_b = var_a[:, None], var_b[None, :]
    tangent = cross
    for layer in range(m.depth):
        cross, slope, var_a, var_b = _dual(cross, var_a, var_b, m.activation)
        if layer + 1 == m.depth and not readout:
            return slope * tangent
        cross, var_a, var_b = (m.w_var * v + m.b_var for v in (cross, var_a, var_b))
        tangent = cross + m.w_var * slope * tangent
    return tangent


def cnn_ntk(
    a: Tensor, b: Tensor, m: Layers, *, filter: int = 3, stride: int = 1, dense: int = 1
) -> Tensor:
    """[N, M]: the same for ``depth`` convolutions of filter x filter pixels (zero padding that
    keeps the size, divided by the stride) and ``dense`` linear layers on all positions. With those
    only covariances at equal positions count (Novak et al., 2019): [N, M, H, W]."""

    def mean(v: Tensor) -> Tensor:
        return F.avg_pool2d(_padded(v, filter, stride), filter, stride)

    def convolved(v: Tensor) -> Tensor:
        return m.w_var * mean(v) + m.b_var

    cross = convolved((a[:, None] * b[None]).mean(2))
    var_a, var_b = (convolved(v.square().mean(1, keepdim=True)) for v in (a, b))
    var_b = var_b.transpose(0, 1)
    tangent = cross
    for _ in range(m.depth - 1):
        cross, slope, var_a, var_b = _dual(cross, var_a, var_b, m.activation)
        tangent = m.w_var * mean(slope * tangent)
        cross, var_a, var_b = convolved(cross), convolved(var_a), convolved(var_b)
        tangent = cross + tangent
    cross, slope, _, _ = _dual(cross, var_a, var_b, m.activation)
    cross, tangent = cross.mean((2, 3)), (slope * tangent).mean((2, 3))
    for _ in range(dense):
        cross = m.w_var * cross + m.b_var
        tangent = cross + m.w_var * tangent
    return tangent


def _padded(v: Tensor, filter: int, stride: int) -> Tensor:
    """[..., H, W] with zeros around, one more at the bottom and right where the number is odd, so
    that every stride-th pixel has an output (TensorFlow's SAME)."""
    sides = []
    for size in (v.shape[-1], v.shape[-2]):
        total = max((-(-size // stride) - 1) * stride + filter - size, 0)
        sides += [total // 2, total - total // 2]
    return F.pad(v, sides)


def _dual(
    cross: Tensor, var_a: Tensor, var_b: Tensor, activation: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return E[s(u) s(v)], E[s'(u) s'(v)], E[s(u)^2], E[s(v)^2] for (u, v) normal with variances
    var_a, var_b and covariance ``cross``: erf (Williams, 1997), ReLU (Cho & Saul, 2009)."""
    if activation == "erf":
        square = (1 + 2 * var_a) * (1 + 2 * var_b)
        value = 2 / math.pi * torch.asin(2 * cross * square.rsqrt())
        slope = 4 / math.pi * (square - 4 * cross.square()).rsqrt()
        after_a, after_b = (2 / math.pi * torch.asin(2 * v / (1 + 2 * v)) for v in (var_a, var_b))
        return value, slope, after_a, after_b
    size = (var_a * var_b).sqrt()
    # an image with itself: the cosine is 1, where the angle has no gradient
    cosine = (cross / size.clamp(min=1e-12)).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = torch.acos(cosine)
    value = size / (2 * math.pi) * (torch.sin(angle) + (math.pi - angle) * cosine)
    return value, (math.pi - angle) / (2 * math.pi), var_a / 2, var_b / 2
