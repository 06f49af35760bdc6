"""Read pickles from outside: arrays and plain containers, nothing that can run code.

CIFAR's official files and the noise files of the field are pickles. A pickle may name any function
to call, and numpy's own functions trust what they are given: a forged type makes them read memory
that is not theirs. So this reader calls neither. It knows the names by which numpy writes an array,
keeps what is said about each one, and builds it from a plain type, a shape and bytes that fit.
"""

import io
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import numpy as np

from unlearnable.core.errors import UserError

# numbers without any structure: boolean, signed, unsigned, floating point; bytes each
PLAIN = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
# what neither containers nor arrays need: other classes and objects, sets, buffers out of the file
REFUSED = (
    pickle.PERSID, pickle.BINPERSID, pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX,
    pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET,
    pickle.NEXT_BUFFER, pickle.READONLY_BUFFER,
)  # fmt: skip


class _Refused(pickle.UnpicklingError):
    """A type that plain arrays do not need."""


@dataclass(eq=False)
class _Type:
    """A numpy type as the pickle tells it: its code, and the order of its bytes."""

    code: object
    order: object = "="

    def build(self, state: tuple) -> None:
        _, self.order, *structure = state
        if any(part is not None for part in structure[:3]):
            raise _Refused("an array of structures")

    def numpy(self) -> np.dtype:
        # what Python 2 wrote as text comes as bytes
        code, order = (
            x.decode("latin1") if isinstance(x, bytes) else x for x in (self.code, self.order)
        )
        if not isinstance(code, str) or code not in PLAIN or order not in ("=", "|", "<", ">"):
            told = repr(code) if isinstance(code, str) else "unknown"
            raise _Refused(f"an array of type {told}")
        return np.dtype(f"{order}{code}")


@dataclass(eq=False)
class _Array:
    """An array as the pickle tells it; the state comes after the object."""

    value: np.ndarray | None = None

    def build(self, state: tuple) -> None:
        shape, kind, fortran, data = state[-4:]  # behind a version
        self.value = _array(data, kind, shape, "F" if fortran else "C")


def _array(data: object, kind: object, shape: object, order: object) -> np.ndarray:
    """Build an array of exactly these bytes."""
    if not isinstance(kind, _Type) or not isinstance(shape, tuple) or order not in ("C", "F"):
        raise _Refused("an array of unknown form")
    if not isinstance(data, bytes | bytearray):  # a list, for objects
        raise _Refused("an array of objects")
    dtype = kind.numpy()
    if not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError("a size below 0")
    if prod(shape) * dtype.itemsize != len(data):
        raise ValueError("bytes that do not fit the shape")
    return np.ndarray(shape, dtype, bytearray(data), order="F" if order == "F" else "C")


