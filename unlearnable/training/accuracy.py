"""The accuracy of a model on images."""

import torch
from torch import Tensor, nn

from unlearnable.core import distributed
from unlearnable.core.finite import diverged
from unlearnable.data.images import Images
from unlearnable.training import augment

MAX_IMAGES_PER_FORWARD = 500
MAX_PIXELS_PER_FORWARD = 500 * 64 * 64  # 500 images of 224 px take gigabytes


def accuracy(
    model: nn.Module,
    data: Images,
    t: augment.Augmentation | None = None,
    *,
    device: torch.device | str | None = None,
) -> float:
    """Return the balanced accuracy in % (see ``balanced``), model in eval mode.

    t: gives the test view (default: T's own; a learner that sees images otherwise has
    ``Learned.accuracy``). device: where the model is (default: that of its parameters). The images
    are divided over the processes. Raises UserError for logits that are NaN or infinite."""
    return balanced(right_by_class(model, data, t, device=device), data.y)


@torch.no_grad()
def right_by_class(
    model: nn.Module,
    data: Images,
    t: augment.Augmentation | None = None,
    *,
    device: torch.device | str | None = None,
) -> Tensor:
    """Count as ``accuracy`` does how many images of each class are classified correctly, int64
    [classes]."""
    t = t or augment.for_size(*data.x.shape[-2:])
    device = device or next((p.device for p in model.parameters()), torch.device("cpu"))
    model.eval()
    height, width = augment.size_after(t, *data.x.shape[-2:])
    at_once = max(1, min(MAX_IMAGES_PER_FORWARD, MAX_PIXELS_PER_FORWARD // (height * width)))
    right = torch.zeros(len(data.classes), dtype=torch.int64, device=device)
    bad = torch.zeros((), dtype=torch.int64, device=device)
    for i in distributed.local_rows(len(data)).split(at_once):
        logits, y = model(t.test(data.pixels(i, device))), data.labels(i, device)
        right += torch.bincount(y[logits.argmax(1) == y], minlength=len(right))
        bad += (~logits.isfinite()).sum()
    distributed.all_reduce_(right, bad)
    if bad:
        raise diverged("The logits of test images")
    return right


def balanced(right: Tensor, y: Tensor) -> float:
    """Return the fraction of images classified correctly, per class, averaged over the classes that
    have images, in %. So guessing reaches 1/classes whatever their sizes; of classes of one size it
    is the fraction of all images.

    right: int64 [classes], how many of each class were classified correctly. y: all labels."""
    count = torch.bincount(y, minlength=len(right))
    if len(count.unique()) == 1:
        return 100 * int(right.sum()) / len(y)
    present = count > 0
    return 100 * float((right.cpu()[present].double() / count[present]).mean())


def by_class(right: Tensor, data: Images) -> dict[str, float]:
    """Return the accuracy on every class that has images in ``data``, in %. right: as in
    ``balanced``."""
    count = torch.bincount(data.y, minlength=len(right))
    each = zip(data.classes, right.tolist(), count.tolist(), strict=True)
    return {name: 100 * hits / n for name, hits, n in each if n}
