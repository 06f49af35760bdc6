"""What a number was measured with: hardware, versions, commit, command."""

import contextlib
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

import torch

from unlearnable.core import distributed
from unlearnable.core.device import COMPILE
from unlearnable.core.version import __version__


def _processor() -> str:
    """Return the name of the CPU, where the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


class Provenance(TypedDict):
    """The evidence that goes with a number, as result files hold it."""

    hardware: str
    processes: int
    torch: str
    version: str
    commit: str | None
    command: str


def commit() -> str | None:
    """Return the commit of the checkout that this program runs from; None where it is installed."""
    home = Path(__file__).parents[2]
    if not (home / ".git").exists():  # else git would name the commit of a repository around ours
        return None
    git = subprocess.run(
        ["git", "-C", home, "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    )
    return git.stdout.strip() or None


def provenance(device: torch.device) -> Provenance:
    """Describe this run on ``device``. Ask when it begins: a checkout can move on meanwhile."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    threads = torch.get_num_threads()
    count = distributed.world()
    used = f"{threads} thread{'s' * (threads > 1)} on {os.cpu_count()} CPUs"
    used += f", {count} processes" if count > 1 else ""
    compiled = f"{COMPILE}=1 " if os.environ.get(COMPILE) else ""
    return {
        "hardware": f"{name}, {used}",
        "processes": count,
        "torch": torch.__version__,
        "version": __version__,
        "commit": commit(),
        "command": compiled
        + " ".join([Path(sys.argv[0]).name.replace("__main__.py", "unlearnable"), *sys.argv[1:]]),
    }
