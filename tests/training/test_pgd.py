"""PGD against the closed form; the frozen copy against the plain model."""

import copy
import shutil
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from unlearnable import MODELS, Frozen, adversary, build, pgd, uniform_perturbation
from unlearnable.core.device import COMPILE
from unlearnable.core.seeding import generator
from unlearnable.training.pgd import n_fgsm, total_loss, uniform


@pytest.mark.parametrize("minimize", [False, True])
def test_pgd_reaches_the_optimum_of_a_linear_loss(minimize):
    w = torch.randn(4, 3, 8, 8, generator=generator("cpu", 0))
    x = torch.rand(4, 3, 8, 8, generator=generator("cpu", 1))
    delta = pgd(lambda z: (w * z).sum(), x, eps=8 / 255, step=2 / 255, steps=10, minimize=minimize)
    sign = -w.sign() if minimize else w.sign()
    best = (x + 8 / 255 * sign).clamp(0, 1) - x
    assert torch.allclose(delta, best, atol=1e-6)


def test_adversary_on_a_linear_classifier_is_the_closed_form():
    """Two classes: the worst point in the ball is x - eps sign(w_y - w_other)."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2)).eval().requires_grad_(False)
    x = 0.2 + 0.6 * torch.rand(6, 3, 8, 8, generator=generator("cpu", 2))
    y = torch.arange(6) % 2
    a = adversary(model, x, y, generator("cpu", 3), eps=4 / 255, step=1 / 255, steps=20)
    w = model[1].weight
    best = -4 / 255 * (w[y] - w[1 - y]).sign().view_as(x)
    assert torch.allclose(a, best, atol=1e-6)


def test_l2_adversary_on_a_linear_classifier_is_the_closed_form():
    """x - eps (w_y - w_other) / |w_y - w_other|, for two classes far from an image's borders."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2)).eval().requires_grad_(False)
    x = 0.4 + 0.2 * torch.rand(6, 3, 8, 8, generator=generator("cpu", 2))
    y = torch.arange(6) % 2
    a = adversary(model, x, y, generator("cpu", 3), eps=0.5, step=0.1, steps=40, norm="l2")
    assert torch.allclose(a.flatten(1).norm(dim=1), torch.full((6,), 0.5), atol=1e-5)
    w = model[1].weight[y] - model[1].weight[1 - y]
    assert torch.allclose(a.flatten(1), -0.5 * w / w.norm(dim=1, keepdim=True), atol=1e-3)


