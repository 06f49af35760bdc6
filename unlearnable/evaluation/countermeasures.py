"""What a learner does to the images before training, to undo their protection.

Adversarial training and augmentation are the learner's own (``Recipe``).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from unlearnable.core.errors import UserError, unknown
from unlearnable.core.plugins import Entry, load_object, own_code

if TYPE_CHECKING:
    from torch import Tensor

    from unlearnable.data.images import Images

Change = Callable[["Tensor", "Tensor"], "Tensor"]
"""(images, labels) -> images"""
_HERE = "unlearnable.evaluation.transforms"
TRIED = 32  # images of the trial of a person's own
TRAINED = ("d-vae",)  # these train networks, on the device on which they find the images

COUNTERMEASURES: dict[str, Entry[Change]] = {
    "jpeg10": Entry("JPEG compression of quality 10", f"{_HERE}:jpeg10"),
    "jpeg30": Entry("JPEG compression of quality 30", f"{_HERE}:jpeg30"),
    "jpeg50": Entry("JPEG compression of quality 50", f"{_HERE}:jpeg50"),
    "jpeg70": Entry("JPEG compression of quality 70", f"{_HERE}:jpeg70"),
    "jpeg90": Entry("JPEG compression of quality 90", f"{_HERE}:jpeg90"),
    "site": Entry(
        "what a site does: at most 1080 pixels per side, JPEG compression of quality 85",
        f"{_HERE}:site",
    ),
    "gray": Entry("grayscale", f"{_HERE}:grayscale"),
    "posterize2": Entry("2 bits per channel, the rest cut off (ISS)", f"{_HERE}:posterize2"),
    "bits2": Entry("2 bits per channel, rounded to the nearest level", f"{_HERE}:bits2"),
    "white-balance": Entry("white balance", f"{_HERE}:white_balance"),
    "mean3": Entry("mean over 3 x 3 pixels", f"{_HERE}:mean3"),
    "gaussian3": Entry(
        "Gaussian filter of 3 x 3 pixels, as OpenCV's", f"{_HERE}:gaussian3", form=2
    ),
    "median3": Entry("median over 3 x 3 pixels", f"{_HERE}:median3"),
    "bilateral": Entry("bilateral filter (9, 75, 75), as OpenCV's", f"{_HERE}:bilateral", form=2),
    "class-means": Entry(
        "the mean image of its class taken out of every image", f"{_HERE}:class_means"
    ),
    "projection": Entry(
        "without the directions that a linear classifier uses", f"{_HERE}:projection", form=2
    ),
    "d-vae": Entry(
        "a rate-constrained autoencoder of the images themselves (D-VAE); minutes of training",
        "unlearnable.evaluation.rate_vae:d_vae",
    ),
}


def describe_countermeasure(name: str) -> str:
    """What the countermeasure ``name`` does, in words; a person's own is described by its name.
    Raises UserError for an unknown one."""
    if name not in COUNTERMEASURES and ":" not in name:
        raise unknown(
            "countermeasure", name, COUNTERMEASURES, ", or your own as my_module:function"
        )
    return COUNTERMEASURES[name].about if name in COUNTERMEASURES else name


def apply_countermeasure(name: str, data: "Images", device: str = "cpu") -> "Images":
    """Return ``data`` after the countermeasure ``name`` of ``COUNTERMEASURES`` or a person's own
    ``my_module:function``, which takes and returns uint8 [N, 3, H, W]; labels and order stay. What
    ``projection`` returns is ``unclipped``. device: of the networks that some of them train.

    Raises UserError for an unknown name and for a result of another shape or type."""
    describe_countermeasure(name)
    if name in COUNTERMEASURES:
        from unlearnable.core.device import pick_device

        where = pick_device(device if name in TRAINED else "cpu")
        x = COUNTERMEASURES[name].load()(data.x.to(where), data.y).cpu()
    else:
        x = _own(name, data)
    source = {**data.source, "countermeasure": name}
    return replace(data, x=x, source=source, unclipped=x.is_floating_point())


def _own(name: str, data: "Images") -> "Tensor":
    import torch

    function, where = load_object("countermeasure", name)
    if not callable(function):
        raise UserError(f"countermeasure '{name}': that {where} is not a function; name one.")
    with own_code("countermeasure", name, f"failed on {len(data)} images", all_of_it=True):
        x = function(data.x.clone())
    if not isinstance(x, torch.Tensor) or x.dtype != torch.uint8 or x.shape != data.x.shape:
        raise UserError(
            f"{name} must return uint8 {list(data.x.shape)}, as it receives them; correct the "
            "function."
        )
    if x.layout != torch.strided or x.device.type != "cpu":
        raise UserError(
            f"{name} returned {x.layout} on {x.device}; let it return a dense tensor on the CPU."
        )
    return x


def try_countermeasure(name: str, data: "Images") -> None:
    """Raise UserError for an unknown countermeasure, and where a person's own fails on the first
    images of ``data``, before any training."""
    import torch

    describe_countermeasure(name)
    if name not in COUNTERMEASURES:
        _own(name, data.subset(torch.arange(min(TRIED, len(data)))))
