"""What comes in from elsewhere: .npz files, loaders of one's own, arrays, data sets in memory."""

import io
import re
import shlex
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from tests.typed import typed
from unlearnable import (
    EM,
    Images,
    Recipe,
    TorchDataset,
    Uniform,
    UserError,
    as_images,
    load,
    protect,
)
from unlearnable.data import npz
from unlearnable.data.card import Card
from unlearnable.data.load import originals_source
from unlearnable.protection.originals import originals_of

G = np.random.default_rng(0)
X = G.integers(0, 256, (12, 8, 8, 3), np.uint8)
Y = (np.arange(12) % 3).astype(np.uint8)[:, None]
SPLITS = ("train", "val", "test")
MEDMNIST = {f"{split}_images": X[a:] for a, split in enumerate(SPLITS)} | {
    f"{split}_labels": Y[a:] for a, split in enumerate(SPLITS)
}


def saved(folder, **changes):
    np.savez_compressed(folder / "set.npz", **MEDMNIST | changes)
    return folder / "set.npz"


def test_medmnists_layout(tmp_path):
    path = saved(tmp_path)
    train, test = load(path), load(str(path), split="test")
    assert np.array_equal(train.x.permute(0, 2, 3, 1), X) and train.y.tolist() == [0, 1, 2] * 4
    assert len(test) == 10 and test.classes == train.classes == ("0", "1", "2")
    assert load(path, size=16).x.shape == (12, 3, 16, 16)
    some = load(path, limit=4, classes=("2", "0"))
    assert some.classes == ("2", "0") and torch.bincount(some.y).tolist() == [2, 2]


def test_gray_images_and_the_names_of_keras(tmp_path):
    gray = X[..., 0]
    np.savez(tmp_path / "mnist.npz", x_train=gray, y_train=Y[:, 0], x_test=gray, y_test=Y[:, 0])
    data = load(tmp_path / "mnist.npz")
    assert all(np.array_equal(data.x[:, c], gray) for c in range(3))


def test_classes_are_those_of_all_splits(tmp_path):
    assert load(saved(tmp_path, test_labels=Y[2:] + 2)).classes == ("0", "1", "2", "3", "4")


def archive(path, name, data):
    """An .npz with one member replaced by raw bytes."""
    with zipfile.ZipFile(saved(path)) as old:
        members = {n: old.read(n) for n in old.namelist()} | {f"{name}.npy": data}
    with zipfile.ZipFile(path / "set.npz", "w", zipfile.ZIP_DEFLATED) as new:
        for n, content in members.items():
            new.writestr(n, content)
    return path / "set.npz"


def header(shape, dtype="|u1"):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return out.getvalue()


def objects():
    out = io.BytesIO()
    np.save(out, np.array([print] * 12, object), allow_pickle=True)
    return out.getvalue()


def cut(path):
    path.write_bytes(path.read_bytes()[:400])
    return path


