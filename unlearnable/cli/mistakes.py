"""What tyro refuses on a command line, in one sentence instead of a box."""

import dataclasses
from collections.abc import Callable
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


def option_names(value: Any) -> list[str]:
    """The options that come of a dataclass or an instance of one, nested ones included."""
    names: list[str] = []
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name, None) or field.default_factory
        inner = inner if dataclasses.is_dataclass(inner) else None
        names += option_names(inner) if inner else [f"--{field.name.replace('_', '-')}"]
    return names


def _name(argument: Any) -> str:
    """An argument as a person types it."""
    if argument.is_positional():
        return str(argument.lowered.metavar)
    return str(argument.lowered.name_or_flags[-1])
