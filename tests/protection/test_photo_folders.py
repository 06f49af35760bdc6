"""Folders of photos over time: they grow, change, shrink, and are given by mistake."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.kills import Killed, killed_at_call
from tests.photos import album, photo
from tests.typed import typed
from unlearnable import (
    LSP,
    SEM,
    ClassUAP,
    Recipe,
    UserError,
    load,
    protect,
    protect_photos,
    report,
    verify,
)
from unlearnable.core.checkpoint import held
from unlearnable.data.card import Card
from unlearnable.data.decoding import read
from unlearnable.data.folders import scan_photos
from unlearnable.evaluation.verify import load_pairs
from unlearnable.protection import photos as run
from unlearnable.protection.methods.from_generator import Generated
from unlearnable.protection.originals import originals_of

METHOD = SEM.preset("short", train_steps=2, steps=1, adv_steps=1, batch=8)
SIZE = 16


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.png")}


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """A folder with photos and out, protected once."""
    root = tmp_path_factory.mktemp("first")
    protect_photos(album(root / "photos", each=3), root / "out", METHOD, size=SIZE)
    return root


@pytest.fixture
def folder(first, tmp_path) -> Path:
    shutil.copytree(first, tmp_path / "work")
    return tmp_path / "work"


def test_a_folder_grows(folder):
    photos, out = folder / "photos", folder / "out"
    before, card = files(out), Card.read(out)
    photo(photos / "cat" / "between 0 and 1.png", 90)
    photo(photos / "dog" / "9.jpg", 91)
    grown = protect_photos(photos, out, METHOD, size=SIZE)
    after = files(out)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"cat/between 0 and 1.png", "dog/9.png"}
    assert [f.original for f in grown.files] == [
        "cat/0.png", "cat/1.png", "cat/2.png", "cat/between 0 and 1.png",
        "dog/0.png", "dog/1.png", "dog/2.png", "dog/9.jpg",
    ]  # fmt: skip
    assert grown == Card.read(out) and grown.shape[0] == 8 and grown.passes > card.passes
    assert (grown.method, grown.settings) == (card.method, card.settings)
    assert grown.measured["linf"] <= 8 and sum(grown.measured["psnr_counts"].values()) == 8
    ((clean, protected),) = load_pairs(photos, out, SIZE)
    assert len(clean) == len(protected) == 8 and torch.equal(originals_of(out).x, clean.x)
    assert len(list(folder.iterdir())) == 3 and len(list((folder / "out.private").iterdir())) == 2
    assert protect_photos(photos, out, METHOD, size=SIZE) == grown and files(out) == after
    a, b = (
        np.asarray(read(p).convert("RGB"), int) for p in (photos / "dog/9.jpg", out / "dog/9.png")
    )
    assert 0 < np.abs(a - b).max() <= 8


def test_growing_is_said_and_a_killed_one_resumes(folder, monkeypatch):
    photo(folder / "photos" / "cat" / "new.png", 92)
    said = typed(
        "protect-photos", "photos", "out", "--dry-run", "--train-steps", 3, cwd=folder, status=2
    )
    assert "another run's" in said.stderr
    from unlearnable.protection import photo_files

    def dies(*args, **kwargs):
        raise KeyboardInterrupt

    before, real = files(folder / "out"), photo_files.write
    monkeypatch.setattr(photo_files, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        protect_photos(folder / "photos", folder / "out", METHOD, size=SIZE)
    assert files(folder / "out") == before
    monkeypatch.setattr(photo_files, "write", real)
    photo(folder / "photos" / "cat" / "newer.png", 93)  # and the folder grows again meanwhile
    card = protect_photos(folder / "photos", folder / "out", METHOD, size=SIZE)
    assert card.shape[0] == 8 and len(list((folder / "out.private").iterdir())) == 2


def test_changed_and_missing_originals_get_one_sentence(folder):
    photos, out = folder / "photos", folder / "out"
    original = (photos / "cat" / "0.png").read_bytes()
    photo(photos / "cat" / "0.png", 95)
    with pytest.raises(UserError, match=r"cat/0.png was changed after .* delete .*out/cat/0.png"):
        protect_photos(photos, out, METHOD, size=SIZE)
    (photos / "cat" / "0.png").unlink()
    with pytest.raises(UserError, match=r"cat/0.png was taken away after"):
        protect_photos(photos, out, METHOD, size=SIZE)
    (out / "cat" / "0.png").unlink()  # as the sentence says
    assert protect_photos(photos, out, METHOD, size=SIZE).shape[0] == 5
    (photos / "cat" / "0.png").write_bytes(original)
    assert protect_photos(photos, out, METHOD, size=SIZE).shape[0] == 6
    assert len(load_pairs(photos, out, SIZE)[0][0]) == 6


def with_plate(path: Path, plate: bool) -> None:
    """A photo whose number plate is lost in a small copy: the patch has the same mean."""
    x = np.random.default_rng(5).integers(60, 196, (32 * SIZE, 32 * SIZE, 3), dtype=np.uint8)
    x[:32, :32] = 128
    if plate:
        x[:32:2, :32], x[1:32:2, :32] = 90, 166
    Image.fromarray(x).save(path)


@pytest.fixture
def plates(tmp_path) -> Path:
    """A folder with photos, one of which shows a plate, and out, protected."""
    photos = album(tmp_path / "photos", each=3)
    with_plate(photos / "cat" / "plate.png", True)
    protect_photos(photos, tmp_path / "out", METHOD, size=SIZE)
    return tmp_path


def test_an_edit_that_a_small_copy_does_not_show_is_noticed(plates):
    """Else what was edited out stays in the published photo."""
    photos, out = plates / "photos", plates / "out"
    before = scan_photos(photos, (SIZE,)).images[SIZE].digest()
    with_plate(photos / "cat" / "plate.png", False)
    assert scan_photos(photos, (SIZE,)).images[SIZE].digest() == before
    with pytest.raises(UserError, match=r"cat/plate.png was changed after"):
        protect_photos(photos, out, METHOD, size=SIZE)
    with pytest.raises(UserError, match="was not made from the photos that are in"):
        load_pairs(photos, out, SIZE)
    (out / "cat" / "plate.png").unlink()  # as the sentence says
    protect_photos(photos, out, METHOD, size=SIZE)
    x = np.asarray(read(out / "cat" / "plate.png"), int)[:32, :32, :3]
    assert np.abs(x - 128).max() <= 8 and load_pairs(photos, out, SIZE)


def test_the_same_photo_saved_anew_is_the_same(plates):
    photos, out = plates / "photos", plates / "out"
    path = photos / "cat" / "plate.png"
    before = path.read_bytes()
    exif = Image.Exif()
    exif[0x010E] = "a note"
    Image.open(path).save(path, compress_level=1, exif=exif)
    assert path.read_bytes() != before
    assert protect_photos(photos, out, METHOD, size=SIZE) == Card.read(out)


@pytest.mark.parametrize("what", ["transparency", "metadata"])
def test_what_was_taken_out_of_an_original_does_not_stay_published(tmp_path, what):
    photos, out = album(tmp_path / "photos", each=3), tmp_path / "out"
    path, exif = photos / "cat" / "0.png", Image.Exif()
    exif[0x010E] = "where I live"
    image = Image.open(path).convert("RGBA")
    image.save(path, exif=exif)
    protect_photos(photos, out, METHOD, size=SIZE, keep_metadata=True)
    if what == "transparency":
        image.putpixel((0, 0), (*image.getpixel((0, 0))[:3], 0))
        image.save(path, exif=exif)
    else:
        image.save(path)
    with pytest.raises(UserError, match=r"cat/0.png was changed after"):
        protect_photos(photos, out, METHOD, size=SIZE, keep_metadata=True)


def test_what_keeps_no_generator_does_not_grow(tmp_path):
    photos = album(tmp_path / "photos", each=3)
    protect_photos(photos, tmp_path / "out", LSP(), size=SIZE)
    photo(photos / "cat" / "new.png", 96)
    with pytest.raises(UserError, match="cannot protect further photos in the same way"):
        protect_photos(photos, tmp_path / "out", LSP(), size=SIZE)


def test_a_folder_with_one_noise_per_class_grows(tmp_path):
    m = ClassUAP(networks=("tests.networks:narrow",), input_size=SIZE, steps=2, batch=8)
    photos = album(tmp_path / "photos", each=3)
    protect_photos(photos, tmp_path / "out", m, size=SIZE)
    before = files(tmp_path / "out")
    shutil.copyfile(photos / "dog" / "0.png", photos / "dog" / "copy.png")
    card = protect_photos(photos, tmp_path / "out", m, size=SIZE)
    assert card.method == "class-uap" and card.shape[0] == len(before) + 1
    after = files(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    twin, copy = (read(tmp_path / "out" / "dog" / f"{n}.png") for n in ("0", "copy"))
    assert np.array_equal(np.asarray(twin), np.asarray(copy))


def test_a_generator_takes_any_classes_and_one_photo(folder):
    photo(folder / "more" / "dog" / "only.png", 97)
    card = protect_photos(
        folder / "more", folder / "more out", Generated.of(folder / "out"), size=SIZE
    )
    assert card.classes == ("dog",) and card.shape[0] == 1 and 0 < card.measured["linf"] <= 8
    assert len(load(folder / "more out")) == len(originals_of(folder / "more out")) == 1
    page = report(folder / "more out", out=folder / "page.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 3


def test_the_noise_of_a_class_does_not_depend_on_which_others_are_there(first):
    """Known answer: labels are those of the generator, not of the folder."""
    data = load(first / "photos", size=SIZE)
    dogs = load(first / "photos", size=SIZE, classes=("dog",))
    method = Generated.of(first / "out")
    both, reordered = (protect(d, method).images for d in (dogs, dogs.subset(torch.arange(3))))
    assert torch.equal(both.x, reordered.x)
    as_cats = protect(
        load(first / "photos", size=SIZE, classes=("cat", "dog")).subset(data.y == 1), method
    )
    assert torch.equal(as_cats.images.x, both.x)


def test_protected_photos_are_not_protected_again(folder):
    with pytest.raises(UserError, match="are protected already"):
        protect_photos(folder / "out", folder / "twice", METHOD, size=SIZE)
    shutil.copytree(folder / "out", folder / "published")  # without its card
    with pytest.raises(UserError, match=r"published/cat/0.png is a protected photo already"):
        protect_photos(folder / "published", folder / "twice", METHOD, size=SIZE)
    shutil.copy(folder / "out" / "cat" / "0.png", folder / "photos" / "cat" / "copy.png")
    with pytest.raises(UserError, match=r"cat/copy.png is a protected photo already"):
        protect_photos(folder / "photos", folder / "out", METHOD, size=SIZE)
    assert not (folder / "twice").exists() and not (folder / "twice.private").exists()


def test_a_class_that_was_left_out_stays_out(folder):
    """One photo is too few for a class; with --skip-bad it is left out, in ``verify`` too."""
    photo(folder / "photos" / "bird" / "only.png", 99)
    card = protect_photos(folder / "photos", folder / "new", METHOD, size=SIZE, skip_bad=True)
    assert card.classes == ("cat", "dog") and card.fewest == 2
    assert "bird has 1 readable image (only.png)" in card.left_out[0]
    assert len(load_pairs(folder / "photos", folder / "new", SIZE)[0][0]) == 6
    assert len(originals_of(folder / "new")) == 6


def test_a_folder_that_is_a_link(folder):
    (folder / "disk" / "real").mkdir(parents=True)
    (folder / "link").symlink_to(folder / "disk" / "real")
    protect_photos(folder / "photos", folder / "link", METHOD, size=SIZE)
    assert len(files(folder / "disk" / "real")) == 6
    assert (folder / "disk" / "real.private" / "card.json").exists()
    assert Card.read(folder / "link") == Card.read(folder / "disk" / "real")


def test_only_one_run_at_a_time(folder):
    with held(folder / "out.private"), pytest.raises(UserError, match="Another process"):
        protect_photos(folder / "photos", folder / "out", METHOD, size=SIZE)


def test_one_class_has_nothing_to_hide(tmp_path):
    photos = album(tmp_path / "photos", classes=("cat",), each=3)
    with pytest.raises(UserError, match="All images are of one class, cat"):
        protect_photos(photos, tmp_path / "out", METHOD, size=SIZE)
    assert not (tmp_path / "out.private").exists()


def test_verify_has_no_verdict_on_one_class(folder):
    photo(folder / "more" / "dog" / "a.png", 97)
    photo(folder / "more" / "dog" / "b.png", 98)
    protect_photos(folder / "more", folder / "o", Generated.of(folder / "out"), size=SIZE)
    done = verify(folder / "more", folder / "o", out=folder / "verified")
    assert done.verdict == "no verdict" and done.rows == [] and done.flags == ["one-class"]
    page = report(folder / "o", folder / "verified", out=folder / "page.html").read_text(
        encoding="utf-8"
    )
    assert "No verdict: all photos are of one class" in page and "0\u00a0%" not in page
    said = typed("verify", "more", "o", cwd=folder, status=4).stdout
    assert "No verdict" in said and "Publish" not in said


def test_the_card_says_what_the_eye_sees(first):
    measured = Card.read(first / "out").measured
    assert measured["color_difference_95"] > measured["color_difference"] > 0
    assert 0 <= measured["color_shift"] <= 8
    page = report(first / "out", out=first / "page.html").read_text(encoding="utf-8")
    assert f"mean color shift {measured['color_shift']:.1f}/255" in page and "CIEDE2000" in page


def test_a_file_that_is_not_protected_is_refused_wherever_it_lies(folder):
    photos, out = folder / "photos", folder / "out"
    for name in ("loose.png", "cat/deep/one.png", "cat/note.txt", "new/one.png"):
        photo(out / name, 3) if name.endswith("png") else (out / name).write_text("x")
        with pytest.raises(UserError, match=f"out/{name} has no original among the photos"):
            protect_photos(photos, out, METHOD, size=SIZE)
        (out / name).unlink()
    (out / "LICENSE.txt").write_text("mine")
    (out / ".DS_Store").write_text("")
    assert protect_photos(photos, out, METHOD, size=SIZE) == Card.read(out)
    # before any work where there is something to do
    photo(photos / "dog" / "9.png", 93)
    photo(out / "cat" / "stray.png", 3)
    with pytest.raises(UserError, match="out/cat/stray.png has no original"):
        protect_photos(photos, out, METHOD, size=SIZE)
    assert not (out / "dog" / "9.png").exists()


def test_a_class_folder_that_was_emptied_is_no_hindrance(folder):
    photos, out = folder / "photos", folder / "out"
    photo(photos / "bird" / "0.png", 70), photo(photos / "bird" / "1.png", 71)
    with pytest.raises(UserError):  # the surrogate knows no birds
        protect_photos(photos, out, METHOD, size=SIZE)
    shutil.rmtree(photos / "bird")
    (out / "bird").mkdir()
    assert protect_photos(photos, out, METHOD, size=SIZE) == Card.read(out)


def test_a_damaged_protected_photo_is_made_anew(folder):
    """Its original may be whole: the advice for originals would not help."""
    whole = files(folder / "out")
    (folder / "out" / "cat" / "0.png").write_bytes(whole["cat/0.png"][:100])
    with pytest.raises(UserError, match=r"cat/0\.png cannot be read .*delete it and protect the"):
        load(folder / "out", size=SIZE)
    (folder / "out" / "cat" / "0.png").unlink()
    protect_photos(folder / "photos", folder / "out", METHOD, size=SIZE)
    assert files(folder / "out").keys() == whole.keys()


def test_a_second_photo_of_a_name_is_told_with_the_first(folder):
    """Which of the two is protected is not known here; a name that sorts before it may be new."""
    photo(folder / "photos" / "cat" / "0.jpg", 7)
    with pytest.raises(UserError) as refused:
        protect_photos(folder / "photos", folder / "out", METHOD, size=SIZE)
    (said,) = refused.value.details
    assert "0.png would get the same name as 0.jpg" in said and "protected already" in said


def test_an_original_among_the_protected_photos_is_not_taken_for_one(folder, monkeypatch):
    """It was written by nobody, had its metadata, and counted as protected from then on."""
    photos, out = folder / "photos", folder / "out"
    new = Path("cat") / "new.png"
    photo(photos / new, 94)
    for _ in range(2):  # before a run begins, and while one is not done
        shutil.copy(photos / new, out / new)
        with pytest.raises(UserError, match=r"out/cat/new.png was not written by this run"):
            protect_photos(photos, out, METHOD, size=SIZE)
        (out / new).unlink()
        with monkeypatch.context() as m, pytest.raises(Killed):
            killed_at_call(m, run, "_card", 1)
            protect_photos(photos, out, METHOD, size=SIZE)
    protect_photos(photos, out, METHOD, size=SIZE)
    assert files(out).keys() == files(photos).keys()
    assert files(out)[str(new)] != files(photos)[str(new)]


def test_what_a_killed_growth_wrote_of_photos_edited_since_is_written_anew(tmp_path, monkeypatch):
    photos, out, exif = album(tmp_path / "photos", each=3), tmp_path / "out", Image.Exif()
    protect_photos(photos, out, METHOD, size=SIZE, keep_metadata=True)
    kept, path = files(out), photos / "cat" / "new.png"
    exif[0x010E] = "where I live"
    photo(path, 95)
    image = Image.open(path).copy()
    image.save(path, exif=exif)
    with monkeypatch.context() as m, pytest.raises(Killed):
        killed_at_call(m, run, "_card", 1)
        protect_photos(photos, out, METHOD, size=SIZE, keep_metadata=True)
    assert b"where I live" in (out / "cat" / "new.png").read_bytes()
    image.save(path)
    protect_photos(photos, out, METHOD, size=SIZE, keep_metadata=True)
    assert b"where I live" not in (out / "cat" / "new.png").read_bytes()
    assert {name: files(out)[name] for name in kept} == kept


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": 0}, "between 16 and 1024"),
        ({"size": 32.5}, "whole number"),
        ({"kind": "jpg"}, "webp"),
    ],
)
def test_settings_that_cannot_be_are_told_before_any_work(tmp_path, given, said):
    photos = album(tmp_path / "photos", each=3)
    with pytest.raises(UserError, match=said):
        protect_photos(photos, tmp_path / "out", METHOD, **{"size": SIZE} | given)
    assert [*tmp_path.iterdir()] == [photos]


def test_the_verification_of_another_folder_is_not_written_over(folder, tmp_path):
    shutil.copytree(folder, other := tmp_path / "other")
    recipe = Recipe.preset("photos", model="tests.networks:narrow", steps=2)
    how = {"recipe": recipe, "out": tmp_path / "v", "radii": (0,), "seeds": 1, "size": SIZE}
    how |= {"countermeasures": (), "networks": ()}
    verify(folder / "photos", folder / "out", **how)
    with pytest.raises(UserError, match=r"holds the verification of .*out; give another --out"):
        verify(other / "photos", other / "out", **how)
    verify(folder / "photos", folder / "out", **how)


def test_a_page_does_without_another_folder_s_verification(folder):
    verify = "verify", "photos", "out", "--steps", 2, "--seeds", 1, "--radii", 0
    typed(*verify, "--countermeasures", "--networks", "--size", SIZE, cwd=folder, status=4)
    typed("report", "photos", "out", cwd=folder)
    photo(folder / "photos" / "cat" / "new.png", 96)
    protect_photos(folder / "photos", folder / "out", METHOD, size=SIZE)
    said = typed("report", "photos", "out", cwd=folder).stderr
    assert "verified/out is about other photos, or other noise, and is left out" in said


def test_where_the_originals_are_looked_for_is_told(tmp_path):
    protect_photos(album(tmp_path / "photos"), tmp_path / "out", LSP(), size=SIZE)
    shutil.move(tmp_path / "photos", tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"The originals of .*out are not in .*photos"):
        originals_of(tmp_path / "out")


def test_the_longest_names_and_strange_ones_are_written(tmp_path):
    photos = album(tmp_path / "photos", each=2)
    for k, name in enumerate(("n" * 250, os.fsdecode(b"\xff\xfe"), "50%s", "-rf")):
        photo(photos / "cat" / f"{name}.png", 30 + k)
    protect_photos(photos, tmp_path / "out", LSP(), size=SIZE)
    assert files(tmp_path / "out").keys() == files(photos).keys()
