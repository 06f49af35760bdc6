"""``python -m unlearnable`` and ``torchrun -m unlearnable``."""

from .cli import main

if __name__ == "__main__":
    main()
