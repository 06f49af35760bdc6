"""Data sets of Hugging Face ``datasets``: on the hub, in a folder, or in memory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from unlearnable.core.errors import UserError
from unlearnable.core.plugins import one_line
from unlearnable.core.text import printable
from unlearnable.data.convert import LoadOptions, numbered, whole_numbers
from unlearnable.data.decoding import pixels, read
from unlearnable.data.image_files import NO_CLASSES
from unlearnable.data.images import Images
from unlearnable.data.sources import HF, require_hf
from unlearnable.data.subsets import check_classes, chosen_rows
from unlearnable.data.threads import in_threads

if TYPE_CHECKING:
    import datasets

# what columns of classes are called, the likeliest first; cls: in WebDataset's files
LABELS = ("label", "labels", "class", "fine_label", "cls", "target")
SPLITS = {"train": ("train",), "test": ("test", "validation", "valid", "val")}


def read_hub(source: str, options: LoadOptions) -> Images:
    """Read hf:NAME: a folder that ``save_to_disk`` wrote, a folder that ``load_dataset`` reads (of
    images, Parquet and so on), or the name of a data set on the hub. Raises UserError."""
    require_hf()
    import datasets

    name = source.removeprefix(HF)
    folder = Path(name)
    saved = any((folder / file).is_file() for file in ("dataset_dict.json", "state.json"))
    try:
        with without_progress_bars():
            found = (
                datasets.load_from_disk(name)
                if saved
                else datasets.load_dataset(str(folder.resolve()) if folder.is_dir() else name)
            )
    except Exception as e:  # of a damaged folder, a missing one, and of the network
        raise UserError(
            f"{printable(source)} cannot be loaded by datasets ({printable(one_line(e))}); check "
            "the name, or read it with a loader of your own, my_module:loader."
        ) from e
    return from_dataset(found, source, options)


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Turn off the progress bars of datasets, because this program shows its own."""
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bar()


def from_dataset(
    found: "datasets.Dataset | datasets.DatasetDict", where: str, options: LoadOptions
) -> Images:
    """Return the images of a data set with one column of images and one of classes, in its order;
    only those are decoded that ``options`` takes. Raises UserError for other columns, and for
    images that differ in size where none is asked for."""
    import datasets

    dataset = _split(found, where, options.split)
    image, label = _columns(dataset.features, where)
    if not len(dataset):
        raise UserError(f"{where} holds no images.")
    y, names = _labels(dataset, label, where)
    check_classes(options.classes, names)
    rows = chosen_rows(y, names, options.limit, options.classes, options.seed)
    chosen = dataset.select(rows).with_format(None)
    chosen = chosen.select_columns([image]).cast_column(image, datasets.Image(decode=False))

    def look(k: int) -> np.ndarray:
        file = chosen[k][image]
        if file is None:
            raise UserError(f"Row {rows[k]} of {where} has no image; take it out.")
        name = file["path"] or f"Row {rows[k]} of {where}"
        return pixels(read(Path(name), file["bytes"]), options.size)

    arrays = in_threads(look, range(len(chosen)), "reading images")
    if len({a.shape for a in arrays}) > 1:
        raise UserError(
            f"The images of {where} differ in size; choose one with --size, for instance --size 64."
        )
    x = np.stack(arrays) if arrays else np.empty((0, 3, 1, 1), np.uint8)
    return Images(torch.from_numpy(x), torch.from_numpy(y[rows]), names)


def _split(
    found: "datasets.Dataset | datasets.DatasetDict", where: str, split: str
) -> "datasets.Dataset":
    """The part of a data set for training, or for testing. Raises UserError where it has none."""
    if not isinstance(found, Mapping):
        if split == "test":
            raise UserError(f"{where} has no test split; give test images with --test SOURCE.")
        return found
    if name := next((name for name in SPLITS[split] if name in found), None):
        return found[name]
    remedy = "give test images with --test SOURCE" if split == "test" else "give another"
    raise UserError(
        f"{where} has no {split} split, only {', '.join(map(printable, found))}; {remedy}."
    )


def _columns(features: Mapping[str, Any], where: str) -> tuple[str, str | None]:
    """The column of images and that of classes; None where there is no column but the images.
    Raises UserError where that cannot be told."""
    import datasets

    images = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    classes = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    named = [name for name in LABELS if _is_label(features.get(name))]
    label = classes[0] if len(classes) == 1 else next(iter(named), None)
    if len(images) == 1 and (label or len(features) == 1):
        return images[0], label
    told = ", ".join(f"{printable(name)} ({_kind(kind)})" for name, kind in features.items())
    raise UserError(
        f"{where} has the columns {told}; it needs one of images and one of classes called label, "
        "so rename them, or give a loader of your own, my_module:loader."
    )


def _is_label(kind: object) -> bool:
    """Whether a column holds classes: their numbers, or their names."""
    import datasets

    if isinstance(kind, datasets.ClassLabel):
        return True
    return isinstance(kind, datasets.Value) and kind.dtype.startswith(
        ("int", "uint", "string", "large_string", "bool")
    )


def _kind(kind: object) -> str:
    """A column's type, in short."""
    return (
        str(getattr(kind, "dtype", "")) if type(kind).__name__ == "Value" else type(kind).__name__
    )


def _labels(
    dataset: "datasets.Dataset", label: str | None, where: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The labels, int64 [N], and the names of the classes."""
    import datasets

    if label is None:
        return np.zeros(len(dataset), np.int64), NO_CLASSES
    values: list[Any] = dataset.with_format(None)[label][:]
    if None in values:
        raise UserError(
            f"Row {values.index(None)} of {where} has nothing in its column {printable(label)}; "
            "take it out."
        )
    if isinstance(values[0], bool):
        values = [int(value) for value in values]
    if isinstance(values[0], str):
        names = tuple(sorted(set(values)))
        number = {name: k for k, name in enumerate(names)}
        return np.array([number[value] for value in values]), names
    y = whole_numbers(np.array(values), len(values), where)
    kind = dataset.features[label]
    if not isinstance(kind, datasets.ClassLabel):
        return y, numbered(int(y.max()) + 1)
    if int(y.max()) >= len(kind.names):
        raise UserError(
            f"{where} holds the label {y.max()} and names {len(kind.names)} classes; correct it."
        )
    return y, tuple(kind.names)
