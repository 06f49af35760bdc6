"""Runs that die, as from outside."""

from collections.abc import Callable
from typing import Any

import pytest


class Killed(BaseException):
    """Nothing may catch it."""


def killed_at_call(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, n: int) -> None:
    """The process dies when ``owner.name`` is called for the n-th time."""
    real: Callable[..., Any] = getattr(owner, name)
    calls: list[None] = []

    def dying(*args: Any, **named: Any) -> Any:
        calls.append(None)
        if len(calls) == n:
            raise Killed
        return real(*args, **named)

    monkeypatch.setattr(owner, name, dying)
