"""``reproduce``: one sub-command per table."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import Suppress

from unlearnable.cli.options import Command, Flag, Machines, Verb, named
from unlearnable.cli.output import Done, say
from unlearnable.core.errors import UserError, unknown
from unlearnable.core.files import check_ours
from unlearnable.core.presets import require_seed
from unlearnable.data.card import check_unpublished
from unlearnable.experiments.tables import TABLES
from unlearnable.training.recipe import Precision

HELP = """Measure the paper's tables and figures here, beside the figures in print.

unlearnable reproduce main-comparison --seeds 0 1
unlearnable reproduce time-cost --show

It says first how long it takes, and resumes where it was stopped."""


@dataclass(frozen=True)
class Reproduce(Verb):
    """Measure the cells of a table that are missing, and print it."""

    table: Suppress[str]
    scale: Literal["small", "full", "gpu", "paper"] = "small"
    """small: 5,000 images and convnet, for 2 CPU cores; full: all images and airbench, up to an
    hour per learner there; gpu: all images and ResNet-18, minutes per cell on a GPU; paper: the
    authors' settings, for a GPU"""
    data: Literal["cifar10", "cifar100", "imagenet100", "shapes"] = "cifar10"
    """the data set"""
    seeds: tuple[int, ...] = (0,)
    """the seeds to measure; every seed that was measured is shown"""
    show: Flag = False
    """measure nothing, print what is there"""
    rows: tuple[str, ...] = ()
    """only these rows, for instance --rows clean "REM(2)" """
    columns: tuple[str, ...] = ()
    """only these columns"""
    results: Path = Path("results")
    """folder of results, shared by all tables and by processes that run side by side; or one of
    records"""
    record: Path | None = None
    """write every result of the table that is there into this one file (.json) too"""
    data_root: str | None = None
    """where the named data sets lie (default: $UNLEARNABLE_DATA, else ./data)"""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""
    precision: Precision = "auto"
    """arithmetic of the networks; auto: bf16 where it is fast"""
    machines: Machines = field(default_factory=Machines)

    def __post_init__(self) -> None:
        if not self.seeds and not self.show:
            raise UserError(
                "--seeds needs a value or more; give one, or --show to measure nothing."
            )
        for seed in self.seeds:
            require_seed(seed)

    def run(self) -> Done:
        cluster = self.machines.cluster()
        check_unpublished(self.results, self.record)
        if self.record:
            from unlearnable.experiments.records import HEAD

            check_ours(self.record, HEAD.encode())
        if self.show and not self.results.is_dir():
            raise UserError(
                f"There is no folder {self.results} with results; give one with --results, or "
                "leave out --show."
            )
        from unlearnable.experiments.reproduce import (
            chosen,
            read_tables,
            reproduce,
            write_record,
        )
        from unlearnable.experiments.scale import get_scale

        scale, tables = get_scale(self.scale, self.data), chosen(self.table)
        text = reproduce(
            tables,
            scale,
            seeds=self.seeds,
            results=self.results,
            show=self.show,
            rows=self.rows,
            columns=self.columns,
            data_root=self.data_root,
            device=self.device,
            precision=self.precision,
            cluster=cluster,
            say=say,
        )
        if self.record:
            count = write_record(tables, scale, self.results, self.record)
            text += f"\n{count} results in {self.record}"
        found = read_tables(tables, scale, self.results, self.rows, self.columns)
        data = {"cells": found.cells, "record": self.record}
        return Done(text, data, tables=lambda: found.tables)


def command(args: list[str]) -> Command:
    about = {name: f"{entry.about}." for name, entry in TABLES.items()} | {"all": "every table"}
    name = named(args)
    if name and name not in about:
        raise unknown("table", name, about)
    commands = {n: Command(text, Reproduce, Reproduce(n)) for n, text in about.items()}
    return Command(HELP, commands=commands, noun="TABLE")
