"""``reproduce``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from unlearnable.cli.options import options
from unlearnable.core.errors import UserError
from unlearnable.experiments.reproduce import chosen, reproduce, write_record
from unlearnable.experiments.scale import get_scale
from unlearnable.experiments.tables import TABLES
from unlearnable.training.precision import Precision


@dataclass(frozen=True)
class _Reproduce:
    table: Positional[str]
    """a table of `unlearnable reproduce`, or all"""
    size: Literal["small", "paper"] = "small"
    """small: 5,000 images and convnet, for 2 CPU cores; paper: the authors' settings, for a GPU"""
    data: str = "cifar10"
    """cifar10, cifar100 or imagenet100"""
    seeds: tuple[int, ...] = (0,)
    """the seeds to make; shown is every seed that is there"""
    show: bool = False
    """make nothing, print what is there"""
    rows: tuple[str, ...] = ()
    """only these rows, by name, for instance --rows clean "REM(2)" """
    columns: tuple[str, ...] = ()
    """only these columns, by name"""
    results: Path = Path("results")
    """folder of the results, shared by all tables and by processes beside each other; or one with
    records"""
    record: Path | None = None
    """write every result of the table that is there into this one file (.json) too"""
    root: str | None = None
    """where the named sets lie"""
    device: str = "auto"
    precision: Precision = "auto"


def reproduce_verb(args: list[str]) -> None:
    if not args or args[0] in ("-h", "--help"):
        print(
            "usage: unlearnable reproduce TABLE [options]      unlearnable reproduce TABLE --help\n"
        )
        return print(*(f"  {name:<18} {table.title}" for name, table in TABLES.items()), sep="\n")
    about = "\n\n".join(TABLES[name].text for name in args[:1] if name in TABLES)
    o = options(
        "reproduce TABLE",
        f"The paper's tables, measured here beside its figures. {about}",
        _Reproduce,
        args,
    )
    where, tables = get_scale(o.size, o.data), chosen(o.table)
    if o.show and not o.results.is_dir():
        raise UserError(
            f"There is no folder {o.results} with results; give one with --results, or leave --show out."
        )
    machine = {"data_root": o.root, "device": o.device, "precision": o.precision}
    asked = {
        "seeds": o.seeds,
        "results": o.results,
        "show": o.show,
        "rows": o.rows,
        "columns": o.columns,
    }
    print(reproduce(tables, where, **asked, **machine))
    if o.record:
        print(f"{write_record(tables, where, o.results, o.record)} results in {o.record}")
