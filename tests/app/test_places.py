"""Folders of this computer, and copies of what is dropped."""

import pytest

from unlearnable import UserError
from unlearnable.app.places import new_copy, place_in, subfolders


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_folders_are_listed_without_hidden_ones(tmp_path):
    for name in ("b", "A", ".hidden", "c/inner"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").write_text("")
    assert subfolders(tmp_path) == ["A", "b", "c"]
    with pytest.raises(UserError, match="No such file"):
        subfolders(tmp_path / "gone")


def test_a_copy_never_goes_into_an_earlier_one(home):
    assert [new_copy("trip").name for _ in range(2)] == ["trip", "trip-2"]
    assert new_copy("../../etc").parent == home / "unlearnable"
    assert new_copy("\x00..").name == "photos"


@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/passwd", "../x", "a/../../x", "a/.hidden", "a\\b", "C:/x", "a/\x00", "a//../b"),
        *("/".join("abcdefg"), "x" * 300),
    ],
)
def test_names_that_lead_elsewhere_are_refused(home, name):
    folder = new_copy("trip")
    with pytest.raises(UserError, match="cannot be copied"):
        place_in(folder, name)


def test_copies_replace_nothing(home):
    folder = new_copy("trip")
    place = place_in(folder, "cats/1.jpg")
    assert place == folder / "cats" / "1.jpg"
    place.parent.mkdir()
    place.write_text("")
    with pytest.raises(UserError, match="there already"):
        place_in(folder, "cats/1.jpg")
