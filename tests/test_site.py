"""The site: every link and anchor leads somewhere, every public name has its docstring on it, and
nothing on it is fetched from elsewhere."""

import os
import re
from pathlib import Path

import pytest

import unlearnable

ROOT = Path(__file__).parents[1]
# what a browser fetches by itself: not the address of a link that a person follows
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?([^"'\s>]+)"""
    r"""|<link\b(?![^>]*\brel=["']?(?:next|prev|canonical))[^>]*\bhref=["']?([^"'\s>]+)"""
    r"""|(?:@import|url\()\s*["']?([^"')\s]+)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("mkdocstrings_handlers.python", reason="the extra docs is not installed")
    pytest.importorskip("material", reason="the extra docs is not installed")
    os.environ["NO_MKDOCS_2_WARNING"] = "1"  # what the theme says of MkDocs 2 on every import
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    out = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(out)))  # strict: a warning ends it
    return out


def test_the_first_page_is_readme_and_its_pictures_are_there(site):
    page = (site / "index.html").read_text()
    assert "I have photographs" in page and 'href="log/#2026-11-26-the-readmes-sheet"' in page
    pictures = re.findall(r'<img [^>]*src="([^"]+)"', page)
    assert len(pictures) == 2 and all((site / name).exists() for name in pictures)
    assert (site / "tables.html").exists() and (site / "audits" / "leaderboard.html").exists()
    assert not (site / "records").exists()


def test_every_public_name_is_on_the_page_of_the_api(site):
    page = (site / "api" / "index.html").read_text()
    shown = {name.rpartition(".")[2] for name in re.findall(r'id="(unlearnable\.[\w.]+)"', page)}
    assert set(unlearnable.__all__) - {"__version__"} <= shown
    assert "budget, in /255" in page and "Raises UserError for a broken contract" in page


def test_the_notebook_is_a_page(site):
    page = (site / "first-steps" / "index.html").read_text()
    assert "guessing reaches" in page and 'href="../results/#the-demo"' in page


def test_nothing_is_fetched_from_elsewhere(site):
    files = [p for p in site.rglob("*") if p.suffix in (".html", ".css")]
    found = [
        (path.relative_to(site), address)
        for path in files
        for groups in FETCHED.findall(path.read_text(encoding="utf-8"))
        for address in groups
        if re.match(r"(https?:)?//", address)
    ]
    assert len(files) > 20 and found == []
    # of its own scripts, the theme's fetches Mermaid for diagrams, and a shim for pages on disk
    assert not any('class="mermaid"' in p.read_text() for p in files)
    assert "offline" not in (ROOT / "mkdocs.yml").read_text()
