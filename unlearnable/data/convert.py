"""Images from what other programs hold in memory: arrays, tensors, and data sets of pairs."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeGuard, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from unlearnable.core.errors import UserError
from unlearnable.core.plugins import own_code
from unlearnable.data.decoding import pixels
from unlearnable.data.image_files import NO_CLASSES
from unlearnable.data.images import Images

if TYPE_CHECKING:
    import datasets

MOST_CLASSES = 100_000  # a larger label is a mistake, and would make as many names
FORMS = (
    "Images, arrays (x, y) or (x, y, classes), a data set of Hugging Face datasets, or a "
    "torch.utils.data.Dataset of images and labels"
)


@dataclass(frozen=True)
class LoadOptions:
    """What ``load`` was asked for. Readers may use limit, classes, and seed to read less; ``load``
    applies them to whatever they return. size: the side of the images, None for their own."""

    split: str = "train"
    limit: int | None = None
    classes: tuple[str, ...] | None = None
    seed: int = 0
    size: int | None = None


def as_images(value: object, *, size: int | None = None) -> Images:
    """Return ``value`` as ``Images``, resized to size x size pixels if ``size`` is given.

    value: arrays (x, y) or (x, y, classes); x uint8, [N, 3, H, W], [N, H, W, 3], or gray without
    channels or with one; y whole numbers, [N] or [N, 1], or None for images without classes. Or a
    ``Dataset`` of Hugging Face ``datasets``, or a ``torch.utils.data.Dataset`` of pairs of an image
    (PIL, or a uint8 array) and the number of its class. Raises UserError for anything else.
    """
    return convert(value, "the data set", LoadOptions(size=size))


def convert(value: object, where: str, options: LoadOptions, loader: str = "") -> Images:
    """``as_images``. where: what ``value`` is, for messages. loader: its name, where that is a
    person's own code, which then answers for what ``value`` raises."""
    if isinstance(value, Images):
        return value if options.size is None else replace(value, x=resized(value.x, options.size))
    if _is_hugging_face(value):
        from unlearnable.data.hub import from_dataset

        return from_dataset(value, where, options)
    if isinstance(value, tuple) and len(value) in (2, 3):
        x, y, classes = (*value, None)[:3]
        return from_arrays(x, y, classes, where, options.size)
    if isinstance(value, torch.utils.data.Dataset):
        with own_code("loader", loader, "failed", all_of_it=True):
            pairs = _pairs(value, where)
            classes = getattr(value, "classes", None)
        return _from_pairs(pairs, classes, where, options.size)
    raise UserError(f"{where} is of type {type(value).__name__}; give {FORMS}.")


def _is_hugging_face(value: object) -> TypeGuard["datasets.Dataset | datasets.DatasetDict"]:
    """Whether ``value`` is of the package datasets, which is then imported already."""
    package = sys.modules.get("datasets")
    return package is not None and isinstance(value, package.Dataset | package.DatasetDict)


def from_arrays(
    x: object, y: object, classes: object, where: str, size: int | None = None
) -> Images:
    """``as_images`` of arrays. where: for messages."""
    images = channels_first(_array(x, where), where)
    if y is None:
        labels = np.zeros(len(images), np.int64)
        names: tuple[str, ...] = NO_CLASSES
    else:
        labels = whole_numbers(_array(y, f"{where}, labels"), len(images), where)
        names = _names(classes, labels, where)
    pixels = torch.from_numpy(images)
    pixels = resized(pixels, size) if size else pixels
    return Images(pixels, torch.from_numpy(labels), names)


def _array(value: object, where: str) -> np.ndarray:
    if isinstance(value, Tensor):
        return value.detach().cpu().resolve_conj().resolve_neg().numpy()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as e:  # lists of different lengths
        raise UserError(
            f"{where} is not an array ({' '.join(str(e).split())}); make it one."
        ) from e
    return array


