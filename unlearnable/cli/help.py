"""Help pages: how commands become tyro's sub-commands, and how their texts look on a terminal."""

import dataclasses
import io
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Union

from tyro.conf import arg, subcommand
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructTypeInfo
from tyro.constructors._struct_spec_dataclass import dataclass_rule

from unlearnable.cli.options import Command, NoOptions, Output
from unlearnable.core.presets import Presets

WIDTH = 100  # columns of running text, at most


def union(commands: Mapping[str, Command], words: list[str]) -> Any:
    """Return the type from which tyro makes these commands. The one that ``words`` begin with has
    its whole help, the others the line for the list."""
    chosen, rest = words[:1], words[1:]
    return Union[  # noqa: UP007  of as many as there are
        tuple(
            Annotated[
                NoOptions,  # stands for what ``constructor`` says
                subcommand(
                    name,
                    constructor=union(command.commands, rest) if command.commands else command.kind,
                    default=command.default,
                    description=page(command.help) if [name] == chosen else line(command.help),
                ),
            ]
            for name, command in commands.items()
        )
    ]


def page(text: str) -> str:
    """``text`` in paragraphs that fit the terminal; commands stay on lines of their own. All is
    indented: tyro joins lines that begin with a letter."""
    columns = min(shutil.get_terminal_size().columns, WIDTH) - 2
    lines: list[str] = []
    text = text.strip().replace("``", "`")
    for paragraph in (text[0].upper() + text[1:]).split("\n\n"):
        if paragraph.strip().startswith("unlearnable "):
            lines += ["", *(f"  {line.strip()}" for line in paragraph.splitlines())]
        else:
            words = " ".join(paragraph.split())
            lines += ["", *textwrap.wrap(words, columns, break_on_hyphens=False)]
    return "\n".join(f"  {line}".rstrip() for line in lines[1:])


def sentence(text: str) -> str:
    """The first sentence of ``text``, without its period."""
    first = " ".join(text.strip().split("\n\n")[0].split())
    return first.split(". ")[0].rstrip(".")


def line(text: str) -> str:
    """``text`` in a list: its first sentence, up to the colon if it is long."""
    whole = sentence(text)
    if whole[1:2].islower():  # not a name such as EM
        whole = whole[0].lower() + whole[1:]
    return whole if len(whole) <= 72 else whole.split(": ")[0]


def doc(kind: type) -> str:
    """A class's docstring, without its indentation."""
    first, _, rest = (kind.__doc__ or "").partition("\n")
    return f"{first}\n{textwrap.dedent(rest)}".strip()


def doc_with_presets(kind: type, settings: type[Presets], chosen: str) -> str:
    """``kind``'s docstring, and the presets of the ``settings`` among its options."""
    return f"{doc(kind)}\n\nPresets: {', '.join(settings.presets)} (these defaults: {chosen})."


class Page(io.StringIO):
    """What tyro prints, kept to be tidied; as colorful as standard output allows."""

    # tyro draws boxes where they can be encoded
    encoding: str = getattr(sys.__stdout__, "encoding", None) or "ascii"

    def isatty(self) -> bool:
        return sys.__stdout__ is not None and sys.__stdout__.isatty()

    def tidy(self, noun: str) -> str:
        """One blank line where tyro leaves several; a long list in the usage becomes ``noun``."""
        text = re.sub(r"\n{3,}", "\n\n", self.getvalue().rstrip())
        return re.sub(r"\{[^}\n]{60,}\}", noun, text, count=1)


REGISTRY = ConstructorRegistry()


@REGISTRY.struct_rule
def _dataclass(info: StructTypeInfo) -> StructConstructorSpec | None:
    """tyro's own rule, but a field's docstring is one paragraph, and a default that says nothing is
    not shown."""
    spec = dataclass_rule(info)
    if spec is None:
        return None
    fields = []
    ours = not info.type.__module__.startswith("tyro")  # reading the source takes its time
    for field in spec.fields:
        quiet: Any = Annotated[field.type, arg(help_behavior_hint="")]
        kind = quiet if _says_nothing(field.default) else field.type
        text = _paragraph(field.helptext) if ours else None
        fields.append(dataclasses.replace(field, type=kind, helptext=text))
    # how a verb speaks comes last, though its base class has that field
    fields.sort(key=lambda field: field.type is Output)
    return dataclasses.replace(spec, fields=tuple(fields))


def _says_nothing(default: object) -> bool:
    """Whether the help text says better what happens by default."""
    return default is None or default is False or default == "" or default == ()


def _paragraph(text: str | Callable[[], str | None] | None) -> Callable[[], str | None]:
    def joined() -> str | None:
        said = text() if callable(text) else text
        return None if said is None else " ".join(said.split()).replace("``", "`")

    return joined
