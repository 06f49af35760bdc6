"""The noise of AR (Sandoval-Segura et al., NeurIPS 2022): a process per class, and the rules that a
class may have."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.seeding import generator
from unlearnable.core.units import LEVELS
from unlearnable.data.images import Images
from unlearnable.protection.methods.patterns import AR

CHUNK = 2048  # images handled at a time
# the authors' acceptance of a class, on patterns of 36 x 36 pixels without their first 4 rows and
# columns
TRIAL, TRIAL_BORDER = 36, 4
MAX_NORM = 50.0  # of a pattern before it is scaled, L2 over three channels
DRAWS, ROUNDS = 1024, 60  # rules drawn per round; rounds before giving up
FEW = 32  # rules per round that are tried at the size of larger images


def ar(m: AR, data: Images, seed: int) -> Tensor:
    """Run every class's autoregressive process over its images: int16 [N, 3, H, W] in /255."""
    height, width = data.x.shape[-2:]
    whole = (height + m.border, width + m.border)
    classes = len(data.classes)
    response = m.min_response if m.min_response is not None else (10.0 if classes <= 10 else 3.0)
    rules = ar_rules(classes, whole, seed, response)
    noise = torch.empty(data.x.shape, dtype=torch.int16)
    size = m.l2 * (height * width / 32**2) ** 0.5 * LEVELS
    for part, i in enumerate(torch.arange(len(data)).split(CHUNK)):
        g = generator("cpu", seed, "ar", part)
        start = torch.randn(len(i), 3, *whole, generator=g)
        block = ar_process(start, rules[data.y[i]])[..., m.border :, m.border :]
        block *= size / block.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        noise[i] = block.round().to(torch.int16)
    return noise


AR_TAPS = [(dy, dx) for dy in (2, 1, 0) for dx in (2, 1, 0)][:-1]
"""up and to the left of the pixel, in a 3 x 3 window"""


def ar_process(start: Tensor, rules: Tensor) -> Tensor:
    """float [N, C, H, W]: the first two rows and columns of ``start``, every other pixel the sum of
    its eight neighbors up and to the left, weighted by rules [N, C, 8] (in the order of
    ``AR_TAPS``)."""
    # [H, W, N, C]: a pixel of all images is one piece of memory
    x = start.permute(2, 3, 0, 1).contiguous()
    weights = rules.permute(2, 0, 1).contiguous()
    for i in range(2, x.shape[0]):
        for j in range(2, x.shape[1]):
            window = torch.cat([x[i - 2, j - 2 : j + 1], x[i - 1, j - 2 : j + 1], x[i, j - 2 : j]])
            torch.sum(window * weights, 0, out=x[i, j])
    return x.permute(2, 3, 0, 1)


def ar_filters(rules: Tensor) -> Tensor:
    """[N, 3, 3, 3]: the convolutions that give 0 on the processes of rules [N, 3, 8]."""
    return F.pad(rules, (0, 1), value=-1.0).unflatten(2, (3, 3))


@lru_cache(maxsize=8)
def ar_rules(classes: int, size: tuple[int, int], seed: int, response: float) -> Tensor:
    """[classes, 3, 8] coefficients that sum to 1 per channel, accepted as the authors' program
    does: three patterns of a class have an L2 norm of at most 50 before they are scaled, and the
    filter of every earlier class answers with at least ``response`` to a pattern of norm 1.

    size: of the images with their border; where that is larger than the trial's, a pattern keeps to
    the norm (per pixel) there too. Rules that were not accepted come again in other threes, which
    saves drawing new ones. Raises UserError where too few are found.
    """
    found, rules, patterns = torch.empty(0, 3, 8), torch.empty(0, 8), torch.empty(0, 32, 32)
    for attempt in range(ROUNDS):
        g = generator("cpu", seed, "ar rules", attempt)
        new, trial = _stable_rules(g)
        rules, patterns = torch.cat([rules, new]), torch.cat([patterns, trial])
        order = torch.randperm(len(rules), generator=g)
        threes = order[: len(order) // 3 * 3].view(-1, 3)
        fits = _fits(rules[threes], patterns[threes], found, size, response, g)
        accepted = _accepted(rules[threes], patterns[threes], fits, classes - len(found), response)
        found = torch.cat([found, rules[threes[accepted]]])
        if len(found) == classes:
            return found
        rest = threes[~accepted].flatten()
        rules, patterns = rules[rest], patterns[rest]
    raise UserError(
        f"Only {len(found)} of {classes} classes have autoregressive rules that differ enough for "
        f"images of {size[0]} x {size[1]} pixels; lower min_response, or use another seed."
    )


def _stable_rules(g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rules of one channel [n, 8] that alone keep to ``MAX_NORM``, and a pattern [n, 32, 32] of
    each."""
    rules = torch.randn(DRAWS, 8, generator=g)
    rules = rules / rules.sum(1, keepdim=True)
    pattern = _trial(rules[:, None], (TRIAL, TRIAL), g)[:, 0]
    stable = _norms(pattern) <= MAX_NORM  # not those that end as nan
    return rules[stable], pattern[stable]


def _fits(
    rules: Tensor,
    patterns: Tensor,
    found: Tensor,
    size: tuple[int, int],
    response: float,
    g: torch.Generator,
) -> Tensor:
    """bool [n]: which rules [n, 3, 8] keep to ``MAX_NORM`` on ``patterns`` [n, 3, 32, 32] and on
    two more, and differ from every one that was ``found`` [classes, 3, 8]."""
    fits = _norms(patterns) <= MAX_NORM
    if len(found):
        fits &= _responses(found, patterns).amin(1) >= response
    for _ in range(2):
        fits[fits.clone()] = _norms(_trial(rules[fits], (TRIAL, TRIAL), g)) <= MAX_NORM
    if max(size) > TRIAL:  # slow: of the first few only, the others come again
        few = fits.nonzero()[:FEW, 0]
        limit = MAX_NORM * (size[0] * size[1]) ** 0.5 / TRIAL
        fits = torch.zeros_like(fits)
        if len(few):
            fits[few] = _norms(_trial(rules[few], size, g)) <= limit
    return fits


def _accepted(
    rules: Tensor, patterns: Tensor, fits: Tensor, missing: int, response: float
) -> Tensor:
    """bool [n]: the first ``missing`` of those that fit, each differing from those before it."""
    taken, fits = torch.zeros_like(fits), fits.clone()
    for _ in range(missing):
        if not fits.any():
            break
        k = int(fits.nonzero()[0])
        taken[k] = True
        fits[fits.clone()] = _responses(rules[k : k + 1], patterns[fits])[:, 0] >= response
        fits[k] = False
    return taken


def _trial(rules: Tensor, size: tuple[int, int], g: torch.Generator) -> Tensor:
    """float [n, C, H, W]: a pattern of every rule [n, C, 8], without its border."""
    start = torch.randn(*rules.shape[:2], *size, generator=g)
    return ar_process(start, rules)[..., TRIAL_BORDER:, TRIAL_BORDER:]


def _norms(patterns: Tensor) -> Tensor:
    """[n]: the L2 norm over everything but the first dimension."""
    return patterns.flatten(1).norm(dim=1)


def _responses(rules: Tensor, patterns: Tensor) -> Tensor:
    """[n, m]: the sum of what the filter of every rule [m, 3, 8] gives above 0 on patterns
    [n, 3, H, W] scaled to norm 1."""
    unit = patterns / _norms(patterns).view(-1, 1, 1, 1)
    return F.conv2d(unit, ar_filters(rules)).relu().sum((2, 3))
