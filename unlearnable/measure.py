"""What is measured: accuracy of a model, size and visibility of a noise, and on what it was measured."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable import augment
from unlearnable.core import distributed
from unlearnable.data import Images


@torch.no_grad()
def accuracy(
    model: nn.Module, data: Images, t: augment.Augmentation | None = None, *, device: torch.device | str = "cpu"
) -> float:
    """Share of pictures classified rightly, in %, model in eval mode; ``t`` gives the test view (default: T's own).
    The pictures are divided over the processes."""
    t = t or augment.for_size(*data.x.shape[-2:])
    model.eval()
    right = torch.zeros((), dtype=torch.int64, device=device)
    for i in distributed.local_rows(len(data)).split(500):
        right += (model(t.test(data.pixels(i, device))).argmax(1) == data.labels(i, device)).sum()
    distributed.all_reduce_(right)
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
