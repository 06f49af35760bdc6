"""``python -m unlearnable`` and ``torchrun -m unlearnable``."""

from unlearnable.cli.main import main

if __name__ == "__main__":
    main()
