"""The accuracy of a model on images."""

import torch
from torch import nn

from unlearnable.core import distributed
from unlearnable.core.finite import diverged
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
    """Return the balanced accuracy in %, model in eval mode: the fraction of images classified
    rightly, per class, averaged over the classes that have images. So guessing reaches 1/classes
    whatever their sizes; of classes of one size it is the fraction of all images.

    t: gives the test view (default: T's own). The images are divided over the processes. Raises
    UserError for logits that are NaN or infinite."""
    t = t or augment.for_size(*data.x.shape[-2:])
    model.eval()
    side = t.size if isinstance(t, augment.Resized) else data.size
    at_once = max(1, min(AT_ONCE, PIXELS // side**2))
    right = torch.zeros(len(data.classes), dtype=torch.int64, device=device)
    bad = torch.zeros((), dtype=torch.int64, device=device)
    for i in distributed.local_rows(len(data)).split(at_once):
        logits, y = model(t.test(data.pixels(i, device))), data.labels(i, device)
        right += torch.bincount(y[logits.argmax(1) == y], minlength=len(right))
        bad += (~logits.isfinite()).sum()
    distributed.all_reduce_(right, bad)
    if bad:
        raise diverged("The logits of test images")
    count = torch.bincount(data.y, minlength=len(right))
    if len(count.unique()) == 1:
        return 100 * int(right.sum()) / len(data)
    present = count > 0
    return 100 * float((right.cpu()[present].double() / count[present]).mean())
