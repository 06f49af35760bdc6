"""Convolutions as matrix products against torch's own, and where they are taken."""

import pytest
import torch
import torch.nn.functional as F

from unlearnable import build
from unlearnable.core.seeding import generator
from unlearnable.training import small_conv
from unlearnable.training.small_conv import Convolution, SmallConv
from unlearnable.training.trainer import Trainer


@pytest.mark.parametrize("at_once", [small_conv.MAX_ELEMENTS, 1])
@pytest.mark.parametrize("weights_exceed_cache", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "height", "width"),
    [
        (3, 1, 1, 4, 4),
        (3, 2, 1, 8, 6),
        (1, 1, 0, 4, 3),
        (1, 2, 0, 4, 4),
        (3, 1, 0, 5, 5),
        (2, 1, 1, 3, 3),
    ],
)
def test_value_and_all_gradients_equal_those_of_torch(
    kernel, stride, padding, height, width, weights_exceed_cache, at_once, monkeypatch
):
    monkeypatch.setattr(small_conv, "MAX_ELEMENTS", at_once)
    g = generator("cpu", 0)
    x = torch.randn(5, 3, height, width, dtype=torch.double, generator=g).requires_grad_()
    weight = torch.randn(4, 3, kernel, kernel, dtype=torch.double, generator=g).requires_grad_()
    bias = torch.randn(4, dtype=torch.double, generator=g).requires_grad_()
    wanted = F.conv2d(x, weight, bias, stride, padding)
    found = Convolution.apply(x, weight, bias, stride, padding, weights_exceed_cache)
    assert torch.allclose(found, wanted, atol=1e-12)
    back = torch.randn(wanted.shape, dtype=torch.double, generator=g)
    pairs = zip(
        *(torch.autograd.grad(y, (x, weight, bias), back) for y in (found, wanted)), strict=True
    )
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in pairs)


def test_only_small_maps_in_bfloat16_go_that_way(monkeypatch):
    taken = []
    monkeypatch.setattr(Convolution, "apply", lambda x, *_: taken.append(x.dtype) or x)
    x, weight = torch.rand(2, 8, 4, 4), torch.rand(8, 8, 3, 3)
    with SmallConv():
        F.conv2d(x, weight, padding=1)  # float32
        with torch.autocast("cpu", torch.bfloat16):
            F.conv2d(torch.rand(2, 8, 32, 32), weight, padding=1)  # a large map
            F.conv2d(x, torch.rand(8, 1, 3, 3), padding=1, groups=8)
            F.conv2d(x, weight, padding=2, dilation=2)
            F.conv2d(x, weight, padding="same")
            assert not taken
            F.conv2d(x, weight, None, 1, 1)
    F.conv2d(x.bfloat16(), weight.bfloat16(), padding=1)  # outside
    assert taken == [torch.bfloat16]


@pytest.mark.parametrize(
    "name", ["convnet", *(pytest.param(n, marks=pytest.mark.slow) for n in ("resnet18", "vgg16"))]
)
def test_a_training_step_is_the_same_up_to_rounding(name, monkeypatch):
    """The step that bfloat16 takes either way, from that of float32: as far with matrices as
    without."""
    x, y = torch.rand(4, 3, 32, 32, generator=generator("cpu", 1)), torch.arange(4)
    far = {}
    for kind, bfloat16, faster in (
        ("float32", False, False),
        ("plain", True, False),
        ("matrices", True, True),
    ):
        monkeypatch.setattr(small_conv, "is_faster", lambda *_, faster=faster: faster)
        model = build(name, 4, size=32, seed=1)
        before = torch.cat([p.detach().flatten() for p in model.parameters()])
        settings = {"momentum": 0.0, "weight_decay": 0.0, "bfloat16": bfloat16}
        Trainer(model, lr=1.0, **settings).step(x, y, 1.0)
        far[kind] = torch.cat([p.detach().flatten() for p in model.parameters()]) - before
    length = far["float32"].norm()
    plain, matrices = (
        float((far[k] - far["float32"]).norm() / length) for k in ("plain", "matrices")
    )
    assert matrices < 1.3 * plain + 1e-3
    assert not torch.equal(far["plain"], far["matrices"])
