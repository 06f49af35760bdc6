"""All results of a folder, found by what was asked and not by where they lie."""

import json
from pathlib import Path

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write, read_json
from unlearnable.evaluation.store import read_cell
from unlearnable.protection.methods import METHODS
from unlearnable.training.recipe import Recipe


class Records:
    """The cells of ``folder``: those made there (*/cell.json) and those of records (*.json, see
    ``record``)."""

    def __init__(self, folder: Path):
        self._cells: dict[str, dict[int, dict]] = {}
        for path in sorted(folder.glob("*.json")):
            for cell in _cells(path):
                self.add(cell)
        for path in sorted(folder.glob("*/cell.json")):
            self.add(read_cell(path))

    def __len__(self) -> int:
        return sum(map(len, self._cells.values()))

    def add(self, cell: dict) -> None:
        self._cells.setdefault(canonical(cell["config"]), {})[cell["config"].get("seed", 0)] = cell

    def of(self, config: dict) -> dict[int, dict]:
        """Every seed's cell of that configuration, whatever its own seed says."""
        return self._cells.get(canonical(config), {})

    def hardware(self) -> set[str]:
        """What the cells were measured on."""
        return {
            c["hardware"]
            for by_seed in self._cells.values()
            for c in by_seed.values()
            if "hardware" in c
        }


def _cells(path: Path) -> list[dict]:
    """The cells of a record; none of another program's JSON file."""
    record = read_json(path)
    cells = record.get("cells", []) if isinstance(record, dict) else []
    if not all(isinstance(cell, dict) and "config" in cell for cell in cells):
        raise UserError(
            f"{path} is no whole record of results; make it again with `unlearnable reproduce --record`."
        )
    return cells


def write_records(cells: list[dict], file: Path) -> None:
    """Write cells into one file, one a line, in an order that does not depend on when they were
    made."""
    lines = sorted(json.dumps(cell) for cell in cells)
    with atomic_write(file) as tmp:
        tmp.write_text('{"cells": [\n' + ",\n".join(lines) + "\n]}\n")


def canonical(config: dict) -> str:
    """A configuration without its seed and without settings at their default, so that a setting
    which is added later does not orphan what was measured before."""
    short = {k: v for k, v in config.items() if k != "seed"}
    if config.get("method") in METHODS and isinstance(config.get("settings"), dict):
        short["settings"] = _changed(config["settings"], METHODS[config["method"]]())
    if isinstance(config.get("recipe"), dict):
        short["recipe"] = _changed(config["recipe"], Recipe())
    return json.dumps(_floats(short), sort_keys=True)


def _changed(settings: dict, default: object) -> dict:
    return {
        k: v for k, v in settings.items() if not hasattr(default, k) or v != getattr(default, k)
    }


def _floats(value: object) -> object:
    """4 and 4.0 are the same radius."""
    if isinstance(value, dict):
        return {k: _floats(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_floats(v) for v in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
