"""Writing in one step, and what a killed writer leaves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unlearnable import UserError
from unlearnable.core import files
from unlearnable.core.files import atomic_folder, atomic_write


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_swept", set())
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept = {
        f".sheet.png.{os.getpid()}-1-{files.HOST}.part",  # it is still running
        f".sheet.png.{dead.pid}-1-{files.HOST + 1}.part",  # another machine's
        ".a.part",  # not ours
    }
    for name in (f".sheet.png.{dead.pid}-1-{files.HOST}.part", *kept):
        (tmp_path / name).write_text("unfinished")
    with atomic_write(tmp_path / "sheet.png") as tmp:
        tmp.write_text("finished")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"sheet.png", *kept}


@pytest.mark.parametrize("folder", [Path(""), Path("/")])
def test_a_folder_is_not_the_name_of_a_file(folder):
    with pytest.raises(UserError, match="is a folder; give the name"), atomic_write(folder):
        pass


def test_a_folder_takes_its_place_in_one_step(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_swept", set())
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f".set.{dead.pid}-1-{files.HOST}.part"
    left.mkdir()
    (left / "half").write_text("unfinished")
    with atomic_folder(tmp_path / "set") as tmp:
        (tmp / "a").write_text("finished")
        assert not (tmp_path / "set").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
    with pytest.raises(KeyError), atomic_folder(tmp_path / "other") as tmp:
        (tmp / "a").write_text("half")
        raise KeyError
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_a_folder_replaces_nothing(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    for name in ("file", "full", "link", "dangling"):
        with pytest.raises(UserError, match="exists already"), atomic_folder(tmp_path / name):
            pytest.fail("entered")
    with atomic_folder(tmp_path / "empty") as tmp:
        (tmp / "a").write_text("finished")
    assert (tmp_path / "empty" / "a").read_text() == "finished"


def test_a_file_never_takes_the_place_of_a_device_or_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(UserError, match="is a device or a pipe"), atomic_write(path) as tmp:
            tmp.write_text("")
    assert (tmp_path / "pipe").is_fifo() and Path("/dev/null").is_char_device()
