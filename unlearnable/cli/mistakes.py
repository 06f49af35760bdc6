"""What is wrong with a command line, in one sentence instead of tyro's box."""

import dataclasses
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

from tyro._errors import (
    BadValue,
    InstantiationFailure,
    InvalidChoice,
    MissingArgs,
    ParseErrorEvent,
    UnrecognizedArgs,
)

from unlearnable.core.errors import UserError, unknown

KINDS = {"INT": "a whole number", "FLOAT": "a number"}  # what tyro calls them in a help page


def one_sentence(words: list[str], kind: Any) -> Callable[[ParseErrorEvent], None]:
    """A hook for tyro: raise UserError for what is wrong. words: the verb, with its method or the
    like; kind: the dataclass of its options. What it does not know, tyro prints itself."""
    command = " ".join(["unlearnable", *words])

    def hook(event: ParseErrorEvent) -> None:
        match event:
            case UnrecognizedArgs(tokens=[first, *_]):
                raise UserError(_unexpected(first, command, kind))
            case MissingArgs(missing_arguments=missing):
                names = " and ".join(_name(each.arg) for each in missing)
                raise UserError(f"`{command}` needs {names}; see `{command} --help`.")
            case InvalidChoice(argument=argument, value=value, choices=choices):
                raise unknown(
                    _name(argument).lower(), value, sorted({*map(str, choices)} - {"None"})
                )
            case InstantiationFailure(argument=argument, message=message) if argument:
                takes = KINDS.get(str(argument.lowered.metavar), "something else")
                raise UserError(f"{_name(argument)} takes {takes} ({message}).")
            case InstantiationFailure(message=message):  # of a whole dataclass: says it already
                raise UserError(str(message))
            case BadValue(argument=argument):
                raise UserError(f"{_name(argument)} needs a value; see `{command} --help`.")

    return hook


def _unexpected(token: str, command: str, kind: Any) -> str:
    if not token.startswith("--"):
        return f"`{command}` takes no argument '{token}'; see `{command} --help`."
    near = get_close_matches(token.partition("=")[0], option_names(kind), n=1)
    hint = f"did you mean {near[0]}?" if near else f"see `{command} --help`."
    return f"`{command}` has no option {token.partition('=')[0]}; {hint}"


def require_values(args: list[str], kind: Any) -> None:
    """Raise UserError for an option that takes several values, is given none (``--watch``), and
    would do nothing."""
    lists = [name for name, default in options(kind) if default == ()]
    for at, following in zip(args, [*args[1:], "--"]):
        if at in lists and following.startswith("--"):
            raise UserError(f"{at} needs a value or more; give one, or leave it out.")


def option_names(kind: Any) -> list[str]:
    """The options that come of a dataclass or an instance of one, nested ones included."""
    return [name for name, _ in options(kind)]


def options(kind: Any) -> Iterator[tuple[str, object]]:
    """Yield those options, each with its default."""
    for field in dataclasses.fields(kind):
        inner = getattr(kind, field.name, None) or field.default_factory
        if dataclasses.is_dataclass(inner):
            yield from options(inner)
        else:
            name = field.name.replace("_", "-")
            yield f"--{name}", getattr(kind, field.name, field.default)


def _name(argument: Any) -> str:
    """An argument as a person types it."""
    if argument.is_positional():
        return str(argument.lowered.metavar)
    return str(argument.lowered.name_or_flags[-1])
