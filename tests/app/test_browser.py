"""The page in a browser: by the keyboard alone, from a dropped folder to the verdict, and no
request leaves this computer."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.chromium import Chromium, find
from unlearnable import __file__ as package

pytest.importorskip("nicegui", reason="the extra app is not installed")

SERVE = """
from functools import partial

from unlearnable.app.messages import Effort
from unlearnable.app.server import serve

if __name__ == "__main__":
    effort = Effort(train_steps=3, preview_steps=2, measure_steps=4, seeds=1)
    serve(0, browser=False, say=partial(print, flush=True), effort=effort)
"""


class Served:
    """An app of its own, with a home of its own."""

    def __init__(self, home: Path):
        script = home / "serve.py"
        script.write_text(SERVE)
        hidden = {"DISPLAY", "WAYLAND_DISPLAY", "PYTEST_CURRENT_TEST", "PYTEST_VERSION"}
        env = {k: v for k, v in os.environ.items() if k not in hidden}
        env |= {"HOME": str(home), "PYTHONPATH": str(Path(package).parents[1])}
        self.log = home / "log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, script], cwd=home, env=env, stdout=log, stderr=log
            )
        self.address = self._said(r"http://127\.0\.0\.1:\d+/\?key=\S+")

    def _said(self, pattern: str) -> str:
        for _ in range(1800):
            if found := re.search(pattern, self.log.read_text()):
                return found[0]
            time.sleep(0.1)
        self.process.kill()
        raise AssertionError(self.log.read_text())

    def close(self) -> None:
        """Ctrl-C, after which nothing is left and nothing has gone wrong."""
        self.process.send_signal(signal.SIGINT)
        try:
            assert self.process.wait(60) == 0, self.log.read_text()
        finally:
            self.process.kill()
        assert "Traceback" not in self.log.read_text(), self.log.read_text()


@pytest.fixture
def browser(tmp_path) -> Iterator[Chromium]:
    find()
    with Chromium(tmp_path / "profile") as opened:
        yield opened
    assert opened.complaints == []
    hosts = {urlsplit(address).hostname for address in opened.requests if ":/" in address}
    assert hosts == {"127.0.0.1"}, opened.requests


@pytest.fixture
def served(tmp_path, browser) -> Iterator[Served]:
    home = tmp_path / "home"
    home.mkdir()
    app = Served(home)
    yield app
    app.close()
    assert {p.name for p in home.iterdir()} <= {"serve.py", "log", "unlearnable", "photos"}


def test_the_page_opens_for_its_user_only_and_says_what_is_wrong(served, browser):
    browser.open(served.address.partition("?")[0])
    browser.wait("pre")  # how a plain text is shown
    assert "it holds a key of its own" in browser.text()
    browser.open(served.address)
    browser.wait("#look")
    assert browser.js("location.search") == "", "the key does not stay in sight"
    count = "document.querySelectorAll({!r}).length"
    assert [browser.js(count.format(tag)) for tag in ("main", "h1")] == [1, 1]
    assert browser.js("document.documentElement.lang").startswith("en")
    unnamed = (
        "[...document.querySelectorAll('input')].filter(e => !e.labels.length && !e.ariaLabel)"
    )
    assert browser.js(f"{unnamed}.length") == 0
    browser.tab_to("folder")
    browser.type("/no/such/folder")
    browser.press("Enter")
    browser.wait("#photos .wrong")
    assert "There is no folder /no/such/folder; check the path." in browser.text("#photos .wrong")
    browser.tab_to("browse")
    browser.press("Enter")
    browser.wait(".browser")
    for width in (390, 1280):
        browser.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        assert browser.js("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    # the refusals of the first address, of which the browser may tell late
    refused = "the server responded with a status of 403"
    browser.complaints = [said for said in browser.complaints if refused not in said]


@pytest.fixture
def few_photos(photos, tmp_path) -> Path:
    """Six real photos of each of three classes, and a file that is none."""
    folder = tmp_path / "home" / "photos"
    for name in ("cardboard", "glass", "metal"):
        (folder / name).mkdir(parents=True)
        for path in sorted((photos / name).glob("*.jpg"))[:6]:
            shutil.copy(path, folder / name)
    (folder / "glass" / "broken.jpg").write_bytes(b"no photo")
    return folder


@pytest.mark.slow
def test_from_a_dropped_folder_to_the_verdict_by_the_keyboard(served, browser, few_photos):
    browser.open(served.address)
    browser.wait("#look")
    browser.drop(few_photos, on="#drop")
    browser.wait("#start")
    copies = few_photos.parent / "unlearnable" / "photos"
    assert len([*copies.glob("*/*.jpg")]) == 19 and str(copies) in browser.js(
        "document.getElementById('folder').value"
    )
    assert "18 photos in “photos”" in browser.text("#photos")
    assert "glass/broken.jpg cannot be read as an image" in browser.text("#photos")
    assert "Image generators." in browser.text("#protect")
    assert re.search(r"takes about \d+ (seconds|minute)", browser.text("#protect"))

    browser.tab_to("show")
    browser.press("Enter")
    browser.wait("#cut")
    line = "document.querySelector('.pair').style.getPropertyValue('--cut')"
    browser.tab_to("cut")
    before = browser.js(line)
    browser.press("ArrowRight")
    assert browser.js(line) != before
    pictures = "[...document.querySelectorAll('.pair img')]"
    browser.js(f"Promise.all({pictures}.map(i => i.decode())).then(() => true)")  # all are there
    sizes = browser.js(f"{pictures}.map(i => [i.naturalWidth, i.width])")
    assert sizes and all(natural == shown for natural, shown in sizes), "not 1:1"

    browser.tab_to("start")
    browser.press("Enter")
    browser.wait("#protect .wrong")
    assert "tick above that they are left out" in browser.text("#protect .wrong")
    browser.tab_to("leave-out")
    browser.press(" ")
    browser.tab_to("start")
    browser.press("Enter")
    browser.wait("#protect progress")
    browser.open(served.address.partition("?")[0])  # the tab is closed, and another opened
    browser.wait("#measure")
    protected = copies.with_name("photos-protected")
    assert len([*protected.glob("*/*.png")]) == 18
    assert str(protected) in browser.text("#result")

    browser.tab_to("measure")
    browser.press("Enter")
    browser.wait("#result progress")
    browser.wait(".verdicts")
    verdict = browser.text(".verdicts")
    assert "Someone who trains on black-and-white copies" in verdict
    assert re.search(r"Of 100 new photos it recognizes \d+", verdict)
    assert browser.js("document.activeElement.className") in ("good", "bad")
    browser.open(f"{served.address.partition('?')[0]}report")
    browser.wait("h1")
    assert "What a model learns from them" in browser.text()
