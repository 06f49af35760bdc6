"""Countermeasures against what defines them, restated pixel by pixel."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

from unlearnable import (
    COUNTERMEASURES,
    Images,
    Uniform,
    UserError,
    apply_countermeasure,
    denoised,
    load,
    mix_in_clean,
    protect,
    train_denoiser,
)
from unlearnable.core.seeding import generator
from unlearnable.data.jpeg import jpeg
from unlearnable.evaluation import denoiser, rate_vae
from unlearnable.evaluation.countermeasures import try_countermeasure
from unlearnable.evaluation.transforms import from_site, projection_classifier


@pytest.fixture
def noisy() -> Images:
    x = torch.randint(0, 256, (3, 3, 12, 10), dtype=torch.uint8, generator=generator("cpu", 0))
    return Images(x, torch.tensor([0, 1, 1]), ("a", "b"), {"source": "made up"})


@pytest.mark.parametrize("name", list(COUNTERMEASURES))
def test_every_counter_keeps_labels_shape_and_input(noisy, name, monkeypatch):
    monkeypatch.setattr(rate_vae, "STEPS", 2)
    before = noisy.x.clone()
    done = apply_countermeasure(name, noisy)
    assert torch.equal(noisy.x, before) and done.y is noisy.y and done.classes == noisy.classes
    assert done.x.shape == before.shape and not torch.equal(done.x, before)
    assert done.x.dtype == (torch.float32 if done.unclipped else torch.uint8)
    assert done.unclipped == (name == "projection")
    assert done.source == {"source": "made up", "countermeasure": name}
    if name in ("projection", "d-vae"):  # learn from the images first
        return
    level = 64 if name == "posterize2" else 85  # one that 2 bits have
    flat = Images(
        torch.full((2, 3, 16, 16), level, dtype=torch.uint8), torch.tensor([0, 1]), ("a", "b")
    )
    after = apply_countermeasure(name, flat).x  # without detail: nothing to remove
    # JPEG of quality 10 rounds a block's mean to steps of 80 / 8
    assert int((after.short() - level).abs().max()) <= (5 if name.startswith("jpeg") else 0)
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


def test_class_means_take_away_what_a_class_shares():
    """Known answer: the same images in both classes, one of them with a pattern on top, have only
    that between their means; afterwards both are alike, and have the mean of all."""
    x = torch.randint(40, 216, (10, 3, 8, 8), generator=generator("cpu", 0))
    pattern = 2 * torch.randint(-4, 5, (3, 8, 8), generator=generator("cpu", 1))
    both = torch.cat([x, x + pattern]).to(torch.uint8)
    data = Images(both, torch.tensor([0, 1]).repeat_interleave(10), ("a", "b"))
    after = apply_countermeasure("class-means", data).x
    assert torch.equal(after[:10], (x + pattern // 2).to(torch.uint8))
    assert torch.equal(after[10:], after[:10])


@pytest.mark.parametrize("name", ["mean3", "median3", "gaussian3"])
def test_filters_by_hand(noisy, name):
    done = apply_countermeasure(name, noisy).x
    g = np.array([1, 2, 1])  # cv2.getGaussianKernel(3, 0) is [0.25 0.5 0.25]
    for row, column in ((4, 5), (7, 2)):
        window = noisy.x[1, 2, row - 1 : row + 2, column - 1 : column + 2].numpy().astype(float)
        known = {
            "mean3": window.mean(),
            "median3": np.median(window),
            "gaussian3": (window * np.outer(g, g)).sum() / g.sum() ** 2,
        }[name]
        assert abs(int(done[1, 2, row, column]) - known) <= 0.51


def test_jpeg_levels_are_ordered_and_a_site_is_one_of_them():
    """The higher the quality, the nearer; a site is JPEG 85 up to 1080 pixels, and above that loses
    what the smaller size cannot hold."""
    data = load("shapes", limit=20)
    far = {
        name: float((apply_countermeasure(name, data).x.float() - data.x.float()).abs().mean())
        for name in ("jpeg10", "jpeg30", "jpeg50", "jpeg70", "site", "jpeg90")
    }
    assert list(far.values()) == sorted(far.values(), reverse=True)
    assert torch.equal(apply_countermeasure("site", data).x, jpeg(data.x, 85))
    stripes = np.zeros((1000, 2160, 3), dtype=np.uint8)
    stripes[:, ::2] = 255  # of one pixel, of which half the width keeps the mean
    seen = from_site(Image.fromarray(stripes))
    assert (
        seen.size == (1080, 500) and np.abs(np.asarray(seen).astype(int) - 127)[:, 4:-4].max() < 12
    )
    assert from_site(Image.new("RGB", (300, 1080))).size == (300, 1080)
    assert from_site(Image.new("RGB", (3, 2160))).size == (2, 1080)


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
    # Liu et al.'s program cuts with torchvision's posterize, which is PIL's
    cut = apply_countermeasure("posterize2", noisy).x
    assert set(cut.unique().tolist()) == {0, 64, 128, 192}
    theirs = ImageOps.posterize(Image.fromarray(noisy.x[2].permute(1, 2, 0).numpy()), 2)
    assert np.array_equal(cut[2].permute(1, 2, 0), np.asarray(theirs))


def test_an_unknown_counter(noisy):
    with pytest.raises(UserError, match="no countermeasure 'jpg'"):
        apply_countermeasure("jpg", noisy)


def test_bilateral_by_hand(noisy):
    """OpenCV's weights: a Gaussian of the distance times one of the colors' L1 difference, over the
    49 mirrored pixels that are at most 4 away."""
    x = np.pad(noisy.x[1].numpy().astype(float), ((0, 0), (4, 4), (4, 4)), mode="reflect")
    window, center = x[:, 3:12, 2:11], x[:, 7:8, 6:7]
    apart = np.abs(window - center).sum(0) / 75
    squared = np.add.outer(np.arange(-4, 5) ** 2, np.arange(-4, 5) ** 2)
    weight = np.exp(-(apart**2 + squared / 75**2) / 2) * (squared <= 16)
    known = (window * weight).sum((1, 2)) / weight.sum()
    assert (
        np.abs(apply_countermeasure("bilateral", noisy).x[1, :, 3, 2].numpy() - known).max() <= 0.6
    )


def test_projection_takes_away_what_a_line_separates():
    """Known answer: on gray images with one flat tint per class, the tint is what the classifier
    uses, and goes."""
    y = torch.arange(60) % 3
    x = torch.full((60, 3, 8, 8), 128.0)
    x[torch.arange(60), y] += 8
    x += torch.randint(-2, 3, x.shape, generator=generator("cpu", 1))
    data = Images(x.to(torch.uint8), y, ("a", "b", "c"))
    left = apply_countermeasure("projection", data).x * 255
    tint = torch.stack([left[y == c].mean((0, 2, 3)) for c in range(3)])
    assert float((tint - tint.mean(0)).abs().max()) < 0.5  # 5.3 before


def test_projection_is_that_of_its_authors():
    """Restated from Sandoval-Segura et al.'s program: directions from a QR of the normalized
    weights, subtracted one after the other, the result neither rounded nor clipped; SGD in batches
    of 1,024, the rate 0.1 until half, 0.01 until three quarters, 0.001 to the end; the loss ends
    below that of guessing."""
    data = load("shapes", limit=200)
    data = replace(data, x=data.x[..., ::4, ::4].contiguous())  # 8 x 8 pixels: 192 weights
    x = data.x.flatten(1).float() / 255
    weight = projection_classifier(x, data.y)
    assert float(F.cross_entropy(x @ weight.T, data.y)) < np.log(10)
    q, _ = np.linalg.qr(np.stack([w / np.linalg.norm(w) for w in weight.double().numpy()]).T)
    known = x.double().numpy()
    for direction in q.T:
        known -= np.outer(known @ direction, direction)
    ours = apply_countermeasure("projection", data)
    assert np.abs(ours.x.flatten(1).numpy() - known).max() < 1e-4
    assert float(ours.x.min()) < 0 and ours.unclipped
    assert torch.equal(
        ours.pixels(torch.tensor([3]), "cpu")[0], ours.x[3]
    )  # as the learner sees it
    with pytest.raises(UserError, match="protect the images themselves"):
        protect(ours, Uniform())

    slow = torch.empty(10, x.shape[1], dtype=torch.float64)  # the training, step by step
    g = generator("cpu", "projection")
    slow[:] = torch.empty(slow.shape).uniform_(-(192**-0.5), 192**-0.5, generator=g)
    for epoch in range(980):  # one batch per epoch: as many epochs as CIFAR-10 has steps
        rate = 0.1 if epoch < 490 else 0.01 if epoch < 735 else 0.001
        p = (x.double() @ slow.T).softmax(1) - torch.eye(10)[data.y]
        slow -= rate * p.T @ x.double() / len(x)
        torch.randperm(len(x), generator=g)  # the order does not matter within one batch
    loss = [float(F.cross_entropy(x.double() @ w.double().T, data.y)) for w in (slow, weight)]
    assert loss[1] == pytest.approx(loss[0], rel=0.05)


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


OWN = """import sys
def invert(x): return 255 - x
def wrong(x): return x.float()
def sparse(x): return x.to_sparse()
def raises(x): raise ValueError("two\\nlines")
def leaves(x): sys.exit(0)
def two(x, y): return x
number = 3
"""


def test_a_persons_own(noisy, tmp_path, monkeypatch):
    (tmp_path / "counter.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    assert torch.equal(apply_countermeasure("counter:invert", noisy).x, 255 - noisy.x)
    for name, said in (
        ("wrong", "must return uint8"),
        ("sparse", "returned torch.sparse_coo on cpu"),
        ("other", "no 'other'"),
        ("number", "is not a function"),
        (
            "raises",
            r"'counter:raises' failed on \d+ images, ValueError: two lines \(.*counter.py:5\)",
        ),
        ("leaves", "SystemExit: 0"),
        ("two", r"failed on \d+ images, TypeError: two\(\) missing 1 required"),
    ):
        for call in (apply_countermeasure, try_countermeasure):
            with pytest.raises(UserError, match=said):
                call(f"counter:{name}", noisy)


def test_denoiser_learns_the_noise_of_the_leaked_pairs(monkeypatch):
    """One tint on every image: the images that did not leak come back within a third of it."""
    monkeypatch.setattr(denoiser, "BATCH", 4)
    clean = load("shapes", limit=100)
    hidden = replace(
        clean,
        x=(clean.x.short() + torch.tensor([8, -8, 8]).view(3, 1, 1)).clamp(0, 255).to(torch.uint8),
    )
    x = denoised(train_denoiser(clean, hidden, fraction=0.2, steps=50), hidden.x)
    before, after = ((z.float() - clean.x.float()).abs().mean() for z in (hidden.x, x))
    assert float(after) < float(before) / 3
    with pytest.raises(UserError, match="same images"):
        train_denoiser(clean, load("shapes", limit=50), fraction=0.2)
    with pytest.raises(UserError, match="above 0"):
        train_denoiser(clean, hidden, fraction=0)
