"""Images without classes: a folder without sub-folders, from the command to the page."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from unlearnable import (
    EM,
    Recipe,
    Uniform,
    UserError,
    audit,
    learn,
    load,
    protect,
    protect_photos,
    report,
    verify,
)
from unlearnable.cli.main import main
from unlearnable.data.decoding import read
from unlearnable.data.image_files import examine, listing
from unlearnable.protection.originals import originals_of
from unlearnable.protection.photos import method_for

NAMES = ("a b.png", "c.jpg", "d.png", "e.webp")


@pytest.fixture
def flat(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for k, name in enumerate(NAMES):
        x = np.random.default_rng(k).integers(0, 256, (40, 30 + k, 3), dtype=np.uint8)
        Image.fromarray(x).save(folder / name)
    return folder


def type_in(monkeypatch, *args) -> None:
    monkeypatch.setattr(sys, "argv", ["unlearnable", *map(str, args)])
    main()


def test_a_flat_folder_has_images_and_no_classes(flat):
    data = load(flat, size=32)
    assert data.x.shape == (4, 3, 32, 32) and not data.labeled and data.y.tolist() == [0, 0, 0, 0]
    assert len(load(flat, size=32, limit=2)) == 2 and load("shapes", limit=10).labeled
    assert [p.name for p, _ in listing(flat).files] == list(NAMES)


def test_bad_files_of_a_flat_folder_are_named(flat):
    (flat / "letter.txt").write_text("dear")
    (flat / "c.png").write_bytes((flat / "d.png").read_bytes())
    found, _ = examine(flat, read)
    assert len(found.files) == 4 and len(found.problems) == 2
    for name in NAMES[1:]:
        (flat / name).unlink()
    (flat / "c.png").unlink()
    with pytest.raises(UserError, match="has 1 readable image; it needs two or more"):
        examine(flat, read)


def test_images_beside_sub_folders_are_a_mistake(flat):
    (flat / "cat").mkdir()
    for k in range(2):
        Image.new("RGB", (9, 9)).save(flat / "cat" / f"{k}.png")
    with pytest.raises(UserError, match="images beside them"):
        load(flat)
    for name in NAMES:
        (flat / name).unlink()
    (flat / "readme.txt").write_text("my cats")  # no image: passed over as before
    assert load(flat).classes == ("cat",)


def test_what_needs_classes_says_so(flat, tmp_path):
    data = load(flat, size=32)
    for method in (EM(model="convnet"), Uniform(noise_type="classwise")):
        with pytest.raises(UserError, match="needs classes"):
            protect(data, method, tmp_path / "out")
    with pytest.raises(UserError, match="no classes to learn"):
        learn(data, Recipe.preset("short"), out=tmp_path / "out")
    with pytest.raises(UserError, match="needs classes"):
        protect_photos(flat, tmp_path / "out", EM(model="convnet"))
    assert not (tmp_path / "out").exists()
    assert protect(data, Uniform()).card.measured["linf"] == 8


def test_photographs_keep_the_flat_layout(flat, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    card = protect_photos(flat, out, Uniform(), size=32)
    assert sorted(p.name for p in out.iterdir()) == [
        "a b.png",
        "c.png",
        "d.png",
        "e.png",
    ]
    for name in NAMES:
        a, b = read(flat / name), Image.open((out / name).with_suffix(".png"))
        assert a.size == b.size and 0 < np.abs(np.asarray(a, int) - np.asarray(b, int)).max() <= 8
    assert protect_photos(flat, out, Uniform(), size=32) == card
    assert torch.equal(originals_of(out).x, load(flat, size=32).x) and not load(out).labeled
    with pytest.raises(UserError, match="has no classes"):
        verify(flat, out, out=tmp_path / "verified")
    assert not (tmp_path / "verified").exists()
    with pytest.raises(UserError, match="no classes to learn"):
        audit(out, out=tmp_path / "audit")
    page = report(out, out=tmp_path / "page.html").read_text()
    assert "no classes" in page and page.count("data:image/png") == 9
    type_in(monkeypatch, "show", out)
    assert (tmp_path / "out-sheet.png").exists() and not (out / "sheet.png").exists()


def test_by_the_command_line(flat, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    few = ["--train-steps", 2]
    type_in(monkeypatch, "protect-photos", "photos", "hidden", "--dry-run", *few)
    said = capsys.readouterr().out
    assert (
        said.count("has no sub-folders") == 1
        and "4 photos would be protected" in said
        and "one class" not in said
    )
    type_in(monkeypatch, "protect-photos", "photos", "hidden", *few)
    said = capsys.readouterr().out
    assert "has no sub-folders" in said and "takes about" in said and "verify" not in said
    card = json.loads((tmp_path / "hidden.private" / "card.json").read_text())
    assert card["method"] == "unlearnable-clusters" and card["measured"]["linf"] <= 8
    assert len(list((tmp_path / "hidden").glob("*.png"))) == 4
    assert (tmp_path / "hidden.private" / "generator.safetensors").exists()
    small = ["--preset", "short", "--train-steps", 2, "--steps", 2, "--batch", 4, "--clusters", 2]
    type_in(
        monkeypatch, "protect", "unlearnable-clusters", "--data", "photos", "--size", 32, *small
    )
    assert not load("protected/unlearnable-clusters").labeled
    with pytest.raises(UserError, match="no gray views"):
        method_for(flat, gray_prob=0.4)
