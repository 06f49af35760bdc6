"""A Ray cluster: connected to or started here, and whether cells can run on its machines."""

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from unlearnable.core.cluster import Cluster
from unlearnable.core.errors import UserError
from unlearnable.core.plugins import one_line
from unlearnable.core.ray_task import look, versions

STARTS = 3  # its parts have 15 and 30 seconds each, too few on a busy machine
PATIENCE = 5.0  # seconds for an address to answer


@contextlib.contextmanager
def connected(address: str, num_cpus: int | None = None) -> Iterator[None]:
    """Connect to the cluster; one that this process is connected to already is used as it is.
    num_cpus: of one that is started here (default: as many as there are)."""
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        if address == "local":
            logs = tempfile.mkdtemp(prefix="ray-")
            stack.callback(_remove, logs)
            options = {"_temp_dir": logs, "include_dashboard": False, "num_cpus": num_cpus}
        elif address != "auto":
            _check_address(address)
        stack.callback(ray.shutdown)
        _init(address, **options)
        yield


def _remove(folder: str) -> None:
    """Delete what Ray wrote; its processes may be writing still while they end."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            return
        time.sleep(0.1)


def _init(address: str, **options: Any) -> None:
    """``ray.init``, which puts handlers of its own in the place of this program's."""
    ours = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        for left in reversed(range(STARTS if address == "local" else 1)):
            try:
                ray.init(address, log_to_driver=False, logging_level="ERROR", **options)
                return
            except Exception as e:  # of many kinds, some of them bare
                ray.shutdown()
                if not left:
                    raise _unusable(address, e) from e
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in ours.items():
                signal.signal(number, handler)


def _unusable(address: str, e: Exception) -> UserError:
    if address == "local":
        return UserError(
            f"Ray did not start on this machine ({one_line(e)}); leave out --ray, or run the same "
            "command again when the machine is less busy."
        )
    return UserError(
        f"No Ray cluster can be used at '{address}' ({one_line(e)}); start one with `ray start "
        "--head` and run this on one of its machines, or give --ray alone."
    )


def _check_address(address: str) -> None:
    """Raise UserError unless something at ``address`` speaks gRPC: Ray itself waits for over a
    minute, and then ends the process."""
    host, _, port = address.rpartition(":")
    if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
        return
    try:
        with socket.create_connection((host, int(port)), PATIENCE) as line:
            line.settimeout(PATIENCE)
            # HTTP/2: the client's preface and an empty SETTINGS frame, answered by another
            line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
            answer = line.recv(9)
    except (OSError, OverflowError, UnicodeError) as e:
        raise UserError(
            f"Nothing answers at {address} ({one_line(e)}); start a cluster there with `ray start "
            "--head`, or give --ray alone to start one on this machine."
        ) from e
    if len(answer) < 4 or answer[3] != 4:
        raise UserError(
            f"What answers at {address} is not Ray; give the address that `ray start --head` "
            "printed."
        )


def gpus_per_cell(cluster: Cluster, device: str) -> float:
    """The GPUs that a cell takes. Raises UserError for a device that a worker would not know."""
    if ":" in device:
        raise UserError(
            f"--device {device} is one of this machine, and Ray chooses; give --device "
            f"{device.partition(':')[0]}."
        )
    if cluster.gpus is not None:
        return cluster.gpus
    there = ray.cluster_resources().get("GPU", 0) > 0
    if device == "cuda" and not there:
        raise UserError("No machine of the cluster has a GPU; give --device cpu or auto.")
    return float(device != "cpu" and there)


def able_nodes(threads: int, gpus: float) -> list[dict[str, Any]]:
    """The machines on which a cell has room. Raises UserError where there is none."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    able = [
        node
        for node in alive
        if node["Resources"].get("CPU", 0) >= threads and node["Resources"].get("GPU", 0) >= gpus
    ]
    if not able:
        cpus = max((int(node["Resources"].get("CPU", 0)) for node in alive), default=0)
        most = max((node["Resources"].get("GPU", 0) for node in alive), default=0)
        raise UserError(
            f"No machine of the cluster has {threads} CPUs and {gpus:g} GPUs for a cell (the most "
            f"are {cpus} and {most:g}); give a smaller --cell-threads or --cell-gpus."
        )
    return able


def all_see(nodes: list[dict[str, Any]], token: Path) -> bool:
    """Whether all machines see the store. Raises UserError for one that runs something else."""
    looks = [
        ray.remote(look)
        .options(
            num_cpus=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        )
        .remote(token)
        for node in nodes
    ]
    seen = []
    for node, answer in zip(nodes, looks, strict=True):
        name = node["NodeManagerHostname"]
        try:
            theirs, sees = ray.get(answer, timeout=120)
        except (RayError, ImportError) as e:
            raise UserError(
                f"unlearnable cannot be used on {name} of the cluster ({one_line(e)}); install the "
                "same version there."
            ) from e
        if theirs != versions():
            raise UserError(
                f"{name} of the cluster has {theirs}, and this machine {versions()}; install the "
                "same on both."
            )
        seen.append(sees)
    return all(seen)
