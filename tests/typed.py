"""The command as a person types it, without the two seconds that a new process takes to load torch:
in this process, or as one of several that a server forks."""

import io
import multiprocessing
import os
import shlex
import socket
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch._dynamo  # noqa: F401  every optimizer loads it, in seconds; the server does so once

from unlearnable.cli.main import main


@dataclass(frozen=True)
class Typed:
    """What a command wrote."""

    stdout: str
    stderr: str


def typed(*args: object, cwd: Path, status: int = 0) -> Typed:
    """``unlearnable args`` in ``cwd``; the exit status must be ``status``. Modules that the command
    imports from ``cwd`` are forgotten afterwards: another folder may have others of that name."""
    out, err, loaded = io.StringIO(), io.StringIO(), set(sys.modules)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "path", sys.path.copy())
        patch.setattr(sys, "argv", ["unlearnable", *map(str, args)])
        left = 0
        try:
            main()
        except SystemExit as e:
            left = e.code or 0
    for name in set(sys.modules) - loaded:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(cwd):
            del sys.modules[name]
    assert left == status, err.getvalue() + out.getvalue()
    return Typed(out.getvalue(), err.getvalue())


def _one_of(rank: int, world: int, port: int, args: list[str], cwd: Path) -> None:
    """One process of ``world``, with the environment that torchrun gives it."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    os.chdir(cwd)
    sys.argv = ["unlearnable", *args]
    log = os.open(f"rank-{rank}.log", os.O_CREAT | os.O_WRONLY)
    os.dup2(log, 1), os.dup2(log, 2)
    main()


def typed_by(world: int, *args: object, cwd: Path, status: int = 0) -> list[str]:
    """``unlearnable args`` in ``world`` processes, as torchrun starts them; the exit status of each
    must be ``status``. Return what each wrote. They are forked by a server that has loaded the
    package once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "unlearnable.protection.methods"])
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    shared = (world, port, [*map(str, args)], cwd)
    ranks = [context.Process(target=_one_of, args=(k, *shared)) for k in range(world)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(240)
        process.kill()
    logs = [cwd / f"rank-{k}.log" for k in range(world)]
    said = [log.read_text() for log in logs]
    for log in logs:
        log.unlink()
    wrong = f"{shlex.join(shared[2])}: {''.join(said)[-3000:]}"
    assert [p.exitcode for p in ranks] == [status] * world, wrong
    return said
