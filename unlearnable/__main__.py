"""``python -m unlearnable`` and ``torchrun -m unlearnable``."""

from unlearnable.cli.interrupts import ignore, interruptible


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
