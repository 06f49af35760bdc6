"""What holds for the settings of every method."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

import unlearnable
from unlearnable import (
    EM,
    METHODS,
    NTGA,
    REM,
    ClassUAP,
    EntF,
    Method,
    NoiseNet,
    Recipe,
    UserError,
)
from unlearnable.core.presets import require
from unlearnable.protection.methods.min_min import MinMin

# the package without its __init__: what the settings themselves import
SETTINGS = """
import sys, types
package = types.ModuleType("unlearnable")
package.__path__ = [sys.argv[1]]
sys.modules["unlearnable"] = package
from unlearnable.protection.methods import METHODS
import unlearnable.protection.methods.from_generator
for method in METHODS.values():
    method.presets and method().budget
print([name for name in ("torch", "numpy", "kornia", "PIL") if name in sys.modules])
"""


def test_settings_import_no_torch():
    command = [sys.executable, "-c", SETTINGS, str(Path(unlearnable.__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_no_method_of_the_table_derives_from_another():
    for method in METHODS.values():
        assert not set(method.__mro__[1:]) & set(METHODS.values())


def test_a_method_without_a_name_is_called_like_its_class():
    class Stripes(Method):
        def craft(self, data, run):
            raise NotImplementedError

    assert Stripes.name == "Stripes" and METHODS["mi-ue"].name == "mi-ue"


@pytest.mark.parametrize("method", [m for m in METHODS.values() if issubclass(m, MinMin)])
def test_slots_are_values(method):
    slots = method().slots
    assert slots == method().slots and hash(slots) == hash(method().slots)
    assert dataclasses.is_dataclass(slots)


@pytest.mark.parametrize(
    ("kind", "name", "value", "said"),
    [
        (EM, "noise_type", "class-wise", "samplewise"),
        (EntF, "how", "pushh", "push"),
        (NTGA, "kernel", "FC", "fc"),
        (Recipe, "schedule", "cosine", "onecycle"),
        (Recipe, "steps", 2.5, "a whole number, not 2.5"),
        (REM, "batch", "128", "a whole number, not '128'"),
        (REM, "adv_step", "1", "a number or None, not '1'"),
        (NoiseNet, "zero_mean", 1, "True or False, not 1"),
        (ClassUAP, "networks", "mobilenet-v2-imagenet", "tuple"),
    ],
)
def test_a_setting_of_another_type_is_refused(kind, name, value, said):
    """A misspelled choice ran something else, and the card called it what was typed."""
    with pytest.raises(UserError, match=name) as e:
        kind(**{name: value})
    assert said in str(e.value)


def test_numbers_of_numpy_and_torch_are_those_of_python():
    method = REM(steps=np.int64(3), adv_eps=np.float32(2), step=torch.tensor(1.5))
    assert method == REM(steps=3, adv_eps=2.0, step=1.5)
    assert [type(v) for v in (method.steps, method.adv_eps, method.step)] == [int, float, float]
    assert asdict(Recipe(adv_step=2)) == asdict(Recipe(adv_step=2.0))


def test_a_method_of_one_s_own_may_have_settings_of_any_type():
    @dataclasses.dataclass(frozen=True)
    class Own(Method):
        shift: Callable[[int], int] = abs

        def __post_init__(self) -> None:
            require(self)

        def craft(self, data, run):
            raise NotImplementedError

    assert Own().shift(-1) == 1
