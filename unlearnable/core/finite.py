"""NaN and infinities, before they become a result."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from unlearnable.core.errors import UserError


def is_finite(value: object) -> bool:
    """Whether every number in the dense tensors of ``value``, a tensor or nested dictionaries and
    lists, is finite. Waits for the device."""
    if isinstance(value, Tensor):
        dense = value.layout == torch.strided and not value.is_meta
        return not (dense and value.is_floating_point()) or bool(value.isfinite().all())
    parts = value.values() if isinstance(value, Mapping) else value
    return not isinstance(parts, Iterable) or isinstance(parts, str) or all(map(is_finite, parts))


def diverged(what: str) -> UserError:
    """The error for ``what`` in which numbers are NaN or infinite."""
    return UserError(
        f"{what}: numbers became NaN or infinite; lower the learning rate, or correct the network "
        "if that is your own."
    )
