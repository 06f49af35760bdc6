"""``protect --settings card.json``: the same method and settings again, and every bad card."""

import json

import pytest

from tests.typed import typed
from unlearnable import EM, UserError, load, protect
from unlearnable.core.version import __version__
from unlearnable.protection.settings import method_of_card

TINY = EM(model="convnet", train_steps=2, steps=1, batch=16, eps=5.0)


@pytest.fixture(scope="module")
def folder(few, tmp_path_factory):
    folder = tmp_path_factory.mktemp("settings") / "em"
    protect(few, TINY, folder)
    return folder


def changed(folder, to, **changes):
    card = json.loads((folder / "card.json").read_text())
    settings = card["settings"] | changes.pop("settings", {})
    to.write_text(json.dumps(card | {"settings": settings} | changes))
    return to


def test_settings_come_back_and_options_beside_them_win(folder, tmp_path):
    assert method_of_card(folder) == method_of_card(folder / "card.json") == TINY
    run = ["--settings", folder / "card.json", "--data", "shapes", "--limit", 40]
    typed("protect", *run, "--out", "again", cwd=tmp_path)
    assert load(tmp_path / "again").digest() == load(folder).digest()
    typed("protect", "em", *run, "--eps", 3, "--out", "less", cwd=tmp_path)
    settings = json.loads((tmp_path / "less" / "card.json").read_text())["settings"]
    assert settings == json.loads((folder / "card.json").read_text())["settings"] | {"eps": 3.0}


def test_help_shows_the_settings_of_the_card(folder, tmp_path):
    said = " ".join(typed("protect", "--settings", folder, "--help", cwd=tmp_path).stdout.split())
    assert "The settings are those of" in said and "5.0)" in said


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": "9.1.0"}, f"was written by version 9.1.0, and this is {__version__}"),
        ({"version": "not installed"}, "was written by version not installed"),
        ({"method": "novel"}, "There is no method 'novel'"),
        ({"method": "rem"}, "lacks the setting adv_eps, unlike the method rem"),
        ({"settings": {"novelty": 1}}, "has the setting novelty"),
        ({"settings": {"eps": "much"}}, "its settings have wrong eps"),
        ({"settings": {"eps": -1}}, "eps must be above 0"),
        ({"settings": {"model": "evil:net"}}, "was made with the network 'evil:net'"),
        ({"digest": 3}, "is not a complete card"),
    ],
)
def test_a_bad_card_gets_one_sentence(folder, tmp_path, changes, says):
    path = changed(folder, tmp_path / "card.json", **changes)
    said = typed("protect", "--settings", path, cwd=tmp_path, status=2).stderr
    assert says in said and said.count("\n") == 1
    assert {p.name for p in tmp_path.iterdir()} == {"card.json"}


def test_a_later_version_of_the_same_kind_is_taken(folder, tmp_path):
    patch = ".".join([*__version__.split(".")[:2], "99"])
    assert method_of_card(changed(folder, tmp_path / "c.json", version=patch)) == TINY


def test_a_network_of_ones_own_is_named_on_the_command_line(folder, tmp_path):
    path = changed(folder, tmp_path / "card.json", settings={"model": "mine:net"})
    assert method_of_card(path, model="mine:net").model == "mine:net"


def test_what_is_no_card(folder, tmp_path):
    (tmp_path / "cut.json").write_text((folder / "card.json").read_text()[:50])
    (tmp_path / "list.json").write_text("[]")
    for name, says in (
        ("gone.json", "There is no card at"),
        ("cut.json", "is damaged or is not a card"),
        ("list.json", "is not a complete card"),
        (".", "There is no card at"),
    ):
        with pytest.raises(UserError, match=says):
            method_of_card(tmp_path / name)
    for args, says in (
        (["em", "--settings"], "--settings needs a card.json"),
        (["rem", "--settings", folder], "is of the method em, not rem"),
        (["--settings", folder, "--preset", "fast"], "give one of them"),
    ):
        assert says in typed("protect", *args, cwd=tmp_path, status=2).stderr
