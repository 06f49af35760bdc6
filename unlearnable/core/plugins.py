"""Code by its name, "module:attribute": the lines of the package's own tables, and a person's own
network or method from the current folder."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from unlearnable.core.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A line of a table (``MODELS``, ``DATA``, ...): what it is, and its code, which is imported on
    use. So a table can be listed, and a name checked, without loading torch."""

    about: str
    target: str
    """module:attribute, inside this package"""

    def load(self) -> T:
        """Import and return what ``target`` names."""
        module, _, attribute = self.target.partition(":")
        return cast(T, getattr(importlib.import_module(module), attribute))


@contextmanager
def working_directory_importable() -> Iterator[None]:
    """Put the current directory on the import path, and take it off again.

    It comes last: torch imports much of what it needs late, and a ``sympy.py`` beside downloaded
    images must not run in place of the installed package."""
    folder = os.getcwd()
    sys.path.append(folder)
    try:
        yield
    finally:
        del sys.path[len(sys.path) - 1 - sys.path[::-1].index(folder)]


def load_object(kind: str, name: str) -> tuple[object, str]:
    """Return what ``name``, "my_module:attribute", stands for and a phrase that says where it was
    found. ``kind`` ("model", "method") is for messages only. Raises UserError for a module or an
    attribute that does not exist, and for a module that fails on import."""
    module_name, _, attribute = name.partition(":")
    with working_directory_importable():
        try:
            module = importlib.import_module(module_name)
        except Exception as error:
            # An import that fails inside the module raises the same class; only the name tells
            # which of the two it was.
            missing = isinstance(error, ModuleNotFoundError) and error.name
            if not module_name or (missing and f"{module_name}.".startswith(f"{missing}.")):
                problem = (
                    f"no module '{module_name}' in {os.getcwd()} or among the installed packages"
                )
                raise UserError(
                    f"{kind} '{name}': {problem}; correct the name or change folder"
                ) from error
            problem = f"importing '{module_name}' failed, {one_line(error)}"
            raise UserError(f"{kind} '{name}': {problem}; correct that module") from error
    where = f"in {getattr(module, '__file__', None) or module_name}"
    if not hasattr(module, attribute):
        raise UserError(f"{kind} '{name}': there is no '{attribute}' {where}; name one from there")
    return getattr(module, attribute), where


def one_line(error: Exception) -> str:
    """Return the error's type and text on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
