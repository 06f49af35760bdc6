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
    torch: str
    version: str
    commit: str | None
    command: str


def provenance(device: torch.device) -> Provenance:
    """Describe this run on ``device``."""
    home = Path(__file__).parents[2]
    commit = None
    if (home / ".git").exists():  # else git would name the commit of a repository around ours
        git = subprocess.run(
            ["git", "-C", home, "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        )
        commit = git.stdout.strip() or None
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    threads = f"{torch.get_num_threads()} threads of {os.cpu_count()}"
    compiled = f"{COMPILE}=1 " if os.environ.get(COMPILE) else ""
    return {
        "hardware": f"{name}, {threads}, {distributed.world()} process(es)",
        "torch": torch.__version__,
        "version": __version__,
        "commit": commit,
        "command": compiled
        + " ".join([Path(sys.argv[0]).name.replace("__main__.py", "unlearnable"), *sys.argv[1:]]),
    }
