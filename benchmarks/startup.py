"""Processor seconds of what must answer at once: help, lists, and mistakes in a command.

The goal is under 0.5 s each on a machine at rest. That none of them loads torch is a test
(tests/cli/test_startup.py); the seconds are here, because a busy machine doubles them.

    python benchmarks/startup.py
"""

import resource
import subprocess
import sys

COMMANDS = (
    "--help",
    "--version",
    "ls",
    "reproduce",
    "protect --help",
    "protect rem --help",
    "protect-photos --help",
    "learn --help",
    "protekt",
    "protect remm",
    "protect rem --esp 3",
    "protect rem --data gone",
    "learn shapes --model resnet19",
)
RUNS = 5  # of each, of which the fastest counts


def seconds(words: str) -> float:
    """Processor seconds, user and system, of one run of the command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "unlearnable", *words.split()], capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    for words in COMMANDS:
        print(
            f"{min(seconds(words) for _ in range(RUNS)):6.2f} s   unlearnable {words}", flush=True
        )


if __name__ == "__main__":
    main()
