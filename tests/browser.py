"""A page in headless Chromium, at the width of a phone or a desktop, in light or dark."""

import json
import subprocess
from dataclasses import dataclass
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from re import search
from typing import Any

import pytest

from tests.chromium import find

AXE = ("axe_playwright_python", "axe_core_python")  # packages that hold axe.min.js, newest first
# after the page's own scripts: the probe's value, or an error, goes to the frame around it
SCRIPT = """<script>{library}</script><script>
Promise.resolve().then(() => {{ {probe} }}).catch(error => ({{error: String(error)}}))
  .then(value => parent.postMessage(JSON.stringify(value), "*"));
</script>"""
FRAME = """<script>onmessage = message => document.title = message.data</script>
<iframe src="{page}" style="border: 0; width: {width}px; height: 2000px"></iframe>"""
RUN_AXE = """return axe.run(document, {resultTypes: ["violations"]}).then(found =>
  found.violations.map(v => [v.id, v.impact, v.nodes.map(node => node.html.slice(0, 120))]))"""


@dataclass(frozen=True)
class Seen:
    """What the probe found, and the lines that the browser wrote on the page's console."""

    found: Any
    console: tuple[str, ...]


def browse(page: Path, probe: str, *, width: int, dark: bool = False, library: str = "") -> Seen:
    """Return what ``probe``, the body of a function in JavaScript, returns in the page. Skips the
    test where there is no Chromium."""
    browser = find()
    probed = page.with_suffix(".probed.html")
    probed.write_text(page.read_text() + SCRIPT.format(probe=probe, library=library))
    frame = page.with_suffix(".frame.html")  # a window cannot be as narrow as a phone, a frame can
    frame.write_text(FRAME.format(page=probed.name, width=width))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    options += [f"--user-data-dir={page.parent / 'browser'}", "--window-size=1400,2100"]
    options += ["--enable-logging=stderr", "--dump-dom", "--virtual-time-budget=10000"]
    options += ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = subprocess.run(
        [browser, *options, frame.as_uri()], capture_output=True, text=True, timeout=120
    )
    title = search(r"<title>(.*?)</title>", done.stdout)
    assert title, done.stderr[-2000:]
    console = tuple(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return Seen(json.loads(unescape(title[1])), console)


def axe(page: Path, *, width: int, dark: bool = False) -> list[list[Any]]:
    """Return what axe finds against the page's accessibility, (rule, impact, elements), from
    minor to critical. Skips the test where axe or Chromium is missing."""
    found = [spec for name in AXE if (spec := find_spec(name)) and spec.origin]
    if not found:
        pytest.skip("axe-core-python is not installed")
    library = (Path(str(found[0].origin)).parent / "axe.min.js").read_text()
    return browse(page, RUN_AXE, width=width, dark=dark, library=library).found
