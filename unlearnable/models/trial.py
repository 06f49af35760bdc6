"""The trial of a person's own network: forward and backward on a few images, before any work."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from unlearnable.core.errors import UserError
from unlearnable.core.finite import is_finite
from unlearnable.core.plugins import own_code
from unlearnable.core.weights import pack_weights

IMAGES = 4  # of the trial; batch norm needs more than one


def try_network(model: nn.Module, name: str, classes: int, size: tuple[int, int]) -> None:
    """Raise UserError unless a copy of ``model`` can be trained, tested and saved: in training and
    in evaluation mode it must return finite floats [n, classes] for n images of ``size`` (height,
    width). ``model`` and every global random generator stay as they are.

    name: my_module:factory, which made it. It runs where its parameters are."""
    with own_code("model", name, "cannot be inspected", all_of_it=True):
        parameters, buffers = list(model.parameters()), list(model.buffers())
    if any(map(is_lazy, [*parameters, *buffers])):
        raise _refuse(
            name,
            "has layers whose sizes are not known yet",
            "let the factory call it once, on torch.zeros(1, 3, height, width)",
        )
    if not any(p.requires_grad for p in parameters):
        raise _refuse(
            name, "has no parameter that requires a gradient", "let at least its last layer train"
        )
    with _random_state_kept(parameters):
        with own_code("model", name, "cannot be copied", all_of_it=True):
            tried = copy.deepcopy(model)
        with own_code("model", name, "cannot be saved"):
            pack_weights(tried)
        # as the trainer has it: a view of what is channels_last fails
        tried = tried.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        _try_training(tried, name, classes, size)
        for images in (IMAGES, 1):
            _logits(tried, name, classes, size, images, training=False)


def check_logits(logits: object, x: Tensor, network: str) -> Tensor:
    """Return what a network gave for the images x [n, 3, H, W] if it is floats [n, classes] on
    their device. Raises UserError for anything else; ``network`` begins the sentence."""
    if (
        isinstance(logits, Tensor)
        and logits.is_floating_point()
        and logits.ndim == 2
        and (len(logits), logits.device, logits.layout) == (len(x), x.device, x.layout)
    ):
        return logits
    raise UserError(
        f"{network} returned {_words(logits)} for {len(x)} image{'s' * (len(x) > 1)}; let it "
        f"return logits alone, one row per image: float [{len(x)}, classes]."
    )


def _try_training(model: nn.Module, name: str, classes: int, size: tuple[int, int]) -> None:
    logits = _logits(model, name, classes, size, IMAGES, training=True)
    if not logits.requires_grad:
        raise _refuse(
            name,
            "returns logits that do not depend on its parameters in training mode",
            "leave out detach() and no_grad()",
        )
    y = torch.arange(IMAGES, device=logits.device) % classes
    with own_code("model", name, "failed in its backward pass", all_of_it=True):
        F.cross_entropy(logits.float(), y).backward()
    if not all(is_finite(p.grad) for p in model.parameters()):
        raise _refuse(name, "has gradients that are NaN or infinite", "correct it")


def _logits(
    model: nn.Module, name: str, classes: int, size: tuple[int, int], images: int, *, training: bool
) -> Tensor:
    """What ``model`` gives for so many random images. Raises UserError."""
    mode = f"in {'training' if training else 'evaluation'} mode"
    where = next(model.parameters())
    g = torch.Generator().manual_seed(0)
    x = torch.rand(images, 3, *size, generator=g).to(where.device)
    what = f"{images} image{'s' * (images > 1)} of {size[0]} x {size[1]} pixels"
    with (
        own_code("model", name, f"failed {mode} on {what}", all_of_it=True),
        torch.set_grad_enabled(training),
    ):
        model.train(training)
        logits = model(x.contiguous(memory_format=torch.channels_last))
    logits = check_logits(logits, x, f"model '{name}' {mode}")
    if logits.shape[1] != classes:
        raise _refuse(
            name,
            f"returns {logits.shape[1]} logits per image {mode}",
            f"there are {classes} classes, the factory's argument",
        )
    if not is_finite(logits):
        raise _refuse(name, f"returns NaN or infinite logits {mode} for {what}", "correct it")
    return logits


def _refuse(name: str, problem: str, remedy: str) -> UserError:
    return UserError(f"model '{name}' {problem}; {remedy}.")


def _words(value: object) -> str:
    if isinstance(value, Tensor):
        kind = "" if value.layout == torch.strided else f"{str(value.layout)[6:]} "
        return f"{kind}{str(value.dtype)[6:]} {list(value.shape)} on {value.device}"
    return f"an object of type {type(value).__name__}"


@contextmanager
def _random_state_kept(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Inside, what draws from a global random generator leaves no trace."""
    devices = {p.device.index or 0 for p in parameters if p.is_cuda}
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(sorted(devices)):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
