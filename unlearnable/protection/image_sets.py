"""Protected images in the layouts in which image sets are shared: a folder of images with metadata
and a Croissant description, WebDataset's tar files, and what Hugging Face ``datasets`` saves.

Only the protected images go out, and nothing of the card but what a reader of the images can use:
no originals, no paths, no command."""

import io
import json
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_folder, file_digest
from unlearnable.core.text import printable
from unlearnable.core.version import __version__
from unlearnable.data.card import Card
from unlearnable.data.decoding import PNG_LEVEL
from unlearnable.data.hub import without_progress_bars
from unlearnable.data.image_files import as_systems_compare
from unlearnable.data.images import Images
from unlearnable.data.load import load
from unlearnable.data.sources import require_hf
from unlearnable.data.threads import in_threads
from unlearnable.protection.croissant import croissant

SHARD = 1000  # images per tar file
METADATA = "metadata.jsonl"
# what a name of a folder may not hold or be on some system
_NO_NAME = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]|^[. ]|[. ]$|^$')
_LONGEST = 200  # bytes


def read_for_export(folder: Path) -> tuple[Images, Card]:
    """Return the images of a protected folder, and its card. Raises UserError for photos, which lie
    there at their own sizes, and for classes whose names are not text."""
    card = Card.read(folder)
    if card.photos:
        raise UserError(
            f"{folder} holds photos at their own sizes, which is an image folder already; publish "
            "it as it is."
        )
    require_text(card.classes)
    return load(folder), card


def require_text(classes: tuple[str, ...]) -> None:
    """Raise UserError for classes whose names are not text: a file system may hold other bytes."""
    for name in classes:
        try:
            name.encode()
        except UnicodeEncodeError as e:
            raise UserError(
                f"The class {printable(name)} has a name that is not UTF-8; rename its folder, and "
                "protect the images again."
            ) from e


def export_imagefolder(images: Images, card: Card, folder: Path) -> Path:
    """Write CLASS/NUMBER.png for every image (NUMBER.png without classes), numbered in their order;
    metadata.jsonl with the class of every file, which Hugging Face's ImageFolder reads; and
    croissant.json, their description in JSON-LD. Raises UserError where there is a folder of that
    name, and for a class whose name cannot be that of a folder."""
    names = _folder_names(images)
    files = [f"{names[c]}{k:06d}.png" for k, c in enumerate(images.y.tolist())]
    with atomic_folder(folder) as tmp:
        for name in names:
            (tmp / name).mkdir(exist_ok=True)
        in_threads(
            lambda k: (tmp / files[k]).write_bytes(_png(images, k)), range(len(images)), "writing"
        )
        with open(tmp / METADATA, "w", encoding="utf-8", newline="\n") as out:
            for file, c in zip(files, images.y.tolist(), strict=True):
                about = {"file_name": file}
                if images.labeled:
                    about["label"] = images.classes[c]
                out.write(json.dumps(about, ensure_ascii=False) + "\n")
        described = croissant(
            name=printable(folder.resolve().name),
            description=_described(images, card),
            version=__version__,
            metadata=METADATA,
            digest=file_digest(tmp / METADATA),
            labeled=images.labeled,
        )
        text = json.dumps(described, indent=2, ensure_ascii=False)
        (tmp / "croissant.json").write_text(text + "\n", encoding="utf-8")
    return folder


def export_webdataset(images: Images, folder: Path) -> Path:
    """Write train-NNNNNN.tar of at most ``SHARD`` images each, in WebDataset's convention: of every
    image KEY.png and KEY.cls, the number of its class. classes.json lists the classes. The same
    images give the same bytes. Raises UserError where there is a folder of that name."""
    with atomic_folder(folder) as tmp:
        for shard, first in enumerate(range(0, len(images), SHARD)):
            rows = range(first, min(first + SHARD, len(images)))
            pngs = in_threads(lambda k: _png(images, k), rows, f"writing shard {shard}")
            with tarfile.open(
                tmp / f"train-{shard:06d}.tar", "w", format=tarfile.USTAR_FORMAT
            ) as tar:
                for k, png in zip(rows, pngs, strict=True):
                    _add(tar, f"{k:08d}.png", png)
                    if images.labeled:
                        _add(tar, f"{k:08d}.cls", str(int(images.y[k])).encode())
        if images.labeled:
            names = json.dumps([*images.classes], ensure_ascii=False)
            (tmp / "classes.json").write_text(names + "\n", encoding="utf-8")
    return folder


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # of no person and no time
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def export_hf(images: Images, card: Card, folder: Path) -> Path:
    """Write what ``datasets.load_from_disk(folder)["train"]`` reads: the columns image (PNG) and
    label. Raises UserError where datasets is not installed, and where there is a folder of that
    name."""
    require_hf()
    import datasets

    features: dict[str, Any] = {"image": datasets.Image()}
    if images.labeled:
        features["label"] = datasets.ClassLabel(names=[*images.classes])
    with atomic_folder(folder) as tmp:
        cache = tmp / "cache"  # where datasets collects the rows before it saves them
        with without_progress_bars():
            rows = datasets.Dataset.from_generator(
                _rows,
                gen_kwargs={"images": _Rows(images)},
                features=datasets.Features(features),
                cache_dir=str(cache),
                fingerprint=images.digest()[:16],
            )
            rows.info.description = _described(images, card)
            datasets.DatasetDict({"train": rows}).save_to_disk(str(tmp))
        shutil.rmtree(cache)
    return folder


class _Rows:
    """Images as datasets takes an argument, which it would copy to find its hash."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (self.images.digest(),)


def _rows(images: _Rows) -> Iterator[dict[str, object]]:
    held = images.images
    for k in range(len(held)):
        row: dict[str, object] = {"image": {"bytes": _png(held, k), "path": None}}
        yield row | ({"label": int(held.y[k])} if held.labeled else {})


def _png(images: Images, k: int) -> bytes:
    """The image ``k`` as a PNG file."""
    out = io.BytesIO()
    image = Image.fromarray(images.x[k].permute(1, 2, 0).contiguous().numpy())
    image.save(out, "PNG", compress_level=PNG_LEVEL)
    return out.getvalue()


def _folder_names(images: Images) -> tuple[str, ...]:
    """The folder of every class, with a slash; empty for images without classes. Raises UserError
    for names that cannot be those of folders: a card from elsewhere may hold any."""
    if not images.labeled:
        return ("",)
    for name in images.classes:
        if _NO_NAME.search(name) or len(name.encode()) > _LONGEST:
            raise UserError(
                f"The class '{printable(name)}' cannot be the name of a folder; use --webdataset "
                "or --hf, which need none."
            )
    if len({as_systems_compare(name) for name in images.classes}) != len(images.classes):
        raise UserError(
            "Two classes have the same name but for capital letters, or for how accents are "
            "written, which not every system tells apart in folders; use --webdataset or --hf, "
            "which need none."
        )
    return tuple(f"{name}/" for name in images.classes)


def _described(images: Images, card: Card) -> str:
    """One sentence about the images, for whoever finds them."""
    classes = f" of {len(images.classes)} classes" if images.labeled else ""
    some = ", ".join(map(printable, card.protected_classes))
    which = f"of which those of {some} were" if some else "each"
    return (
        f"{len(images)} images{classes}, {which} changed by noise (method {card.method}, budget "
        f"{card.budget}) so that models trained on them fail on unchanged images; made with "
        f"unlearnable {__version__}."
    )
