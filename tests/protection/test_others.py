"""One class among others: whose photos get noise, what the card remembers, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.typed import typed
from unlearnable import LSP, SEM, UserError, protect_photos, report, verify
from unlearnable.core.weights import read_weights
from unlearnable.data.card import Card
from unlearnable.data.folders import scan_photos
from unlearnable.data.others import read_others
from unlearnable.evaluation.results import Verified
from unlearnable.evaluation.verify import load_pairs
from unlearnable.protection import photo_files
from unlearnable.protection.methods.from_generator import Generated
from unlearnable.protection.photos import method_for
from unlearnable.training.recipe import Recipe

METHOD = SEM.preset(
    "short", model="tests.networks:narrow", train_steps=2, steps=1, adv_steps=1, batch=8
)
SIZE = 16
RECIPE = Recipe.preset("photos", model="tests.networks:narrow", steps=2, batch=8)


def photo(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(seed).integers(0, 256, (30 + seed % 5, 24, 3), dtype=np.uint8)
    Image.fromarray(x).save(path)


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.png")}


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """A folder with photos of alice (flat), those of bob and carol, and out, protected once."""
    root = tmp_path_factory.mktemp("first")
    for n in range(4):
        photo(root / "alice" / f"{n}.png", n)
        photo(root / "others" / "bob" / f"{n}.png", 10 + n)
        photo(root / "others" / "carol" / f"{n}.png", 20 + n)
    protect_photos(root / "alice", root / "out", METHOD, size=SIZE, others=root / "others")
    return root


@pytest.fixture
def folder(first, tmp_path) -> Path:
    root = shutil.copytree(first, tmp_path / "work")
    card = Card.read(root / "out")
    assert card.others is not None
    moved = replace(card, others=replace(card.others, folder=str(root / "others")))
    moved.write(root / "out.private")
    return root


def test_a_flat_folder_is_one_class_among_others(first):
    assert sorted(files(first / "out")) == [f"{n}.png" for n in range(4)]
    for n in range(4):
        a, b = (np.asarray(Image.open(first / p / f"{n}.png"), int) for p in ("alice", "out"))
        assert 0 < np.abs(a - b).max() <= 8
    for k, name in enumerate(("bob", "carol")):
        photo(first / "again.png", 10 + 10 * k)
        assert (first / "others" / name / "0.png").read_bytes() == (
            first / "again.png"
        ).read_bytes()
    (first / "again.png").unlink()
    card = Card.read(first / "out")
    assert card.shape[0] == 4 and card.protected_classes == () and card.others is not None
    about = card.others
    assert (about.own_classes, about.classes, about.count) == (("alice",), ("bob", "carol"), 8)
    assert Card.from_json(json.loads(json.dumps(card.to_json()))) == card
    private = first / "out.private"
    assert sorted(p.name for p in private.iterdir()) == ["card.json", "generator.safetensors"]
    packed = json.loads(read_weights(private / "generator.safetensors")[1]["unlearnable"])
    assert packed["classes"] == ["alice", "bob", "carol"]
    assert method_for(first / "alice", others=True)[0] == SEM.preset("short", eps=8)
    again = protect_photos(
        first / "alice", first / "out", METHOD, size=SIZE, others=first / "others"
    )
    assert again == card


def test_several_classes_among_one_flat_folder(folder):
    for name in ("ann", "eve"):
        for n in range(2):
            photo(folder / "mine" / name / f"{n}.png", 30 + 2 * len(name) + n + ord(name[0]))
    theirs = folder / "others" / "bob"
    card = protect_photos(folder / "mine", folder / "new", LSP(), size=SIZE, others=theirs)
    assert card.classes == ("ann", "eve") and card.others is not None
    assert (card.others.own_classes, card.others.classes) == (("ann", "eve"), ("bob",))
    ((clean, hidden),) = load_pairs(folder / "mine", folder / "new", SIZE)
    assert (
        clean.classes == ("ann", "eve", "bob") and clean.y.tolist() == [0] * 2 + [1] * 2 + [2] * 4
    )
    assert torch.equal(clean.x[4:], hidden.x[4:])
    assert (clean.x[:4] != hidden.x[:4]).flatten(1).any(1).all()


def test_a_folder_grows_and_a_killed_run_resumes(folder, monkeypatch):
    photos, out, theirs = folder / "alice", folder / "out", folder / "others"
    before = files(out)
    photo(photos / "new.png", 50)
    grown = protect_photos(photos, out, METHOD, size=SIZE, others=theirs)
    assert grown.shape[0] == 5 and grown.others == Card.read(out).others
    assert {name: files(out)[name] for name in before} == before
    photos.rename(folder / "renamed")  # the class keeps its name
    photos = folder / "renamed"
    photo(photos / "newer.png", 51)
    assert protect_photos(photos, out, METHOD, size=SIZE, others=theirs).shape[0] == 6

    def dies(*args, **kwargs):
        raise KeyboardInterrupt

    whole = folder / "whole"
    protect_photos(photos, whole, METHOD, size=SIZE, others=theirs)
    real = photo_files.write
    monkeypatch.setattr(photo_files, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        protect_photos(photos, folder / "killed", METHOD, size=SIZE, others=theirs)
    monkeypatch.setattr(photo_files, "write", real)
    with pytest.raises(UserError, match="unfinished run"):
        protect_photos(photos, folder / "killed", METHOD, size=SIZE, others=theirs / "bob")
    protect_photos(photos, folder / "killed", METHOD, size=SIZE, others=theirs)
    assert files(folder / "killed") == files(whole)


def test_a_generator_protects_further_photos_of_the_class(folder):
    photo(folder / "more" / "alice" / "only.png", 52)
    further = Generated.of(folder / "out", METHOD.model)
    card = protect_photos(folder / "more", folder / "more out", further, size=SIZE)
    assert card.classes == ("alice",) and card.others is None
    (folder / "x").mkdir()
    (folder / "more" / "alice").rename(folder / "x" / "alice")
    card = protect_photos(
        folder / "x" / "alice", folder / "o", further, size=SIZE, others=folder / "others"
    )
    assert card.others is not None and card.others.own_classes == ("alice",)


def test_other_others_are_refused(folder):
    photos, out = folder / "alice", folder / "out"
    with pytest.raises(UserError, match=r"among the photos in .*others; give --others"):
        protect_photos(photos, out, METHOD, size=SIZE)
    photo(folder / "others" / "bob" / "9.png", 60)
    with pytest.raises(UserError, match=r"are not the 8 among which .* put them back"):
        protect_photos(photos, out, METHOD, size=SIZE, others=folder / "others")
    with pytest.raises(UserError, match=r"are not the 8 among which yours were protected"):
        load_pairs(photos, out, SIZE)
    (folder / "others" / "bob" / "9.png").unlink()
    (folder / "others").rename(folder / "moved")
    with pytest.raises(UserError, match=r"There is no folder .*others; .* --others where they"):
        load_pairs(photos, out, SIZE)
    ((clean, _),) = load_pairs(photos, out, SIZE, others=folder / "moved")
    assert len(clean) == 12
    protect_photos(folder / "moved", folder / "plain", LSP(), size=SIZE)
    with pytest.raises(UserError, match="leave --others out"):
        load_pairs(folder / "moved", folder / "plain", SIZE, others=photos)
    with pytest.raises(UserError, match="leave --others out"):
        protect_photos(folder / "moved", folder / "plain", LSP(), size=SIZE, others=photos)


def spoiled(root: Path, how: str) -> str | Path:
    """The argument of --others."""
    theirs = root / "others"
    if how == "absent":
        return root / "nowhere"
    if how == "no folder":
        return root / "others" / "bob" / "0.png"
    if how == "empty":
        (root / "empty").mkdir()
        return root / "empty"
    if how == "one photo":
        shutil.rmtree(theirs / "carol")
        for n in (1, 2, 3):
            (theirs / "bob" / f"{n}.png").unlink()
    if how == "unreadable":
        (theirs / "bob" / "0.png").write_bytes(b"no image")
    if how == "same class":
        (theirs / "bob").rename(theirs / "Alice")
    if how == "own photo":
        shutil.copy(root / "alice" / "2.png", theirs / "bob" / "copy.png")
    return {"same": root / "alice", "around": root, "output": root / "new" / "x"}.get(how, theirs)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("absent", "There is no folder .*nowhere; give the one that holds the others' photos"),
        ("no folder", "There is no folder .*0.png; give the one"),
        ("empty", "empty holds no images"),
        ("one photo", "has 1 readable image; every class needs two or more"),
        ("unreadable", "1 file in .*others cannot be used; repair it, or give --skip-bad"),
        ("same class", "both have a class Alice; a class is yours or theirs"),
        ("own photo", "bob/copy.png is nearly the same photo as .*alice/2.png; take it out"),
        ("same", "alice cannot be yours and the others'; give another folder"),
        ("around", "lie inside each other; give an output folder elsewhere"),
        ("output", "lie inside each other; give an output folder elsewhere"),
    ],
)
def test_bad_input_gets_one_sentence(folder, how, said):
    theirs = spoiled(folder, how)
    with pytest.raises(UserError, match=said):
        protect_photos(folder / "alice", folder / "new", METHOD, size=SIZE, others=theirs)
    assert not (folder / "new.private").exists()
    if how == "unreadable":
        card = protect_photos(
            folder / "alice", folder / "new", LSP(), size=SIZE, others=theirs, skip_bad=True
        )
        assert card.others is not None and card.others.count == 7


def test_the_plan_is_said_first(folder):
    said = typed(
        *("protect-photos", "alice", "new", "--others", "others", "--dry-run", "--size", SIZE),
        *("--train-steps", 2),
        cwd=folder,
    ).stdout
    assert "alice: 4 photos" in said and "Unlearnable Clusters" not in said
    assert "8 photos of others (bob, carol) in others, which stay as they are." in said
    assert "4 photos would be protected" in said and not (folder / "new").exists()


def test_own_photos_come_first_and_names_are_kept(folder):
    own = scan_photos(folder / "alice", (SIZE,))
    others = read_others(folder / "others", folder / "alice", own, SIZE)
    joined = others.joined(own.images[SIZE])
    assert joined.classes == ("alice", "bob", "carol")
    assert joined.y.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert torch.equal(joined.x[:4], own.images[SIZE].x)


def test_the_verdict_is_on_the_owners_classes(folder):
    done = verify(
        folder / "alice", folder / "out", RECIPE, out=folder / "verified",
        radii=(0.0,), countermeasures=(), networks=(), seeds=2, holdout=0.5,
    )  # fmt: skip
    (row,) = done.rows
    assert done.own_classes == ["alice"] and round(done.chance, 1) == 33.3
    assert (done.test_photos, done.test_others) == (2, 4)
    cells = [json.loads(p.read_text()) for p in (folder / "verified").glob("*/cell.json")]
    assert len(cells) == 4
    each = [cell["by_class"] for cell in cells]
    assert sorted(row.clean + row.protected) == sorted(e["alice"] for e in each)
    assert sorted(row.others_clean + row.others_protected) == sorted(
        (e["bob"] + e["carol"]) / 2 for e in each
    )
    stored = Verified.read(folder / "verified" / "verify.json")
    assert stored == done and "adversarial 2/255" in done.not_tried
    page = report(folder / "out", folder / "verified", out=folder / "page.html")
    text = page.read_text(encoding="utf-8")
    assert "among 8 unchanged photos of others (2 classes)" in text
    assert text.count(">your classes</p>") == text.count(">the others&#39; classes</p>") == 1
