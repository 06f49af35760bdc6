"""One small JSON file a result, in a folder named by the configuration: made once, read by every table."""

from collections.abc import Callable, Iterator
from pathlib import Path

from .state import key, read_json, write_json


def once(root: Path, config: dict, compute: Callable[[Path], dict]) -> dict:
    """The result of ``config``: read where it is there, else ``compute(folder)`` and kept as folder/cell.json."""
    folder = root / key(config)
    if not there(root, config):
        write_json(folder / "cell.json", {"config": config, **compute(folder)})
    return read_json(folder / "cell.json")


def there(root: Path, config: dict) -> bool:
    """Whether ``once`` would only read."""
    return (root / key(config) / "cell.json").exists()


def rows(root: Path, **where: object) -> Iterator[dict]:
    """Every result whose config has these values."""
    for path in sorted(root.glob("*/cell.json")):
        cell = read_json(path)
        if all(cell["config"].get(k) == v for k, v in where.items()):
            yield cell


def spread(values: list[float]) -> str:
    """mean ± sample standard deviation, one decimal (the value alone where there is one)."""
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.1f}"
    deviation = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5
    return f"{mean:.1f} ± {deviation:.1f}"
