"""What the verbs say, and where: one place for --quiet, --verbose, and --json.

Standard output gets the result and, before it, what a verb says beside it; standard error gets
warnings, progress, and errors. With --json standard output is one JSON document, and all else goes
to standard error; with --quiet only errors and the result are left.
"""

import contextlib
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearnable.core import display
from unlearnable.core.text import printable

if TYPE_CHECKING:
    from unlearnable.cli.options import Output
    from unlearnable.reports.tables import Table

PACKAGE = "unlearnable"
Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Done:
    """What a verb found. text: for people; data: for programs, with the keys that docs/watching.md
    lists; status: the exit status. tables: what a terminal shows instead of ``text``, made when it
    is needed."""

    text: str
    data: Json
    status: int = 0
    tables: "Callable[[], Sequence[str | Table]] | None" = None


def written(files: Sequence[Path]) -> Done:
    """The result of a verb that writes files or folders."""
    return Done("\n".join(map(str, files)), {"files": [*files]})


@dataclass
class _Channel:
    """How the command that runs wants to be heard."""

    quiet: bool = False
    json: bool = False


_channel = _Channel()


@contextlib.contextmanager
def speaking(output: "Output") -> Iterator[None]:
    """Inside, the package's log messages and its progress reach the terminal as ``output`` says, on
    rank 0."""
    logger, handler = logging.getLogger(PACKAGE), _Terminal()
    before, _channel.quiet, _channel.json = logger.level, output.quiet, output.json
    level = logging.DEBUG if output.verbose else logging.INFO
    logger.setLevel(logging.ERROR if output.quiet else level)
    logger.addHandler(handler)
    try:
        with contextlib.nullcontext() if output.quiet else display.shown():
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        _channel.quiet = _channel.json = False


class _Terminal(logging.Handler):
    """Writes messages to what is standard error at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        if _first():
            before = {logging.INFO: "", logging.DEBUG: f"{record.name}: "}
            said = before.get(record.levelno, f"{PACKAGE}: ") + printable(record.getMessage())
            print(said, file=sys.stderr, flush=True)


def say(text: str) -> None:
    """Print what goes beside the result: on standard output, or, where that is for JSON, on
    standard error."""
    if _first() and not _channel.quiet:
        print(text, file=sys.stderr if _channel.json else sys.stdout, flush=True)


def give(done: Done) -> None:
    """Print the result."""
    if not _first():
        return
    if _channel.json:
        print(json.dumps(_plain(done.data), indent=2))
    elif done.tables and sys.stdout.isatty():
        from unlearnable.reports.terminal import print_all

        print_all(done.tables())
    else:
        print(done.text)


def _first() -> bool:
    """Whether this process speaks: of several, the first."""
    return int(os.environ.get("RANK", 0)) == 0


def _plain(value: object) -> object:
    """``value`` as JSON holds it: paths as texts, what is not a finite number as null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
