"""Kernels against closed forms, Monte Carlo and wide finite networks; the predictor against its
limits."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unlearnable import NTGA, Images, UserError, load
from unlearnable.core.seeding import generator
from unlearnable.protection.methods.base import Context
from unlearnable.protection.methods.ntga_kernels import (
    Layers,
    _dual,
    attack,
    cnn_ntk,
    fc_ntk,
    kernel,
    prediction,
)

VARIANCES = {"w_var": 1.7, "b_var": 0.1}


def hidden(depth: int, activation: str, w_var: float = 1.7, b_var: float = 0.1) -> Layers:
    return Layers(depth, activation, w_var, b_var)


def images(n: int, size: int = 4) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=generator("cpu", n))


@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_dual_activations_agree_with_a_million_draws(activation):
    s = torch.erf if activation == "erf" else torch.relu
    a, b, c = 1.3, 0.6, 0.5
    z = torch.randn(2, 1_000_000, generator=generator("cpu", 0), dtype=torch.float64)
    u = math.sqrt(a) * z[0]
    v = c / math.sqrt(a) * z[0] + math.sqrt(b - c * c / a) * z[1]
    value, slope, own_a, own_b = (
        float(t) for t in _dual(*map(torch.tensor, (c, a, b)), activation)
    )
    u.requires_grad_(), v.requires_grad_()
    du, dv = torch.autograd.grad(s(u).sum(), u)[0], torch.autograd.grad(s(v).sum(), v)[0]
    for formula, draws in (
        (value, s(u) * s(v)),
        (slope, du * dv),
        (own_a, s(u) ** 2),
        (own_b, s(v) ** 2),
    ):
        assert formula == pytest.approx(float(draws.detach().mean()), abs=0.005)


def test_relu_kernel_of_a_image_with_itself_has_the_known_closed_form():
    """Weight variance 2, no bias: the variance stays, and the tangent kernel is (depth + 1) times
    it."""
    x = images(5)
    for depth in (1, 3):
        k = fc_ntk(x, x, hidden(depth, "relu", 2.0, 0.0))
        known = (depth + 1) * 2 * x.flatten(1).square().mean(1)
        assert torch.allclose(k.diagonal(), known, rtol=2e-3)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_relu_kernel_is_the_published_closed_form_on_the_sphere(depth):
    """Bietti & Mairal (2019): on unit vectors with cosine u, k = u and s = u, then ``depth`` times
    s = s k0(k) + k1(k), k = k1(k), with k0(u) = (pi - acos u) / pi and k1(u) = u k0(u) + sqrt(1 -
    u^2) / pi."""
    x = nn.functional.normalize(images(6).flatten(1) - 0.5, dim=1)

    def known(u: float) -> float:
        k, s = u, u
        for _ in range(depth):
            k0 = (math.pi - math.acos(k)) / math.pi
            k1 = k * k0 + math.sqrt(1 - k * k) / math.pi
            k, s = k1, s * k0 + k1
        return s

    # weight variance 2 keeps the variance at 2 / inputs instead of 1
    ours = fc_ntk(x, x, hidden(depth, "relu", 2.0, 0.0)) * x.shape[1] / 2
    for i, j in ((0, 1), (2, 5), (3, 4)):
        assert float(ours[i, j]) == pytest.approx(known(float(x[i] @ x[j])), rel=1e-3)


def test_erf_kernel_of_one_layer_is_the_published_closed_form():
    """Williams (1997): 2 / pi asin(2 c / sqrt((1 + 2 a) (1 + 2 b))), here behind a readout of
    variance w."""
    x, w, b = images(2).flatten(1), VARIANCES["w_var"], VARIANCES["b_var"]
    c, a, d = (w * float(x[i] @ x[j]) / 48 + b for i, j in ((0, 1), (0, 0), (1, 1)))
    root = math.sqrt((1 + 2 * a) * (1 + 2 * d))
    value = 2 / math.pi * math.asin(2 * c / root)
    slope = 4 / math.pi / math.sqrt(root**2 - 4 * c * c)
    ours = float(fc_ntk(x, x, hidden(1, "erf"))[0, 1])
    assert ours == pytest.approx(w * value + b + w * slope * c, rel=1e-4)


class Scaled(nn.Module):
    """A layer in the kernel's scaling: unit normal parameters, the standard deviations outside."""

    def __init__(self, layer: nn.Module, g: torch.Generator):
        super().__init__()
        self.layer = layer
        for p in layer.parameters():
            p.data.normal_(generator=g)
        self.fan = layer.weight[0].numel()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bias = self.layer.bias
        shape = (1, -1, 1, 1) if x.ndim == 4 else (1, -1)
        linear = self.layer(x) - bias.view(shape)
        return math.sqrt(VARIANCES["w_var"] / self.fan) * linear + math.sqrt(
            VARIANCES["b_var"]
        ) * bias.view(shape)


