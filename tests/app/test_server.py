"""Where it cannot be served: one sentence."""

import importlib.util
import socket

from tests.typed import typed
from unlearnable.app.server import HOST, listening


def said(*args, cwd) -> str:
    text = typed("app", *args, cwd=cwd, status=2).stderr
    assert text.count("\n") == 1, text
    return text


def test_a_port_in_use(tmp_path):
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        text = said("--port", port, "--no-browser", cwd=tmp_path)
    if importlib.util.find_spec("nicegui"):
        assert f"Port {port} is in use, perhaps by another `unlearnable app`" in text
    else:
        assert "NiceGUI is not installed" in text


def test_no_such_port(tmp_path):
    assert "A port lies between 0 and 65535" in said("--port", 70000, cwd=tmp_path)


def test_nicegui_is_not_installed(tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "nicegui" else real(name, *a)
    )
    assert "pip install 'unlearnable[app]'" in said("--no-browser", cwd=tmp_path)


def test_only_this_computer_is_listened_to():
    with listening(0) as own:
        assert own.getsockname()[0] == "127.0.0.1"
