"""The accuracy of a model on images."""

import torch
from torch import nn

from unlearnable.core import distributed
from unlearnable.core.finite import diverged
from unlearnable.data.images import Images
from unlearnable.training import augment


@torch.no_grad()
def accuracy(
    model: nn.Module,
    data: Images,
    t: augment.Augmentation | None = None,
    *,
    device: torch.device | str = "cpu",
) -> float:
    """Share of images classified rightly, in %, model in eval mode; ``t`` gives the test view
    (default: T's own). The images are divided over the processes. Raises UserError for logits that
    are NaN or infinite."""
    t = t or augment.for_size(*data.x.shape[-2:])
    model.eval()
    right, bad = torch.zeros(2, dtype=torch.int64, device=device)
    for i in distributed.local_rows(len(data)).split(500):
        logits = model(t.test(data.pixels(i, device)))
        right += (logits.argmax(1) == data.labels(i, device)).sum()
        bad += (~logits.isfinite()).sum()
    distributed.all_reduce_(right, bad)
    if bad:
        raise diverged("The logits of test images")
    return 100 * float(right) / len(data)
