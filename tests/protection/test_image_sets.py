"""Protected images as others read them: complete, the same pixels, nothing private, in one step."""

import errno
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.typed import typed
from unlearnable import Card, Uniform, UserError, load, protect
from unlearnable.data import sources
from unlearnable.protection import image_sets
from unlearnable.protection.image_sets import (
    export_hf,
    export_imagefolder,
    export_webdataset,
    read_for_export,
)

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def protected(few, tmp_path_factory):
    folder = tmp_path_factory.mktemp("protected") / "uniform"
    protect(few, Uniform(), folder)
    return folder


@pytest.fixture
def images(protected):
    return read_for_export(protected)[0]


@pytest.fixture
def card(protected):
    return Card.read(protected)


def by_name(data):
    """Every image with the name of its class, whatever the order of the images and classes."""
    return sorted((data.classes[int(c)], x.numpy().tobytes()) for x, c in zip(data.x, data.y))


def test_an_image_folder(images, card, tmp_path):
    out = export_imagefolder(images, card, tmp_path / "new" / "set")
    assert by_name(load(out)) == by_name(images)
    lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert len(lines) == len(images)
    for k, line in enumerate(lines):  # in the order of the images
        with Image.open(out / line["file_name"]) as image:
            assert np.array_equal(np.asarray(image), images.x[k].permute(1, 2, 0))
        assert line["label"] == images.classes[int(images.y[k])]
        assert line["file_name"].split("/")[0] == line["label"]
    assert {p.name for p in out.iterdir()} == {
        *images.classes, "metadata.jsonl", "croissant.json"
    }  # fmt: skip


def test_what_is_published_names_no_path_and_no_command(images, card, protected, tmp_path):
    out = export_imagefolder(images, card, tmp_path / "set")
    said = (out / "croissant.json").read_text() + (out / "metadata.jsonl").read_text()
    for secret in (str(tmp_path), str(protected.parent), card.command, card.digest, card.hardware):
        assert secret not in said


def test_a_description_names_the_classes_that_are_protected(few, tmp_path):
    """The others are published as they were."""
    protect(few, Uniform(), tmp_path / "p", protected_classes=few.classes[2:4])
    export_imagefolder(*read_for_export(tmp_path / "p")[:2], tmp_path / "x")
    said = json.loads((tmp_path / "x" / "croissant.json").read_text())["description"]
    assert f"of which those of {few.classes[2]}, {few.classes[3]} were changed" in said


