"""The frozen protocol, as most people train on few images: the features of a trained network,
computed once, and a linear head fitted to them. Nothing is drawn at random."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.core.checkpoint import Checkpoint
from unlearnable.core.errors import UserError
from unlearnable.core.finite import diverged, is_finite
from unlearnable.core.progress import Progress
from unlearnable.data.images import Images
from unlearnable.training import augment
from unlearnable.training.accuracy import balanced, by_class
from unlearnable.training.frozen import Frozen, last_layer
from unlearnable.training.recipe import VIEWS

CHUNK = 32  # images per forward pass: 224 px take 150 MB per layer
PENALTY = 0.01  # half of it times the squared weights on standardized features joins the loss
ITERATIONS = 200  # of L-BFGS, at most


def fit_head(
    model: nn.Module,
    frozen: Frozen,
    data: Images,
    test: Images | None,
    t: augment.Augmentation,
    device: torch.device,
    state: Checkpoint,
) -> tuple[dict[str, float], dict[str, float]]:
    """Fit the last layer of ``model`` to ``data``, and return what is logged: the L-BFGS
    iterations, the training loss and the balanced accuracy on ``test`` in %; and the accuracy on
    each of its classes.

    frozen: the copy of ``model`` that computes the features. t: its ``test`` view, whole images at
    the network's size, is what is seen, and its mirror image. Raises UserError for a network that
    does not end in a linear layer, and for features that are NaN or infinite.
    """
    head = _head(model, len(data.classes))
    parts = {"training": data, **({"test": test} if test is not None else {})}
    features = _features(frozen, parts, t, device, state)
    if not is_finite(features):
        raise diverged(f"The features of {type(model).__name__}")
    x, y = features["training"].flatten(0, 1), data.labels(slice(None), device)
    weight, bias, iterations, loss = logistic_regression(
        x, y.repeat(VIEWS), classes=len(data.classes)
    )
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)
    frozen.refresh()
    entry, each = {"step": iterations, "loss": round(loss, 6)}, {}
    if test is not None:
        y = test.labels(slice(None), device)
        guess = (features["test"][0] @ weight.T + bias).argmax(1)
        right = torch.bincount(y[guess == y], minlength=len(test.classes))
        entry["accuracy"], each = balanced(right, test.y), by_class(right, test)
    return entry, each


def _head(model: nn.Module, classes: int) -> nn.Linear:
    """The last layer of ``model``."""
    _, last = last_layer(model)
    if not isinstance(last, nn.Linear) or last.bias is None or last.out_features != classes:
        raise UserError(
            f"The protocol frozen fits the last layer, and that of {type(model).__name__} is not a "
            f"linear one with bias and {classes} outputs; use another network, or fine-tuned."
        )
    return last


@torch.no_grad()
def _features(
    frozen: Frozen,
    parts: dict[str, Images],
    t: augment.Augmentation,
    device: torch.device,
    state: Checkpoint,
) -> dict[str, Tensor]:
    """The features of each of ``parts``, [views, N, D]: of the training images and their mirror
    images, of the test images alone. Resumes where it was killed."""
    work = [(name, i) for name, part in parts.items() for i in torch.arange(len(part)).split(CHUNK)]
    done: list[Tensor] = (state.load() or {"features": []})["features"]
    with Progress("computing features", len(work), first=len(done)) as progress:
        for k in range(len(done), len(work)):
            name, i = work[k]
            x = t.test(parts[name].pixels(i, device))
            views = (x, x.flip(3))[: VIEWS if name == "training" else 1]
            done.append(torch.stack([frozen.features(v).cpu() for v in views]))
            progress.at(k + 1)
            state.save(k + 1, lambda: {"features": done})
    return {
        name: torch.cat([f for f, (owner, _) in zip(done, work) if owner == name], 1).to(device)
        for name in parts
    }


def logistic_regression(
    x: Tensor, y: Tensor, *, classes: int, penalty: float = PENALTY
) -> tuple[Tensor, Tensor, int, float]:
    """Fit softmax regression to features x [n, D] and labels y [n] by L-BFGS from zero: weights
    [classes, D] and biases [classes] for x as it is, the iterations, and the mean cross-entropy.

    penalty: half of it times the squared weights joins the loss, on features of mean 0 and standard
    deviation 1."""
    std, mean = torch.std_mean(x, 0, correction=0)
    std = std.clamp(min=1e-6)  # a ReLU that never fires
    z = (x - mean) / std
    weight = torch.zeros(classes, x.shape[1], device=x.device, requires_grad=True)
    bias = torch.zeros(classes, device=x.device, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=ITERATIONS, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(z @ weight.T + bias, y) + penalty / 2 * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(objective)
    with torch.no_grad():
        loss = float(F.cross_entropy(z @ weight.T + bias, y))
        scaled = weight / std
        return scaled, bias - scaled @ mean, int(optimizer.state[weight]["n_iter"]), loss
