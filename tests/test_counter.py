"""Countermeasures against what defines them, restated pixel by pixel."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from unlearnable import COUNTERS, Images, UserError, counter
from unlearnable.dist import generator


@pytest.fixture
def noisy() -> Images:
    x = torch.randint(0, 256, (3, 3, 12, 10), dtype=torch.uint8, generator=generator("cpu", 0))
    return Images(x, torch.tensor([0, 1, 1]), ("a", "b"), {"source": "made up"})


@pytest.mark.parametrize("name", list(COUNTERS))
def test_every_counter_keeps_labels_shape_and_input(noisy, name):
    before = noisy.x.clone()
    done = counter(name, noisy)
    assert torch.equal(noisy.x, before) and done.y is noisy.y and done.classes == noisy.classes
    assert done.x.dtype == torch.uint8 and done.x.shape == before.shape and not torch.equal(done.x, before)
    assert done.source == {"source": "made up", "counter": name}
    flat = Images(torch.full((2, 3, 16, 16), 85, dtype=torch.uint8), torch.tensor([0, 1]), ("a", "b"))
    after = counter(name, flat).x  # a level of 2 bits, without detail: nothing to remove
    # JPEG of quality 10 rounds a block's mean to steps of 80 / 8
    assert int((after.short() - 85).abs().max()) <= (5 if name.startswith("jpeg") else 0)
    assert len(after.unique()) == 1


@pytest.mark.parametrize("name", ["mean3", "median3", "gaussian3"])
def test_filters_by_hand(noisy, name):
    done = counter(name, noisy).x
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
    assert np.array_equal(counter("jpeg30", noisy).x[2].permute(1, 2, 0), np.asarray(Image.open(file)))
    grey = counter("gray", noisy).x
    assert torch.equal(grey[:, 0], grey[:, 1]) and torch.equal(grey[:, 0], grey[:, 2])
    r, g, b = noisy.x[0, :, 3, 3].tolist()
    assert abs(int(grey[0, 0, 3, 3]) - (0.299 * r + 0.587 * g + 0.114 * b)) <= 0.51
    assert set(counter("bits2", noisy).x.unique().tolist()) == {0, 85, 170, 255}
    assert int((counter("bits2", noisy).x.short() - noisy.x.short()).abs().max()) <= 43


def test_an_unknown_counter(noisy):
    with pytest.raises(UserError, match="no countermeasure 'jpg'"):
        counter("jpg", noisy)
