"""Cells here and on a Ray cluster of two workers: the same bits, a worker that is killed, results
that are sent back, Ctrl-C, and what is refused."""

import importlib.util
import json
import os
import signal
import socket
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.typed import typed
from unlearnable import EM, Recipe, Uniform, UserError, audit, load, protect, protect_photos, verify
from unlearnable.core.cluster import Cell, Cluster, Preparation, run_cells, set_environment
from unlearnable.core.files import Busy
from unlearnable.experiments import reproduce as reproducing
from unlearnable.experiments.scale import Scale

RECIPE = Recipe.preset("short", model="tests.networks:narrow", steps=3, batch=16, evals=2)
TINY = Scale("small", "shapes", "tiny", RECIPE, 40, 20, 2.0)
TABLE = {"rows": ("clean", "EM"), "columns": ("ordinary", "AT-1")}


@pytest.fixture(scope="module")
def two():
    """A cluster of two workers of one thread each, and this process with one thread as well."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs Ray")
    set_environment("local")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    from unlearnable.core.ray_cluster import connected

    with connected("local", num_cpus=2):
        yield Cluster("auto", threads=1)
    torch.set_num_threads(threads)


@pytest.fixture
def quick(monkeypatch):
    shorter = {"train_steps": 2, "steps": 1, "batch": 16}
    monkeypatch.setitem(EM.presets, "short", EM.presets["short"] | shorter)


def numbers(folder: Path) -> dict[str, object]:
    """All results in a folder, without when and where they were computed, and all noise."""
    found: dict[str, object] = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.npy")
    }
    for path in folder.rglob("*cell.json"):
        cell = json.loads(path.read_text())
        for key in ("seconds", "command"):
            cell.pop(key, None)
        found[str(path.relative_to(folder))] = cell
    return found


def dying(work, marker, context, store, wait):
    """Do ``work``; the first process that does is killed in the middle of it."""

    def kill() -> None:
        while not [*store.rglob("run")]:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGKILL)

    if not marker.exists():
        marker.touch()
        threading.Thread(target=kill, daemon=True).start()
    return work(context, store, wait)


def test_a_table_on_two_workers_equals_one_process_though_one_is_killed(
    two, tmp_path, quick, monkeypatch
):
    table, marker = reproducing.chosen("main-comparison"), tmp_path / "killed"
    here = reproducing.reproduce(table, TINY, results=tmp_path / "here", **TABLE)
    real = reproducing._cell

    def cell(*args):
        made = real(*args)
        return replace(made, work=partial(dying, made.work, marker))

    monkeypatch.setattr(reproducing, "_cell", cell)
    said: list[str] = []
    options = {"results": tmp_path / "ray", "cluster": two, "say": said.append}
    assert reproducing.reproduce(table, TINY, **options, **TABLE) == here
    assert marker.exists() and [line[:5] for line in said[2:]] == [f"[{k}/4]" for k in (1, 2, 3, 4)]
    assert numbers(tmp_path / "ray") == numbers(tmp_path / "here")
    assert len(numbers(tmp_path / "here")) == 4 * 2 + 1 + 2  # cells, trainings, noise, images
    assert not [*(tmp_path / "ray").rglob("*.part"), *(tmp_path / "ray").rglob("run")]


def test_results_are_sent_back_where_the_path_is_not_shared(two, tmp_path, quick, monkeypatch):
    from unlearnable.core import ray_engine

    table = reproducing.chosen("main-comparison")
    here = reproducing.reproduce(table, TINY, results=tmp_path / "here", **TABLE)
    monkeypatch.setattr(ray_engine, "all_see", lambda nodes, token: False)
    options = {"results": tmp_path / "ray", "cluster": two}
    first = TABLE | {"columns": ("ordinary",)}  # then the noise is there, and sent along
    reproducing.reproduce(table, TINY, **options, **first)
    assert reproducing.reproduce(table, TINY, **options, **TABLE) == here
    assert numbers(tmp_path / "ray") == numbers(tmp_path / "here")


def test_an_audit_and_a_verification_have_the_same_numbers_on_two_workers(two, tmp_path):
    from tests.photos import mixed_album
    from tests.protection.test_photos import METHOD, SIZE

    protect(load("shapes", limit=40), Uniform(), tmp_path / "protected")
    test = load("shapes", split="test", limit=20)
    options = {"test": test, "recipe": RECIPE}
    here = audit(tmp_path / "protected", out=tmp_path / "here" / "a", **options)
    there = audit(tmp_path / "protected", out=tmp_path / "ray" / "a", cluster=two, **options)
    rows = [[replace(row, seconds=0) for row in done.rows] for done in (here, there)]
    assert rows[0] == rows[1]
    assert numbers(tmp_path / "here") == numbers(tmp_path / "ray")

    photos = mixed_album(tmp_path / "photos", each=4)
    protect_photos(photos, tmp_path / "out", METHOD, size=SIZE)
    short = {"radii": (0.0,), "countermeasures": ("gray",), "networks": (), "seeds": 2}
    by = {name: tmp_path / name / "v" for name in ("here", "ray")}
    alone = verify(photos, tmp_path / "out", RECIPE, out=by["here"], **short)
    spread = verify(photos, tmp_path / "out", RECIPE, out=by["ray"], cluster=two, **short)
    assert alone == spread and numbers(by["here"]) == numbers(by["ray"]) and len(alone.rows) == 2


def number(k, context, store, wait):
    if k == 3 and not wait:
        raise Busy(store)  # as where another command is computing it
    if k == 4:
        raise UserError("Four is refused; give another number.")
    return context + k


def test_what_another_process_computes_comes_last_and_an_error_is_the_same_sentence(two, tmp_path):
    for cluster in (None, two):
        order: list[int] = []
        cells = [Cell(f"{k}.json", partial(number, k)) for k in (0, 3, 1)]
        take = lambda k, value: order.append(value)  # noqa: E731, B023
        found = run_cells(cells, 10, tmp_path, cluster=cluster, done=take)
        assert found == [10, 13, 11] and order[-1] == 13
        with pytest.raises(UserError, match="^Four is refused; give another number.$"):
            run_cells([Cell("4.json", partial(number, 4))], 10, tmp_path, cluster=cluster)
    assert not [*tmp_path.iterdir()]  # nothing by which the store was recognized


def waiting(context, store, wait):
    (store / "began").touch()
    try:
        for _ in range(600):  # between two lines Python looks for an interrupt
            time.sleep(0.1)
    except KeyboardInterrupt:
        (store / "stopped").touch()
        raise


def test_ctrl_c_interrupts_the_cells_that_run(two, tmp_path):
    def press(k, value):
        while not (tmp_path / "began").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    begin = time.monotonic()
    cells = [Cell("0.json", partial(number, 0)), Cell("1.json", waiting)]
    with pytest.raises(KeyboardInterrupt):
        run_cells(cells, 10, tmp_path, cluster=two, done=press)
    assert (tmp_path / "stopped").exists() and time.monotonic() - begin < 30


def made_once(context, store):
    with open(store / "made", "a") as file:
        file.write("x")


def needing(context, store, wait):
    return (store / "made").read_text()


def test_what_cells_have_in_common_is_made_before_them_and_once(two, tmp_path):
    need = Preparation("made", made_once)
    cells = [Cell(f"{k}.json", needing, need) for k in range(3)]
    assert run_cells(cells, None, tmp_path, cluster=two) == ["x"] * 3
    assert run_cells(cells, None, tmp_path, cluster=two) == ["x"] * 3


@pytest.mark.parametrize(
    ("changes", "device", "says"),
    [
        ({"threads": 99}, "auto", "No machine of the cluster has 99 CPUs"),
        ({"gpus": 0.5}, "auto", "and 0.5 GPUs for a cell"),
        ({}, "cuda", "No machine of the cluster has a GPU"),
        ({}, "cuda:1", "Ray chooses; give --device cuda."),
    ],
    ids=["threads", "gpus", "no gpu", "a gpu of here"],
)
def test_cells_without_room_are_refused(two, tmp_path, changes, device, says):
    cell = Cell("0.json", waiting)
    with pytest.raises(UserError, match=says):
        run_cells([cell], None, tmp_path, cluster=replace(two, **changes), device=device)


def test_an_address_where_no_cluster_is_is_one_sentence():
    pytest.importorskip("ray")
    from unlearnable.core.ray_cluster import _check_address

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(UserError, match=f"Nothing answers at {address}"):
            _check_address(address)
        server.listen()

        def answer() -> None:
            line, _ = server.accept()
            with line:
                line.sendall(b"HTTP/1.0 400 Bad request\r\n\r\n")
                line.recv(100)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UserError, match="is not Ray; give the address"):
            _check_address(address)
        thread.join()


def test_ray_is_an_extra_and_its_options_are_checked_first(tmp_path, monkeypatch):
    for wrong, says in (
        (["--ray", "ray://head:1"], "--ray takes HOST:PORT of a cluster's head, auto, or nothing"),
        (["--ray", "a", "b"], "not 'a b'; where it has no address, put it last"),
        (["--cell-threads", 2], "are for a cluster; give --ray too"),
        (["--ray", "--cell-threads", 0], "must be above 0"),
        (["--ray", "--cell-gpus", 1.5], "a fraction of one GPU or a whole number"),
    ):
        said = typed("reproduce", "eot", *wrong, cwd=tmp_path, status=2).stderr
        assert says in said and said.count("\n") == 1
    monkeypatch.setattr("unlearnable.core.cluster.find_spec", lambda name: None)
    (tmp_path / "protected").mkdir()
    for args in (["reproduce", "eot"], ["audit", "protected"], ["verify", "a", "protected"]):
        said = typed(*args, "--ray", cwd=tmp_path, status=2).stderr
        assert "Ray is not installed, an extra: pip install 'unlearnable[ray]'" in said
    assert [p.name for p in tmp_path.iterdir()] == ["protected"]
