"""The folder of a run: whose it is, what a kill leaves in it, what damage does to it."""

import fcntl
import itertools
import json
import os
from dataclasses import replace

import pytest
import torch

from tests.kills import Killed
from unlearnable import LSP, TAP, Recipe, UserError, learn, protect
from unlearnable.core import checkpoint, files
from unlearnable.core.checkpoint import Checkpoint, held
from unlearnable.core.files import Busy, atomic_write, lock

TINY = Recipe.preset("short", model="tests.networks:narrow", steps=2, batch=16, evals=2)


def stop_after(monkeypatch, n):
    """The process dies right after the n-th file of the run is in its place."""
    real, count = os.replace, []

    def replace_and_die(*args):
        real(*args)
        count.append(args[1].name)
        if len(count) == n:
            raise Killed

    monkeypatch.setattr(files.os, "replace", replace_and_die)
    return count


@pytest.mark.parametrize("n", range(1, 5))
def test_a_run_that_dies_after_any_of_its_files_resumes(few, tmp_path, monkeypatch, n):
    with monkeypatch.context() as m, pytest.raises(Killed):
        written = stop_after(m, n)
        learn(few, TINY, test=few, out=tmp_path / "run")
    assert written[0] == "config.json"  # the marker comes before any output
    done = learn(few, TINY, test=few, out=tmp_path / "run")
    assert done.result["log"] == learn(few, TINY, test=few).result["log"]
    left = sorted(p.name for p in (tmp_path / "run").iterdir())
    assert left == ["log.jsonl", "model.safetensors", "result.json"]


def test_what_a_kill_in_the_last_deletion_leaves_is_removed_by_the_next_start(few, tmp_path):
    protect(few, LSP(), tmp_path / "out")
    (tmp_path / "out" / "state").mkdir()
    (tmp_path / "out" / "state" / "00000001-0.pt").write_text("half")
    (tmp_path / "out" / ".images.npy.12-34.part").write_text("half")
    (tmp_path / "out" / ".mine.part").write_text("not of this program")
    protect(few, LSP(), tmp_path / "out")
    left = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert left == [".mine.part", "card.json", "images.npy", "labels.npy"]


def test_seconds_count_the_surrogate_that_an_earlier_process_trained(few, tmp_path, monkeypatch):
    method = TAP(model="tests.networks:narrow", train_steps=2, batch=16, steps=1, step=4.0)
    clock = [1000.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: clock[0])
    surrogate = __import__("unlearnable.training.learn", fromlist=["x"])
    real = surrogate.training_step

    def slow(*args):
        clock[0] += 50
        return real(*args)

    monkeypatch.setattr(surrogate, "training_step", slow)
    loop = __import__("unlearnable.protection.methods.fixed_surrogate_loop", fromlist=["x"])
    with monkeypatch.context() as m, pytest.raises(Killed):
        m.setattr(loop, "craft_rows", lambda *a, **k: (_ for _ in ()).throw(Killed))
        protect(few, method, tmp_path / "out")
    clock[0] = 5.0  # another process
    assert protect(few, method, tmp_path / "out").card.seconds == 100


def test_a_folder_holds_one_run_at_a_time(few, tmp_path):
    (tmp_path / "out").mkdir()
    other = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(UserError, match="Another process is writing into .*out; wait"):
        protect(few, LSP(), tmp_path / "out")
    with pytest.raises(Busy), lock(tmp_path / "out", wait=False):
        pass
    os.close(other)
    assert protect(few, LSP(), tmp_path / "out").card.measured["linf"] > 0


def test_a_lock_leaves_no_folder_behind(tmp_path):
    with held(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert not list(tmp_path.iterdir())


def test_a_finished_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order = []
    real_sync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda h: (order.append("sync"), real_sync(h)))
    monkeypatch.setattr(files.os, "replace", lambda *a: (order.append("name"), real_replace(*a)))
    with atomic_write(tmp_path / "x") as tmp:
        tmp.write_text("x")
    assert order == ["sync", "name", "sync"]  # the file, its name, the folder


def flipped(path, at=-9):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "wound"),
    [
        ("00000001-0.pt", flipped),
        ("00000001-0.pt", lambda path: flipped(path, 400)),  # a value of a tensor or of the pickle
        ("00000001-0.pt", lambda path: path.write_bytes(b"")),
        ("00000001-0.pt", lambda path: path.unlink()),
        ("latest", lambda path: path.write_text("")),
        ("latest", lambda path: path.write_text('{"step": 1}')),
        ("latest", lambda path: path.write_text('{"step": 1, "seconds": 1, "digests": []}')),
        ("latest", lambda path: path.write_text('{"step": 1e999, "seconds": 1, "digests": []}')),
    ],
)
def test_a_damaged_state_gets_one_sentence(tmp_path, name, wound):
    state = Checkpoint(tmp_path, {"a": 1})
    state.save(1, lambda: {"table": torch.zeros(99)}, force=True)
    wound(tmp_path / "state" / name)
    with pytest.raises(UserError, match="state is damaged; delete it to start over"):
        Checkpoint(tmp_path, {"a": 1}).load()


def test_a_marker_alone_keeps_nobody_out(few, tmp_path):
    """A run that died before its first output has nothing to lose."""
    Checkpoint(tmp_path / "run", {"a": 1}).claim()
    assert learn(few, TINY, out=tmp_path / "run").result["log"]
    marker = tmp_path / "other" / "state" / "config.json"
    Checkpoint(tmp_path / "other", {"a": 1}).save(1, dict, force=True)
    for text, says in (("[]", "another run"), ("{", "cannot be read as JSON")):
        marker.write_text(text)
        with pytest.raises(UserError, match=says):
            learn(few, replace(TINY, steps=3), out=tmp_path / "other")
    assert json.loads((tmp_path / "other" / "state" / "latest").read_text())["step"] == 1


def test_saves_that_take_long_come_less_often(tmp_path, monkeypatch):
    """Else a run with a large table would do little but save it."""
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    state, saves = Checkpoint(tmp_path / "run", {}), []
    for second in range(1000):
        now[0] = max(now[0], float(second))

        def value():
            saves.append(now[0])
            now[0] += 6 if len(saves) < 3 else 0.5  # what the save takes
            return {"x": torch.zeros(1)}

        state.save(second, value)
        if len(saves) == 4:
            break
    assert [round(b - a) for a, b in itertools.pairwise(saves)] == [127, 127, 31]


def test_a_state_of_other_code_is_not_gone_on_with(tmp_path, caplog):
    """A person who corrected a network types the same command again."""
    first = Checkpoint(tmp_path, {"steps": 3, "own_code": "a"})
    first.part("noise", {"own_code": "a"}).save(1, lambda: {"x": torch.ones(1)}, force=True)
    first.save(2, lambda: {"x": torch.ones(1)}, force=True)
    with pytest.raises(UserError, match="config.steps is 3 there and 4 here"):
        Checkpoint(tmp_path, {"steps": 4, "own_code": "b"})
    second = Checkpoint(tmp_path, {"steps": 3, "own_code": "b"})
    assert "Your code has changed" in caplog.text and second.load() is None
    assert second.seconds < 1 and second.part("noise", {"own_code": "b"}).load() is None
    second.save(1, lambda: {"x": torch.zeros(1)}, force=True)
    again = Checkpoint(tmp_path, {"steps": 3, "own_code": "b"})
    assert torch.equal(again.load()["x"], torch.zeros(1))
