"""Mistakes that the user can correct."""

import os
from collections.abc import Iterable
from difflib import get_close_matches

from unlearnable.core.text import printable


class UserError(ValueError):
    """One sentence that says what is wrong, where, and what to do. The command line prints it and
    exits with status 2.

    details: further sentences, each printed on a line of its own before it (for instance one per
    bad file of a folder).
    """

    def __init__(self, sentence: str, details: list[str] | None = None):
        super().__init__(sentence)
        self.details = details or []


def unknown(kind: str, name: str, known: Iterable[str], more: str = "") -> UserError:
    """The error for a ``name`` that is none of ``known``: names the nearest, lists them all, and
    says what else is allowed (``more``)."""
    known = [*known]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'? There are" if near else "there are"
    return UserError(f"There is no {kind} '{name}'; {hint} {', '.join(known)}{more}.")


def install(extra: str) -> str:
    """How to install an extra of this program, for the end of a sentence."""
    return f"pip install 'unlearnable[{extra}]' (in a clone: pip install '.[{extra}]')"


def refused_by_system(e: OSError) -> str:
    """The sentence for a name that is too long, a folder that may not be searched, a full disk: an
    error of the system with a number."""
    where = f"{printable(os.fsdecode(e.filename))}: " if e.filename is not None else ""
    return f"{where}{os.strerror(e.errno or 0)}; check the path and its permissions."