def _scalar(kind: object, data: object) -> object:
    return _array(data, kind, (), "C")[()]


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Stand in for ``_codecs.encode(text, 'latin1')``, which Python 3 writes for bytes under
    protocol 2; no other codec is allowed."""
    if encoding not in ("latin1", "latin-1"):
        raise _Refused("another codec")
    return str.encode(text, "latin1")


def _ndarray(*_: object) -> None:
    """Stand in for the class, which is only named."""


ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy", "ndarray"): _ndarray,
    ("numpy", "dtype"): lambda code, *_: _Type(code),
    ("_codecs", "encode"): _latin1,
    ("__builtin__", "bytes"): lambda: b"",  # Python 3's empty bytes under protocol 2
}
for _core in ("numpy.core", "numpy._core"):
    ALLOWED[f"{_core}.multiarray", "_reconstruct"] = lambda *_: _Array()
    ALLOWED[f"{_core}.multiarray", "scalar"] = _scalar
    ALLOWED[f"{_core}.numeric", "_frombuffer"] = lambda *given: _Array(_array(*given))


class _Reader(pickle._Unpickler):
    """Python's own reader, not the one in C: a forged index of its memo costs no memory."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        operation: act
        for operation, act in pickle._Unpickler.dispatch.items()
        if bytes([operation]) not in REFUSED
    }
    stack: list[Any]
    if TYPE_CHECKING:

        def pop_mark(self) -> list[Any]: ...
        def read(self, size: int) -> bytes: ...
        def append(self, value: object) -> None: ...

    def find_class(self, module: str, name: str) -> object:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None

    def load_build(self) -> None:
        state, known = self.stack.pop(), self.stack[-1]
        if not isinstance(known, _Array | _Type) or not isinstance(state, tuple):
            raise _Refused("the state of an object")
        known.build(state)

    dispatch[pickle.BUILD[0]] = load_build

    def load_bytearray8(self) -> None:
        """Read before memory is set aside: the size may be forged."""
        size = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(size)))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def _put(self, given: list) -> None:
        """Put keys and values into the dictionary on the stack. Keys are names, because the hash of
        a tuple in a million tuples would overflow the stack of the process."""
        for key, value in zip(given[::2], given[1::2]):
            if not isinstance(key, bytes | str | int):
                raise _Refused("a key that is not a name")
            self.stack[-1][key] = value

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._put([key, value])

    def load_setitems(self) -> None:
        self._put(self.pop_mark())

    def load_dict(self) -> None:
        given = self.pop_mark()
        self.stack.append({})
        self._put(given)

    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict


def _finished(value: object, depth: int = 0, made: dict[int, object] | None = None) -> object:
    """Return ``value`` with its arrays in place. made: what became of the containers so far, so
    that one that is named a million times is made once. Raises ValueError for containers in
    containers without end."""
    if depth > 8:
        raise ValueError("containers in containers")
    made = {} if made is None else made
    if id(value) not in made:
        made[id(value)] = _rebuilt(value, depth, made)
    return made[id(value)]


def _rebuilt(value: object, depth: int, made: dict[int, object]) -> object:
    match value:
        case _Array(value=None) | _Type():
            raise ValueError("half an array")
        case _Array():
            return value.value
        case dict():
            return {k: _finished(v, depth + 1, made) for k, v in value.items()}
        case list():
            return [_finished(v, depth + 1, made) for v in value]
        case tuple():
            return tuple(_finished(v, depth + 1, made) for v in value)
    if callable(value):
        raise _Refused("a function")
    return value


def _other(file: BinaryIO) -> str:
    """What a file is instead of a pickle, by how it begins, and what to do; empty for a pickle."""
    begin = file.read(8)
    file.seek(0)
    if begin.startswith(b"PK\3\4") and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            arrays = all(name.endswith(".npy") for name in archive.namelist())
        if arrays:
            return "an archive of numpy arrays (.npz); save the array by itself with numpy.save"
        return "a file of torch.save; save its tensor with numpy.save"
    file.seek(0)
    kinds = {
        b"\x93NUMPY": "a numpy array; give it the ending .npy",
        b"\x1f\x8b": "compressed (gzip); unpack it first",
    }
    return next((kind for mark, kind in kinds.items() if begin.startswith(mark)), "")


def load_pickle(path: Path) -> object:
    """Return the object in ``path``. Raises UserError for a truncated file and for anything but
    arrays and plain containers."""
    try:
        with open(path, "rb") as f:
            if other := _other(f):
                raise UserError(f"{path} is {other}.")
            return _finished(_Reader(io.BytesIO(f.read()), encoding="bytes").load())
    except OSError as e:
        raise UserError(
            f"{path} cannot be read ({e.strerror}); check the path and its permissions."
        ) from e
    except UserError:
        raise
    except _Refused as e:
        raise UserError(
            f"{path} is not a pickle of plain arrays (it holds {e}); fetch the file again."
        ) from e
    except Exception as e:  # a damaged pickle can raise nearly anything
        raise UserError(
            f"{path} is truncated or damaged ({type(e).__name__}); fetch the file again."
        ) from e
