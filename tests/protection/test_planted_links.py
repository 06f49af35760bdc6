"""Links that somebody plants, before or while it runs, where ``protect_photos`` writes."""

from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from unlearnable import LSP, UserError, protect_photos
from unlearnable.core import files
from unlearnable.protection import photos as module


@pytest.fixture
def folder(tmp_path):
    """photos, and mine: another folder of the owner's, with files of the same names."""
    for k in range(4):
        for root in ("photos", "mine"):
            path = tmp_path / root / "ab"[k % 2] / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            x = np.random.default_rng(k).integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(x).save(path)
    return tmp_path


def plant(link, target) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)


def content(root) -> dict:
    return {p: p.read_bytes() if p.is_file() else b"" for p in root.rglob("*")}


def refused(folder) -> None:
    before = content(folder / "mine")
    with pytest.raises(UserError, match="symbolic link|not this run's output"):
        protect_photos(folder / "photos", folder / "out", LSP(), size=16)
    assert content(folder / "mine") == before


@pytest.mark.parametrize(
    "link", ["out/a", "out.private", "out.private/run.json", "out.private/work"]
)
def test_before_it_runs(folder, link):
    plant(folder / link, folder / "mine" / "a")
    refused(folder)


@pytest.mark.parametrize("link", ["out/a", "out.private/work/photos", "out.private/work/photos/a"])
def test_while_it_runs(folder, monkeypatch, link):
    real = module.protect

    def protect(*args, **kwargs):
        done = real(*args, **kwargs)
        plant(folder / link, folder / "mine" / ("a" if link.endswith("a") else ""))
        return done

    monkeypatch.setattr(module, "protect", protect)
    refused(folder)


def test_between_the_check_and_the_write(folder, monkeypatch):
    """The folder is opened without following links, so the check need not be in time."""
    real, checked = files.refuse_links, []

    def too_early(path, within):
        if path.suffix != ".png" or len(checked) > 100:
            return real(path, within)
        checked.append(path)  # and now the link comes
        out = folder / "out" / "a"
        if path.parent == out:
            with suppress(FileExistsError):  # photos are written by several threads
                plant(out, folder / "mine" / "a")

    monkeypatch.setattr(files, "refuse_links", too_early)
    before = content(folder / "mine")
    with pytest.raises(UserError, match="Cannot write"):
        protect_photos(folder / "photos", folder / "out", LSP(), size=16)
    assert checked and content(folder / "mine") == before


def test_a_planted_photo_is_not_taken_for_a_written_one(folder, monkeypatch):
    def dies(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
        m.setattr(module, "_card", dies)
        protect_photos(folder / "photos", folder / "out", LSP(), size=16)
    (folder / "out" / "a" / "0.png").unlink()
    plant(folder / "out" / "a" / "0.png", folder / "mine" / "a" / "0.png")
    refused(folder)
    (folder / "out" / "a" / "0.png").unlink()
    assert protect_photos(folder / "photos", folder / "out", LSP(), size=16).shape[0] == 4