def channels_first(x: np.ndarray, where: str) -> np.ndarray:
    """Return x as uint8 [N, 3, H, W]. Raises UserError for other types and shapes."""
    if x.dtype != np.uint8:
        raise UserError(
            f"{where} holds images of type {x.dtype}; give uint8, with values from 0 to 255."
        )
    match x.shape:
        case (_, 3, _, _):
            out = x
        case (_, _, _, 3):
            out = x.transpose(0, 3, 1, 2)
        case (_, _, _):
            out = np.repeat(x[:, None], 3, 1)
        case (_, 1, _, _):
            out = np.repeat(x, 3, 1)
        case (_, _, _, 1):
            out = np.repeat(x.transpose(0, 3, 1, 2), 3, 1)
        case _:
            raise UserError(
                f"{where} holds images of the shape {list(x.shape)}; give [N, H, W, 3], "
                "[N, 3, H, W], or gray [N, H, W]."
            )
    if 0 in out.shape:
        raise UserError(f"{where} holds no images (their shape is {list(x.shape)}).")
    return np.ascontiguousarray(out)


def whole_numbers(y: np.ndarray, n: int, where: str) -> np.ndarray:
    """Return y as int64 [N]. Raises UserError for labels that are not ``n`` numbers of classes."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind not in "iu" or y.ndim != 1:
        raise UserError(
            f"{where} holds labels of type {y.dtype} and shape {list(y.shape)}; give one whole "
            "number per image."
        )
    if len(y) != n:
        raise UserError(f"{where} holds {n} images and {len(y)} labels; give one per image.")
    if n and (y.min() < 0 or y.max() >= MOST_CLASSES):
        wrong = y.min() if y.min() < 0 else y.max()
        raise UserError(
            f"{where} holds the label {wrong}; give the numbers of the classes, from 0 to at most "
            f"{MOST_CLASSES - 1}."
        )
    return y.astype(np.int64)


def _names(classes: object, y: np.ndarray, where: str) -> tuple[str, ...]:
    """The names of the classes: ``classes``, or the labels themselves where that is None."""
    most = int(y.max())
    if classes is None:
        return numbered(most + 1)
    if not isinstance(classes, Sequence) or not all(isinstance(name, str) for name in classes):
        raise UserError(f"{where} holds names of classes that are no list of texts; give one.")
    if len(set(classes)) != len(classes) or len(classes) <= most:
        raise UserError(
            f"{where} holds {len(set(classes))} different names for {most + 1} classes; give one "
            "per class."
        )
    return tuple(cast(Sequence[str], classes))


def numbered(n: int) -> tuple[str, ...]:
    """Return the names of n classes that have none: "0", "1", ..."""
    return tuple(map(str, range(n)))


def resized(x: Tensor, size: int) -> Tensor:
    """Resize x, uint8 [N, 3, H, W], to [N, 3, size, size], as ``read_folder`` does with files."""
    if tuple(x.shape[2:]) == (size, size):
        return x
    images = (Image.fromarray(each.permute(1, 2, 0).numpy()) for each in x)
    return torch.from_numpy(np.stack([pixels(image, size) for image in images]))


def _pairs(dataset: torch.utils.data.Dataset, where: str) -> list[tuple[object, object]]:
    """The items of a map-style data set."""
    try:
        n = len(dataset)  # type: ignore[arg-type]  # that is the question
    except TypeError as e:
        raise UserError(
            f"{where} has no length; give a data set whose images can be counted (map-style)."
        ) from e
    items = [dataset[k] for k in range(n)]
    for item in items:
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise UserError(
                f"{where} has items of type {type(item).__name__}; give pairs of an image and the "
                "number of its class."
            )
    return [(image, label) for image, label in items]


def _from_pairs(
    pairs: list[tuple[object, object]], classes: object, where: str, size: int | None
) -> Images:
    arrays = [_pixels(image, where, size) for image, _ in pairs]
    if len({a.shape for a in arrays}) > 1:
        raise UserError(
            f"{where} holds images of different sizes; choose one with --size, for instance "
            "--size 64."
        )
    x = np.stack(arrays) if arrays else np.empty((0, 3, 1, 1), np.uint8)
    y = np.asarray([_array(label, where).reshape(-1).tolist() for _, label in pairs] or [[0]])
    return from_arrays(x, y[: len(pairs)], classes, where)


def _pixels(image: object, where: str, size: int | None) -> np.ndarray:
    """One image as uint8 [3, H, W]."""
    if isinstance(image, Image.Image):
        return pixels(image, size)
    if not isinstance(image, Tensor | np.ndarray):
        raise UserError(
            f"{where} has images of type {type(image).__name__}; give PIL images or uint8 arrays."
        )
    x = torch.from_numpy(channels_first(_array(image, where)[None], where))
    return (resized(x, size) if size else x)[0].numpy()
