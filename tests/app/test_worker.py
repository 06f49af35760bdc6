"""The process that works, as it is started, interrupted, and started again."""

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.typed import typed
from unlearnable.app.desk import Desk
from unlearnable.app.messages import Effort, Failed, Stopped
from unlearnable.data.card import private_folder
from unlearnable.protection.photo_plan import MARKER


def wait(desk: Desk, until) -> None:
    end = time.monotonic() + 300
    while not until():
        assert time.monotonic() < end and not isinstance(desk.said, Failed), desk.said
        time.sleep(0.02)


@pytest.mark.slow
def test_stopped_and_resumed_with_the_bits_of_the_command(tmp_path: Path):
    for k in range(8):
        path = tmp_path / "photos" / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(k).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    desk = Desk(Effort(train_steps=30))
    desk.folder, desk.out = tmp_path / "photos", tmp_path / "page"
    desk.protect()
    wait(desk, lambda: desk.working.share and "noise" in desk.working.what)
    desk.stop()
    wait(desk, lambda: desk.job is None)
    assert desk.said == Stopped() and not desk.out.exists()
    assert (private_folder(desk.out) / MARKER).exists()
    desk.protect()
    wait(desk, lambda: desk.job is None)
    assert desk.done and desk.done.count == 8
    desk.close()
    typed("protect-photos", "photos", "typed", "--train-steps", 30, cwd=tmp_path)
    for path in (tmp_path / "typed").glob("*/*.png"):
        assert (desk.out / path.parent.name / path.name).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_a_process_that_dies_is_said(tmp_path: Path):
    desk = Desk()
    desk.look(str(tmp_path))
    desk.worker._process.kill()
    wait_for_end = time.monotonic() + 60
    while desk.job is not None and time.monotonic() < wait_for_end:
        time.sleep(0.05)
    assert isinstance(desk.said, Failed) and "The work ended by itself" in desk.said.sentence
