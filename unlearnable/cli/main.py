"""The command line: one file per verb. A verb's dataclass is its options (tyro reads the fields and
their docstrings); its file is imported only when it is called, and torch only when it runs."""

import io
import logging
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout

import tyro
from tyro._errors import on_parse_error

from unlearnable.cli.help import REGISTRY, Page, page, union
from unlearnable.cli.interrupts import interrupted, interruptible
from unlearnable.cli.mistakes import one_sentence, require_values
from unlearnable.cli.options import Command, Verb
from unlearnable.cli.output import give, speaking
from unlearnable.core.errors import UserError, refused_by_system, unknown
from unlearnable.core.plugins import Entry, any_own_code
from unlearnable.core.presets import require_finite
from unlearnable.core.text import printable

logger = logging.getLogger(__name__)

HELP = """Publish images that models cannot learn from, and measure whether it worked.

unlearnable protect-photos photos/ photos-protected/
unlearnable protect rem --data shapes --preset short
unlearnable learn protected/rem --preset short --adv-eps 2

Sizes of noise are in /255. `unlearnable VERB --help` shows the options of a verb, and --version the
version. On several processes: torchrun --nproc-per-node 2 -m unlearnable VERB ... (protect,
protect-photos, learn), and with --ray (reproduce, audit, verify)."""
JOIN = ("protect", "protect-photos", "learn")  # their processes under torchrun, into one run


def _verb(about: str, module: str) -> Entry[Callable[[list[str]], Command]]:
    return Entry(about, f"unlearnable.cli.{module}:command")


VERBS = {
    "protect": _verb("add a method's noise to a data set", "protect"),
    "protect-photos": _verb("protect your own photos, at their own sizes", "protect_photos"),
    "app": _verb("protect and measure photos on a page in your browser", "app"),
    "verify": _verb("measure whether protected photos are protected", "verify"),
    "learn": _verb("train a learner and test it on clean images", "learn"),
    "audit": _verb("measure what the best countermeasure leaves of a protection", "audit"),
    "report": _verb("write a page on photos, or tables of audits or results", "report"),
    "reproduce": _verb("measure the paper's tables, beside the figures in print", "reproduce"),
    "show": _verb("draw a sheet of originals, protected images and noise", "show"),
    "export": _verb("write protected images in other layouts, or the noise", "export"),
    "share": _verb("pack a generator and its card, to make the same noise again", "share"),
    "ls": _verb("list methods, models, data, countermeasures and so on", "ls"),
}


def parse(args: list[str]) -> Verb | None:
    """The command that ``args`` are, or None where they asked for help, which is printed. Raises
    UserError."""
    args = [*args[1:], "--help"] if args[:1] == ["help"] else args or ["--help"]
    verb, rest = args[0], args[1:]
    if verb not in VERBS and not verb.startswith("-"):
        raise unknown("verb", verb, VERBS)
    for_completion = verb.startswith("--tyro-")
    commands = {
        name: entry.load()(rest if name == verb else [])
        if for_completion or name == verb
        else Command(entry.about)
        for name, entry in VERBS.items()
    }
    called = commands.get(verb, Command(HELP, commands=commands, noun="VERB"))
    if called.commands and not rest:
        args = [*args, "--help"]
    if called.commands and args[1].startswith("-") and args[1] not in ("-h", "--help"):
        raise UserError(
            f"{called.noun} comes before the options: `unlearnable {verb} {called.noun} "
            f"{printable(args[1])} ...`; `unlearnable {verb}` lists what it can be."
        )
    words = args[: 2 if verb in VERBS and called.commands else 1]
    called = called.commands.get(words[-1], called)
    require_values(args, called.options)
    try:
        with redirect_stdout(Page()) as shown, on_parse_error(one_sentence(words, called.options)):
            return tyro.cli(
                union(commands, words),
                prog="unlearnable",
                description=page(HELP),
                args=args,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone),
                registry=REGISTRY,
            )
    except SystemExit as e:
        if e.code:
            raise
        print(shown.getvalue() if for_completion else shown.tidy(called.noun))
        return None


def main() -> None:
    """Exit status: 0 done, 1 interrupted (143 by SIGTERM, 129 by a terminal that closed), 2 the
    user's mistake (one sentence on standard error); of ``verify`` also 3 (not protected) and 4 (no
    verdict)."""
    if sys.stdout is None:  # closed by the caller (>&-)
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  as long as the program runs
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may be in no encoding at all
            stream.reconfigure(errors="backslashreplace")
    with interruptible():
        try:
            _main(sys.argv[1:])
        except SystemExit as e:
            _leave(e.code if isinstance(e.code, int) else int(e.code is not None))
            raise


def _main(args: list[str]) -> None:
    status = 0
    try:
        if args == ["--version"]:
            from unlearnable.core.version import __version__

            print(f"unlearnable {__version__}")
        else:
            _check_processes(args)
            with any_own_code():
                if command := parse(args):
                    require_finite(command)
                    status = _run(command)
        sys.stdout.flush()
        _leave(status)
    except UserError as e:
        _stop(2, *map(printable, e.details), printable(" ".join(str(e).split())))
    except BrokenPipeError:  # the reader (head, less) has seen enough; the rest goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as e:
        if e.errno is None:
            raise
        _stop(2, refused_by_system(e))
    if status:
        sys.exit(status)


def _run(command: Verb) -> int:
    """Run it, print what it found, and return the exit status."""
    with speaking(command.output):
        logger.debug("%s", command)
        if (done := command.run()) is None:
            return 0
        give(done)
        return done.status


def _check_processes(args: list[str]) -> None:
    """Raise UserError for a verb each process of torchrun would do alone."""
    verb = args[0] if args else ""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and verb in VERBS and verb not in JOIN:
        ray = " --ray" if verb in ("reproduce", "audit", "verify") else ""
        raise UserError(
            f"torchrun is for {', '.join(JOIN)}; run `unlearnable {verb}{ray}` without it."
        )


def _stop(status: int, *sentences: str) -> None:
    if interrupted():  # the code that a signal met has made a mistake of it
        raise KeyboardInterrupt
    if int(os.environ.get("LOCAL_RANK", 0)) == 0:  # the others say the same
        for sentence in sentences:
            print(f"unlearnable: {sentence}", file=sys.stderr)
    sys.exit(status)


def _leave(status: int) -> None:
    """End one process of several here, its work done, without the interpreter's clean-up: there a
    thread that the process group left running aborts the process now and then ("terminate called
    without an active exception")."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
