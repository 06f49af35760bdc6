"""``python -m unlearnable`` and ``torchrun -m unlearnable``."""

import os
import sys
from pathlib import Path

# Python puts the current folder first on the import path: a sympy.py beside downloaded images would
# run when torch imports its own. It stays where it is the checkout that the package comes from.
if sys.path[0] in ("", os.getcwd()) and Path(__file__).parents[1] != Path.cwd():
    del sys.path[0]

from unlearnable.cli.interrupts import ignore, interruptible  # noqa: E402


def main() -> None:
    """The command, which a signal may end from here on."""
    try:
        with interruptible():
            from unlearnable.cli.main import main

            main()
    finally:
        ignore()


if __name__ == "__main__":
    main()
