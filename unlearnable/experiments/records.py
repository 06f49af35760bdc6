"""All results of a folder, found by what was measured and not by where they lie."""

import json
from pathlib import Path
from typing import TypedDict

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write, config_hash, read_json
from unlearnable.core.typed_json import mismatch
from unlearnable.evaluation.results import Result
from unlearnable.evaluation.store import Json, read_cell, without_defaults
from unlearnable.protection.methods import METHODS
from unlearnable.training.recipe import Recipe

HEAD = '{"cells": ['  # how a record begins


class Recorded(TypedDict):
    """What every result in a record has."""

    config: Json


class NoiseResult(TypedDict):
    """What tables need of a card."""

    shape: list[int]
    passes: int
    measured: dict[str, Json | float]
    seconds: float


class Records:
    """The results in ``folder``: those computed there (*/cell.json) and those in records of results
    (*.json, see ``write_records``)."""

    def __init__(self, folder: Path):
        self._results: dict[str, dict[int, Json]] = {}
        for path in sorted(folder.glob("*.json")):
            for result in read_records(path):
                self.add(result, path)
        for path in sorted(folder.glob("*/cell.json")):
            self.add(resolved(read_cell(path), folder), path)

    def __len__(self) -> int:
        return sum(map(len, self._results.values()))

    def add(self, result: Json, path: Path | None = None) -> None:
        """Add a result with its configuration. path: where it lies, for the message. Raises
        UserError for an incomplete one."""
        config = result["config"]
        if problem := mismatch(result, Result if config.get("what") == "learner" else NoiseResult):
            raise UserError(
                f"{path or 'A result'} is not a complete result of `unlearnable reproduce` (it has "
                f"{problem}); give the folder or record that it wrote."
            )
        of, seed = self._results.setdefault(canonical(config), {}), config.get("seed", 0)
        if not result.get("twin") or seed not in of:
            of[seed] = result

    def of(self, text: str) -> dict[int, Json]:
        """Return the results of the configuration with that ``canonical`` text, by seed. Those of
        learners that started as the twin of the noise's network, as an earlier version's did, only
        where there are no others: the two are not one experiment."""
        results = self._results.get(text, {})
        today = {seed: result for seed, result in results.items() if not result.get("twin")}
        return today or results

    def hardware(self) -> set[str]:
        """Return what the results were measured on."""
        return {
            result["hardware"]
            for by_seed in self._results.values()
            for result in by_seed.values()
            if "hardware" in result
        }


def resolved(cell: Json, folder: Path) -> Json:
    """Return the result of a cell. That of a learner is stored once, by its images, and the cell
    only names the file in ``folder``."""
    if "result" not in cell:
        return cell
    if not (folder / str(cell["result"])).is_file():
        raise UserError(
            f"{folder / cell['result']} is gone; delete {folder / config_hash(cell['config'])} and "
            "run the same command again."
        )
    return read_cell(folder / cell["result"]) | {"config": cell["config"]}


def read_records(path: Path) -> list[Json]:
    """The results in a record; none for a JSON file of another program."""
    record: object = read_json(path)
    results = record.get("cells", []) if isinstance(record, dict) else []
    if not isinstance(results, list) or mismatch(results, list[Recorded]):
        raise UserError(
            f"{path} is not a complete record of results; make it again with "
            "`unlearnable reproduce --record`."
        )
    return results


def write_records(results: list[Json], file: Path) -> int:
    """Write results into one file, one per line and each once, in an order that does not depend on
    when they were measured. Returns their number."""
    lines = sorted({json.dumps(result) for result in results})  # tables share cells
    with atomic_write(file) as tmp:
        tmp.write_text(HEAD + "\n" + ",\n".join(lines) + "\n]}\n")
    return len(lines)


def canonical(config: Json) -> str:
    """Return a configuration as text, without its seed and without settings at their default, so
    that a setting that is added later orphans no result."""
    short = {k: v for k, v in config.items() if k != "seed"}
    if config.get("method") in METHODS and isinstance(config.get("settings"), dict):
        short["settings"] = without_defaults(config["settings"], METHODS[config["method"]]())
    if isinstance(config.get("recipe"), dict):
        short["recipe"] = without_defaults(config["recipe"], Recipe())
    return json.dumps(_floats(short), sort_keys=True)


def _floats(value: object) -> object:
    """4 and 4.0 are the same radius."""
    if isinstance(value, dict):
        return {k: _floats(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_floats(v) for v in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
