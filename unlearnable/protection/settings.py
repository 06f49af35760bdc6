"""A method with the settings of a card: what another run was made with, to be run again."""

from dataclasses import fields
from pathlib import Path

from unlearnable.core.errors import UserError, unknown
from unlearnable.core.typed_json import mismatch
from unlearnable.core.version import __version__
from unlearnable.data.card import CARD, Card, find_private
from unlearnable.models import check_named
from unlearnable.protection.methods import METHODS
from unlearnable.protection.methods.base import Method

REMEDY = "type its method and settings as options instead"


def method_of_card(
    path: Path, kind: type[Method] | None = None, *, model: str | None = None
) -> Method:
    """Return the method of a card, with its settings. path: a card.json, or a protected folder.
    kind: the method that it must be of; needed for one that is your own. model: the network that
    takes the place of the card's; needed where that is your own (my_module:factory), because a file
    from elsewhere must not choose what is imported. Raises UserError for a damaged card, one of
    another version, and one of another method."""
    file = find_private(path, CARD) if path.is_dir() else path
    if file is None or not file.is_file():
        raise UserError(f"There is no card at {path}; give a card.json, or a protected folder.")
    card = _read(file)
    _check_version(card, file)
    if kind is None and card.method not in METHODS:
        remedy = ", or your own, to be named before --settings as my_module:Class"
        raise unknown("method", card.method, METHODS, remedy)
    kind = kind or METHODS[card.method]
    if card.method != kind.name:
        raise UserError(f"{file} is of the method {card.method}, not {kind.name}; {REMEDY}.")
    if card.form != kind.form:
        raise UserError(
            f"{file} is of an earlier form of {kind.name}, whose settings give other noise now; "
            f"{REMEDY}."
        )
    settings = _checked(card, kind, file)
    if model is None and isinstance(network := settings.get("model"), str):
        check_named(network, None, file)
    try:
        return kind(**settings)
    except UserError as e:
        raise UserError(f"{file} cannot be used: {e}") from e


def _read(file: Path) -> Card:
    try:
        return Card.read_file(file, "fetch it again")
    except UserError as e:
        if isinstance(e.__cause__, OSError | ValueError | RecursionError):
            raise UserError(
                f"{file} is damaged or is not a card ({e.__cause__}); fetch it again."
            ) from e
        raise


def _check_version(card: Card, file: Path) -> None:
    """Raise UserError for a card whose version differs in more than its last number: its settings
    may have meant something else."""
    if card.version.split(".")[:2] != __version__.split(".")[:2]:
        raise UserError(
            f"{file} was written by version {card.version}, and this is {__version__}, where the "
            f"same settings may mean something else; {REMEDY}."
        )


def _checked(card: Card, kind: type[Method], file: Path) -> dict[str, object]:
    """The settings of the card, as the fields of ``kind`` hold them."""
    names = {f.name for f in fields(kind)}
    if differ := sorted(names ^ card.settings.keys()):
        lacks = "lacks" if differ[0] in names else "has"
        raise UserError(
            f"{file} {lacks} the setting {differ[0]}, unlike the method {kind.name} of this "
            f"version; {REMEDY}."
        )
    if problem := mismatch(card.settings, kind):
        raise UserError(f"{file} is damaged (its settings have {problem}); fetch it again.")
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in card.settings.items()
    }
