"""The visibility of noise: L-infinity, L2, PSNR, SSIM."""

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core.units import quantize, to_unit
from unlearnable.data.card import Measured
from unlearnable.data.images import Images


def visibility(clean: Tensor, protected: Tensor) -> Measured:
    """Measure how far apart two uint8 [N, 3, H, W] sets are: L-infinity in /255, mean L2 norm with
    pixels in [0, 1], mean PSNR in dB, mean SSIM."""
    linf, l2, psnr, similar = 0, 0.0, 0.0, 0.0
    for i in torch.arange(len(clean)).split(500):
        a, b = to_unit(clean[i]), to_unit(protected[i])
        d = (a - b).flatten(1)
        linf = max(linf, int(quantize(d.abs().max(), torch.int16)))
        l2 += float(d.norm(dim=1).sum())
        psnr += float((-10 * d.square().mean(1).clamp(min=1e-10).log10()).sum())
        similar += float(ssim(a, b).sum())
    n = len(clean)
    return {
        "linf": linf,
        "l2": round(l2 / n, 4),
        "psnr": round(psnr / n, 2),
        "ssim": round(similar / n, 4),
    }


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return the structural similarity of float [N, C, H, W] in [0, 1], one number per image.

    Wang et al. (2004): an 11 x 11 Gaussian window with sigma 1.5, valid region only; a smaller
    window for images under 11 pixels.
    """
    reach = min(5, (min(a.shape[-2:]) - 1) // 2)
    w = torch.exp(-torch.arange(-reach, reach + 1.0).square() / (2 * 1.5**2))
    w = (w / w.sum()).to(a)

    def blur(x: Tensor) -> Tensor:
        x = x.flatten(0, 1)[:, None]
        return F.conv2d(F.conv2d(x, w[None, None, :, None]), w[None, None, None, :]).view(
            len(a), -1
        )

    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))).mean(
        1
    )


def noise_size(clean: Images, protected: Images) -> tuple[int, float, int]:
    """Return the largest change in /255, the mean L2 norm of an image's change with pixels in
    [0, 1], and the number of images without any change."""
    linf, l2, same = 0, 0.0, 0
    for i in torch.arange(len(clean)).split(4096):
        d = (protected.x[i].short() - clean.x[i].short()).abs().flatten(1)
        linf, same = max(linf, int(d.max())), same + int((d.amax(1) == 0).sum())
        l2 += float(to_unit(d).norm(dim=1).sum())
    return linf, l2 / len(clean), same
