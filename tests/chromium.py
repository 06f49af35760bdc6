"""Chromium without a window, spoken to by its own protocol: enough to use a page as a person does,
and to see every request that it makes."""

import itertools
import json
import re
import shutil
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

KEYS = {"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40}


def find() -> str:
    """The browser's program; the test is skipped where there is none."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    return found or pytest.skip("neither chromium nor google-chrome is installed")


class Chromium:
    """One page. requests: the address of everything that it asked for, of web sockets too.
    complaints: what scripts threw and wrote to the console as errors."""

    def __init__(self, folder: Path):
        connect = pytest.importorskip("websockets.sync.client").connect
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        options += ["--no-first-run", "--disable-dev-shm-usage", f"--user-data-dir={folder}"]
        self.log = folder / "log"
        folder.mkdir(parents=True)
        with open(self.log, "wb") as log:
            command = [find(), *options, "about:blank"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.numbers = itertools.count(1)
        self.open_line = ExitStack()
        self.line = self.open_line.enter_context(
            connect(self._address(), max_size=None, ping_interval=None)
        )
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def _address(self) -> str:
        for _ in range(300):
            if found := re.search(rb"ws://(127\.0\.0\.1:\d+)/", self.log.read_bytes()):
                with urllib.request.urlopen(f"http://{found[1].decode()}/json/list") as answer:
                    pages = [each for each in json.load(answer) if each["type"] == "page"]
                if pages:
                    return pages[0]["webSocketDebuggerUrl"]
            time.sleep(0.1)
        raise AssertionError(f"chromium did not start: {self.log.read_text()[-2000:]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.open_line.close()
        self.process.kill()
        self.process.wait()

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call a method of the protocol; what happens meanwhile is noted."""
        number = next(self.numbers)
        self.line.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.line.recv(60))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message["method"], message["params"])

    def _note(self, event: str, about: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif event == "Network.webSocketCreated":
            self.requests.append(about["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(about["exceptionDetails"])[:500])
        elif event == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.complaints.append(about["entry"]["text"])

    def js(self, expression: str) -> Any:
        """The value of an expression, or of the promise that it is."""
        done = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def wait(self, selector: str, seconds: float = 200) -> None:
        """Wait until there is an element that can be used."""
        end = time.monotonic() + seconds
        while not self.js(f"!!document.querySelector({selector!r})"):
            assert time.monotonic() < end, f"no {selector}; {self.text()}\n{self.complaints}"
            time.sleep(0.1)

    def text(self, selector: str = "body") -> str:
        return self.js(f"document.querySelector({selector!r})?.innerText ?? ''")

    def focus(self) -> str:
        """The id of what has the focus."""
        return self.js("document.activeElement.id")

    def press(self, key: str) -> None:
        text = {"Enter": "\r", " ": " "}.get(key)
        about: dict[str, object] = {"key": key, "windowsVirtualKeyCode": KEYS[key]}
        about |= {"text": text} if text else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def tab_to(self, id: str) -> None:
        """Press Tab until the element with this id has the focus."""
        for _ in range(80):
            if self.focus() == id:
                return
            self.press("Tab")
        raise AssertionError(f"Tab does not lead to {id}, but to {self.focus()}")

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def drop(self, *paths: Path, on: str) -> None:
        """Drop files or folders of this computer on an element."""
        self.js(f"document.querySelector({on!r}).scrollIntoView({{block: 'center'}})")
        box = self.js(f"(r => [r.x, r.y])(document.querySelector({on!r}).getBoundingClientRect())")
        data = {"items": [], "files": [*map(str, paths)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            about = {"x": box[0] + 5, "y": box[1] + 5, "data": data}
            self.call("Input.dispatchDragEvent", type=kind, **about)
