"""What is measured: accuracy of a model, size and visibility of a noise, and on what it was measured."""

import contextlib
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import augment, dist
from .data import Images
from .pgd import COMPILE


@torch.no_grad()
def accuracy(
    model: nn.Module, data: Images, t: augment.Augmentation | None = None, *, device: torch.device | str = "cpu"
) -> float:
    """Share of pictures classified rightly, in %, model in eval mode; ``t`` gives the test view (default: T's own).
    The pictures are divided over the processes."""
    t = t or augment.for_size(*data.x.shape[-2:])
    model.eval()
    right = torch.zeros((), dtype=torch.int64, device=device)
    for i in dist.own_rows(len(data)).split(500):
        right += (model(t.test(data.pixels(i, device))).argmax(1) == data.labels(i, device)).sum()
    dist.sum_(right)
    return 100 * float(right) / len(data)


def visibility(clean: Tensor, protected: Tensor) -> dict[str, float]:
    """How far apart two uint8 [N, 3, H, W] sets are: L-infinity in /255, mean L2 norm in [0, 1] units, mean PSNR in dB,
    mean SSIM."""
    linf, l2, psnr, similar = 0, 0.0, 0.0, 0.0
    for i in torch.arange(len(clean)).split(500):
        a, b = clean[i].float() / 255, protected[i].float() / 255
        d = (a - b).flatten(1)
        linf = max(linf, int((d.abs().max() * 255).round()))
        l2 += float(d.norm(dim=1).sum())
        psnr += float((-10 * d.square().mean(1).clamp(min=1e-10).log10()).sum())
        similar += float(ssim(a, b).sum())
    n = len(clean)
    return {"linf": linf, "l2": round(l2 / n, 4), "psnr": round(psnr / n, 2), "ssim": round(similar / n, 4)}


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of float [N, C, H, W] in [0, 1], one number a picture (Wang et al., 2004: 11 x 11 Gaussian
    window of sigma 1.5, valid region; a smaller window for pictures under 11 pixels)."""
    reach = min(5, (min(a.shape[-2:]) - 1) // 2)
    w = torch.exp(-torch.arange(-reach, reach + 1.0).square() / (2 * 1.5**2))
    w = (w / w.sum()).to(a)

    def blur(x: Tensor) -> Tensor:
        x = x.flatten(0, 1)[:, None]
        return F.conv2d(F.conv2d(x, w[None, None, :, None]), w[None, None, None, :]).view(len(a), -1)

    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))).mean(1)


def _processor() -> str:
    """The CPU's name, where the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def evidence(device: torch.device) -> dict:
    """What a number was measured with."""
    try:
        package = version("unlearnable")
    except PackageNotFoundError:
        package = "not installed"
    home = Path(__file__).parents[1]
    commit = None
    if (home / ".git").exists():  # not the commit of some other repository that this is installed inside
        git = subprocess.run(["git", "-C", home, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
        commit = git.stdout.strip() or None
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    compiled = f"{COMPILE}=1 " if os.environ.get(COMPILE) else ""
    return {
        "hardware": f"{name}, {torch.get_num_threads()} threads of {os.cpu_count()}, {dist.world()} process(es)",
        "torch": torch.__version__,
        "version": package,
        "commit": commit,
        "command": compiled + " ".join([Path(sys.argv[0]).name.replace("__main__.py", "unlearnable"), *sys.argv[1:]]),
    }