class Activation(nn.Module):
    def __init__(self, name: str):
        super().__init__()
        self.f = {"erf": torch.erf, "relu": torch.relu}[name]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.f(x)


def empirical(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    rows = []
    for image in x:
        gradients = torch.autograd.grad(model(image[None]).sum(), list(model.parameters()))
        rows.append(torch.cat([g.flatten() for g in gradients]))
    rows = torch.stack(rows)
    return rows @ rows.T


@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_fc_kernel_is_the_limit_of_wide_networks(activation):
    x, g, width = images(4), generator("cpu", 1), 1024
    kernels = []
    for _ in range(8):
        layers = [nn.Linear(48, width), nn.Linear(width, width), nn.Linear(width, 1)]
        a, b, c = (Scaled(layer, g) for layer in layers)
        kernels.append(
            empirical(
                nn.Sequential(
                    nn.Flatten(), a, Activation(activation), b, Activation(activation), c
                ),
                x,
            )
        )
    ours = fc_ntk(x, x, hidden(2, activation))
    assert torch.allclose(torch.stack(kernels).mean(0), ours, rtol=0.08)


def test_cnn_kernel_is_the_limit_of_wide_networks():
    x, g, width = images(3), generator("cpu", 2), 256
    kernels = []
    for _ in range(12):
        a = Scaled(nn.Conv2d(3, width, 3, padding=1), g)
        b = Scaled(nn.Conv2d(width, width, 3, padding=1), g)
        c = Scaled(nn.Linear(16 * width, 1), g)
        kernels.append(
            empirical(nn.Sequential(a, Activation("erf"), b, Activation("erf"), nn.Flatten(), c), x)
        )
    ours = cnn_ntk(x, x, hidden(2, "erf"))
    assert torch.allclose(torch.stack(kernels).mean(0), ours, rtol=0.1)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_fc_kernel_without_a_readout_is_that_of_the_authors_network(depth):
    """Restated from Yuan & Wu's network and the rules of the library they use, for one pair: a
    linear layer takes the tangent kernel t to k + w t, an erf to t times the kernel of its
    derivative, and an erf is the last."""
    x, w, b = images(2).flatten(1), VARIANCES["w_var"], VARIANCES["b_var"]
    k, a, d = (float(x[i] @ x[j]) / 48 for i, j in ((0, 1), (0, 0), (1, 1)))
    t = 0.0
    for _ in range(depth):
        k, a, d = (w * v + b for v in (k, a, d))
        t = k + w * t
        root = math.sqrt((1 + 2 * a) * (1 + 2 * d))
        t *= 4 / math.pi / math.sqrt(root**2 - 4 * k * k)
        k = 2 / math.pi * math.asin(2 * k / root)
        a, d = (2 / math.pi * math.asin(2 * v / (1 + 2 * v)) for v in (a, d))
    ours = fc_ntk(x, x, hidden(depth, "erf"), readout=False)[0, 1]
    assert float(ours) == pytest.approx(t, rel=1e-4)


class Same(nn.Module):
    """TensorFlow's SAME for a 5 x 5 filter of stride 2 on an even size: 1 before, 2 after."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pad(x, (1, 2, 1, 2))


def test_cnn_kernel_of_the_authors_is_the_limit_of_wide_networks():
    """5 x 5 filters of stride 2, ReLU, and three linear layers, as in Yuan & Wu's program."""
    x, g, width = images(3, size=8), generator("cpu", 2), 160
    kernels = []
    for _ in range(12):
        a = Scaled(nn.Conv2d(3, width, 5, 2), g)
        b = Scaled(nn.Conv2d(width, width, 5, 2), g)
        dense = [nn.Linear(4 * width, width), nn.Linear(width, width), nn.Linear(width, 1)]
        relu = Activation("relu")
        head = [nn.Flatten(), *(Scaled(layer, g) for layer in dense)]
        kernels.append(empirical(nn.Sequential(Same(), a, relu, Same(), b, relu, *head), x))
    ours = cnn_ntk(x, x, hidden(2, "relu"), filter=5, stride=2, dense=3)
    assert torch.allclose(torch.stack(kernels).mean(0), ours, rtol=0.1)


@pytest.mark.parametrize("name", ["authors-fc", "authors-cnn"])
def test_the_loss_on_many_targets_is_raised_in_parts(name):
    """The gradient of the parts is that of the whole: the noise is the same as in one piece."""
    data = load("shapes", limit=60)
    method = NTGA.preset(name, block=12, targets=40, steps=2)
    i = torch.arange(12)
    noise = attack(method, data, i, Context(), 0)
    j = torch.arange(12, 60)
    j = j[torch.randperm(48, generator=generator("cpu", 0, "ntga", 0, 0))[:40]]
    x, y = data.pixels(i, "cpu").requires_grad_(), torch.eye(10)[data.y[i]]
    f = prediction(kernel(method, x, x), kernel(method, data.pixels(j, "cpu"), x), y, method.time)
    (gradient,) = torch.autograd.grad(F.cross_entropy(f, data.y[j]), x)
    strong = gradient.abs() > 0.3 * gradient.abs().mean()
    agree = (noise.sign() == gradient.sign()) | (noise == 0)  # 0 where a pixel is black or white
    assert agree[strong].float().mean() > 0.9  # two steps: the second starts elsewhere


def test_the_predictor_starts_at_zero_and_ends_as_kernel_regression():
    x, test = images(12).double(), images(5).double()
    k, k_test = (fc_ntk(a, x, hidden(2, "erf")) for a in (x, test))
    y = torch.eye(3).double()[torch.arange(12) % 3]
    assert torch.equal(prediction(k, k_test, y, 0.0), torch.zeros(5, 3).double())
    assert torch.allclose(
        prediction(k, k_test, y, 1e9), k_test @ torch.linalg.solve(k, y), atol=1e-4
    )
    # in between: gradient flow, step by step
    alpha, t, steps = torch.zeros_like(y), 30.0, 20_000
    for _ in range(steps):
        alpha += (
            t / steps / y.numel() * (y - k @ alpha)
        )  # of half the mean squared error over all 36 outputs
    assert torch.allclose(prediction(k, k_test, y, t), k_test @ alpha, atol=1e-3)


@pytest.mark.parametrize("preset", ["paper", "cnn", "authors-fc"])
def test_noise_raises_the_loss_and_covers_every_image(preset):
    data = load("shapes", limit=70)
    method = NTGA.preset(preset, block=12 if preset == "cnn" else 32, steps=3)
    noise = method.craft(data, Context()).delta
    assert (noise != 0).flatten(1).any(1).all()
    i, j = torch.arange(32), torch.arange(32, 70)
    x, clean, y = data.pixels(i, "cpu"), data.pixels(j, "cpu"), torch.eye(10)[data.y[i]]
    losses = []
    for z in (x, (x + attack(method, data, i, Context(), 0)).clamp(0, 1)):
        f = prediction(kernel(method, z, z), kernel(method, clean, z), y, method.time)
        losses.append(float(F.cross_entropy(f, data.y[j])))
    assert losses[1] > losses[0] + 0.002


def test_one_block_that_is_everything_and_a_block_too_small():
    data = load("shapes", limit=20)
    assert (
        NTGA(block=64, steps=1).craft(Images(data.x, data.y, data.classes), Context()).delta.any()
    )
    with pytest.raises(UserError, match="block"):
        NTGA(block=1)
    with pytest.raises(UserError, match="odd"):
        NTGA(filter=4)
