"""The device of a process, copies to it, and its allocator."""

import contextlib
import ctypes
import os
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from unlearnable.core.errors import UserError


def pick_device(name: str = "auto") -> torch.device:
    """Return the device called ``name``; ``cuda`` is this process's CUDA device, ``auto`` that or
    the CPU. Raises UserError for a device that this machine does not have."""
    own = {"cuda": f"cuda:{os.environ.get('LOCAL_RANK', 0)}"}
    own["auto"] = own["cuda"] if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(own.get(name, name))
        torch.zeros(1, device=device).item()  # device meta has no values
    except (RuntimeError, AssertionError) as e:
        raise UserError(
            f"Device '{name}' cannot be used on this machine; use --device cpu or auto."
        ) from e
    if device.type == "cuda":
        # shapes repeat, so cuDNN may try its convolutions: up to a sixth faster (docs/results.md)
        torch.backends.cudnn.benchmark = True
    return device


def describe_place(device: torch.device, bfloat16: bool, folder: Path | None) -> str:
    """Say where a run computes, how, and where its files go, for the log."""
    arithmetic = "bfloat16" if bfloat16 else "float32"
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    return f"on {device}{threads} in {arithmetic}, files in {folder or 'no folder'}"


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Tell glibc's malloc to keep freed memory for the next tensor. By default it returns large
    blocks to the system at once, and fresh ones cost a page fault per 4 KiB: a third of the time of
    a small network (docs/log.md). Does nothing on other systems."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # malloc.h; the last is at most 32 MiB
        library.mallopt(trim_threshold, 2**31 - 1)
        library.mallopt(mmap_threshold, 2**25)
        library.mallopt(top_pad, 2**26)


def to_device(t: Tensor, device: torch.device | str) -> Tensor:
    """Copy ``t`` to ``device``; to a CUDA device from page-locked memory, so that nothing waits for
    the copy."""
    device = torch.device(device)
    return (
        t.pin_memory().to(device, non_blocking=True)
        if device.type == "cuda" and not t.is_cuda
        else t.to(device)
    )


COMPILE = "UNLEARNABLE_COMPILE"  # environment variable; 1 compiles the networks
