"""The card on disk has the keys it always had, and a damaged one gets one sentence."""

import json
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from unlearnable import LSP, Images, UserError, load, protect, protect_photos
from unlearnable.data.card import (
    CARD,
    MARKER,
    Card,
    PhotoSettings,
    find_private,
    private_folder,
)
from unlearnable.data.sources import check_protected, check_source

KEYS = [
    "method",
    "settings",
    "digest",
    "seed",
    "bfloat16",
    "data",
    "classes",
    "shape",
    "budget",
    "passes",
    "measured",
    "seconds",
    "hardware",
    "torch",
    "version",
    "commit",
    "command",
]


def test_there_and_back(few, tmp_path):
    card = protect(few, LSP(), tmp_path / "out").card
    assert Card.read(tmp_path / "out") == card
    on_disk = json.loads((tmp_path / "out" / "card.json").read_text(encoding="utf-8"))
    assert list(on_disk) == KEYS and on_disk == card.to_json()
    about = on_disk | {"photos": {"size": 32, "format": "png", "keep_metadata": False}}
    about |= {"method_settings": on_disk["settings"], "left_out": ["a", "b"]}
    seen = dict.fromkeys(("color_difference", "color_difference_95", "color_shift"), 0.5)
    record = {"original": "cat/c.jpg", "written": "cat/c.png", "original_pixels": "0"}
    record |= {"written_pixels": "1", "measured": {"linf": 8, "psnr": 40.0, "ssim": 0.9} | seen}
    record |= {"original_digests": ["f", "c"]}
    about |= {"files": [record], "lost_metadata": []}
    photos = Card.from_json(about)
    assert photos.photos == PhotoSettings(32, "png", False) and photos.left_out == ("a", "b")
    assert photos.to_json() == about


@pytest.mark.parametrize("marker", ["half/state/config.json", f"half.private/{MARKER}"])
def test_the_folder_of_a_run_that_was_cut_off_says_so(tmp_path, marker):
    half = tmp_path / "half"
    for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"):
        (half / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(half / name)
    again = partial(protect_photos, out=tmp_path / "out", method=LSP())
    reads = (load, Card.read, check_protected, check_source, again)
    load(half)
    (tmp_path / marker).parent.mkdir()
    (tmp_path / marker).write_text("{}")
    for read in reads:
        with pytest.raises(
            UserError, match="half has not finished; its command, typed again, resu"
        ):
            read(half)


@pytest.mark.parametrize("text", ["{}", "[]", '{"method": "lsp"}'])
def test_an_incomplete_card_gets_one_sentence(tmp_path, text):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(ValueError, match=r"card.json is not a complete card \(it has no .*\); "):
        load(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "lacks"),
    [
        ("measured", {"linf": 8}, "no 'psnr'"),
        ("settings", 3, "wrong settings"),
        ("photos", {"size": 3}, "wrong photos"),
    ],
)
def test_what_a_card_holds_is_complete_too(few, tmp_path, key, value, lacks):
    protect(few, LSP(), tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps(card | {key: value}))
    with pytest.raises(UserError, match=rf"\(it has {lacks}\)"):
        Card.read(tmp_path)


def test_originals_made_in_python_are_not_known(few, tmp_path):
    protect(Images(few.x, few.y, few.classes), LSP(), tmp_path / "out")
    with pytest.raises(UserError, match="are not known"):
        load(tmp_path / "out", split="test")


def test_the_private_folder_lies_beside_every_folder_but_the_root(tmp_path):
    assert private_folder(tmp_path / "out") == tmp_path / "out.private"
    assert private_folder(tmp_path / "out" / "..").parent == tmp_path.parent
    assert find_private(Path("/"), CARD) is None


def test_nothing_is_written_among_protected_photos(few, tmp_path):
    """They get published, and a card in their folder would be too."""
    (tmp_path / "mine.private").mkdir()
    (tmp_path / "mine.private" / CARD).write_text('{"method": "sem", "digest": "0"}')
    with pytest.raises(UserError, match="lies in mine, whose protected photos are to be published"):
        protect(few, LSP(), tmp_path / "mine" / "lsp")
    assert not (tmp_path / "mine").exists()
    protect(few, LSP(), tmp_path / "mine too")
