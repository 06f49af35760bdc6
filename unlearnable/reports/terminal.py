"""Tables on a terminal, by rich; what goes into a file or a pipe is ``tables.to_text``."""

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from unlearnable.core.text import printable
from unlearnable.reports.tables import Cell, Table


def print_all(parts: Iterable[Table | str], console: Console | None = None) -> None:
    """Print tables and lines on standard output, at the width of its terminal."""
    console = console or Console(highlight=False)
    for part in parts:
        if isinstance(part, str):
            console.print(Text(part))
            continue
        if part.title:
            console.print(Text(printable(part.title), style="bold"))
        for note in part.notes:
            console.print(Text(printable(note), style="dim"))
        console.print(to_rich(part))
        for note in part.footnotes:
            console.print(Text(printable(note)))


def to_rich(table: Table) -> RichTable:
    """Return the table for rich: numbers to the right, and cells with a heat in color, the redder
    the more is learned."""
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for k, name in enumerate(table.columns):
        right = any(row[k].number is not None for row in table.rows)
        shown.add_column(Text(printable(name)), justify="right" if right else "left")
    for row in table.rows:
        shown.add_row(*map(_cell, row))
    return shown


def _cell(cell: Cell) -> Text:
    style = "bold" if cell.emphasis else ""
    if cell.heat is not None:
        style += f" {('green', 'yellow', 'red')[min(2, int(3 * cell.heat))]}"
    return Text(printable(cell.text), style=style.strip())
