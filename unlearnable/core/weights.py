"""Weights on disk: safetensors, which hold numbers and text and nothing that can run."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write


def pack_weights(model: nn.Module, metadata: dict[str, str] | None = None) -> bytes:
    """Return the state of ``model`` as a file of safetensors. Weights that layers share are written
    once per layer: the format has no sharing, and reading them back makes them equal again. Raises
    UserError for a state that the format cannot hold."""
    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    try:
        for name, value in model.state_dict().items():
            tensor = value.detach().cpu().contiguous()
            at = tensor.untyped_storage().data_ptr()
            tensors[name] = tensor.clone() if at in seen else tensor
            seen.add(at)
        return save(tensors, metadata)
    except (SafetensorError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as e:
        reason = " ".join(str(e).split())[:200]
        raise UserError(
            f"The state of {type(model).__name__} cannot be saved as safetensors ({reason}); keep "
            "to plain tensors in its parameters and buffers."
        ) from e


def write_weights(path: Path, model: nn.Module, metadata: dict[str, str] | None = None) -> None:
    """Write the state of ``model``. Raises UserError for a full disk and a state that cannot be
    saved."""
    packed = pack_weights(model, metadata)
    with atomic_write(path) as tmp:
        tmp.write_bytes(packed)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors in ``path`` and its metadata. Raises UserError for a missing, damaged,
    or different file."""
    try:
        with safe_open(path, "pt") as f:
            return {name: f.get_tensor(name) for name in f.keys()}, f.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, AttributeError) as e:
        raise UserError(
            f"{path} cannot be read as weights (safetensors); check the path, or make it again."
        ) from e


# what torch raises of a file that it cannot read
UNREADABLE = (
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


def read_any_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors in ``path``: safetensors, or a state dict of torch (.pth, .pt), which is
    read without running anything in it. Raises UserError for a missing, damaged, or different
    file."""
    if path.suffix not in (".pth", ".pt"):
        return read_weights(path)[0]
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as e:
        raise UserError(
            f"{path} cannot be read as a state dict of torch; check the path, or make it again."
        ) from e
    if not isinstance(saved, dict) or not all(isinstance(v, Tensor) for v in saved.values()):
        raise UserError(
            f"{path} holds more than the weights of a network; save its state_dict() alone."
        )
    return saved


def restore_weights(model: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Put ``weights``, which are those of ``path``, into ``model``. Raises UserError where names or
    shapes differ."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as e:
        raise UserError(
            f"{path} holds the weights of another network; name that one, or make the file again."
        ) from e
