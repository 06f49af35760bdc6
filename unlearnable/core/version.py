"""The version, from the installed package's metadata (pyproject.toml has it)."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("unlearnable")
except PackageNotFoundError:
    __version__ = "not installed"
