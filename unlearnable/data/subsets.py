"""Parts of a set: class-balanced fractions, hold-outs, near-duplicates."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.data.images import Images


def select(images: Images, limit: int | None, classes: tuple[str, ...] | None, seed: int) -> Images:
    x, y, names = images.x, images.y, images.classes
    if classes:
        if unknown := [c for c in classes if c not in names]:
            raise UserError(f"No class '{unknown[0]}' in this set; it has {', '.join(names)}.")
        table = torch.full((len(names),), -1)
        table[[names.index(c) for c in classes]] = torch.arange(len(classes))
        keep = table[y] >= 0
        x, y, names = x[keep], table[y][keep], tuple(classes)
    if limit is not None and limit < len(y):
        random = np.random.default_rng(seed)
        share = [limit // len(names) + (c < limit % len(names)) for c in range(len(names))]
        rows = [
            random.permutation(np.flatnonzero(y.numpy() == c))[: share[c]]
            for c in range(len(names))
        ]
        keep = torch.from_numpy(np.sort(np.concatenate(rows)))  # the order of the source stays
        x, y = x[keep], y[keep]
    return Images(x, y, names)


def clean_mask(y: Tensor, fraction: float, seed: int) -> Tensor:
    """Which images stay clean, bool [N]: ``fraction`` of every class of y [N], drawn by ``seed``; a
    larger share keeps those of a smaller one. Raises UserError for a share outside 0..1."""
    if not 0 <= fraction <= 1:
        raise UserError(f"The clean share must lie between 0 and 1, not at {fraction}.")
    random, keep = np.random.default_rng(seed), torch.zeros(len(y), dtype=torch.bool)
    for c in range(int(y.max()) + 1):
        rows = random.permutation(np.flatnonzero(y.numpy() == c))
        keep[rows[: round(fraction * len(rows))]] = True
    return keep


def mix_in_clean(protected: Images, clean: Images, fraction: float, seed: int = 0) -> Images:
    """``protected`` with ``fraction`` of every class as in ``clean``, drawn by ``seed``. Raises
    UserError for sets that are not pairs."""
    if clean.x.shape != protected.x.shape or not torch.equal(clean.y, protected.y):
        raise UserError(
            "Clean images can only stand in for protected ones of the same set, in the same order."
        )
    keep = clean_mask(clean.y, fraction, seed)
    x = torch.where(keep[:, None, None, None], clean.x, protected.x)
    return replace(protected, x=x, source={**protected.source, "clean_fraction": fraction})


# mean difference in /255 at 16 x 16 pixels under which two images are near-duplicates
NEAR_DUPLICATE_DISTANCE = 6.0


def subset(images: Images, keep: Tensor) -> Images:
    return replace(images, x=images.x[keep], y=images.y[keep])


def near_duplicates(x: Tensor) -> Tensor:
    """The group of every image, int64 [N]: images that differ by less than ``ALIKE`` on average at
    16 x 16 pixels share one, as do those that are joined by others. Needs N x N distances, a
    thousand rows at a time."""
    small = torch.cat(
        [F.interpolate(c.float(), (16, 16), mode="area").flatten(1) for c in x.split(500)]
    )
    group = torch.arange(len(x))
    for i in torch.arange(len(x)).split(1000):
        for a, b in (
            (torch.cdist(small[i], small, p=1) / small.shape[1] < NEAR_DUPLICATE_DISTANCE)
            .nonzero()
            .tolist()
        ):
            one, other = group[int(i[a])], group[b]
            if one != other:
                group = torch.where(
                    group == torch.maximum(one, other), torch.minimum(one, other), group
                )
    return group


def holdout_split(y: Tensor, groups: Tensor, holdout: float, seed: int) -> Tensor:
    """Which images are held out, bool [N]: ``holdout`` of every class (at least one, at most all
    but one), groups of near-duplicates whole. A group counts to the class of its first image."""
    random, test = np.random.default_rng(seed), torch.zeros(len(y), dtype=torch.bool)
    for c in range(int(y.max()) + 1):
        own = [g for g in groups.unique().tolist() if int(y[g]) == c]
        total = int((y == c).sum())
        want = min(max(1, round(holdout * total)), total - 1)
        for g in random.permutation(own):
            members = groups == int(g)
            if int(test[y == c].sum()) + int(members.sum()) <= want:
                test |= members
    missing = [c for c in range(int(y.max()) + 1) if not test[y == c].any() or test[y == c].all()]
    if missing:
        raise UserError(
            "A class consists of near-duplicates only, and cannot be divided into training and test images."
        )
    return test


def count_near_duplicates(groups: Tensor) -> int:
    """How many images have a near-duplicate before them."""
    return len(groups) - len(groups.unique())
