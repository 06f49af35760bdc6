"""The page about protected photos: what it says, shows and escapes; how it looks in a browser."""

import io
import json
import shutil
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser import axe, browse
from tests.photos import mixed_album
from unlearnable import SEM, UserError, protect_photos, report
from unlearnable.core.files import write_json

METHOD = SEM.preset("short", train_steps=2, steps=1, adv_steps=1, batch=8)
SIZE = 16
MADE = {"holdout": 0.25, "photos": "photos", "protected": "out"}  # the rest of a verify.json


class Page(HTMLParser):
    """What a page holds: tags, their attributes, and the text; whether every tag is closed."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.links, self.images, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href")]
        self.images += [dict(attrs)["src"]] if tag == "img" else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_report_says_what_verify_measured(tmp_path):
    photos = mixed_album(tmp_path / "photos", each=2)
    out = tmp_path / "a<b>c"  # a name that is markup
    card = protect_photos(photos, out, METHOD, size=SIZE)
    page = Page(report(out, out=tmp_path / "x.html").read_text())
    assert "not measured yet" in page.text and str(out) in page.text and not page.open
    assert len(page.images) == 6 and all(
        link.startswith("data:image/png;base64,") for link in page.links
    )
    first, second, noise = (
        np.asarray(Image.open(io.BytesIO(b64decode(p.split(",")[1])))) for p in page.images[:3]
    )
    assert np.array_equal(noise, np.clip(128 + 8 * (second.astype(int) - first), 0, 255))

    def verified(rows, verdict, flags=()):
        folder = tmp_path / "verified"
        about = {
            "chance": 50.0,
            "flags": list(flags),
            "near_duplicates": 0,
            "seeds": 2,
            "size": SIZE,
        }
        about |= {
            "recipe": {"steps": 300},
            "digest": card.digest,
            "written_digest": card.written_digest,
            "rows": rows,
        } | MADE
        about["verdict"] = verdict
        write_json(folder / "verify.json", about)
        return Page(report(out, folder, out=tmp_path / "x.html").read_text()).text

    held = {
        "learner": "ordinary training",
        "clean": [90.0, 91.0],
        "protected": [51.0, 52.0],
        "left": 0.037,
        "verdict": "protected",
    }
    failed = {
        "learner": "adversarial 2/255",
        "clean": [80.0, 81.0],
        "protected": [75.0, 76.0],
        "left": 0.8361,
        "verdict": "not protected",
    }
    weak = failed | {"clean": [55.0, 56.0], "verdict": "no verdict"}
    said = verified([held, failed], "not protected")
    assert (
        "Not protected from adversarial 2/255: models that train on these photos learn 4 to "
        "84\u00a0% of" in said
    )
    assert "90.5" in said and "75.5" in said and said.count("– not protected") == 1
    said = verified([held], "protected")
    assert "tried: models that train on these photos learn 4\u00a0% of" in said
    assert "Against whom it holds" in said and "Not tried" in said
    assert "Not protected: models" in verified([failed], "not protected")
    said = verified([held, weak], "no verdict", ["weak-baseline"])
    assert "No verdict: the test models" in said and said.count("– no verdict") == 1
    assert "Not protected from adversarial 2/255" in verified([failed, weak], "not protected")
    stored = tmp_path / "verified" / "verify.json"
    write_json(stored, json.loads(stored.read_text()) | {"digest": "another"})
    with pytest.raises(UserError, match="other photos"):
        report(out, tmp_path / "verified", out=tmp_path / "x.html")
    for damaged, lacks in (({}, "no 'rows'"), ([], "no keys"), ({"rows": [{}]}, "no 'learner'")):
        write_json(stored, damaged)
        with pytest.raises(UserError, match=f"verify.json is not .*{lacks}.*; run the"):
            report(out, tmp_path / "verified", out=tmp_path / "x.html")
    with pytest.raises(UserError, match=r"not a folder that .unlearnable verify. wrote"):
        report(out, tmp_path, out=tmp_path / "x.html")
    with pytest.raises(UserError, match="not a folder of protected photos"):
        report(photos, out=tmp_path / "x.html")


def shown(page: Path) -> Page:
    return Page(page.read_text(encoding="utf-8"))


def test_originals_are_found_from_elsewhere_or_missed_aloud(tmp_path, monkeypatch):
    """The card names the folder as it was typed; the page may be made somewhere else."""
    monkeypatch.chdir(tmp_path)
    mixed_album(tmp_path / "photos", each=2)
    protect_photos("photos", "out", METHOD, size=SIZE)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    page = shown(report(tmp_path / "out", out="page.html"))
    assert len(page.images) == 6 and "not found" not in page.text
    shutil.move(tmp_path / "photos", tmp_path / "moved")
    # photos of the same names and sizes, not the same
    mixed_album(tmp_path / "photos", classes=("dog",), each=2)
    page = shown(report(tmp_path / "out", out="page.html"))
    assert not page.images
    assert f"not found in {tmp_path / 'elsewhere' / 'photos'}" in page.text
    shutil.rmtree(tmp_path / "photos")
    shutil.copytree(tmp_path / "moved" / "dog", tmp_path / "photos" / "dog")
    page = shown(report(tmp_path / "out", out="page.html"))
    assert len(page.images) == 3 and "Some photos are not shown" in page.text


@pytest.mark.parametrize("change", ["added", "missing"])
def test_no_page_on_other_photos_than_those_that_were_written(tmp_path, change):
    photos, out = mixed_album(tmp_path / "photos", each=2), tmp_path / "out"
    protect_photos(photos, out, METHOD, size=SIZE)
    if change == "added":
        shutil.copy(photos / "cat/0 my image.png", out / "cat/stranger.png")
    else:
        (out / "cat/0 my image.png").unlink()
    with pytest.raises(UserError, match="are missing from .*, or were added to it"):
        report(out, out=tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_names_cannot_become_markup_or_escape_sequences(tmp_path):
    photos = mixed_album(tmp_path / "<i>photos", classes=("<b>cat\x1b[31m", "d\u202eog"), each=2)
    out = tmp_path / "out <script> it's"
    protect_photos(photos, out, METHOD, size=SIZE)
    text = report(out, out=tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not page.open and len(page.images) == 6
    hostile = ("<b>", "<i>", "<script> it", "\x1b", "\u202e")
    assert [part for part in hostile if part in text] == []
    assert r"<b>cat\x1b[31m: original" in page.text and r"d\u202eog: original" in page.text


PROBE = """
const luminance = c => { const [r, g, b] = c.match(/[0-9]+/g).map(v => { v /= 255;
  return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
  return .2126 * r + .7152 * g + .0722 * b; };
const style = getComputedStyle(document.body);
const [a, b] = [style.color, style.backgroundColor].map(luminance);
return {wide: document.documentElement.scrollWidth, window: innerWidth,
  dark: b < .5, contrast: (Math.max(a, b) + .05) / (Math.min(a, b) + .05),
  bars: document.querySelectorAll(".fill").length,
  broken: [...document.images].filter(i => !i.naturalWidth).length};
"""


@pytest.fixture(scope="module")
def proven(tmp_path_factory) -> Path:
    """A page with a verification."""
    root = tmp_path_factory.mktemp("proven")
    card = protect_photos(mixed_album(root / "photos", each=2), root / "out", METHOD, size=SIZE)
    row = {
        "learner": "ordinary training",
        "clean": [90.0, 91.0],
        "protected": [51.0, 52.0],
        "left": 0.037,
        "verdict": "protected",
    }
    about = {
        "chance": 50.0,
        "flags": ["few-seeds"],
        "near_duplicates": 0,
        "seeds": 2,
        "size": SIZE,
        "rows": [row],
        "verdict": "protected",
    }
    write_json(
        root / "verified" / "verify.json",
        about
        | {"recipe": {"steps": 300}, "digest": card.digest, "written_digest": card.written_digest}
        | MADE,
    )
    return report(root / "out", root / "verified", out=root / "page.html")


@pytest.mark.parametrize("width, dark", [(390, False), (1200, False), (1200, True)])
def test_report_in_a_browser(proven, width, dark):
    """No sideways scrolling at phone and desktop width, nothing on the console, dark mode readable
    (WCAG AAA: 7)."""
    page = browse(proven, PROBE, width=width, dark=dark)
    seen = page.found
    assert seen["wide"] <= seen["window"] == width and seen["dark"] == dark
    assert seen["contrast"] > 7 and seen["bars"] == 2 and seen["broken"] == 0
    assert not page.console


@pytest.mark.parametrize("width, dark", [(390, False), (1200, True)])
def test_axe_finds_nothing(proven, width, dark):
    assert axe(proven, width=width, dark=dark) == []
