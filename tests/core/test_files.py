"""Writing in one step, and what a killed writer leaves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unlearnable import UserError
from unlearnable.core import files
from unlearnable.core.files import atomic_write


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
