"""The accuracy of a model on images."""

import torch
from torch import nn

from unlearnable.core import distributed
from unlearnable.data.images import Images
from unlearnable.training import augment

AT_ONCE = 500  # images per forward pass, up to 64 px
PIXELS = AT_ONCE * 64 * 64  # at a time beyond: 500 images of 224 px take gigabytes


@torch.no_grad()
def accuracy(
    model: nn.Module,
    data: Images,
    t: augment.Augmentation | None = None,
    *,
    device: torch.device | str = "cpu",
) -> float:
    """Share of images classified rightly, in %, model in eval mode; ``t`` gives the test view
    (default: T's own). The images are divided over the processes."""
    t = t or augment.for_size(*data.x.shape[-2:])
    model.eval()
    side = t.size if isinstance(t, augment.Resized) else data.size
    at_once = max(1, min(AT_ONCE, PIXELS // side**2))
    right = torch.zeros((), dtype=torch.int64, device=device)
    for i in distributed.local_rows(len(data)).split(at_once):
        right += (model(t.test(data.pixels(i, device))).argmax(1) == data.labels(i, device)).sum()
    distributed.all_reduce_(right)
    return 100 * float(right) / len(data)
