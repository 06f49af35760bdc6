"""What is published: the metadata are true, the sdist is complete, and the wheel alone runs."""

import ast
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image

from tests.typed import typed
from unlearnable import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# what is imported under another name than it is installed under
MODULES = {"pillow": "PIL", "lazy-loader": "lazy_loader", "pillow-heif": "pillow_heif"}


def modules(requirements: list[str]) -> set[str]:
    """The modules that requirements install."""
    names = [re.split(r"[<>=!~\[; ]", each)[0] for each in requirements]
    return {MODULES.get(name, name) for name in names}


def imported() -> set[str]:
    """The modules that the package imports, but for Python's and its own."""
    found = set()
    for path in (ROOT / "unlearnable").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").split(".")[0])
    return found - sys.stdlib_module_names - {"unlearnable"}


def test_every_import_is_declared_and_every_extra_is_used():
    extras = {name: modules(each) for name, each in PROJECT["optional-dependencies"].items()}
    for tools in ("dev", "docs"):
        extras.pop(tools)
    needed = modules(PROJECT["dependencies"])
    assert imported() == needed.union(*extras.values())


def test_the_version_stands_in_one_place(tmp_path):
    assert "version" in PROJECT["dynamic"] and "version" not in PROJECT
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert re.search(rf"^## {re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert typed("--version", cwd=tmp_path).stdout == f"unlearnable {__version__}\n"


def python(*args: object, cwd: Path, binary: Path | str = sys.executable) -> str:
    done = subprocess.run([binary, *map(str, args)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def build(kind: str, source: Path, out: Path) -> Path:
    hook = f"import setuptools.build_meta as b; print(b.build_{kind}({str(out)!r}))"
    return out / python("-c", hook, cwd=source).splitlines()[-1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """The sdist, unpacked."""
    folder = tmp_path_factory.mktemp("package")
    out = {name.strip("/") for name in (ROOT / ".gitignore").read_text().split()}

    def left_out(folder: str, names: list[str]) -> set[str]:
        return {n for n in names if n == "__pycache__" or (folder == str(ROOT) and n in more)}

    more = out | {".git", "build", *(path.name for path in ROOT.glob("*.egg-info"))}
    copytree(ROOT, folder / "source", ignore=left_out)
    archive = build("sdist", folder / "source", folder)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / f"unlearnable-{__version__}"


@pytest.fixture(scope="module")
def environment(sdist) -> Path:
    """The folder of programs of an environment with the wheel, built from the sdist, and with the
    dependencies of this one: nothing is downloaded."""
    wheel = build("wheel", sdist, sdist.parent)
    with zipfile.ZipFile(wheel) as archive:
        inside = {name.split("/")[0] for name in archive.namelist()}
    assert inside == {"unlearnable", f"unlearnable-{__version__}.dist-info"}
    home = sdist.parent / "environment"
    venv.create(home, with_pip=True)
    programs = home / ("Scripts" if sys.platform == "win32" else "bin")
    here = [sysconfig.get_path(name) for name in ("purelib", "platlib")]
    base = {"base": str(home), "platbase": str(home)}
    (Path(sysconfig.get_path("purelib", vars=base)) / "dependencies.pth").write_text(
        "\n".join(dict.fromkeys(here))
    )
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--ignore-installed"]
    python(*install, wheel, cwd=home, binary=programs / "python")
    return programs


TINY = "--model convnet --train-steps 2 --steps 1 --batch 16"
LEARNER = "--model convnet --steps 2 --batch 16"
VERBS = f"""
ls
protect em {TINY} --data shapes --limit 40 --out em
protect --settings em --data shapes --limit 40 --out again
learn em {LEARNER} --test-limit 20 --out learned
audit em {LEARNER} --test-limit 20
show em
export em --imagefolder shared --webdataset tars --cifar cifar --noise noise.npy
report audits audits
report results RECORDS --out results
reproduce main-comparison --show --results RECORDS
protect-photos photos protected --train-steps 2
verify photos protected --model convnet --steps 2 --batch 16 --seeds 1 --radii 0
report photos protected
"""
RUN = """
import shlex, sys
from unlearnable.cli.main import main
for line in sys.stdin.read().split("\\n"):
    if line:
        sys.argv = ["unlearnable", *shlex.split(line)]
        try:
            main()
        except SystemExit as e:
            assert e.code in (0, 3, 4), line  # verify: no verdict after two steps
import unlearnable
print(unlearnable.__file__)
"""


@pytest.mark.slow
def test_the_wheel_alone_runs_every_verb(environment, sdist, tmp_path):
    g = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k in range(4):
            x = g.integers(0, 256, (40, 40, 3), np.uint8)
            Image.fromarray(x).save(tmp_path / "photos" / name / f"{k}.png")
    launcher = python("--version", cwd=tmp_path, binary=environment / "unlearnable")
    module = python(
        "-I", "-m", "unlearnable", "--version", cwd=tmp_path, binary=environment / "python"
    )
    assert launcher == module == f"unlearnable {__version__}\n"
    done = subprocess.run(
        [environment / "python", "-I", "-c", RUN],
        cwd=tmp_path,
        input=VERBS.replace("RECORDS", str(sdist / "docs" / "records")),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert Path(done.stdout.splitlines()[-1]).is_relative_to(environment.parent)
    first = (tmp_path / "em" / "images.npy").read_bytes()
    assert first == (tmp_path / "again" / "images.npy").read_bytes()
    assert (tmp_path / "protected.html").exists() and (tmp_path / "results" / "tables.md").exists()


@pytest.mark.slow
def test_the_sdist_holds_what_its_tests_read(sdist):
    """Those that read files beside the package."""
    tests = ["tests/test_docs.py", "tests/test_layout.py"]
    few = "somewhere or every_block or folder"
    assert " passed" in python("-m", "pytest", "-q", "-k", few, *tests, cwd=sdist)
    kept = {"Dockerfile", "Makefile", "constraints.txt", "examples", "benchmarks", "LICENSE"}
    assert kept <= {path.name for path in sdist.iterdir()}
