"""What was read from a file is used only where it can be what the program wrote."""

import math
from dataclasses import dataclass

import pytest

from unlearnable.core.typed_json import Percent, mismatch


@dataclass
class Found:
    accuracy: Percent
    each: list[Percent]
    best: Percent | None = None


@pytest.mark.parametrize("wrong", [-0.1, 100.1, math.nan, math.inf, True, "50", None, [50]])
def test_an_accuracy_lies_between_0_and_100(wrong):
    assert mismatch({"accuracy": 0, "each": [100.0, 0.5], "best": None}, Found) is None
    assert mismatch({"accuracy": wrong, "each": []}, Found) == "wrong accuracy"
    assert mismatch({"accuracy": 1, "each": [1, wrong]}, Found) == "wrong each.1"
    if wrong is not None:
        assert mismatch({"accuracy": 1, "each": [], "best": wrong}, Found) == "wrong best"
