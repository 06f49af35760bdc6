"""Data sets of Hugging Face, read by the real library."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before the library is imported: nobody answers here
datasets = pytest.importorskip(
    "datasets", reason="Hugging Face datasets is not installed: pip install '.[hf]'"
)

from unlearnable import Uniform, UserError, as_images, load, protect  # noqa: E402
from unlearnable.protection.originals import originals_of  # noqa: E402

X = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
NAMES = ["zebra", "ant", "bee"]
Y = [k % 3 for k in range(12)]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("hf")
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
        yield


def made(label=None, labels=Y, image="image", **more):
    columns = {image: [Image.fromarray(x) for x in X], "label": labels, **more}
    label = label or datasets.ClassLabel(names=NAMES)
    kinds = {image: datasets.Image(), "label": label}
    kinds |= {name: datasets.Value("string") for name in more}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))


def test_what_save_to_disk_wrote(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = made()
    datasets.DatasetDict({"train": whole, "validation": whole.select(range(6))}).save_to_disk("set")
    data = load("hf:set")
    assert np.array_equal(data.x.permute(0, 2, 3, 1), X)
    assert data.y.tolist() == Y and data.classes == tuple(NAMES)
    assert len(load("hf:set", split="test")) == 6
    chosen = {"limit": 5, "classes": ("bee", "zebra"), "seed": 3}
    plain = as_images((X, Y, NAMES))
    from unlearnable.data.subsets import select

    few = load("hf:set", **chosen)
    assert few.digest() == select(plain, *chosen.values()).digest()
    assert load("hf:set", size=16).x.shape == (12, 3, 16, 16)
    protect(few, Uniform(), "out")
    assert originals_of(tmp_path / "out").digest() == few.digest()
    assert load("out", split="test").classes == ("bee", "zebra")
    whole.save_to_disk("single")
    assert load("hf:single").digest() == data.digest()
    with pytest.raises(UserError, match="hf:single has no test split"):
        load("hf:single", split="test")


def test_a_folder_of_images(tmp_path):
    for split in ("train", "test"):
        for k, x in enumerate(X):
            path = tmp_path / split / NAMES[Y[k]] / f"{k:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(x).save(path)
    data = load(f"hf:{tmp_path}")
    assert data.digest() == load(tmp_path / "train").digest()
    assert len(load(f"hf:{tmp_path}", split="test")) == 12


def test_images_that_are_turned_and_labels_that_are_names():
    turned = Image.new("RGB", (4, 6), "red")
    exif = turned.getexif()
    exif[0x0112] = 6
    from io import BytesIO

    out = BytesIO()
    turned.save(out, "PNG", exif=exif)
    rows = {"img": [{"bytes": out.getvalue(), "path": None}] * 2, "label": ["b", "a"]}
    features = datasets.Features({"img": datasets.Image(), "label": datasets.Value("string")})
    data = as_images(datasets.Dataset.from_dict(rows, features=features))
    assert data.x.shape == (2, 3, 4, 6) and data.classes == ("a", "b") and data.y.tolist() == [1, 0]


def test_a_loader_that_returns_a_dataset(tmp_path, monkeypatch):
    made().save_to_disk(tmp_path / "set")
    (tmp_path / "hf_loader.py").write_text(
        "import datasets\ndef reversed_(split):\n"
        "    d = datasets.load_from_disk('set')\n    return d.select(range(len(d) - 1, -1, -1))\n"
    )
    monkeypatch.chdir(tmp_path)
    assert load("hf_loader:reversed_").y.tolist() == Y[::-1]


def test_images_without_classes():
    data = as_images(made().remove_columns("label"))
    assert not data.labeled and len(data) == 12


def bad_bytes():
    rows = {"image": [{"bytes": b"nonsense", "path": None}], "label": [0]}
    return datasets.Dataset.from_dict(rows, features=made().features)


BAD = {
    "no images": (lambda: made().remove_columns("image"), r"has the columns label \(ClassLabel\)"),
    "no classes": (
        lambda: made(caption=["x"] * 12).remove_columns("label"),
        r"has the columns image \(Image\), caption \(string\); it needs one of images and one of",
    ),
    "two columns of images": (
        lambda: made().add_column("other", [{"bytes": None, "path": "x.png"}] * 12).cast_column(
            "other", datasets.Image()
        ),
        "has the columns",
    ),
    "numbers with a fraction": (
        lambda: made(datasets.Value("float32"), [0.5] * 12),
        r"label \(float32\)",
    ),
    "a label that is missing": (lambda: made(labels=[*Y[:11], None]), "Row 11 .* has nothing"),
    "a label of no class": (lambda: made(labels=[*Y[:11], -1]), "holds the label -1"),
    "an image that is missing": (
        lambda: datasets.Dataset.from_dict(
            {"image": [None], "label": [0]}, features=made().features
        ),
        "Row 0 .* has no image",
    ),
    "no rows": (lambda: made().select([]), "holds no images"),
    "nonsense for an image": (bad_bytes, "Row 0 of the data set cannot be read as an image"),
    "no split for training": (lambda: datasets.DatasetDict({"dev": made()}), "only dev"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_other_columns_and_bad_rows_get_one_sentence(case):
    make, says = BAD[case]
    with pytest.raises(UserError, match=says) as e:
        as_images(make())
    assert "\n" not in str(e.value)


def test_sizes_that_differ_get_a_sentence():
    rows = {"image": [Image.new("RGB", (4, 4 + k)) for k in range(2)], "label": [0, 1]}
    data = datasets.Dataset.from_dict(rows, features=made().features)
    with pytest.raises(UserError, match="differ in size; choose one with --size"):
        as_images(data)
    assert torch.equal(as_images(data, size=4).y, torch.tensor([0, 1]))


def test_a_name_that_is_not_there_gets_one_sentence(tmp_path):
    (tmp_path / "state.json").write_text("{")
    for name in ("nobody/nothing", tmp_path):
        with pytest.raises(UserError, match="cannot be loaded by datasets") as e:
            load(f"hf:{name}")
        assert "\n" not in str(e.value)
