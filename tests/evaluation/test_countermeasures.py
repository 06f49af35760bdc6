"""Countermeasures against what defines them, restated pixel by pixel."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from unlearnable import (
    COUNTERMEASURES,
    Images,
    UserError,
    apply_countermeasure,
    denoised,
    load,
    mix_in_clean,
    train_denoiser,
)
from unlearnable.core.seeding import generator


@pytest.fixture
def noisy() -> Images:
    x = torch.randint(0, 256, (3, 3, 12, 10), dtype=torch.uint8, generator=generator("cpu", 0))
    return Images(x, torch.tensor([0, 1, 1]), ("a", "b"), {"source": "made up"})


@pytest.mark.parametrize("name", list(COUNTERMEASURES))
def test_every_counter_keeps_labels_shape_and_input(noisy, name):
    before = noisy.x.clone()
    done = apply_countermeasure(name, noisy)
    assert torch.equal(noisy.x, before) and done.y is noisy.y and done.classes == noisy.classes
    assert (
        done.x.dtype == torch.uint8
        and done.x.shape == before.shape
        and not torch.equal(done.x, before)
    )
    assert done.source == {"source": "made up", "countermeasure": name}
    flat = Images(
        torch.full((2, 3, 16, 16), 85, dtype=torch.uint8), torch.tensor([0, 1]), ("a", "b")
    )
    # a level of 2 bits, without detail: nothing to remove
    after = apply_countermeasure(name, flat).x
    # JPEG of quality 10 rounds a block's mean to steps of 80 / 8
    assert int((after.short() - 85).abs().max()) <= (5 if name.startswith("jpeg") else 0)
    assert len(after.unique()) == 1


def test_white_balance_takes_a_tint_away():
    """Known answer: an image whose channels have one mean stays, tinted or not."""
    x = torch.randint(40, 216, (2, 1, 12, 10), dtype=torch.uint8, generator=generator("cpu", 0))
    tint = torch.tensor([0.9, 1.0, 1.15]).view(1, 3, 1, 1)
    data = Images(x.expand(2, 3, 12, 10).contiguous(), torch.tensor([0, 1]), ("a", "b"))
    tinted = replace(data, x=(data.x * tint).round().to(torch.uint8))
    means = apply_countermeasure("white-balance", tinted).x.float().mean((2, 3))
    assert float((means - means.mean(1, keepdim=True)).abs().max()) < 0.2
    assert torch.equal(apply_countermeasure("white-balance", data).x, data.x)


@pytest.mark.parametrize("name", ["mean3", "median3", "gaussian3"])
def test_filters_by_hand(noisy, name):
    done = apply_countermeasure(name, noisy).x
    g = np.exp(-np.array([1, 0, 1]) / (2 * 0.8**2))
    for row, column in ((4, 5), (7, 2)):
        window = noisy.x[1, 2, row - 1 : row + 2, column - 1 : column + 2].numpy().astype(float)
        known = {
            "mean3": window.mean(),
            "median3": np.median(window),
            "gaussian3": (window * np.outer(g, g)).sum() / g.sum() ** 2,
        }[name]
        assert abs(int(done[1, 2, row, column]) - known) <= 0.51


def test_jpeg_gray_and_bits_by_hand(noisy):
    file = io.BytesIO()
    Image.fromarray(noisy.x[2].permute(1, 2, 0).numpy()).save(file, "JPEG", quality=30)
    assert np.array_equal(
        apply_countermeasure("jpeg30", noisy).x[2].permute(1, 2, 0), np.asarray(Image.open(file))
    )
    gray = apply_countermeasure("gray", noisy).x
    assert torch.equal(gray[:, 0], gray[:, 1]) and torch.equal(gray[:, 0], gray[:, 2])
    r, g, b = noisy.x[0, :, 3, 3].tolist()
    assert abs(int(gray[0, 0, 3, 3]) - (0.299 * r + 0.587 * g + 0.114 * b)) <= 0.51
    assert set(apply_countermeasure("bits2", noisy).x.unique().tolist()) == {0, 85, 170, 255}
    assert int((apply_countermeasure("bits2", noisy).x.short() - noisy.x.short()).abs().max()) <= 43


def test_an_unknown_counter(noisy):
    with pytest.raises(UserError, match="no countermeasure 'jpg'"):
        apply_countermeasure("jpg", noisy)


def test_bilateral_by_hand(noisy):
    """Its weights: a Gaussian of the distance times one of the colors' L1 difference, over 9 x 9
    mirrored pixels."""
    x = np.pad(noisy.x[1].numpy().astype(float), ((0, 0), (4, 4), (4, 4)), mode="reflect")
    window, center = x[:, 3:12, 2:11], x[:, 7:8, 6:7]
    apart = np.abs(window - center).sum(0) / 75
    near = np.add.outer(np.arange(-4, 5) ** 2, np.arange(-4, 5) ** 2) / 75**2
    weight = np.exp(-(apart**2 + near) / 2)
    known = (window * weight).sum((1, 2)) / weight.sum()
    assert (
        np.abs(apply_countermeasure("bilateral", noisy).x[1, :, 3, 2].numpy() - known).max() <= 0.6
    )


def test_coin_moves_a_slope_by_up_to_two_pixels(noisy):
    slope = (10 * torch.arange(16)).to(torch.uint8).expand(3, 3, 16, 16).contiguous()
    away = (apply_countermeasure("coin", replace(noisy, x=slope)).x.float() - slope)[..., 2:-2] / 10
    assert float(away.abs().max()) <= 2.05 and abs(float(away.mean())) < 0.15
    assert abs(float(away.std()) - 2 / 3**0.5) < 0.15  # uniform on [-2, 2]


def test_projection_takes_away_what_a_line_separates():
    """Known answer: on gray images with one flat tint a class, the tint is what the classifier
    uses, and goes."""
    y = torch.arange(60) % 3
    x = torch.full((60, 3, 8, 8), 128.0)
    x[torch.arange(60), y] += 8
    x += torch.randint(-2, 3, x.shape, generator=generator("cpu", 1))
    data = Images(x.to(torch.uint8), y, ("a", "b", "c"))
    tint = torch.stack(
        [
            apply_countermeasure("projection", data).x[y == c].float().mean((0, 2, 3))
            for c in range(3)
        ]
    )
    assert float((tint - tint.mean(0)).abs().max()) < 0.5  # 5.3 before


def test_dilute_takes_a_share_of_every_class(noisy):
    y = torch.arange(20) % 2
    clean = Images(torch.zeros(20, 3, 4, 4, dtype=torch.uint8), y, ("a", "b"))
    mixed = mix_in_clean(replace(clean, x=clean.x + 9), clean, 0.3)
    gone = (mixed.x == 0).all((1, 2, 3))
    assert int(gone[y == 0].sum()) == int(gone[y == 1].sum()) == 3 and (mixed.x[~gone] == 9).all()
    assert not torch.equal(
        mixed.x, mix_in_clean(replace(clean, x=clean.x + 9), clean, 0.3, seed=1).x
    )
    with pytest.raises(UserError, match="same set"):
        mix_in_clean(noisy, clean, 0.3)
    with pytest.raises(UserError, match="between 0 and 1"):
        mix_in_clean(clean, clean, 1.3)


def test_a_persons_own(noisy, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "def invert(x):\n    return 255 - x\n\ndef wrong(x):\n    return x.float()\n"
    )
    monkeypatch.chdir(tmp_path)
    assert torch.equal(apply_countermeasure("mine:invert", noisy).x, 255 - noisy.x)
    with pytest.raises(UserError, match="must return uint8"):
        apply_countermeasure("mine:wrong", noisy)
    with pytest.raises(UserError, match="no 'other'"):
        apply_countermeasure("mine:other", noisy)


def test_denoiser_learns_the_noise_of_the_leaked_pairs():
    """One tint on every image: the images that did not leak come back within a third of it."""
    clean = load("shapes", limit=100)
    hidden = replace(
        clean,
        x=(clean.x.short() + torch.tensor([8, -8, 8]).view(3, 1, 1)).clamp(0, 255).to(torch.uint8),
    )
    x = denoised(train_denoiser(clean, hidden, fraction=0.2, steps=100), hidden.x)
    before, after = ((z.float() - clean.x.float()).abs().mean() for z in (hidden.x, x))
    assert float(after) < float(before) / 3
    with pytest.raises(UserError, match="same images"):
        train_denoiser(clean, load("shapes", limit=50), fraction=0.2)
    with pytest.raises(UserError, match="above 0"):
        train_denoiser(clean, hidden, fraction=0)
