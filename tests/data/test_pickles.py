"""Pickles from outside: arrays as numpy writes them, and nothing else, however it is forged."""

import pickle

import numpy as np
import pytest

from unlearnable import UserError
from unlearnable.data.arrays import read_npy
from unlearnable.data.pickles import load_pickle

GOOD = [
    np.arange(6, dtype=np.int8).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3)),
    np.arange(12).reshape(3, 4)[:, ::2],
    np.zeros((0, 3)),
    np.array(5.0),
    np.float32(2),
    {b"data": np.ones((2, 2), ">i4"), "labels": [1, 2], "none": (b"", None, True)},
    [np.int64(3), np.zeros(2, bool)],
]


@pytest.mark.parametrize("value", GOOD, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_containers_come_back(tmp_path, value, protocol):
    (tmp_path / "x").write_bytes(pickle.dumps(value, protocol))
    back = load_pickle(tmp_path / "x")
    assert repr(back) == repr(value)
    if isinstance(value, np.ndarray):
        assert back.dtype == value.dtype and back.flags.writeable


ARRAY = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntC\x01btR(I1\n(I99\nt"
FORGED = {
    # numpy's own functions end in a segmentation fault for the first two
    "a type with forged fields": ARRAY + b"cnumpy\ndtype\n(X\x02\x00\x00\x00V8I0\nI1\ntR"
    b"(I3\nX\x01\x00\x00\x00|NX\x01\x00\x00\x00a}X\x01\x00\x00\x00a(NI9999999\ntsI8\nI1\nI0\ntb"
    b"I0\nC\x08AAAAAAAAtb.",
    "objects": ARRAY + b"cnumpy\ndtype\n(X\x01\x00\x00\x00OI0\nI1\ntRI0\nC\x08AAAAAAAAtb.",
    "fewer bytes than it says": ARRAY
    + b"cnumpy\ndtype\n(X\x02\x00\x00\x00i1I0\nI1\ntRI0\nC\x08AAAAAAAAtb.",
    "a memo of 32 GB": b"Nr\xff\xff\xff\xff.",
    "a byte array of 2^60 bytes": b"\x96" + (1 << 60).to_bytes(8, "little") + b".",
    "a tuple in a million tuples as a key": b"})" + b"\x85" * 1_000_000 + b"Ns.",
    "half an array": b"cnumpy._core.multiarray\n_reconstruct\n(tR.",
    "a function": b"cnumpy\ndtype\n.",
    "an object": b"ccollections\nOrderedDict\n)\x81.",
    "the class of an allowed one": b"\x8c\x05numpy\x8c\x0fdtype.__class__\x93.",
}  # fmt: skip


def test_a_container_named_again_and_again_is_made_once(tmp_path):
    """Known answer: eight levels of a thousand names each, 10^24 items if each were copied."""
    level: list = []
    for _ in range(8):
        level = [level] * 1000
    (tmp_path / "x").write_bytes(pickle.dumps(level))
    back = load_pickle(tmp_path / "x")
    assert len(back) == 1000 and back[0] is back[999]


@pytest.mark.parametrize("what", list(FORGED))
def test_forged_pickles_are_refused(tmp_path, what):
    (tmp_path / "x").write_bytes(b"\x80\x04" + FORGED[what])
    if what == "a memo of 32 GB":
        assert load_pickle(tmp_path / "x") is None  # costs no memory
        return
    with pytest.raises(UserError, match="truncated or damaged|not a pickle of plain arrays"):
        load_pickle(tmp_path / "x")


@pytest.mark.parametrize("cut", [0, 5, 60, 127, -1])
def test_a_cut_npy_gets_one_sentence(tmp_path, cut):
    np.save(tmp_path / "x.npy", np.zeros((4, 5), np.uint8))
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:cut])
    with pytest.raises(UserError, match="cannot be read as a numpy array"):
        read_npy(tmp_path / "x.npy", "uint8", 2)


def test_an_npy_of_another_type_gets_one_sentence(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 5), np.float32))
    with pytest.raises(UserError, match=r"float32 \[4, 5\], not uint8 of 2 dimensions"):
        read_npy(tmp_path / "x.npy", "uint8", 2)
