"""Who watches a run hears each logged step once, also where it was cut, and changes nothing."""

import json
import re
from pathlib import Path

import pytest
import torch

from tests.typed import typed
from unlearnable import (
    EM,
    TAP,
    JsonLines,
    Recipe,
    TensorBoard,
    UserError,
    WeightsAndBiases,
    learn,
    protect,
)
from unlearnable.core import callbacks, checkpoint
from unlearnable.training.trainer import Trainer

NARROW = "tests.networks:narrow"
TINY = Recipe.preset("short", model=NARROW, steps=6, batch=16, adv_steps=1, evals=3)
NOISE = EM(
    model=NARROW, train_steps=6, batch=16, steps=1, eot_samples=0, refresh_every=0, stop_error=0.0
)


class Heard:
    """A callback that remembers."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def begin(self, run: callbacks.Run) -> None:
        self.said.append((run.kind, [line["step"] for line in run.log]))

    def log(self, scalars: callbacks.Scalars) -> None:
        self.said.append(dict(scalars))

    def end(self, finished: bool) -> None:
        self.said.append(finished)


@pytest.fixture
def cut(monkeypatch):
    """Interrupt training step number ``at``, once; every second step before it saves the state."""

    def after(at: int) -> None:
        real, count = Trainer.step, [0]

        def step(self, *args, **kwargs):
            count[0] += 1
            monkeypatch.setattr(checkpoint, "SAVE_EVERY", -1.0 if count[0] % 2 else 1e9)
            if count[0] == at:
                raise KeyboardInterrupt
            return real(self, *args, **kwargs)

        monkeypatch.setattr(Trainer, "step", step)

    return after


def test_a_learner_is_heard_step_by_step(few, tmp_path):
    heard = Heard()
    done = learn(few, TINY, test=few, out=tmp_path / "run", callbacks=[heard])
    assert heard.said == [("learner", []), *done.result["log"], True]
    again = Heard()
    learn(few, TINY, test=few, out=tmp_path / "run", callbacks=[again])
    assert again.said == [("learner", [2, 4, 6]), True]


def test_surrogates_are_heard_and_the_noise_stays(few):
    heard, other = Heard(), Heard()
    plain = protect(few, NOISE)
    watched = protect(few, NOISE, callbacks=[heard])
    assert torch.equal(plain.images.x, watched.images.x)
    assert heard.said[0] == ("surrogate", []) and heard.said[-1] is True
    assert [set(s) for s in heard.said[1:-1]] == [{"step", "loss"}] * 6
    tap = TAP.preset("short", model=NARROW, train_steps=2, batch=16, steps=1)
    protect(few, tap, callbacks=[other])
    assert other.said[0] == ("surrogate", []) and other.said[-2]["step"] == 2


def test_a_run_that_fails_says_so(few, cut):
    heard = Heard()
    cut(4)
    with pytest.raises(KeyboardInterrupt):
        protect(few, NOISE, callbacks=[heard])
    assert [s["step"] for s in heard.said[1:-1]] == [1, 2, 3] and heard.said[-1] is False


def steps_of(folder: Path) -> dict[str, list[int]]:
    """The steps in TensorBoard's files, by name of the number."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    steps: dict[str, list[int]] = {}
    for file in folder.rglob("events.*"):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                steps.setdefault(value.tag, []).append(event.step)
    return {name: sorted(found) for name, found in steps.items() if "settings" not in name}


@pytest.mark.parametrize("what", ["learn", "protect"])
def test_resuming_writes_no_step_twice(few, tmp_path, cut, what):
    """Cut after step 4, which was logged but not saved."""
    pytest.importorskip("tensorboard")

    def run(out: str) -> bytes:
        watching = [TensorBoard(tmp_path / f"{out}-tb"), JsonLines(tmp_path / f"{out}-lines")]
        if what == "learn":
            learn(few, TINY, test=few, out=tmp_path / out, callbacks=watching)
            return (tmp_path / out / "model.safetensors").read_bytes()
        protect(few, NOISE, tmp_path / out, callbacks=watching)
        return (tmp_path / out / "images.npy").read_bytes()

    def lines(out: str) -> str:
        (file,) = (tmp_path / f"{out}-lines").iterdir()
        return file.read_text()

    whole = run("whole")
    cut(5)
    with pytest.raises(KeyboardInterrupt):
        run("cut")
    steps = [2, 4] if what == "learn" else [1, 2, 3, 4]
    assert steps_of(tmp_path / "cut-tb")["loss"] == steps
    assert [json.loads(line)["step"] for line in lines("cut").splitlines()] == steps
    assert run("cut") == whole and lines("cut") == lines("whole")
    assert steps_of(tmp_path / "cut-tb") == steps_of(tmp_path / "whole-tb")
    assert len({p.parent.name for p in (tmp_path / "cut-tb").rglob("events.*")}) == 1


@pytest.mark.slow
def test_weights_and_biases_offline_without_an_account(few, tmp_path, monkeypatch, cut, caplog):
    pytest.importorskip("wandb")
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    caplog.set_level("INFO", "unlearnable")
    cut(5)
    with pytest.raises(KeyboardInterrupt):
        learn(few, TINY, test=few, out=tmp_path / "o", callbacks=[WeightsAndBiases(tmp_path / "w")])
    learn(few, TINY, test=few, out=tmp_path / "o", callbacks=[WeightsAndBiases(tmp_path / "w")])
    runs = sorted((tmp_path / "w").rglob("*.wandb"))
    assert len(runs) == 2 and len({p.name for p in runs}) == 1  # one id
    assert [logged(p) for p in runs] == [{2, 4}, {6}]
    assert "wandb sync" in caplog.text


def logged(file: Path) -> set[int]:
    """The steps in a file of Weights & Biases, whose numbers stand in it as texts."""
    return {int(n) for n in re.findall(rb"\x12\x05_step\x82\x01.(\d+)", file.read_bytes())}


def test_what_is_not_installed_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "find_spec", lambda package: None)
    said = typed("learn", "shapes", "--watch", "tensorboard", cwd=tmp_path, status=2).stderr
    assert said.count("\n") == 1 and "pip install 'unlearnable[tensorboard]' (in a clone:" in said
    with pytest.raises(UserError, match=r"unlearnable\[wandb\]"):
        WeightsAndBiases(tmp_path).begin(callbacks.Run("learner", {}))


def test_by_the_command_line(tmp_path):
    few = ["--limit", 20, "--data", "shapes"]
    short = ["--train-steps", 2, "--steps", 1, "--batch", 16, "--model", "convnet"]
    typed("protect", "em", *few, *short, "--watch", "jsonl", "--out", "em", cwd=tmp_path)
    (file,) = (tmp_path / "watch" / "em").iterdir()
    assert file.name.startswith("surrogate-") and len(file.read_text().splitlines()) == 2
    said = typed("learn", "em", "--watch", "csv", cwd=tmp_path, status=2).stderr
    assert "jsonl" in said and said.count("\n") == 1


def test_a_folder_for_what_nobody_writes_is_refused(tmp_path):
    said = typed("learn", "shapes", "--watch-folder", "w", cwd=tmp_path, status=2).stderr
    assert said.count("\n") == 1 and "give --watch jsonl too" in said
