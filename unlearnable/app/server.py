"""The server behind ``unlearnable app``: bound to this computer, for its user."""

import contextlib
import errno
import importlib.util
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from os import environ
from typing import TYPE_CHECKING

from unlearnable.app.messages import Effort
from unlearnable.core.errors import UserError, install

if TYPE_CHECKING:
    import uvicorn

HOST = "127.0.0.1"


def require_nicegui() -> None:
    """Raise UserError where NiceGUI is not installed."""
    if importlib.util.find_spec("nicegui") is None:
        raise UserError(f"NiceGUI is not installed, an extra: {install('app')}.")


@contextlib.contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    """A socket on this computer's own address. port: 0 is any that is free. Raises UserError for
    one that is in use or may not be used."""
    with socket.socket() as own:
        if sys.platform != "win32":  # where it would let two programs have one port
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind((HOST, port))
        except OSError as e:
            if e.errno == errno.EADDRINUSE:
                raise UserError(
                    f"Port {port} is in use, perhaps by another `unlearnable app`; close that, or "
                    "give another --port (0 is any free one)."
                ) from e
            raise UserError(
                f"Port {port} cannot be used ({e.strerror}); give another --port (0 is any free "
                "one)."
            ) from e
        own.listen(128)
        yield own


def serve(
    port: int, *, browser: bool, say: Callable[[str], None], effort: Effort | None = None
) -> None:
    """Serve the page until Ctrl-C. browser: open it. say: is given the address. effort: how much is
    computed. Raises UserError for a port in use, and where NiceGUI is not installed."""
    require_nicegui()
    with listening(port) as own:
        port = own.getsockname()[1]
        import uvicorn

        from unlearnable.app.desk import Desk
        from unlearnable.app.guard import Guard
        from unlearnable.app.page import pages

        desk = Desk(effort)
        desk.worker.warm()
        guard = Guard(pages(desk), port)
        address = f"http://{HOST}:{port}/?key={guard.key}"
        say(f"The page is at {address}\nCtrl-C ends it; unfinished work resumes.")
        if browser and _has_screen():
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        config = uvicorn.Config(
            guard, log_level="warning", timeout_graceful_shutdown=1, ws_max_size=2**24
        )
        server = uvicorn.Server(config)
        _end_with_terminal(server)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                server.run(sockets=[own])
        finally:
            desk.close()


def _end_with_terminal(server: "uvicorn.Server") -> None:
    """Let a terminal that closes end the server as Ctrl-C does, unless nohup has that ignored."""
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: server.handle_exit(signal.SIGTERM, None))


def _has_screen() -> bool:
    """Whether a browser has where to open; elsewhere one of text would take the terminal."""
    return sys.platform in ("darwin", "win32") or bool(
        environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    )
