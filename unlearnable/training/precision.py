"""Arithmetic of a network: bfloat16, and compilation."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import get_args

import torch
from torch import Tensor, nn

from unlearnable.core.device import COMPILE
from unlearnable.core.errors import unknown
from unlearnable.training import small_conv
from unlearnable.training.recipe import Precision as Precision


def precision_key(precision: Precision) -> dict[str, str]:
    """What a stated precision adds to what a result is found by; ``auto`` takes what was measured
    on any machine."""
    return {} if precision == "auto" else {"precision": precision}


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 convolutions are fast here."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


@contextlib.contextmanager
def arithmetic(device: torch.device, bfloat16: bool) -> Iterator[None]:
    """Inside, networks compute in bfloat16 where asked, and convolutions the fastest way that this
    machine has."""
    small = (
        small_conv.SmallConv()
        if small_conv.is_faster(device, bfloat16)
        else contextlib.nullcontext()
    )
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16), small:
        yield


def channels_last(model: nn.Module) -> nn.Module:
    """Lay out the weights of ``model`` as convolutions are fastest, in place."""
    # not in the stubs
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class Compiled:
    """``network`` through torch.compile where ``UNLEARNABLE_COMPILE`` asks for it, one program per
    shape of its input; where that fails, with a warning, the network as it is. graphs: on CUDA the
    program is a CUDA graph."""

    def __init__(self, network: nn.Module, *, graphs: bool):
        self._network, self._program = network, None
        if os.environ.get(COMPILE):
            graphs = graphs and any(p.is_cuda for p in network.parameters())
            self._program = torch.compile(
                network, dynamic=False, mode="reduce-overhead" if graphs else None
            )

    def __call__(self, x: Tensor) -> Tensor:
        if self._program is not None:
            try:
                return self._program(x)
            except torch._dynamo.exc.TorchDynamoException as e:
                reason = str(e).split("\n", 1)[0]
                warnings.warn(
                    f"torch.compile failed ({reason}); the network runs as it is.", stacklevel=2
                )
                self._program = None
        return self._network(x)


def use_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Whether to compute in bfloat16. Raises UserError for an unknown ``precision``."""
    if precision not in get_args(Precision):
        raise unknown("precision", precision, get_args(Precision))
    return has_bfloat16(device) if precision == "auto" else precision == "bf16"
