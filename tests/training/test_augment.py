"""T is the paper's distribution: the batched matrices against one image at a time."""

import math

import pytest
import torch
import torch.nn.functional as F

from tests.restated import slow_flip_crop
from unlearnable import AUGMENTATIONS
from unlearnable.core.seeding import generator
from unlearnable.training.augment import (
    LUMA,
    Contrastive,
    FlipCrop,
    Gray,
    Identity,
    ResizedCrop,
    _apply,
    _resize,
    for_size,
)


@pytest.mark.parametrize("shape", [(64, 3, 32, 32), (7, 3, 24, 40)])
def test_flip_crop_equals_the_slow_one_exactly(shape):
    x = torch.rand(shape)
    fast = FlipCrop(4)(x, generator("cpu", 1))
    assert torch.equal(fast, slow_flip_crop(x, 4, generator("cpu", 1)))


def test_flip_crop_draws_every_offset_and_both_sides_equally():
    n = 20_000
    x = torch.zeros(n, 1, 9, 9)
    x[:, :, 4, 4] = 1  # one bright pixel, moved by -4..4 each way; with padding 4 it never leaves
    spot = FlipCrop(4)(x, generator("cpu", 2)).flatten(1).argmax(1)
    counts = torch.bincount(spot, minlength=81).float()
    expected = n / 81
    assert float(((counts - expected) ** 2 / expected).sum()) < 80 + 5 * math.sqrt(
        160
    )  # chi-square, 80 degrees
    corner = torch.zeros(n, 1, 9, 9)
    corner[:, :, :, 0] = 1
    right = FlipCrop(0)(corner, generator("cpu", 3))[:, 0, 0, 8]
    assert abs(float(right.mean()) - 0.5) < 5 * 0.5 / math.sqrt(n)


def test_resize_matrices_equal_interpolate_on_each_crop():
    x = torch.rand(6, 3, 64, 64)
    top, left = torch.tensor([0, 3, 10, 20, 0, 31]), torch.tensor([0, 7, 1, 30, 5, 0])
    h, w = torch.tensor([64, 50, 20, 9, 33, 33]), torch.tensor([64, 20, 60, 7, 56, 64])
    out = _apply(_resize(top, h, 64, 56), _resize(left, w, 64, 56), x)
    for k in range(6):
        crop = x[k : k + 1, :, top[k] : top[k] + h[k], left[k] : left[k] + w[k]]
        slow = F.interpolate(crop, (56, 56), mode="bilinear", antialias=True, align_corners=False)
        assert torch.allclose(out[k], slow[0], atol=2e-5)


def slow_box(height: int, width: int, g: torch.Generator) -> tuple[int, int, int, int]:
    """One box, one try at a time, as RandomResizedCrop is defined."""
    for _ in range(10):
        area = float(torch.empty(1).uniform_(0.08, 1, generator=g)) * height * width
        aspect = math.exp(
            float(torch.empty(1).uniform_(math.log(3 / 4), math.log(4 / 3), generator=g))
        )
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top = int(torch.randint(0, height - h + 1, (1,), generator=g))
            left = int(torch.randint(0, width - w + 1, (1,), generator=g))
            return top, left, h, w
    raise AssertionError("ten tries failed on a square image")


def test_boxes_have_the_slow_ones_distribution():
    n = 4000
    fast = torch.stack(ResizedCrop(224).boxes(n, 256, 256, "cpu", generator("cpu", 4))).T.float()
    g = generator("cpu", 5)
    slow = torch.tensor([slow_box(256, 256, g) for _ in range(n)]).float()
    for k in range(4):  # two-sample Kolmogorov-Smirnov distance, critical value for p = 1e-6
        grid = torch.arange(257.0)
        d = (
            (
                (fast[:, k, None] <= grid).float().mean(0)
                - (slow[:, k, None] <= grid).float().mean(0)
            )
            .abs()
            .max()
        )
        assert float(d) < 2.69 * math.sqrt(2 / n)


def test_box_that_never_fits_is_the_largest_centered_one():
    top, left, h, w = ResizedCrop(224).boxes(3, 40, 4000, "cpu", generator("cpu", 0))
    assert (
        (h <= 40).all() and (w <= 4000).all() and (left + w <= 4000).all() and (top + h <= 40).all()
    )
    none = ResizedCrop(224, area=(1.0, 1.0)).boxes(1, 40, 4000, "cpu", generator("cpu", 0))
    assert [int(v) for v in none] == [0, 1973, 40, 53]  # aspect 4/3 of the height, in the middle


