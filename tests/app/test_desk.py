"""What can be done when: one job at a time, and what a stopped one leaves."""

from pathlib import Path

import pytest

from unlearnable import UserError
from unlearnable.app.desk import Desk, as_folder
from unlearnable.app.messages import (
    Failed,
    Finished,
    Found,
    Look,
    Measured,
    Protect,
    ProtectedPhotos,
    Ready,
    Stopped,
)


class Idle:
    """A worker that notes its jobs."""

    def __init__(self):
        self.jobs = []
        self.interrupted = False

    def start(self, job):
        self.jobs.append(job)

    def interrupt(self):
        self.interrupted = True


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.worker = Idle()
    return desk


def looked(desk: Desk, tmp_path: Path, problems=(), **about) -> None:
    desk.look(str(tmp_path / "photos"))
    desk.hear(Found(tmp_path / "photos", (("a", 3),), problems))
    known = {"new": 3, "kept": 0, "unfinished": False, "level": None}
    known |= {"seconds": 9.0, "measure_seconds": 9.0, "preview_seconds": 9.0}
    desk.hear(Ready(desk.out, **known | about))
    desk.hear(Finished())


def test_one_job_at_a_time(desk, tmp_path):
    with pytest.raises(UserError, match="Choose a folder first"):
        desk.protect()
    looked(desk, tmp_path)
    assert desk.out == tmp_path / "photos-protected"
    desk.protect()
    for start in (desk.protect, desk.measure, lambda: desk.look("/"), lambda: desk.show(1)):
        with pytest.raises(UserError, match="Something is being done|whole disk"):
            start()
    assert [type(job) for job in desk.worker.jobs] == [Look, Protect]


def test_files_are_left_out_only_where_that_is_agreed(desk, tmp_path):
    looked(desk, tmp_path, ("a/x.jpg cannot be read.",))
    with pytest.raises(UserError, match="tick above that they are left out"):
        desk.protect()
    desk.leave_out = True
    desk.protect()
    assert desk.worker.jobs[-1].leave_out


def test_stopped_and_resumed(desk, tmp_path):
    looked(desk, tmp_path)
    desk.choose("strong")
    desk.protect()
    desk.stop()
    assert desk.worker.interrupted
    desk.hear(Stopped())
    assert desk.job is None and desk.said == Stopped() and desk.ready.unfinished
    desk.protect()
    assert desk.said is None and desk.worker.jobs[1] == desk.worker.jobs[2]
    done = ProtectedPhotos(desk.out, desk.out, 3, 0, desk.out)
    desk.hear(done)
    desk.hear(Finished())
    assert desk.done == done and not desk.ready.unfinished


def test_what_earlier_runs_left_is_shown(desk, tmp_path):
    done = ProtectedPhotos(tmp_path, tmp_path, 3, 0, tmp_path)
    measured = Measured("Protected", True, (), 50.0, (), ())
    looked(desk, tmp_path, done=done, measured=measured, level="light")
    assert (desk.done, desk.measured, desk.level) == (done, measured, "light")
    (tmp_path / "photos-protected-2").mkdir()
    desk.again()
    assert desk.out == tmp_path / "photos-protected-3" and desk.done is None


def test_a_failure_is_said(desk, tmp_path):
    desk.look(str(tmp_path))
    desk.hear(Failed("There is none.", ("a",)))
    assert desk.said.sentence == "There is none." and desk.of is Look and desk.job is None


def test_paths_as_people_type_them(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert as_folder(" '~/a b' ") == as_folder("a b") == tmp_path / "a b"
    assert as_folder(f"file://{tmp_path}/x/") == tmp_path / "x"
    for text, why in (("  ", "Type the path"), ("/", "whole disk")):
        with pytest.raises(UserError, match=why):
            as_folder(text)
