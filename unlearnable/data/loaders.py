"""Images from a function of a person's own, ``my_module:loader``."""

import inspect
from collections.abc import Callable

from unlearnable.core.errors import UserError
from unlearnable.core.plugins import load_object, own_code
from unlearnable.data.convert import FORMS, LoadOptions, convert
from unlearnable.data.images import Images


def read_loader(source: str, options: LoadOptions) -> Images:
    """Call my_module:loader with the split, "train" or "test", or without it where it takes no
    argument (then it has no test images); what it returns becomes ``Images`` (``as_images``).
    Raises UserError for a function that is not there or fails, and for another value."""
    loader, where = load_object("loader", source)
    if not callable(loader):
        raise UserError(
            f"loader '{source}' {where} is not a function; name one that gives {FORMS}."
        )
    takes_split = _takes_argument(loader)
    if not takes_split and options.split == "test":
        raise UserError(
            f"loader '{source}' {where} takes no split, so it has no test images; let it take "
            '"train" or "test", or give --test SOURCE.'
        )
    with own_code("loader", source, "failed", all_of_it=True):
        value = loader(options.split) if takes_split else loader()
    return convert(value, f"What loader '{source}' returned", options, source)


def _takes_argument(function: Callable[..., object]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of a function in C
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in (*positional, inspect.Parameter.VAR_POSITIONAL) for p in parameters)
