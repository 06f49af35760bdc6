"""What holds for the settings of every method."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

import unlearnable
from unlearnable import METHODS, Method
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
