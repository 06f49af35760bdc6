"""Small sets that every test can afford, and the real ones where they lie beside the project."""

import os
import subprocess
import sys
from functools import _lru_cache_wrapper
from pathlib import Path

import numpy as np
import pytest
import torch

from unlearnable import Images, load
from unlearnable.core.device import COMPILE
from unlearnable.data import shapes
from unlearnable.training import pace

SHARED = Path(__file__).parents[2] / "shared" / "data"

# compile in this process: a pool of compilers would import torch in each
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def drawn_once():
    """Draw every chunk of ``shapes`` once per run: 500 images take a second, and most tests load 40
    of the same. test_shapes.py has the real function."""
    real, drawn = shapes.generate, {}

    def generate(
        n: int, seed: int, *, classes: tuple[str, ...] = shapes.CLASSES, size: int = 32
    ) -> tuple[np.ndarray, np.ndarray]:
        whole = -(-n // shapes.CHUNK) * shapes.CHUNK
        if (whole, seed, size) not in drawn:
            drawn[whole, seed, size] = real(whole, seed, size=size)
        x, y = (a[:n] for a in drawn[whole, seed, size])
        rows = np.isin(y, [shapes.CLASSES.index(name) for name in classes])
        return x[rows], y[rows]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "generate", generate)
        yield


@pytest.fixture(scope="session", autouse=True)
def timed_briefly():
    """What commands announce is measured in two steps: most tests do not look at it. test_pace.py
    has the real number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace, "STEPS", 1)
        yield


@pytest.fixture(scope="session")
def few() -> Images:
    """40 embedded images, 4 a class."""
    return load("shapes", limit=40)


@pytest.fixture(scope="session")
def extremes() -> Images:
    """Images at the ends of the range: black, white, and half of each; three classes, one image
    size."""
    x = torch.zeros(12, 3, 32, 32, dtype=torch.uint8)
    x[1::3] = 255
    x[2::3, :, :, 16:] = 255
    return Images(x, torch.arange(12) % 3, ("a", "b", "c"))


@pytest.fixture(scope="session")
def cifar_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with CIFAR-10's first training batch five times over and its test batch, in the
    official layout."""
    if not (SHARED / "unpack_cifar10.py").exists():
        pytest.skip("the real images (../shared/data) are not beside the project")
    root = tmp_path_factory.mktemp("cifar")
    command = [
        sys.executable,
        SHARED / "unpack_cifar10.py",
        root,
        "--batches",
        "data_batch_1,test_batch",
    ]
    subprocess.run(command, check=True, capture_output=True)
    folder = root / "cifar-10-batches-py"
    for k in range(2, 6):
        (folder / f"data_batch_{k}").symlink_to(folder / "data_batch_1")
    return root


@pytest.fixture(scope="session")
def photos() -> Path:
    folder = SHARED / "photos" / "trashnet"
    if not folder.is_dir():
        pytest.skip("the real photographs (../shared/data/photos) are not beside the project")
    return folder


@pytest.fixture
def compiling(monkeypatch):
    """Networks are compiled, by a compiler that torch looks for anew: it remembers in many places
    which one it found and what that can do, and a test may have shown it none."""

    def forget() -> None:
        torch._dynamo.reset()
        for module in (cpp_builder, cpu_vec_isa):
            for owner in (module, *(v for v in vars(module).values() if isinstance(v, type))):
                for value in vars(owner).values():
                    if isinstance(value, _lru_cache_wrapper):
                        value.cache_clear()

    from torch._inductor import cpp_builder, cpu_vec_isa

    forget()
    monkeypatch.setenv(COMPILE, "1")
    yield
    forget()


@pytest.fixture
def in_double(monkeypatch):
    """Everything in float64: two restatements of one formula then agree in every sign. In float32 a
    gradient that is zero up to rounding gives an adversary's step either sign, as the processor's
    convolutions happen to add."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    yield
    torch.set_default_dtype(before)
