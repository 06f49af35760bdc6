"""What noise lowers or raises other than the cross-entropy."""

import torch
import torch.nn.functional as F
from torch import Tensor


def class_contrast(features: Tensor, y: Tensor, temperature: float) -> Tensor:
    """Return the supervised contrast of features [N, D]: the sum over images of -log(sum over those
    of the same class exp(cos / temperature) / sum over all), with the image itself in both sums, as
    in the authors' program."""
    f = F.normalize(features, dim=1)
    logits = f @ f.T / temperature
    same = logits.masked_fill(y[:, None] != y[None, :], -torch.inf)
    return (logits.logsumexp(1) - same.logsumexp(1)).sum()


def distance_from_uniform(logits: Tensor) -> Tensor:
    """Return the mean L2 distance of the guesses softmax(logits) [N, classes] from a uniform
    guess."""
    guess = logits.float().softmax(1)
    return (guess - 1 / guess.shape[1]).norm(dim=1).mean()


def margin(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """Return by how much the class y [n] is ahead of ``target`` [n], per image, in logits."""
    return (logits.gather(1, y[:, None]) - logits.gather(1, target[:, None]))[:, 0]


def lead(logits: Tensor, y: Tensor) -> Tensor:
    """Return by how much the class y [n] is ahead of the best other one, per image, in logits."""
    others = logits.scatter(1, y[:, None], -torch.inf)
    return logits.gather(1, y[:, None])[:, 0] - others.amax(1)
