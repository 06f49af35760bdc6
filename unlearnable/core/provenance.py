"""What a number was measured with."""

import contextlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import torch

from unlearnable.core import distributed
from unlearnable.core.device import COMPILE
from unlearnable.core.version import __version__


def _processor() -> str:
    """The CPU's name, where the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def provenance(device: torch.device) -> dict:
    """What a number was measured with."""
    home = Path(__file__).parents[2]
    commit = None
    if (
        home / ".git"
    ).exists():  # not the commit of some other repository that this is installed inside
        git = subprocess.run(
            ["git", "-C", home, "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        )
        commit = git.stdout.strip() or None
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    compiled = f"{COMPILE}=1 " if os.environ.get(COMPILE) else ""
    return {
        "hardware": f"{name}, {torch.get_num_threads()} threads of {os.cpu_count()}, {distributed.world()} process(es)",
        "torch": torch.__version__,
        "version": __version__,
        "commit": commit,
        "command": compiled
        + " ".join([Path(sys.argv[0]).name.replace("__main__.py", "unlearnable"), *sys.argv[1:]]),
    }
