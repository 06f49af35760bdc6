"""A folder of photos that several processes protect together."""

from pathlib import Path

import numpy as np
import pytest

from tests.photos import album, photo
from tests.protection.test_photo_folders import files
from tests.typed import typed, typed_by
from unlearnable import UserError
from unlearnable.core import distributed
from unlearnable.data import threads
from unlearnable.data.card import Card
from unlearnable.data.decoding import read
from unlearnable.data.image_files import listing
from unlearnable.protection.photo_costs import memory_for

OPTIONS = ("--train-steps", 2, "--size", 16)


def test_two_processes_share_a_folder_and_only_the_first_speaks(tmp_path):
    photos, out = album(tmp_path / "photos", each=3), tmp_path / "out"
    typed_ = ["protect-photos", "photos", "out", *OPTIONS]
    first, second = typed_by(2, *typed_, cwd=tmp_path)
    assert "6 photos in out" in first and "will take" not in second and not second
    card = Card.read(out)
    assert "2 processes" in card.hardware and card.shape[0] == len(card.files) == 6
    for path, _ in listing(photos).files:
        a, b = (np.asarray(read(p), int) for p in (path, out / path.relative_to(photos)))
        assert a.shape == b.shape and 0 < abs(a - b).max() <= 8
    assert sorted(p.name for p in out.iterdir()) == ["cat", "dog"]
    private = sorted(p.name for p in (tmp_path / "out.private").iterdir())
    assert private == ["card.json", "generator.safetensors"]

    # it is done, whatever the number of processes
    before = files(out)
    assert "6 photos in out" in typed(*typed_, cwd=tmp_path).stdout

    # further photos, with the generator
    for seed, name in enumerate(("cat/9.png", "dog/8.png", "dog/9.png")):
        photo(photos / name, 50 + seed)
    assert "3 new photos" in typed_by(2, *typed_, cwd=tmp_path)[0]
    assert len(files(out)) == 9 and Card.read(out).measured["linf"] <= 8
    assert before.items() <= files(out).items()


def test_a_folder_of_very_many_photos_is_planned_from_a_sample(tmp_path, monkeypatch):
    photos = album(tmp_path / "photos", each=3)
    (photos / "dog" / "1.png").write_bytes(b"not a photo")
    monkeypatch.setattr("unlearnable.protection.photo_costs.MANY", 6)
    said = typed("protect-photos", photos, "out", "--dry-run", cwd=tmp_path).stdout
    for line in (
        "6 photos in 2 classes, planned from 6 that are spread over the folder; 1 of them",
        "Time: ",
        "Disk: 0.0 MB per photo",
        "Memory: about 0.0 GB per process",
        "Shards: under torchrun each process reads and writes every N-th photo",
        "Resume: the same command.",
    ):
        assert line in said
    assert "Divide" not in said
    memory = memory_for(6, 32)
    assert memory == 6 * 36_720  # as measured
    there = "unlearnable.protection.photo_costs.memory_of_machine"
    monkeypatch.setattr(there, lambda: memory - 1)
    said = typed("protect-photos", photos, "out", "--dry-run", cwd=tmp_path).stdout
    assert "Divide the folder into 2 or more of equal size" in said
    said = typed("protect-photos", photos, "out", cwd=tmp_path, status=2).stderr
    assert "holds 6 photos, which at 32 px need about" in said and "folders of at most 5" in said
    assert [p.name for p in tmp_path.iterdir()] == ["photos"]


def test_what_its_processes_would_each_do_alone_is_not_for_torchrun(tmp_path):
    first, second = typed_by(2, "audit", "protected", cwd=tmp_path, status=2)
    assert "torchrun is for protect, protect-photos, learn; run `unlearnable audit --ray`" in first
    assert first.count("\n") == 1 and not second


def test_a_mistake_ends_all_processes_with_one_sentence(tmp_path):
    photos = album(tmp_path / "photos", each=3)
    (photos / "dog" / "1.png").write_bytes(b"not a photo")
    first, second = typed_by(2, "protect-photos", photos, "out", cwd=tmp_path, status=2)
    assert "1 file in" in first and "cannot be protected" in first and "Traceback" not in first
    assert not second and sorted(p.name for p in tmp_path.iterdir()) == ["photos"]


@pytest.mark.parametrize("refused", [None, 3])
def test_work_is_shared_out_in_blocks_and_an_error_is_everybodys(monkeypatch, refused):
    def work(k: int) -> int:
        if k == refused:
            raise UserError(f"{k} is refused.")
        return 10 * k

    sent: list[list[list[object]]] = [[], []]
    monkeypatch.setattr(threads, "AT_ONCE", 2)
    monkeypatch.setattr(distributed, "world", lambda: 2)

    def play(rank: int, received: list[list[list[object]]]) -> list[int]:
        def gather(own):
            sent[rank].append(own)
            block = len(sent[rank]) - 1
            return [own if r == rank else received[r][block] for r in (0, 1)]

        monkeypatch.setattr(distributed, "rank", lambda: rank)
        monkeypatch.setattr(distributed, "gather", gather)
        return threads.in_processes(work, range(7), "counting")

    # what each would send, had the other sent nothing that counts
    blank = [[[0, 0], [0, 0]], [[0, 0], [0, 0]]]
    for rank in (0, 1):
        try:
            play(rank, blank)
        except UserError:
            sent[rank] += [[0, 0]] * (2 - len(sent[rank]))
    both, sent = sent, [[], []]
    for rank in (0, 1):
        if refused is None:
            assert play(rank, both) == [10 * k for k in range(7)]
        else:
            with pytest.raises(UserError, match="3 is refused"):
                play(rank, both)


def test_both_see_the_same_when_one_is_told_to_stop(tmp_path: Path, monkeypatch):
    """What rank 0 alone finds wrong, all raise."""
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    problem = UserError("It is full; make room.")
    monkeypatch.setattr(distributed, "broadcast", lambda value: (None, problem))
    with pytest.raises(UserError, match="It is full; make room."):
        distributed.on_first(lambda: None)
