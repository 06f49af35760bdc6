"""The jobs of the page: the same bits as the commands, the same refusals, in a photographer's
words."""

import io
import threading
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.typed import typed
from unlearnable import UserError
from unlearnable.app import child
from unlearnable.app.messages import (
    Effort,
    Failed,
    Finished,
    Found,
    Look,
    Picture,
    Preview,
    Protect,
    ProtectedPhotos,
    Ready,
    Working,
)
from unlearnable.app.work import Memory, do, measured
from unlearnable.data.card import Card
from unlearnable.evaluation.results import Verified, VerifiedRow

TINY = Effort(train_steps=2, preview_steps=1, measure_steps=2, seeds=1)


def a_photo(seed: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of four photos each."""
    for k in range(8):
        path = tmp_path / "photos" / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        a_photo(k).save(path)
    return tmp_path / "photos"


@pytest.fixture(autouse=True)
def known_pace(monkeypatch):
    """Trying how fast this computer is takes seconds."""
    for module in ("protection.pace", "training.pace"):
        monkeypatch.setattr(f"unlearnable.{module}.seconds_per_pass", lambda *a, **k: 1e-3)


def answers(job, memory=None):
    said = []
    do(job, memory or Memory(), said.append)
    return [answer for answer in said if not isinstance(answer, Working)]


def look(folder: Path, out: Path | None = None, memory=None):
    out = out or folder.with_name("out")
    return answers(Look(folder, out, "normal", TINY), memory)


def test_what_a_folder_holds_and_how_long_it_takes(folder):
    (folder / "b" / "broken.jpg").write_bytes(b"no photo")
    found, ready = look(folder)
    assert found == Found(
        folder,
        (("a", 4), ("b", 4)),
        (
            "b/broken.jpg cannot be read as an image; repair it, save it as JPEG or PNG, or take "
            "it out.",
        ),
    )
    assert (ready.new, ready.kept, ready.unfinished, ready.level, ready.problem) == (
        *(8, 0, False, None),
        "",
    )
    assert min(ready.seconds, ready.measure_seconds, ready.preview_seconds) > 0


def test_folders_that_cannot_be_protected_say_why(folder, tmp_path):
    with pytest.raises(UserError, match="There is no folder .*gone; check the path"):
        look(folder.with_name("gone"))
    with pytest.raises(UserError, match="are not sorted.*into a sub-folder of its own"):
        look(folder / "a", tmp_path / "out")
    _, ready = look(folder, folder / "inside")
    assert "lie inside each other" in ready.problem
    for path in (folder / "b").iterdir():
        path.unlink()
    (folder / "b").rmdir()
    _, ready = look(folder)
    assert "All images are of one class" in ready.problem


def test_the_noise_beforehand_is_real_and_within_the_budget(folder):
    memory = Memory()
    for level, most in (("light", 4), ("strong", 16)):
        (shown,) = answers(Preview(folder, level, 1, TINY), memory)
        assert isinstance(shown, Picture) and shown.name == "b/1.png" and shown.more
        before, after = (
            np.asarray(Image.open(io.BytesIO(data))).astype(int)
            for data in (shown.before, shown.after)
        )
        assert before.shape == (40, 60, 3) and (before == np.asarray(a_photo(1))).all()
        assert 0 < abs(after - before).max() <= most
    assert not [p for p in folder.parent.iterdir() if p != folder], "nothing is left beside"


def test_a_preview_shows_the_middle_of_a_large_photo(folder):
    a_photo(9, (2000, 1000)).save(folder / "a" / "0.png")
    (shown,) = answers(Preview(folder, "normal", 0, TINY))
    assert (shown.width, shown.height) == (960, 720)
    whole = np.asarray(a_photo(9, (2000, 1000)))
    assert (np.asarray(Image.open(io.BytesIO(shown.before))) == whole[140:860, 520:1480]).all()


def test_the_page_gives_the_bits_of_the_command(folder, tmp_path):
    (folder / "a" / "broken.jpg").write_bytes(b"no photo")
    job = Protect(folder, tmp_path / "page", "strong", False, TINY)
    with pytest.raises(UserError, match="Some files cannot be protected") as refused:
        answers(job)
    assert len(refused.value.details) == 1
    (done,) = answers(replace(job, leave_out=True))
    assert isinstance(done, ProtectedPhotos) and (done.count, done.left_out) == (8, 1)
    words = [folder, tmp_path / "typed", "--level", "strong", "--train-steps", 2, "--skip-bad"]
    typed("protect-photos", *words, cwd=tmp_path)
    written = sorted(p.relative_to(tmp_path / "page") for p in (tmp_path / "page").glob("*/*"))
    assert len(written) == 8
    for name in written:
        assert (tmp_path / "page" / name).read_bytes() == (tmp_path / "typed" / name).read_bytes()
    page, command = (Card.read(tmp_path / name) for name in ("page", "typed"))
    assert page.settings == command.settings and page.files == command.files
    assert page.command == command.command.replace("typed", "page")
    assert done.page.read_text().startswith("<!doctype html>")
    # nothing to do any more, and the page knows
    _, ready = look(folder, tmp_path / "page")
    assert ready.done == done and ready.measured is None and ready.level == "strong"


def test_a_folder_that_grew_and_one_that_was_begun(folder, tmp_path, monkeypatch):
    out, memory = tmp_path / "out", Memory()
    job = Protect(folder, out, "light", False, TINY)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("unlearnable.protection.photos.write_photo", stop)
        with pytest.raises(KeyboardInterrupt):
            answers(job, memory)
    _, ready = look(folder, out, memory)
    assert ready.unfinished and ready.level == "light" and not ready.done
    answers(job, memory)
    a_photo(20).save(folder / "a" / "new.png")
    _, ready = look(folder, out, memory)
    assert (ready.new, ready.kept, ready.unfinished, ready.level) == (1, 8, False, "light")
    (done,) = answers(job, memory)
    assert done.count == 9


def test_a_verdict_names_persons():
    rows = [
        VerifiedRow("ordinary training", [70.0], [30.0], 0.25, "protected"),
        VerifiedRow("training after grayscale", [60.0], [55.0], 0.88, "not protected"),
    ]
    flags = ["few-seeds", "no-pretrained"]
    verified = Verified(
        *(rows, "not protected", 17.0, flags, 0, 1, 48, 0.25, {}, "photos", "out", "digest"),
        not_tried=["JPEG 10"],
    )
    shown = measured(verified)
    who = "someone who trains on black-and-white copies"
    assert shown.headline.startswith(f"Not protected from {who}: models") and not shown.good
    assert [(row.who, row.clean) for row in shown.tried] == [
        ("someone who trains a model the ordinary way", 70.0),
        (who, 60.0),
    ]
    assert len(shown.care) == 2 and "JPEG 10" in shown.notes[-1]


def test_the_working_process_answers_in_order(folder, tmp_path, capsys):
    here, there = Pipe()
    worker = threading.Thread(target=lambda: pytest.raises(EOFError, child._work, there))
    worker.start()
    said = []

    def ask(job):
        here.send(job)
        while not said or not isinstance(said[-1], Finished | Failed):
            assert here.poll(60)
            said.append(here.recv())
        end = [a for a in said if not isinstance(a, Working)]
        said.clear()
        return end

    found, ready, end = ask(Look(folder, tmp_path / "out", "normal", TINY))
    assert isinstance(found, Found) and isinstance(ready, Ready) and end == Finished()
    (failed,) = ask(Look(folder.with_name("gone"), tmp_path / "out", "normal", TINY))
    assert isinstance(failed, Failed) and failed.sentence.startswith("There is no folder")
    (failed,) = ask(Protect(folder, tmp_path / "out", "no such level", False, TINY))
    assert (
        "The program failed (KeyError" in failed.sentence and "Traceback" in capsys.readouterr()[1]
    )
    here.close()
    worker.join(10)
    assert not worker.is_alive()
