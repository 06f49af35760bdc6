"""The embedded set: the same bytes from the same seed, and nothing but shape tells the class."""

import numpy as np
import pytest
import torch

from unlearnable.core.errors import UserError
from unlearnable.data.load import load
from unlearnable.data.shapes import CLASSES, _inside, _radius, generate


def test_deterministic_balanced_and_a_prefix_of_the_larger():
    x, y = generate(620, 1)
    assert x.shape == (620, 3, 32, 32) and x.dtype == np.uint8 and y.dtype == np.int64
    assert (np.bincount(y) == 62).all() and len(CLASSES) == 10
    again, _ = generate(620, 1)
    short, _ = generate(40, 1)
    assert np.array_equal(x, again) and np.array_equal(x[:40], short)
    assert not np.array_equal(short, generate(40, 2)[0])


def test_only_the_classes_asked_for_are_painted():
    x, y = generate(620, 1)
    for names in (("ring", "star"), ("bar",)):
        wanted = np.isin(y, [CLASSES.index(name) for name in names])
        part, labels = generate(620, 1, classes=names)
        assert np.array_equal(part, x[wanted]) and np.array_equal(labels, y[wanted])


def test_more_than_fit_the_memory_are_refused():
    with pytest.raises(UserError, match=r"At most 1,000,000 images .*, not 100,000,000,000\."):
        load("shapes", limit=10**11)


def _linear(
    train: np.ndarray, y: np.ndarray, test: np.ndarray, labels: np.ndarray, ridge: float
) -> float:
    """Accuracy of ridge regression on one-hot labels, in %."""
    a, b = (torch.from_numpy(np.c_[v, np.ones(len(v))]).double() for v in (train, test))
    target = torch.eye(10).double()[torch.from_numpy(y)]
    w = torch.linalg.solve(a.T @ a + ridge * torch.eye(a.shape[1]).double(), a.T @ target)
    return 100 * float(((b @ w).argmax(1).numpy() == labels).mean())


def test_no_linear_rule_on_pixels_or_colors_finds_the_class():
    (x, y), (u, v) = generate(1500, 3), generate(500, 4)
    pixels = [(a / 255).reshape(len(a), -1) for a in (x, u)]
    colors = [np.c_[a.mean((2, 3)), a.std((2, 3))] / 255 for a in (x, u)]
    assert _linear(pixels[0], y, pixels[1], v, 100.0) < 30
    assert _linear(colors[0], y, colors[1], v, 1e-3) < 20


def test_shapes_have_about_the_same_area():
    v, u = np.mgrid[-2:2:400j, -2:2:400j]
    areas = [16 * _inside(n, u / _radius(n), v / _radius(n)).mean() for n in CLASSES]
    assert max(areas) < 1.1 * min(areas)
