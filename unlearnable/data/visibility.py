"""How far apart two sets of images are: L-infinity, L2, PSNR, SSIM, CIEDE2000, mean color."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.core.units import quantize, to_unit
from unlearnable.data.card import Measured
from unlearnable.data.images import Images, chunks

VISIBLE_SHIFT = 1.0  # of the mean color, in /255


def visibility(clean: Tensor, protected: Tensor) -> Measured:
    """Measure how far apart two uint8 [N, 3, H, W] sets are: L-infinity in /255, mean L2 norm with
    pixels in [0, 1], mean PSNR in dB, mean SSIM."""
    linf, l2, psnr, similar = 0, 0.0, 0.0, 0.0
    for i in chunks(clean, 500):
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


def color_shift(clean: Tensor, protected: Tensor) -> float:
    """Return how far the mean color of one image, uint8 [3, H, W], moves: the absolute shift in
    /255, averaged over the channels. PSNR and SSIM do not tell it from noise without a tint."""
    # by numpy: torch would first copy the whole photo in float64
    a, b = (x.numpy().mean((1, 2)) for x in (clean, protected))
    return float(abs(a - b).mean())


def describe_shift(shift: float) -> str:
    """Return the mean color shift, in /255, in words. One step per channel in opposite directions
    is 1.7 to 2 in CIEDE2000, twice what people see side by side."""
    seen = "visible as a tint" if shift >= VISIBLE_SHIFT else "hardly a tint"
    return f"mean color shift {shift:.1f}/255: {seen}"


def color_difference(clean: Tensor, protected: Tensor) -> Tensor:
    """Return the CIEDE2000 difference of every pixel of two uint8 sRGB sets [N, 3, H, W], as
    [N, H, W]. About 1 is the least that people see side by side."""
    return ciede2000(to_lab(to_unit(clean)), to_lab(to_unit(protected)))


def to_lab(x: Tensor) -> Tensor:
    """Convert sRGB [N, 3, H, W] in [0, 1] to CIE L*a*b* under D65 (IEC 61966-2-1)."""
    linear = torch.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    matrix = linear.new_tensor(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = torch.einsum("rc,nchw->nrhw", matrix / matrix.sum(1, keepdim=True), linear)  # white: 1
    f = torch.where(xyz > (6 / 29) ** 3, xyz ** (1 / 3), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return torch.stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1
    )


def ciede2000(a: Tensor, b: Tensor) -> Tensor:
    """Return the CIEDE2000 difference of two L*a*b* tensors [N, 3, ...], as [N, ...] (Sharma, Wu
    and Dalal, 2005, whose numbered steps these are)."""
    turn = 2 * math.pi
    # 1: chroma and hue, with a* stretched where colors are nearly gray
    mean_chroma = (a[:, 1:].norm(dim=1) + b[:, 1:].norm(dim=1)) / 2
    stretch = 1 + 0.5 * (1 - (mean_chroma**7 / (mean_chroma**7 + 25**7)).sqrt())
    chroma, hue = [], []
    for lab in (a, b):
        red = stretch * lab[:, 1]
        chroma.append(torch.hypot(red, lab[:, 2]))
        hue.append(torch.atan2(lab[:, 2], red) % turn)
    # 2: differences in lightness, chroma and hue, the last along the shorter arc
    gray = chroma[0] * chroma[1] == 0  # without a hue
    arc = hue[1] - hue[0]
    arc = torch.where(arc > math.pi, arc - turn, torch.where(arc < -math.pi, arc + turn, arc))
    arc = arc.masked_fill(gray, 0)
    lightness_diff, chroma_diff = b[:, 0] - a[:, 0], chroma[1] - chroma[0]
    hue_diff = 2 * (chroma[0] * chroma[1]).sqrt() * (arc / 2).sin()
    # 3: weights at the mean color
    light, c, total = (a[:, 0] + b[:, 0]) / 2, (chroma[0] + chroma[1]) / 2, hue[0] + hue[1]
    far = (hue[0] - hue[1]).abs() > math.pi
    h = torch.where(far, torch.where(total < turn, total + turn, total - turn) / 2, total / 2)
    h = torch.where(gray, total, h)

    def wave(times: int, degrees: float) -> Tensor:
        return (times * h - math.radians(degrees)).cos()

    t = 1 - 0.17 * wave(1, 30) + 0.24 * wave(2, 0) + 0.32 * wave(3, -6) - 0.20 * wave(4, 63)
    away = (light - 50).square()
    lightness_diff = lightness_diff / (1 + 0.015 * away / (20 + away).sqrt())
    chroma_diff = chroma_diff / (1 + 0.045 * c)
    hue_diff = hue_diff / (1 + 0.015 * c * t)
    bend = math.radians(30) * (-((h.rad2deg() - 275) / 25).square()).exp()
    rotation = -2 * (c**7 / (c**7 + 25**7)).sqrt() * (2 * bend).sin()
    squares = lightness_diff.square() + chroma_diff.square() + hue_diff.square()
    return (squares + rotation * chroma_diff * hue_diff).clamp(min=0).sqrt()


def noise_size(clean: Images, protected: Images) -> tuple[int, float, int]:
    """Return the largest change in /255, the mean L2 norm of an image's change with pixels in
    [0, 1], and the number of images without any change."""
    linf, l2, same = 0, 0.0, 0
    for i in chunks(clean.x, 4096):
        d = (protected.x[i].short() - clean.x[i].short()).abs().flatten(1)
        linf, same = max(linf, int(d.max())), same + int((d.amax(1) == 0).sum())
        l2 += float(to_unit(d).norm(dim=1).sum())
    return linf, l2 / len(clean), same
