"""The command line: one function a verb, options generated from the dataclasses' fields and
docstrings. Here are the verbs of noise and of one's own images; the others have rooms in verbs/."""

import os
import sys

from unlearnable.cli.audit import audit_verb
from unlearnable.cli.export import export_verb
from unlearnable.cli.learn import learn_verb
from unlearnable.cli.ls import ls_verb
from unlearnable.cli.protect import protect_verb
from unlearnable.cli.report import report_verb
from unlearnable.cli.reproduce import reproduce_verb
from unlearnable.cli.show import show_verb
from unlearnable.cli.verify import verify_verb
from unlearnable.core.errors import UserError

USAGE = """usage: unlearnable VERB ...

  protect METHOD   make a set of images unlearnable       unlearnable protect rem --data shapes --preset short
  protect PHOTOS OUT   a folder of your own images, at their own sizes    unlearnable protect photos/ protected/
                       (without classes, that is without sub-folders, too)
  verify PHOTOS OUT    the proof: learners on the clean and on the protected images
  report FOLDER        the same as one HTML page; of audits, a leaderboard; of results, tables and plots
  learn DATA       train a learner, test it on clean images   unlearnable learn protected/rem --preset short
  audit FOLDER     what the best countermeasure leaves of a protection     unlearnable audit protected/rem
  reproduce TABLE  the paper's tables, measured here beside its figures; without a TABLE: which there are
  show FOLDER      a sheet of originals, protected images and noise, as PNG
  export FOLDER    the noise (.npy, or the pickle of Fu et al.) or the official CIFAR layout
  ls [WHAT]        methods, models, data, countermeasures, suites, presets

All sizes of noise are in /255. unlearnable VERB --help shows a verb's options; --preset NAME (of `ls presets`) sets a
method's or a learner's defaults. On several processes: torchrun --nproc-per-node 2 -m unlearnable VERB ...
"""


VERBS = {
    "protect": protect_verb,
    "verify": verify_verb,
    "report": report_verb,
    "learn": learn_verb,
    "audit": audit_verb,
    "reproduce": reproduce_verb,
    "show": show_verb,
    "export": export_verb,
    "ls": lambda args: ls_verb(*args[:1]),
}


def main() -> None:
    """Exit status: 0 done, 1 interrupted, 2 the user's mistake (one sentence on standard error)."""
    sys.path.insert(0, os.getcwd())  # for --model my_module:factory
    args = sys.argv[1:]
    if not args or args[0] in ("-h", "--help"):
        print(USAGE)
        return
    try:
        if args[0] not in VERBS:
            raise UserError(f"There is no verb '{args[0]}'; the verbs are {', '.join(VERBS)}.")
        VERBS[args[0]](args[1:])
        sys.stdout.flush()
        _leave(0)
    except UserError as e:
        for detail in e.details:
            print(f"unlearnable: {detail}", file=sys.stderr)
        _stop(2, " ".join(str(e).split()))
    except KeyboardInterrupt:
        _stop(1, "interrupted; the same command goes on from the last saved state.")
    except BrokenPipeError:  # whoever reads (head, less) has seen enough; the rest goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _stop(status: int, sentence: str) -> None:
    if int(os.environ.get("RANK", 0)) == 0:  # the others say the same
        print(f"unlearnable: {sentence}", file=sys.stderr)
    _leave(status)
    sys.exit(status)


def _leave(status: int) -> None:
    """One process of several ends here, its work done, without the interpreter's clean-up: there a
    thread that the process group left running aborts the process now and then ("terminate called
    without an active exception")."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
