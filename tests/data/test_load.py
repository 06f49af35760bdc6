"""Every source gives the same Images; every mistake gives one sentence."""

import errno
import gzip
import os
import pickle
import sys
import tarfile
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from unlearnable import Images, UserError, load
from unlearnable.core.units import add_noise, quantize, round_pixels, to_pixels, to_unit
from unlearnable.data import folders
from unlearnable.protection.methods.noise_files import read_noise


def image(path, size=(40, 30), color=(10, 200, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


def folder_of(root, classes=("cat", "dog"), each=3, size=(40, 30)):
    for c, name in enumerate(classes):
        for k in range(each):
            image(root / name / f"{k}.png", size, (50 * c, 10 * k, 0))
    return root


def cifar(root, n=10, labels=None, classes=10):
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    g = np.random.default_rng(0)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        data = g.integers(0, 256, (n, 3072), dtype=np.uint8)
        batch = {b"data": data, b"labels": list(range(10)) if labels is None else labels}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    (folder / "batches.meta").write_bytes(
        pickle.dumps({b"label_names": [b"c%d" % i for i in range(classes)]}, protocol=2)
    )
    return folder


def test_a_set_in_the_layout_of_cifar_may_have_more_classes(tmp_path):
    cifar(tmp_path, labels=list(range(990, 1000)), classes=1000)
    images = load("cifar10", root=tmp_path)
    assert len(images.classes) == 1000 and images.y[:10].tolist() == list(range(990, 1000))


def test_limit_is_balanced_seeded_and_keeps_the_order():
    all_, some = load("shapes", limit=100), load("shapes", limit=20)
    assert torch.bincount(some.y).tolist() == [2] * 10 and torch.equal(some.x, all_.x[:20])
    chosen = load("shapes", classes=("ring", "star"), limit=10)
    assert chosen.classes == ("ring", "star") and torch.bincount(chosen.y).tolist() == [5, 5]


def test_an_unknown_class_is_refused_before_a_shape_is_drawn(monkeypatch):
    monkeypatch.setattr("unlearnable.data.shapes.generate", None)
    with pytest.raises(UserError, match="No class 'cow' in this set; it has circle"):
        load("shapes", classes=("cow",))


def test_classes_are_relabeled_in_the_order_given():
    all_ = load("shapes", limit=100)
    some = load("shapes", limit=20, classes=("star", "ring"))
    rows = torch.tensor([all_.classes[c] in some.classes for c in all_.y])
    assert torch.equal(some.x, all_.subset(rows).x) and some.y.tolist() == [0, 1] * 10


def test_unit_range_and_back():
    x = torch.arange(256, dtype=torch.uint8)
    assert to_unit(x).dtype == torch.float32 and float(to_unit(x).max()) == 1
    assert torch.equal(to_pixels(to_unit(x)), x)
    assert to_pixels(torch.tensor([-0.1, 0.0019, 0.002, 1.1])).tolist() == [0, 0, 1, 255]
    assert round_pixels(torch.tensor([-3.0, 0.5, 1.5, 300.0])).tolist() == [0, 0, 2, 255]
    steps = torch.arange(-127, 128, dtype=torch.int8)
    assert torch.equal(quantize(to_unit(steps)), steps)
    noise = torch.tensor([-255, -8, 127, 255], dtype=torch.int16)
    assert add_noise(x[[3, 3, 200, 0]], noise).tolist() == [0, 0, 255, 255]


def test_train_and_test_of_shapes_differ():
    assert not torch.equal(load("shapes", limit=20).x, load("shapes", split="test", limit=20).x)


def test_official_cifar_layout(tmp_path):
    cifar(tmp_path)
    train, test = load("cifar10", root=tmp_path), load("cifar10", root=tmp_path, split="test")
    assert train.x.shape == (50, 3, 32, 32) and len(test) == 10 and train.classes[3] == "c3"


def test_real_cifar_loads(cifar_root):
    train = load("cifar10", root=cifar_root, limit=100)
    assert torch.bincount(train.y).tolist() == [10] * 10 and train.classes[0] == "airplane"
    assert 100 < float(train.x.float().mean()) < 140  # the set's mean is 120.7


def test_real_photographs_load(photos):
    data = load(photos, size=32, limit=12)
    assert data.x.shape == (12, 3, 32, 32) and data.classes[0] == "cardboard"


def test_image_folder_native_and_resized(tmp_path):
    folder_of(tmp_path)
    data = load(tmp_path)
    assert (
        data.x.shape == (6, 3, 30, 40)
        and data.y.tolist() == [0, 0, 0, 1, 1, 1]
        and data.classes == ("cat", "dog")
    )
    assert load(tmp_path, size=16).x.shape == (6, 3, 16, 16)
    assert int(data.x[5, 1].float().mean()) == 20


def test_imagenet_layout_is_resized_once_and_memory_mapped(tmp_path):
    for split in ("train", "val"):
        for k in range(101):
            image(tmp_path / "imagenet" / split / f"n{k:08d}" / "a.JPEG", (300, 400))
    train = load("imagenet100", root=tmp_path)
    assert train.x.shape == (100, 3, 256, 256) and train.classes[-1] == "n00000099"
    cache = tmp_path / "imagenet" / "imagenet100-train-256.npy"
    before = cache.stat().st_mtime_ns
    assert (
        torch.equal(load("imagenet100", root=tmp_path).x, train.x)
        and cache.stat().st_mtime_ns == before
    )
    test = load("imagenet100", split="test", root=tmp_path).x
    assert test.shape == (100, 3, 256, 256)
    # Fu et al.'s program stretches test images too: nothing of the longer side is cut off
    whole = Image.open(tmp_path / "imagenet" / "val" / "n00000000" / "a.JPEG").convert("RGB")
    stretched = np.asarray(whole.resize((256, 256), Image.Resampling.BILINEAR))
    assert np.array_equal(test[0].permute(1, 2, 0), stretched)


@pytest.mark.skipif(sys.platform != "linux", reason="no other system sets space aside")
def test_a_disk_without_room_for_imagenet_is_found_full_before_the_first_image(
    tmp_path, monkeypatch
):
    """A full disk under a memory-mapped file is SIGBUS, which no sentence survives."""
    for k in range(2):
        image(tmp_path / "imagenet" / "train" / f"n{k}" / "a.JPEG", (30, 40))

    def full(handle, offset, size):
        assert size == 2 * 3 * 256 * 256
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(folders, "read", lambda path: pytest.fail("read an image"))
    with pytest.raises(UserError, match="No space left to write .*imagenet100-train-256.npy"):
        load("imagenet100", root=tmp_path)
    assert [p.name for p in (tmp_path / "imagenet").iterdir()] == ["train"]


def test_images_refuse_labels_that_do_not_match():
    x = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    for y, says in ((torch.tensor([0, 1]), "labels"), (torch.tensor([0, 1, 2]), "0..1")):
        with pytest.raises(UserError, match=says):
            Images(x, y, ("a", "b"))
    with pytest.raises(UserError, match="uint8"):
        Images(x.float(), torch.zeros(3).long(), ("a",))


def _truncate(path):
    path.write_bytes(path.read_bytes()[:5000])


MISTAKES = {
    "no such source": (lambda root: {"source": root / "nowhere"}, "no folder"),
    "empty folder": (lambda root: {"source": root}, "no sub-folders"),
    "one image a class": (lambda root: {"source": folder_of(root, each=1)}, "two or more"),
    "not an image": (
        lambda root: {"source": folder_of(root), "_": (root / "cat" / "x.jpg").write_text("hello")},
        "x.jpg cannot be read as an image",
    ),
    "zero bytes": (
        lambda root: {"source": folder_of(root), "_": (root / "cat" / "x.png").write_bytes(b"")},
        "x.png cannot be read",
    ),
    "mixed sizes": (
        lambda root: {"source": folder_of(root), "_": image(root / "cat" / "x.png", (5, 5))},
        "--size",
    ),
    "limit 0": (lambda root: {"source": "shapes", "limit": 0}, "at least 1"),
    "unknown class": (lambda root: {"source": "shapes", "classes": ("cow",)}, "No class 'cow'"),
    "truncated CIFAR": (
        lambda root: {
            "source": "cifar10",
            "root": root,
            "_": _truncate(cifar(root) / "data_batch_2"),
        },
        "data_batch_2 is truncated",
    ),
    "labels that do not match": (
        lambda root: {"source": "cifar10", "root": root, "_": cifar(root, labels=[1, 2])},
        "not a complete CIFAR batch",
    ),
    "a label beyond int64": (
        lambda root: {"source": "cifar10", "root": root, "_": cifar(root, labels=[2**63] * 10)},
        "not a complete CIFAR batch",
    ),
    "a label without a class": (
        lambda root: {"source": "cifar10", "root": root, "_": cifar(root, labels=[10] * 10)},
        "Labels must lie in 0..9",
    ),
    "no ImageNet": (lambda root: {"source": "imagenet100", "root": root}, "Put ILSVRC2012"),
    "test split of a folder": (lambda root: {"source": folder_of(root), "split": "test"}, "--test"),
}


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_a_mistake_gets_one_sentence(tmp_path, mistake):
    prepare, says = MISTAKES[mistake]
    options = prepare(tmp_path)
    options.pop("_", None)
    with pytest.raises(UserError, match=says) as e:
        load(**options)
    assert "\n" not in str(e.value) and str(e.value).endswith((".", ")."))


def test_a_missing_download_says_where_to_put_the_files(tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    with pytest.raises(UserError, match="cifar-100-python into"):
        load("cifar100", root=tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    folder = cifar(tmp_path)
    (folder / "data_batch_1").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UserError, match="os.system"):
        load("cifar10", root=tmp_path)


def test_reading_official_pickles_warns_of_nothing(tmp_path):
    cifar(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load("cifar10", root=tmp_path)) == 50


def test_batches_written_by_python_3(tmp_path):
    folder = cifar(tmp_path)
    for path in folder.iterdir():
        batch = pickle.loads(path.read_bytes())
        text = {key.decode(): value for key, value in batch.items()}
        if path.name == "batches.meta":
            text["label_names"] = [name.decode() for name in text["label_names"]]
        path.write_bytes(pickle.dumps(text, protocol=4))
    assert load("cifar10", root=tmp_path).classes[3] == "c3"


def test_an_archive_that_is_there_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", None)
    folder = cifar(tmp_path / "made")
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    assert len(load("cifar10", root=tmp_path)) == 50 and archive.exists()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / archive.name).write_bytes(archive.read_bytes()[:9000])
    with pytest.raises(UserError, match="cannot be unpacked"):
        load("cifar10", root=tmp_path / "cut")
    assert [p.name for p in (tmp_path / "cut").iterdir()] == [archive.name]


def test_noise_in_other_files_is_named_as_what_it_is(tmp_path):
    noise = np.zeros((4, 3, 8, 8), np.int8)
    torch.save(torch.from_numpy(noise).float(), tmp_path / "perturbation.pt")
    np.savez(tmp_path / "noise.npz", noise=noise)
    np.save(tmp_path / "noise.npy", noise)
    (tmp_path / "noise.npy").rename(tmp_path / "noise.pkl")
    (tmp_path / "noise.pkl.gz").write_bytes(gzip.compress(pickle.dumps(noise)))
    says = {
        "perturbation.pt": "a file of torch.save",
        "noise.npz": "numpy arrays",
        "noise.pkl": "ending .npy",
        "noise.pkl.gz": "unpack",
    }
    for name, kind in says.items():
        with pytest.raises(UserError, match=f"{name} is .*{kind}"):
            read_noise(tmp_path / name)