BROKEN = {
    "no zip": (lambda root: cut(saved(root)), "cannot be read as .npz"),
    "other arrays": (
        lambda root: (np.savez(root / "a.npz", noise=X), root / "a.npz")[1],
        "a.npz holds noise, and not train_images",
    ),
    "objects": (lambda root: archive(root, "train_labels", objects()), "holds objects"),
    "texts": (lambda root: saved(root, train_labels=np.array(["a"] * 12)), "holds <U1"),
    "promises more than there is": (
        lambda root: archive(root, "train_images", header((10**9, 32, 32, 3)) + b"0" * 99),
        "train_images is not as long as it says",
    ),
    "a size below 0": (
        lambda root: archive(root, "train_images", header((-1, 8, 8, 3)) + b"0" * 99),
        "cannot be read as .npz",
    ),
    "no numpy array": (lambda root: archive(root, "train_images", b"hello"), "cannot be read"),
    "floats": (lambda root: saved(root, train_images=X / 255), "images of type float64"),
    "volumes": (
        lambda root: saved(root, train_images=np.zeros((12, 8, 8, 8, 1), np.uint8)),
        r"the shape \[12, 8, 8, 8, 1\]",
    ),
    "no images": (lambda root: saved(root, train_images=X[:0], train_labels=Y[:0]), "no images"),
    "several labels": (
        lambda root: saved(root, train_labels=np.zeros((12, 14), np.uint8)),
        r"shape \[12, 14\]; give one whole number",
    ),
    "too few labels": (lambda root: saved(root, train_labels=Y[:5]), "12 images and 5 labels"),
    "a label below 0": (
        lambda root: saved(root, train_labels=Y.astype(np.int8) - 1),
        "holds the label -1",
    ),
    "a label too large": (
        lambda root: saved(root, train_labels=np.full(12, 2**62)),
        f"holds the label {2**62}",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_npz_gets_one_sentence(tmp_path, case):
    make, says = BROKEN[case]
    with pytest.raises(UserError, match=says) as e:
        load(make(tmp_path))
    assert "\n" not in str(e.value) and str(e.value).endswith(".")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "LARGE", 1 << 16)
    path = archive(tmp_path, "train_images", header((100, 100, 100, 3)) + bytes(3_000_000))
    monkeypatch.setattr(np.lib.format, "read_array", None)
    with pytest.raises(UserError, match="is compressed to 0.10% of its size"):
        load(path)


def test_more_than_the_memory_is_said_first(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "memory_of_machine", lambda: 1000)
    with pytest.raises(UserError, match="of this machine; save fewer images"):
        load(saved(tmp_path))


LOADERS = """
import numpy as np, torch
from PIL import Image
x = np.arange(12 * 8 * 8 * 3, dtype=np.uint8).reshape(12, 8, 8, 3)
y = np.arange(12) % 3
x.setflags(write=False)

def arrays(split):
    n = {"train": 12, "test": 6}[split]
    return x[:n], y[:n], ["red", "green", "blue"]

def only_train():
    return torch.from_numpy(x.copy()), torch.from_numpy(y)

class Pairs(torch.utils.data.Dataset):
    classes = ["a", "b", "c"]
    sizes = [(8, 8)] * 12
    def __len__(self): return 12
    def __getitem__(self, k): return Image.fromarray(x[k]).resize(self.sizes[k]), int(y[k])

class Uneven(Pairs):
    sizes = [(8, 8 + k % 2) for k in range(12)]

class Floats(Pairs):
    def __getitem__(self, k): return torch.from_numpy(x[k] / 255), int(y[k])

class Failing(Pairs):
    def __getitem__(self, k): raise KeyError(k)

class Triples(Pairs):
    def __getitem__(self, k): return x[k], int(y[k]), k

class Stream(torch.utils.data.IterableDataset):
    def __iter__(self): yield from ()

pairs = lambda split: Pairs()
uneven, floats, failing, triples, stream = (
    lambda split, kind=kind: kind() for kind in (Uneven, Floats, Failing, Triples, Stream)
)

def raises(split): raise RuntimeError("no disk")
def leaves(split): raise SystemExit(3)
def nothing(split): pass
def lists(split): return [[1, 2], [3]], [0, 1]
def names(split): return x, y, ["a", "a", "b"]
def numbers(split): return x, y, 7
number = 7
"""


@pytest.fixture
def loaders(tmp_path, monkeypatch):
    (tmp_path / "loaders.py").write_text(LOADERS)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("loaders", None)


def test_a_loader_of_ones_own(loaders):
    train, test = load("loaders:arrays"), load("loaders:arrays", split="test")
    assert train.classes == ("red", "green", "blue") and len(train) == 12 and len(test) == 6
    assert load("loaders:only_train").classes == ("0", "1", "2")
    pairs = load("loaders:pairs")
    assert pairs.classes == ("a", "b", "c") and torch.equal(pairs.x, train.x)
    assert load("loaders:uneven", size=8).x.shape == (12, 3, 8, 8)


@pytest.mark.parametrize(
    ("loader", "says"),
    [
        ("gone", "there is no 'gone'"),
        ("number", "is not a function"),
        ("raises", "failed, RuntimeError: no disk"),
        ("leaves", "failed, SystemExit: 3"),
        ("nothing", "is of type NoneType; give Images, arrays"),
        ("lists", "is not an array"),
        ("names", "2 different names for 3 classes"),
        ("numbers", "no list of texts"),
        ("uneven", "different sizes; choose one with --size"),
        ("floats", "images of type float64; give uint8"),
        ("failing", "failed, KeyError: 0"),
        ("triples", "items of type tuple; give pairs"),
        ("stream", "has no length"),
    ],
)
def test_a_loader_that_fails_or_returns_nonsense_gets_one_sentence(loaders, loader, says):
    with pytest.raises(UserError, match=says) as e:
        load(f"loaders:{loader}")
    assert "\n" not in str(e.value)


def test_a_loader_without_splits_has_no_test_images(loaders):
    with pytest.raises(UserError, match="takes no split.* --test SOURCE"):
        load("loaders:only_train", split="test")
    with pytest.raises(UserError, match="no module 'lost'"):
        load("lost:loader")


@pytest.mark.parametrize("source", ["loaders:arrays", "set.npz"])
def test_from_the_door_to_the_export_by_commands(loaders, source):
    """The card knows where the originals are, and the learner finds the test split there."""
    saved(loaders)
    typed("protect", "uniform", "--data", source, "--limit", 9, "--out", "out", cwd=loaders)
    clean = originals_of(loaders / "out", originals=source)
    assert clean.source["source"] == source and len(clean) == 9
    assert len(load(loaders / "out", split="test", originals=source)) in (6, 10)
    typed("export", "out", "--noise", "noise.npy", "--originals", source, cwd=loaders)
    noise = np.load(loaders / "noise.npy").astype(int)
    assert np.array_equal(noise, load("out").x.numpy().astype(int) - clean.x.numpy())
    said = typed("protect", "uniform", "--data", "gone.npz", cwd=loaders, status=2).stderr
    assert "There is no file gone.npz" in said


def test_a_card_does_not_choose_what_is_imported(loaders):
    typed(
        "protect", "uniform", "--data", "loaders:arrays", "--limit", 9, "--out", "out", cwd=loaders
    )
    card = loaders / "out" / "card.json"
    card.write_text(card.read_text().replace("loaders:arrays", "planted:arrays"))
    (loaders / "planted.py").write_text("open('ran', 'w').close()")
    quick = ("--preset", "short", "--steps", 1)
    for command in (
        ("learn", "out", *quick),
        ("audit", "out", *quick),
        ("show", "out"),
        ("export", "out", "--noise", "noise.npy"),
    ):
        said = typed(*command, cwd=loaders, status=2).stderr
        assert "if it is yours, give --originals planted:arrays" in said
    for asked in (None, "loaders:arrays"):
        with pytest.raises(UserError, match="a file must not choose what is run"):
            load("out", split="test", originals=asked)
    assert not (loaders / "ran").exists()


def test_the_name_of_a_hub_is_no_function(few: Images, tmp_path):
    protect(few, Uniform(), tmp_path / "out")
    card = Card.read(tmp_path / "out")
    card = replace(card, data=card.data | {"source": "hf:set"})
    assert originals_source(card, tmp_path / "out", None)["source"] == "hf:set"


def test_arrays_in_memory():
    x = torch.from_numpy(X)
    same = as_images((x.permute(0, 3, 1, 2), Y[:, 0].tolist(), ["a", "b", "c"]))
    assert torch.equal(same.x, x.permute(0, 3, 1, 2)) and same.classes == ("a", "b", "c")
    assert not as_images((X, None)).labeled
    assert as_images(same) is same and as_images(same, size=4).size == 4
    with pytest.raises(UserError, match="of type int; give Images"):
        as_images(3)


def test_a_split_is_train_or_test():
    with pytest.raises(UserError, match="not val"):
        load("shapes", split="val")


def test_a_protected_set_for_pytorchs_loaders(few: Images, tmp_path):
    protect(few, Uniform(), tmp_path)
    images = load(tmp_path)
    dataset: Dataset = TorchDataset(images)
    x, y = next(iter(DataLoader(dataset, batch_size=40)))
    assert torch.equal(x, images.pixels(slice(None), "cpu")) and torch.equal(y, images.y)
    pictures = TorchDataset(images, transform=lambda image: image)
    picture, label = pictures[3]
    assert isinstance(picture, Image.Image) and np.array_equal(
        np.asarray(picture), images.x[3].permute(1, 2, 0)
    )
    assert label == pictures.targets[3] and pictures.classes == [*images.classes]
    back = as_images(pictures)
    assert torch.equal(back.x, images.x) and back.classes == images.classes


def test_what_the_page_on_data_shows(tmp_path, monkeypatch):
    """docs/data.md: its loader, and its commands with presets cut short."""
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    short = {"train_steps": 2, "steps": 1, "batch": 16, "model": "convnet"}
    monkeypatch.setitem(EM.presets, "fast", EM.presets["fast"] | short)
    quick = {"steps": 2, "batch": 16, "model": "convnet"}
    monkeypatch.setitem(Recipe.presets, "short", Recipe.presets["short"] | quick)
    gray = np.zeros((12, 28, 28), np.uint8)
    saved(tmp_path, **{f"{split}_images": gray[a:] for a, split in enumerate(SPLITS)}).rename(
        tmp_path / "breastmnist.npz"
    )
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.S | re.M)
    (tmp_path / "my_data.py").write_text(next(text for kind, text in blocks if kind == "python"))
    for line in "".join(text for kind, text in blocks if kind == "console").splitlines():
        typed(*shlex.split(line)[1:], cwd=tmp_path)
    assert load(tmp_path / "protected" / "weaker").x.shape == (60, 3, 32, 32)
