"""Code by its name, "module:attribute": the lines of the package's own tables, and a person's own
network or method from the current folder."""

import importlib
import importlib.util
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from unlearnable.core.errors import UserError
from unlearnable.core.files import config_hash, file_digest

T = TypeVar("T")
PACKAGE = str(Path(__file__).parents[1])
LONGEST = 300  # characters of another program's message that a sentence quotes


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A line of a table (``MODELS``, ``DATA``, ...): what it is, and its code, which is imported on
    use. So a table can be listed, and a name checked, without loading torch."""

    about: str
    target: str
    """module:attribute, inside this package"""
    form: int = 1
    """raised where the same name gives other numbers than before: earlier results are not found"""

    def load(self) -> T:
        """Import and return what ``target`` names."""
        module, _, attribute = self.target.partition(":")
        return cast(T, getattr(importlib.import_module(module), attribute))


def form_in_key(table: Mapping[str, Entry[Any]], name: str | None, key: str) -> dict[str, int]:
    """What ``name`` of a table adds, as ``key``, to what a result is found by: its form, from the
    second on."""
    form = table[name].form if name is not None and name in table else 1
    return {key: form} if form > 1 else {}


def names_object(text: str) -> bool:
    """Whether ``text`` has the form my_module:attribute."""
    return re.fullmatch(r"[^\W\d][\w.]*:[^\W\d]\w*", text) is not None


def own_code_key(*names: str | None) -> dict[str, str]:
    """What code of a person's own among ``names`` (my_module:attribute; others do not count) adds
    to what a result is found by: a hash of its files. What these import does not count."""
    modules = (name.partition(":")[0] for name in names if name and names_object(name))
    digests = [file_digest(file) for file in map(_source, modules) if file is not None]
    return {"own_code": config_hash({"files": digests})} if digests else {}


def _source(module: str) -> Path | None:
    """The file of a module; None where that cannot be told. Nothing is imported, packages around it
    neither: the name may come from a card."""
    package, _, inner = module.partition(".")
    with working_directory_importable():
        importlib.invalidate_caches()
        try:
            spec = importlib.util.find_spec(package)
        except ValueError:  # a module without a spec, as of a notebook
            return None
        for part in inner.split(".") if inner else ():
            if spec is None:
                return None
            package = f"{package}.{part}"
            spec = PathFinder.find_spec(package, spec.submodule_search_locations or ())
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


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
        except (Exception, SystemExit) as error:
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
    with own_code(kind, name, "failed"):  # a module may compute what is asked of it
        try:
            return getattr(module, attribute), where
        except AttributeError as error:
            raise UserError(
                f"{kind} '{name}': there is no '{attribute}' {where}; name one from there"
            ) from error


def one_line(error: BaseException) -> str:
    """Return the error's type and text on one line, cut where it is long."""
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:  # an exception of one's own may fail at this too
        text = type(error).__name__
    text = " ".join(text.split()).removesuffix(":")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


@contextmanager
def own_code(kind: str, name: str, doing: str, *, all_of_it: bool = False) -> Iterator[None]:
    """Inside, raise UserError for what the code of ``name`` raises, if that is a person's own
    (my_module:attribute) and not of this package. SystemExit counts too; Ctrl-C does not.

    doing: what it failed at, for the message. kind: "model", "method", ...; a model also answers
    for what torch raises, because a network need not have code of its own. all_of_it: nothing but
    that code is called, and all that is raised is its own."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        module = sys.modules.get(name.partition(":")[0]) if ":" in name else None
        place = own_place(error, getattr(module, "__file__", None))
        its_own = all_of_it or place is not None or (kind == "model" and _in_torch(error))
        if module is None or not its_own:
            raise
        at = f" ({place})" if place else ""
        raise UserError(
            f"{kind} '{name}' {doing}, {one_line(error)}{at}; correct it and run the same command "
            "again."
        ) from error


@contextmanager
def any_own_code() -> Iterator[None]:
    """Inside, raise UserError for what any code of a person's own raises, whatever it is called."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        if (place := own_place(error)) is None:
            raise
        raise UserError(
            f"{one_line(error)} ({place}); correct it and run the same command again."
        ) from error


def own_place(error: BaseException, file: str | None = None) -> str | None:
    """Return "file:line" of the last call in a person's own code before ``error``, or None where
    there is none. Own is what neither this package nor an installed one holds, and ``file``."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename == file or not _foreign(f.filename)]
    # a signal's handler, or the end of a command, is not what that code asked for
    if not own or (isinstance(error, SystemExit) and own[-1] is not frames[-1]):
        return None
    return f"{own[-1].filename}:{own[-1].lineno}"


def _foreign(file: str) -> bool:
    """Whether code is of this package, of an installed one, or made at run time."""
    installed = (PACKAGE, sysconfig.get_path("stdlib"))
    return file.startswith(("<", *(f"{folder}{os.sep}" for folder in installed))) or any(
        part in ("site-packages", "dist-packages") for part in Path(file).parts
    )


def _in_torch(error: BaseException) -> bool:
    """Whether torch raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{os.sep}torch{os.sep}" in frames[-1].filename