@pytest.mark.parametrize("t", [FlipCrop(4), ResizedCrop(28)])
def test_gradient_is_the_transpose(t):
    x = torch.rand(5, 3, 32, 32, requires_grad=True)
    y = t(x, generator("cpu", 6))
    w = torch.rand_like(y)
    (g,) = torch.autograd.grad((y * w).sum(), x)
    # linear: <T x, w> = <x, T* w>, up to rounding
    assert torch.allclose((g * x).sum(), (y * w).sum(), rtol=1e-4)


def test_the_paper_s_t_for_each_size():
    assert for_size(32, 32) == FlipCrop(4)
    assert for_size(256, 256) == ResizedCrop(224)
    assert ResizedCrop(224).test(torch.rand(1, 3, 256, 256)).shape[-2:] == (224, 224)


def test_contrastive_views():
    """Strength 0 is flip and resize only; otherwise the gradient reaches the image and draws follow
    the generator."""
    x = torch.rand(40, 3, 32, 32, generator=generator("cpu", 1))
    plain = Contrastive((32, 32), 0.0)(x, generator("cpu", 2))
    assert all(
        torch.allclose(a, b, atol=1e-6) or torch.allclose(a, b.flip(-1), atol=1e-6)
        for a, b in zip(plain, x)
    )
    view, state = Contrastive((32, 32), 0.6), torch.get_rng_state()
    x.requires_grad_(True)
    one, two, three = (view(x, generator("cpu", k)) for k in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)  # torch's own generator is left alone
    assert torch.equal(one, two) and not torch.equal(one, three) and one.shape == x.shape
    (gradient,) = torch.autograd.grad(one.sum(), x)
    assert (gradient.flatten(1).abs().sum(1) > 0).all()
    gray = (one[:, 0] - one[:, 1]).abs().amax((1, 2)) < 1e-5
    assert 0 < int(gray.sum()) < 20


def test_contrastive_jitter_multiplies():
    """On a flat dark gray only brightness acts, by 1 +- 0.4 strength with probability 0.8 strength
    (kornia's ColorJitter in EhanW/AUE-AAP); an added 0.24 would more than double it."""
    x = torch.full((4000, 3, 8, 8), 0.2)
    factor = Contrastive((8, 8), 0.6)(x, generator("cpu", 1))[:, 0, 4, 4] / 0.2
    assert 0.76 - 1e-4 <= float(factor.min()) < 0.78 and 1.22 < float(factor.max()) <= 1.24 + 1e-4
    changed = float(((factor - 1).abs() > 1e-5).float().mean())
    assert abs(changed - 0.48) < 5 * (0.48 * 0.52 / 4000) ** 0.5


def test_gray_views_are_the_luma_of_that_share():
    x = torch.rand(4000, 3, 2, 2, generator=generator("cpu", 1))
    luma = (LUMA[0] * x[:, 0] + LUMA[1] * x[:, 1] + LUMA[2] * x[:, 2])[:, None].expand_as(x)
    some = Gray(Identity(), 0.3)(x, generator("cpu", 2))
    gone = (some == some[:, :1]).flatten(1).all(1)
    assert torch.allclose(some[gone], luma[gone], atol=1e-6) and torch.equal(some[~gone], x[~gone])
    assert abs(float(gone.float().mean()) - 0.3) < 5 * (0.3 * 0.7 / 4000) ** 0.5
    cropped = Gray(FlipCrop(1), 0.0)(x, generator("cpu", 3))
    assert torch.equal(cropped, FlipCrop(1)(x, generator("cpu", 3)))
    assert torch.allclose(Gray(Identity(), 1.0)(x, generator("cpu", 2)), luma, atol=1e-6)
    assert torch.equal(Gray(Identity(), 1.0).test(x), x)


def test_images_that_are_not_square_keep_their_shape():
    x = torch.rand(4, 3, 24, 36, generator=generator("cpu", 1))
    view = Contrastive((24, 36), 0.6)
    assert view(x, generator("cpu", 2)).shape == view.test(x).shape == x.shape
    crop = ResizedCrop((12, 18))
    assert crop(x, generator("cpu", 2)).shape == crop.test(x).shape == (4, 3, 12, 18)
    assert AUGMENTATIONS["crops"].load()(x, torch.arange(4), 4)[0].shape == x.shape
