"""Losses of the min-min family other than the cross-entropy."""

import torch
import torch.nn.functional as F
from torch import Tensor


def class_contrast(features: Tensor, y: Tensor, temperature: float) -> Tensor:
    """Return the supervised contrast of features [N, D]: the sum over images of -log(sum over the
    others of the same class exp(cos / temperature) / sum over all others). An image without a
    classmate in the batch counts nothing."""
    f = F.normalize(features, dim=1)
    logits = f @ f.T / temperature
    itself = torch.eye(len(y), dtype=torch.bool, device=y.device)
    mates = (y[:, None] == y[None, :]) & ~itself
    every = logits.masked_fill(itself, -torch.inf).logsumexp(1)
    # a finite floor: -inf would make the gradient of an image without classmates nan
    same = logits.masked_fill(~mates, -1e9).logsumexp(1)
    return (every - same)[mates.any(1)].sum()


def distance_from_uniform(logits: Tensor) -> Tensor:
    """Return the mean L2 distance of the guesses softmax(logits) [N, classes] from a uniform
    guess."""
    guess = logits.float().softmax(1)
    return (guess - 1 / guess.shape[1]).norm(dim=1).mean()
