"""Parts of a set: class-balanced limits and fractions, near-duplicates, hold-outs."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.data.images import Images

# Two images are near-duplicates if, at 16 x 16 pixels and after their mean colors are taken away,
# they differ by at most this fraction of the contrast of the paler one. An absolute distance joins
# different things on one background: glasses before a wall differ by 4 to 6 of 255.
NEAR_DUPLICATE_FRACTION = 0.2
# and their mean colors by less than this, in /255: two exposures of one scene, not two blank walls
NEAR_DUPLICATE_SHIFT = 32.0
ROUNDING = 1e-4  # relative, more than that of a float32 mean of 768 numbers


def check_classes(classes: tuple[str, ...] | None, names: tuple[str, ...]) -> None:
    """Raise UserError if one of ``classes`` is not among a set's ``names``, or is named twice."""
    if unknown := [c for c in classes or () if c not in names]:
        raise UserError(f"No class '{unknown[0]}' in this set; it has {', '.join(names)}.")
    if twice := [c for k, c in enumerate(classes or ()) if c in (classes or ())[:k]]:
        raise UserError(f"The class '{twice[0]}' is named twice; name each class once.")


def find_classes(named: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes that are ``named``, by their names or by their numbers from 0, in the
    order of a set's ``names``. Raises UserError for one that is not there."""
    numbers = {str(k): name for k, name in enumerate(names)}
    known = {name: name for name in names}
    if unknown := [c for c in named if c not in numbers | known]:
        raise UserError(
            f"No class '{unknown[0]}' in this set; it has {', '.join(names)}, by these names or by "
            f"the numbers 0 to {len(names) - 1}."
        )
    chosen = {(numbers | known)[c] for c in named}  # a class that is called 3 before number 3
    return tuple(name for name in names if name in chosen)


def class_mask(images: Images, classes: tuple[str, ...]) -> Tensor:
    """Return which images are of one of ``classes``, bool [N]."""
    chosen = torch.tensor([name in classes for name in images.classes])
    return chosen[images.y]


def chosen_rows(
    y: np.ndarray,
    names: tuple[str, ...],
    limit: int | None,
    classes: tuple[str, ...] | None,
    seed: int,
) -> np.ndarray:
    """Return the rows, int64 and ascending, of the labels y [N] that ``select`` keeps."""
    numbers = [names.index(c) for c in classes] if classes else range(len(names))
    rows = [np.flatnonzero(y == c) for c in dict.fromkeys(numbers)]
    if limit is not None and limit < sum(map(len, rows)):
        random, n = np.random.default_rng(seed), len(rows)
        fair = [limit // n + (c < limit % n) for c in range(n)]
        rows = [random.permutation(each)[:most] for each, most in zip(rows, fair, strict=True)]
    return np.sort(np.concatenate(rows))


def select(images: Images, limit: int | None, classes: tuple[str, ...] | None, seed: int) -> Images:
    """Keep the images of ``classes``, relabeled 0, 1, ... in that order, and of those at most
    ``limit``, the same number per class, drawn by ``seed``. The order of the images stays."""
    check_classes(classes, images.classes)
    if not classes and (limit is None or limit >= len(images)):
        return images
    rows = chosen_rows(images.y.numpy(), images.classes, limit, classes, seed)
    images = images.subset(torch.from_numpy(rows))
    if not classes:
        return images
    table = torch.full((len(images.classes),), -1)
    table[[images.classes.index(c) for c in classes]] = torch.arange(len(classes))
    return replace(images, y=table[images.y], classes=tuple(classes))


def clean_mask(y: Tensor, fraction: float, seed: int) -> Tensor:
    """Return which images stay clean, bool [N]: ``fraction`` of every class of y [N], drawn by
    ``seed``; a larger fraction keeps those of a smaller one. Raises UserError outside 0..1."""
    if not 0 <= fraction <= 1:
        raise UserError(f"The clean fraction must lie between 0 and 1, not at {fraction}.")
    random, keep = np.random.default_rng(seed), torch.zeros(len(y), dtype=torch.bool)
    for c in range(int(y.max()) + 1):
        rows = random.permutation(np.flatnonzero(y.numpy() == c))
        keep[rows[: round(fraction * len(rows))]] = True
    return keep


def mix_in_clean(protected: Images, clean: Images, fraction: float, seed: int = 0) -> Images:
    """Replace ``fraction`` of every class of ``protected`` by the images of ``clean``, drawn by
    ``seed``. Raises UserError for sets that are not pairs."""
    if clean.x.shape != protected.x.shape or not torch.equal(clean.y, protected.y):
        raise UserError(
            "Clean images can only replace protected images of the same set, in the same order."
        )
    keep = clean_mask(clean.y, fraction, seed)
    x = torch.where(keep[:, None, None, None], clean.x, protected.x)
    return replace(protected, x=x, source={**protected.source, "clean_fraction": fraction})


def near_duplicates(x: Tensor) -> Tensor:
    """Group near-duplicates: int64 [N], the number of the first image of every image's group.

    Images of x, uint8 [N, 3, H, W], share a group if they differ little for their contrast
    (``NEAR_DUPLICATE_FRACTION``), or if others join them.
    """
    small = torch.cat([F.interpolate(c.float(), (16, 16), mode="area") for c in x.split(500)])
    color = small.mean((2, 3))  # [N, 3]
    detail = small - color[..., None, None]  # [N, 3, 16, 16]
    contrast = detail.abs().mean((1, 2, 3))
    # means of 4 x 4 pixels, which differ by no more than the pixels: few pairs need these
    coarse = F.avg_pool2d(detail, 4).flatten(1)
    detail, limit = detail.flatten(1), NEAR_DUPLICATE_FRACTION * contrast
    group, order = torch.arange(len(x)), contrast.argsort(stable=True)
    sorted_contrast = contrast[order]
    for first in range(0, len(x), 250):
        i = order[first : first + 250]
        # nor does their contrast differ by more, so that the rest lies within a window
        most = float(contrast[i[-1]]) * (1 + NEAR_DUPLICATE_FRACTION) * (1 + ROUNDING)
        j = order[first : int(torch.searchsorted(sorted_contrast, most, right=True))]
        within = torch.minimum(limit[i, None], limit[j])
        maybe = _distance(coarse, i, j) <= within * (1 + ROUNDING)
        maybe &= (_distance(color, i, j) < NEAR_DUPLICATE_SHIFT) & (group[i, None] != group[j])
        if int(maybe.sum()) > maybe.numel() // 16:  # as many at once as pair by pair
            a, b = (maybe & (_distance(detail, i, j) <= within)).nonzero().T
            _join(group, i[a], j[b])
            continue
        a, b = maybe.nonzero().T
        a, b = i[a], j[b]
        for p, q in zip(a.split(10_000), b.split(10_000), strict=True):
            near = (detail[p] - detail[q]).abs().mean(1) <= torch.minimum(limit[p], limit[q])
            _join(group, p[near], q[near])
    return group


def _distance(rows: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Return the mean absolute difference of every row i from every row j of [N, D]."""
    return torch.cdist(rows[i], rows[j], p=1) / rows.shape[1]


def _join(group: Tensor, a: Tensor, b: Tensor) -> None:
    """Merge the groups of a[k] and b[k] for every k, in place."""
    # A group is named by its first member. Every round points the later of two names at the
    # earlier one, then follows the pointers.
    while True:
        one, other = group[a], group[b]
        differ = one != other
        if not differ.any():
            return
        a, b = a[differ], b[differ]
        early, late = torch.minimum(one, other)[differ], torch.maximum(one, other)[differ]
        group.scatter_reduce_(0, late, early, "amin")
        while not torch.equal(group[group], group):
            group.copy_(group[group])


def count_near_duplicates(groups: Tensor) -> int:
    """Return how many images have a near-duplicate before them."""
    return len(groups) - len(groups.unique())


def holdout_split(y: Tensor, groups: Tensor, holdout: float, seed: int) -> Tensor:
    """Return which images are held out, bool [N]: ``holdout`` of every class (at least one image,
    at most all but one), groups of near-duplicates whole; a smallest group, if all are larger than
    that. A group belongs to the class of its first image. Raises UserError for a class that is a
    single group."""
    random, test = np.random.default_rng(seed), torch.zeros(len(y), dtype=torch.bool)
    classes = int(y.max()) + 1
    first, sizes = groups.unique(return_counts=True)
    members = dict(zip(first.tolist(), groups.argsort(stable=True).split(sizes.tolist())))
    total, held = y.bincount(minlength=classes), torch.zeros(classes, dtype=torch.int64)
    for c in range(classes):
        want = min(max(1, round(holdout * int(total[c]))), int(total[c]) - 1)
        groups_of = [members[int(g)] for g in random.permutation(first[y[first] == c].tolist())]
        for rows in groups_of:
            if int(held[c]) + len(rows) <= want:
                test[rows] = True
                held += y[rows].bincount(minlength=classes)
        if not held[c] and len(groups_of) > 1:
            rows = min(groups_of, key=len)
            test[rows] = True
            held += y[rows].bincount(minlength=classes)
    if ((held == 0) | (held == total)).any():
        raise UserError(
            "A class consists of one image or of near-duplicates only and cannot be divided into "
            "training and test images; add other images to it, or take it out."
        )
    return test
