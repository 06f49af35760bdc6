"""How well an attacker can tell protected images from clean ones, with a network of two layers.

Zhu et al., "Detection and Defense of Unlearnable Examples" (AAAI 2024), detect a set of images: two
layers learn its labels far too well (``classes_protected``; theirs by SGD from 40,000 images, here
by Adam from at most half of 5,000, which makes it a lower bound). To tell single images is ours."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.core.seeding import generator
from unlearnable.core.units import to_unit
from unlearnable.data.images import Images
from unlearnable.evaluation.results import Detection
from unlearnable.evaluation.transforms import mean_filter
from unlearnable.training.accuracy import balanced

HIDDEN, EPOCHS, BATCH = 256, 20, 128
STEPS = 200  # at least: a small set is seen more often
NUMBERS = 5000 * 3 * 32 * 32  # pixel values per set, for memory

Pairs = tuple[Images, Images]
Labeled = tuple[Tensor, Tensor]
"""inputs [N, D] and labels [N]"""
View = Callable[[Images, Tensor], Tensor]
"""(images, rows) -> inputs [N, D]"""


def detect(
    clean: Images, protected: Images, *, own: Pairs | None = None, seed: int = 0
) -> Detection:
    """Train detectors on half of the images, clean and protected, and test them on the other half.

    own: an attacker's own pairs; a further detector trains on those and is tested on all images.
    The authors' sign of protection is that two layers learn its classes: those accuracies are for
    held-out images too. Their hidden layer is as wide as the images; this one has ``HIDDEN`` units.
    Of many or large images, as many count as have ``NUMBERS`` pixel values.
    """
    most = max(2, NUMBERS // clean.x[0].numel())
    rows = _drawn(len(clean), most, seed)
    known, rest = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    both = clean, protected
    views: dict[str, View] = {"pixels": _pixels, "residuals": _residuals}
    told = {
        name: _accuracy(_sides(both, view, known), _sides(both, view, rest), 2, seed)
        for name, view in views.items()
    }
    learned = [
        _accuracy(_labels(images, known), _labels(images, rest), len(clean.classes), seed)
        for images in both
    ]
    by_own = None
    if own is not None:
        train, test = (_sides(p, _residuals, _drawn(len(p[0]), most, seed)) for p in (own, both))
        by_own = round(_accuracy(train, test, 2, seed), 2)
    return Detection(
        pixels=round(told["pixels"], 2),
        residuals=round(told["residuals"], 2),
        own_pairs=by_own,
        classes_clean=round(learned[0], 2),
        classes_protected=round(learned[1], 2),
    )


def _drawn(n: int, most: int, seed: int) -> Tensor:
    """At most so many of n rows, in random order: a folder's images come class by class."""
    return torch.randperm(n, generator=generator("cpu", seed, "detector"))[:most]


def _pixels(images: Images, rows: Tensor) -> Tensor:
    return to_unit(images.x[rows]).flatten(1)


def _residuals(images: Images, rows: Tensor) -> Tensor:
    """What a mean over 3 x 3 pixels takes away: most of the noise, little of the image."""
    x = images.x[rows]
    return (to_unit(x) - to_unit(mean_filter(x, 3))).flatten(1)


def _sides(pair: Pairs, view: View, rows: Tensor) -> Labeled:
    """The same images clean (label 0) and protected (1)."""
    x = torch.cat([view(images, rows) for images in pair])
    return x, torch.arange(2).repeat_interleave(len(rows))


def _labels(images: Images, rows: Tensor) -> Labeled:
    return _pixels(images, rows), images.y[rows]


def _accuracy(train: Labeled, test: Labeled, classes: int, seed: int) -> float:
    """Return the balanced accuracy on ``test`` in %, of a network trained on ``train`` with Adam;
    inputs are centered and scaled by those of ``train``."""
    center, scale = train[0].mean(0), train[0].std().clamp(min=1e-6)
    x, y = (train[0] - center) / scale, train[1]
    g = generator("cpu", seed, "detector", classes)
    with torch.random.fork_rng([]):
        torch.manual_seed(g.initial_seed())
        layers = nn.Linear(x.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes)
    model = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=5e-4)
    for _ in range(max(EPOCHS, -(-STEPS * BATCH // len(x)))):
        for i in torch.randperm(len(x), generator=g).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(model(x[i]), y[i]).backward()
            optimizer.step()
    with torch.no_grad():
        found = torch.cat([model((z - center) / scale).argmax(1) for z in test[0].split(4096)])
    right = torch.bincount(test[1][found == test[1]], minlength=classes)
    return balanced(right, test[1])