def test_the_description_is_croissant(images, card, tmp_path):
    out = export_imagefolder(images, card, tmp_path / "set")
    described = json.loads((out / "croissant.json").read_text())
    assert described["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert described["name"] == "set" and "method uniform" in described["description"]
    croissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    records = croissant.Dataset(jsonld=str(out / "croissant.json")).records("images")
    read = sorted((r["images/label"].decode(), r["images/image"].tobytes()) for r in records)
    plain = images.x.permute(0, 2, 3, 1).contiguous()
    assert read == sorted(
        (images.classes[int(c)], x.numpy().tobytes()) for x, c in zip(plain, images.y)
    )


def test_webdataset_by_the_convention(images, tmp_path, monkeypatch):
    monkeypatch.setattr(image_sets, "SHARD", 15)
    out = export_webdataset(images, tmp_path / "set")
    shards = sorted(out.glob("*.tar"))
    assert [p.name for p in shards] == [f"train-{k:06d}.tar" for k in range(3)]
    files = {}
    for path in shards:
        with tarfile.open(path) as tar:
            for member in tar:
                files[member.name] = tar.extractfile(member).read()
    assert [*files][:2] == ["00000000.png", "00000000.cls"]
    assert [int(v) for k, v in files.items() if k.endswith(".cls")] == images.y.tolist()
    assert json.loads((out / "classes.json").read_text()) == [*images.classes]
    again = export_webdataset(images, tmp_path / "again")
    assert all((again / p.name).read_bytes() == p.read_bytes() for p in shards)


def test_webdataset_by_the_real_library(images, tmp_path):
    wds = pytest.importorskip("webdataset", reason="webdataset is not installed")
    out = export_webdataset(images, tmp_path / "set")
    rows = wds.WebDataset(str(out / "train-000000.tar"), shardshuffle=False)
    for k, (image, label) in enumerate(rows.decode("pil").to_tuple("png", "cls")):
        assert np.array_equal(np.asarray(image), images.x[k].permute(1, 2, 0))
        assert label == int(images.y[k])
    assert k == len(images) - 1


def test_hugging_face_reads_every_layout(images, card, tmp_path, monkeypatch):
    datasets = pytest.importorskip(
        "datasets", reason="Hugging Face datasets is not installed: pip install '.[hf]'"
    )
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    saved = export_hf(images, card, tmp_path / "hf")
    rows = datasets.load_from_disk(str(saved))["train"]
    assert (
        rows.features["label"].names == [*images.classes] and rows["label"][:] == images.y.tolist()
    )
    assert "method uniform" in rows.info.description
    assert {p.name for p in saved.iterdir()} == {"dataset_dict.json", "train"}
    assert load(f"hf:{saved}").digest() == images.digest()
    folder = export_imagefolder(images, card, tmp_path / "folder")
    assert by_name(load(f"hf:{folder}")) == by_name(images)
    tars = load(f"hf:{export_webdataset(images, tmp_path / 'tars')}")
    assert torch.equal(tars.x, images.x) and torch.equal(tars.y, images.y)


def test_images_without_classes(few, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for k, x in enumerate(few.x[:3]):
        Image.fromarray(x.permute(1, 2, 0).numpy()).save(flat / f"{k}.png")
    protect(load(flat), Uniform(), tmp_path / "p")
    images, card = read_for_export(tmp_path / "p")
    out = export_imagefolder(images, card, tmp_path / "set")
    assert load(out).digest() == images.digest()
    assert "label" not in (out / "metadata.jsonl").read_text()
    tars = export_webdataset(images, tmp_path / "tars")
    assert {p.name for p in tars.iterdir()} == {"train-000000.tar"}


@pytest.mark.parametrize(
    "name", ["../up", "a/b", "..", "", "con\x1b[2J", "a:b", ".hidden", "a" * 201]
)
def test_a_class_that_cannot_name_a_folder_is_refused(images, card, tmp_path, name):
    from dataclasses import replace

    hostile = replace(images, classes=(name, *images.classes[1:]))
    with pytest.raises(UserError, match="cannot be the name of a folder; use --webdataset"):
        export_imagefolder(hostile, card, tmp_path / "set")
    assert not any(tmp_path.iterdir())
    twins = replace(images, classes=("Ring", "ring", *images.classes[2:]))
    with pytest.raises(UserError, match="the same name but for capital letters"):
        export_imagefolder(twins, card, tmp_path / "set")


@pytest.mark.parametrize("layout", ["imagefolder", "webdataset"])
def test_nothing_is_overwritten_and_nothing_half_written(
    images, card, tmp_path, layout, monkeypatch
):
    def export():
        if layout == "imagefolder":
            return export_imagefolder(images, card, tmp_path / "set")
        return export_webdataset(images, tmp_path / "set")

    drawn, real = [], image_sets._png

    def full(images, k):
        drawn.append(k)
        if len(drawn) == 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(images, k)

    monkeypatch.setattr(image_sets, "_png", full)
    with pytest.raises(UserError, match="No space left to write .*set"):
        export()
    assert not any(tmp_path.iterdir())
    (tmp_path / "set").mkdir()
    export()  # an empty folder is as good as none
    before = sorted((p, p.stat().st_mtime_ns) for p in (tmp_path / "set").rglob("*"))
    with pytest.raises(UserError, match="set exists already; choose another folder"):
        export()
    assert before == sorted((p, p.stat().st_mtime_ns) for p in (tmp_path / "set").rglob("*"))


def test_by_the_command_line(protected, tmp_path, monkeypatch):
    def run(*args, status=0):
        return typed("export", protected, *args, cwd=tmp_path, status=status)

    assert run("--imagefolder", "a", "--webdataset", "b").stdout.split() == ["a", "b"]
    assert "a exists already" in run("--imagefolder", "a", status=2).stderr
    # and of several the first is not written where the second cannot be
    assert "b exists already" in run("--imagefolder", "c", "--webdataset", "b", status=2).stderr
    (tmp_path / "d" / "cifar-10-batches-py" / "batches.meta").mkdir(parents=True)
    said = run("--imagefolder", "c", "--cifar", "d", status=2).stderr
    assert f"{Path('d', 'cifar-10-batches-py')} exists already" in said
    assert "nothing to export; give --imagefolder" in run(status=2).stderr
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'unlearnable[hf]'" in run("--hf", "c", status=2).stderr
    said = typed("protect", "uniform", "--data", "hf:x", cwd=tmp_path, status=2).stderr
    assert "pip install 'unlearnable[hf]'" in said
    assert {p.name for p in tmp_path.iterdir()} == {"a", "b", "d"}


def test_photos_are_an_image_folder_already(tmp_path, monkeypatch):
    class OfPhotos:
        photos = True

    monkeypatch.setattr(image_sets.Card, "read", lambda folder: OfPhotos)
    with pytest.raises(UserError, match="publish it as it is"):
        read_for_export(tmp_path)
