"""``protect METHOD``, and which grammar ``protect`` is called in."""

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from unlearnable.cli.ls import ls_verb
from unlearnable.cli.options import Machine, Source, about, options, take
from unlearnable.cli.protect_photos import protect_photos_verb
from unlearnable.core import distributed
from unlearnable.core.device import pick_device
from unlearnable.protection.methods import METHODS, find_method
from unlearnable.protection.protect import protect

# ── protect ──


def protect_verb(args: list[str]) -> None:
    if not args or args[0] in ("-h", "--help"):
        print(
            "usage: unlearnable protect METHOD [options]      unlearnable protect METHOD --help\n\n"
            "METHOD is one of these, or your own as my_module:Class (docs/adding-a-method.md):"
        )
        return ls_verb("methods")
    if len(args) > 1 and not args[1].startswith("-") and args[0] not in METHODS:
        return protect_photos_verb(args)
    name, args = args[0], args[1:]
    preset, args = take(args, "--preset", "paper")
    method = find_method(name).preset(preset)

    out = Annotated[
        Path,
        arg(help="folder for the images, the card and the generator; the same command resumes"),
    ]
    fields = [("out", out), ("source", Source), ("machine", Machine), ("method", type(method))]
    form = dataclasses.make_dataclass("Protect", fields, frozen=True)
    text = f"{about(type(method))} Presets: {', '.join(method.presets)} (--preset; now {preset})."
    default = form(Path("protected") / name.rpartition(":")[2], Source(), Machine(), method)
    o = options(f"protect {name}", text, form, args, default)
    device = pick_device(o.machine.device)
    with distributed.processes(device):
        done = protect(
            o.source.load(),
            o.method,
            o.out,
            seed=o.machine.seed,
            device=str(device),
            precision=o.machine.precision,
        )
        if distributed.rank() == 0:
            m = done.card.measured
            print(
                f"{len(done.images)} images in {o.out}: noise at most {m['linf']}/255, PSNR "
                f"{m['psnr']} dB, SSIM {m['ssim']}, made in {done.card.seconds:.0f} s.\n"
                f"See it: unlearnable show {o.out}    Prove it: unlearnable learn {o.out}"
            )
