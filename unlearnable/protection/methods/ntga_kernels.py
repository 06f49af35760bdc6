"""The kernels and the attack of NTGA (Yuan & Wu, ICML 2021): noise against networks of infinite
width, whose training has a closed form.

The neural tangent kernel K of an infinitely wide network does not change in training. Under
gradient flow on half the mean squared error over the m = n x classes outputs of n images, its mean
prediction at time t is

    f_t(x) = K(x, X) phi(K(X, X)) Y,    phi(K) = (I - exp(-t K / m)) / K,

(Lee et al., 2019; m as in the authors' program), and the noise on X ascends the cross-entropy of
f_t on other, clean images. phi(K) Y is the upper right block of exp([[-t K / m, t Y / m], [0, 0]]):
no inverse, and a gradient even where eigenvalues coincide.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core import distributed
from unlearnable.core.seeding import generator
from unlearnable.core.units import in_unit
from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context
from unlearnable.protection.methods.noise_rows import chunks, craft_rows
from unlearnable.protection.methods.ntga import NTGA
from unlearnable.training.pgd import pgd


def ntga(m: NTGA, data: Images, run: Context) -> Tensor | None:
    """Attack the images block by block: int8 [N, 3, H, W] on rank 0."""
    rows = distributed.local_rows(len(data))
    # shuffled, because folders come class by class and a block must hold many classes
    g = generator("cpu", run.seed, "ntga order", distributed.rank())
    rows = rows[torch.randperm(len(rows), generator=g)]
    blocks = chunks(rows, len(data), min(m.block, len(rows)))
    return craft_rows("NTGA noise", data, blocks, run, lambda i, k: attack(m, data, i, run, k))


def attack(m: NTGA, data: Images, i: Tensor, run: Context, block: int) -> Tensor:
    """Return noise in [-1, 1] for the images ``i`` that raises the loss on as many others."""
    g = generator("cpu", run.seed, "ntga", block, distributed.rank())
    others = torch.ones(len(data), dtype=torch.bool)
    others[i] = len(data) == len(i)  # a single block has only itself to be tested on
    j = others.nonzero()[:, 0]
    j = j[torch.randperm(len(j), generator=g)[: len(i)]]
    x, clean = data.pixels(i, run.device), data.pixels(j, run.device)
    y = F.one_hot(data.labels(i, run.device), len(data.classes)).float()
    target = data.labels(j, run.device)

    def loss(z: Tensor) -> Tensor:
        f = prediction(kernel(m, z, z), kernel(m, clean, z), y, m.time)
        return F.cross_entropy(f, target, reduction="sum")

    step = m.step if m.step is not None else 1.1 * m.eps / m.steps
    return pgd(loss, x, eps=in_unit(m.eps), step=in_unit(step), steps=m.steps)


def kernel(m: NTGA, a: Tensor, b: Tensor) -> Tensor:
    """Return the kernel [N, M] of ``m`` between images a [N, C, H, W] and b [M, C, H, W]."""
    ntk = fc_ntk if m.kernel == "fc" else cnn_ntk
    return ntk(a, b, depth=m.depth, activation=m.activation, w_var=m.w_var, b_var=m.b_var)


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
    var_a, var_b = (w_var * v.square().mean(1) + b_var for v in (a, b))
    var_a, var_b = var_a[:, None], var_b[None, :]
    tangent = cross
    for _ in range(depth):
        cross, slope, var_a, var_b = _dual(cross, var_a, var_b, activation)
        cross, var_a, var_b = (w_var * v + b_var for v in (cross, var_a, var_b))
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
    var_a, var_b = (convolved(v.square().mean(1, keepdim=True)) for v in (a, b))
    var_b = var_b.transpose(0, 1)
    tangent = cross
    for layer in range(depth):
        cross, slope, var_a, var_b = _dual(cross, var_a, var_b, activation)
        if layer + 1 == depth:  # the readout
            cross = w_var * cross.mean((2, 3)) + b_var
            return cross + w_var * (slope * tangent).mean((2, 3))
        tangent = w_var * F.avg_pool2d(slope * tangent, 3, 1, 1)
        cross, var_a, var_b = convolved(cross), convolved(var_a), convolved(var_b)
        tangent = cross + tangent
    raise AssertionError(depth)


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