def test_n_fgsm_on_a_linear_classifier_is_the_closed_form():
    """Its uniform start in (-2 eps, 2 eps) - eps sign(w_y - w_other), outside the ball of eps."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2)).eval().requires_grad_(False)
    x = 0.2 + 0.6 * torch.rand(6, 3, 8, 8, generator=generator("cpu", 2))
    y, eps = torch.arange(6) % 2, 4 / 255
    delta = n_fgsm(model, x, y, generator("cpu", 3), eps=eps)
    w = model[1].weight
    step = -eps * (w[y] - w[1 - y]).sign().view_as(x)
    assert torch.allclose(delta, uniform(x, 2 * eps, generator("cpu", 3)) + step, atol=1e-6)
    assert 2.9 * eps < float(delta.abs().max()) <= 3 * eps + 1e-6


def test_n_fgsm_keeps_pixels_valid_and_costs_one_pass():
    frozen = Frozen(build("convnet", 2, size=32, seed=0), bfloat16=False)
    x, y = torch.rand(4, 3, 32, 32, generator=generator("cpu", 4)).round(), torch.arange(4) % 2
    delta = n_fgsm(frozen, x, y, generator("cpu", 5), eps=0.1)
    assert float((x + delta).min()) >= 0 and float((x + delta).max()) <= 1
    assert frozen.passes == 4
    assert torch.equal(n_fgsm(frozen, x, y, generator("cpu", 5), eps=0), torch.zeros_like(x))


def test_perturbations_stay_in_the_ball_and_in_the_image():
    x = torch.tensor([0.0, 1.0, 0.5]).view(3, 1, 1, 1).expand(3, 3, 8, 8).contiguous()
    y = torch.zeros(3, dtype=torch.long)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2)).requires_grad_(False)
    for a in (
        adversary(model, x, y, generator("cpu", 0), eps=0.1, step=0.03, steps=3),
        uniform_perturbation(x, generator("cpu", 1), eps=0.1),
    ):
        assert float(a.abs().max()) <= 0.1 + 1e-6
        assert float((x + a).min()) >= 0 and float((x + a).max()) <= 1
    assert torch.equal(
        adversary(model, x, y, generator("cpu", 0), eps=0, step=1, steps=3), torch.zeros_like(x)
    )


# those with weights from elsewhere need packages; tests/models/test_pretrained.py has them
NETWORKS = [n for n in MODELS if not n.endswith("-imagenet")]
WIDE = ("wrn-34-10", "wrn-34-10-fu", "wrn-28-10", "resnet50")


def networks(*slow: str) -> list:
    """Every network; ``slow`` ones only in make test-all: a quicker one has the same layers."""
    return [pytest.param(n, marks=pytest.mark.slow if n in slow else ()) for n in NETWORKS]


@pytest.mark.parametrize("name", networks("wrn-34-10", "wrn-34-10-fu"))
def test_frozen_copy_agrees_with_every_network(name):
    model = _with_statistics(build(name, 10, size=32, seed=1))
    x = torch.rand(2, 3, 32, 32, generator=generator("cpu", 4))
    plain = model.eval()(x).detach()
    frozen = Frozen(model, bfloat16=False)
    scale = plain.abs().max()
    assert torch.allclose(frozen(x), plain, atol=1e-4 * float(scale))
    assert not any(p.requires_grad for p in frozen.parameters())
    # a change of the weights arrives after refresh, not before
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.01)
    changed = model(x).detach()
    assert not torch.allclose(frozen(x), changed, atol=1e-4 * float(scale))
    frozen.refresh()
    assert torch.allclose(frozen(x), changed, atol=1e-4 * float(changed.abs().max()))


# where bfloat16 is emulated the wide ones take a minute
@pytest.mark.parametrize("name", networks(*WIDE, "densenet121", "vgg16", "vgg19", "resnet18"))
def test_bfloat16_keeps_the_loss_and_most_signs_of_its_gradient(name):
    model = _with_statistics(build(name, 10, size=32, seed=1)).eval()
    x, y = torch.rand(4, 3, 32, 32, generator=generator("cpu", 5)), torch.arange(4) % 10
    signs, losses = [], []
    for bfloat16 in (False, True):
        z = x.clone().requires_grad_()
        loss = total_loss(Frozen(model, bfloat16=bfloat16), z, y)
        signs.append(torch.autograd.grad(loss, z)[0].sign())
        losses.append(float(loss.detach()))
    # seen: 0.87 (resnet50) to 0.98 (convnet) of the signs, losses within 1.2 %
    assert float((signs[0] == signs[1]).float().mean()) > 0.8
    assert abs(losses[0] - losses[1]) < 0.03 * abs(losses[0])


class _Untraceable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        return x.mean((2, 3)) if float(x.sum()) > 0 else x.amax((2, 3))


def test_an_untraceable_model_runs_unfolded_and_says_so():
    model = _with_statistics(_Untraceable())
    with pytest.warns(UserWarning, match="not traceable"):
        frozen = Frozen(model, bfloat16=False)
    x = torch.rand(2, 3, 8, 8)
    assert torch.allclose(frozen(x), model.eval()(x), atol=1e-5)


def test_a_shared_convolution_is_not_folded():
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(self.norm(self.conv(x))).mean((2, 3))

    model = _with_statistics(Shared())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frozen = Frozen(model, bfloat16=False)
    x = torch.rand(2, 3, 8, 8)
    assert torch.allclose(frozen(x), model.eval()(x), atol=1e-5)


def _gradient(frozen: Frozen) -> torch.Tensor:
    x = torch.rand(4, 3, 32, 32, generator=generator("cpu", 5)).requires_grad_()
    return torch.autograd.grad(total_loss(frozen, x, torch.arange(4)), x)[0]


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on the CPU")
def test_a_compiled_copy_is_the_same_function_and_follows_the_weights(compiling, monkeypatch):
    model = _with_statistics(build("tests.networks:shallow", 10, size=32, seed=1))
    with monkeypatch.context() as patch:
        patch.delenv(COMPILE)
        plain = Frozen(model, bfloat16=False)
    compiled = Frozen(model, bfloat16=False)
    for _ in range(2):
        wanted = _gradient(plain)
        assert torch.allclose(_gradient(compiled), wanted, atol=1e-5 * float(wanted.abs().max()))
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1.1)
        plain.refresh()
        compiled.refresh()
    assert compiled.passes == plain.passes == 8
    # a loss on features looks inside, where a compiled program does not let it
    x = torch.rand(2, 3, 32, 32).requires_grad_()
    assert torch.equal(compiled.features(x), plain.features(x))


def test_without_a_compiler_the_network_runs_as_it_is_and_says_so(compiling, monkeypatch, tmp_path):
    model = _with_statistics(build("convnet", 10, size=32, seed=1))
    with monkeypatch.context() as patch:
        patch.delenv(COMPILE)
        plain = Frozen(model, bfloat16=False)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    compiled = Frozen(model, bfloat16=False)
    nowhere = {"cpp.cxx": (None, str(tmp_path / "no compiler"))}
    with (
        torch._inductor.config.patch(nowhere),
        pytest.warns(UserWarning, match="torch.compile failed"),
    ):
        first = _gradient(compiled)
    assert torch.equal(first, _gradient(plain)) and torch.equal(_gradient(compiled), first)


def _with_statistics(model: nn.Module) -> nn.Module:
    """Batch norms as after some training, so that a fold that forgets them shows."""
    g = generator("cpu", 6)
    model = copy.deepcopy(model)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.2, generator=g)
            m.running_var.uniform_(0.5, 1.5, generator=g)
            m.weight.data.uniform_(0.5, 1.5, generator=g)
            m.bias.data.normal_(0, 0.2, generator=g)
    return model


def _pair(conv: nn.Module, norm: nn.Module) -> nn.Sequential:
    return nn.Sequential(conv, norm, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class _ByKeyword(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(input=self.conv(x)).mean((2, 3))


def _hooked() -> nn.Sequential:
    model = _pair(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    model[1].register_forward_hook(lambda module, inputs, out: out.square())
    return model


@pytest.mark.parametrize(
    "model",
    [
        *(
            _pair(wrap(nn.Conv2d(3, 4, 3)), nn.BatchNorm2d(4))
            for wrap in (parametrizations.weight_norm, parametrizations.spectral_norm)
        ),
        _hooked(),
        _ByKeyword(),
    ],
    ids=["weight norm", "spectral norm", "a hook", "called by keyword"],
)
def test_what_cannot_be_folded_is_not(model):
    """A parametrized convolution computes its weight when it is asked for it: what folding writes
    there is lost."""
    model = _with_statistics(model).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frozen = Frozen(model, bfloat16=False)
    x = torch.rand(2, 3, 8, 8)
    assert torch.allclose(frozen(x), model(x), atol=1e-5)
