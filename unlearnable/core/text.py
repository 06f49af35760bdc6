"""Text from outside (names of files and classes, other people's audits), made safe to print."""

from pathlib import PurePath


def printable(text: str | PurePath) -> str:
    """Return ``text``, or a path, with each control or invisible character written as its escape.

    A terminal obeys an escape sequence in a file name; ``\\x1b`` spelled out does nothing. Letters
    of every script stay as they are, and so does the no-break space."""
    return "".join(
        c if c.isprintable() or c == "\u00a0" else c.encode("unicode_escape").decode()
        for c in str(text)
    )
