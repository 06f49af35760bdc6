"""Slow restatements of published formulas that several tests compare with."""

import torch
import torch.nn.functional as F


def slow_flip_crop(x: torch.Tensor, padding: int, g: torch.Generator) -> torch.Tensor:
    """The same draws in the same order, but pad, slice and flip image by image."""
    n = len(x)
    top, left = (torch.randint(-padding, padding + 1, (n,), generator=g) for _ in range(2))
    flip = torch.rand(n, generator=g) < 0.5
    out = []
    for k in range(n):
        a, b = int(top[k]) + padding, int(left[k]) + padding
        image = F.pad(x[k], (padding,) * 4)[:, a : a + x.shape[2], b : b + x.shape[3]]
        out.append(image.flip(2) if flip[k] else image)
    return torch.stack(out)
