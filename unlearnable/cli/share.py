"""``share``."""

from dataclasses import dataclass
from pathlib import Path

from unlearnable.cli.help import doc
from unlearnable.cli.options import Command, Flag, Protected, Verb
from unlearnable.cli.output import Done
from unlearnable.data.sources import check_protected


@dataclass(frozen=True)
class Share(Verb):
    """Pack the generator and the card of a protected folder into one small file.

    unlearnable protect noise-net --data shapes --out protected/nn
    unlearnable share protected/nn
    unlearnable protect --generator protected/nn.safetensors --data shapes --out again

    Whoever has the originals makes the very noise again with the last command, which checks that
    they are the originals, and says whether the result is the same bit for bit.
    """

    folder: Protected
    """a protected folder"""
    out: Path | None = None
    """the file (default: PROTECTED.safetensors)"""
    private: Flag = False
    """also tell where the originals lay and the command that was typed (default: only the name of a
    public data set)"""

    def run(self) -> Done:
        check_protected(self.folder)
        from unlearnable.protection.share import share

        name = self.folder.resolve()
        out = share(
            self.folder,
            self.out or name.with_name(f"{name.name}.safetensors"),
            private=self.private,
        )
        size = out.stat().st_size
        return Done(f"{out}: {size / 1e6:.1f} MB", {"files": [out], "bytes": size})


def command(args: list[str]) -> Command:
    return Command(doc(Share), Share)
