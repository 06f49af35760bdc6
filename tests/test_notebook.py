"""The notebook runs from top to bottom, with few images and steps."""

import json
import shutil
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "first-steps.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
SHORTER = "TRAIN, TEST, NOISE_STEPS, LEARNER_STEPS = 40, 20, 1, 2"


def test_the_cells_run_in_order(tmp_path, monkeypatch, capsys):
    shutil.copy(NOTEBOOK.with_name("demo.py"), tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "demo", raising=False)
    names: dict[str, object] = {}
    for cell in CELLS:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
            if "parameters" in cell["metadata"].get("tags", ()):
                exec(SHORTER, names)
                names["OUT"] = tmp_path / "out"
    monkeypatch.delitem(sys.modules, "demo", raising=False)
    said = capsys.readouterr().out
    assert "40 images of 32 x 32" in said and "guessing reaches 10" in said
    rows = [line.split() for line in said.splitlines() if line.startswith(("clean", "EM ", "SEM "))]
    assert [len(row) for row in rows] == [3, 3, 3]
    assert (tmp_path / "out" / "SEM" / "card.json").exists()


def test_it_is_small_and_has_one_cell_of_parameters():
    """What it printed is kept, as the site shows it; a picture of it is not half a megabyte."""
    assert NOTEBOOK.stat().st_size < 150_000
    tags = [cell["metadata"].get("tags", []) for cell in CELLS]
    assert tags.count(["parameters"]) == 1
    errors = [o for cell in CELLS for o in cell.get("outputs", []) if o["output_type"] == "error"]
    assert not errors


@pytest.mark.slow
def test_a_kernel_runs_it(tmp_path):
    """In Jupyter's own way, at the size at which it is read."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    book = nbformat.read(NOTEBOOK, as_version=4)
    shutil.copy(NOTEBOOK.with_name("demo.py"), tmp_path)
    client = nbclient.NotebookClient(
        book, timeout=1200, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    assert "guessing reaches 10" in str(book.cells)
