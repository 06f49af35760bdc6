"""The ten folders stand in the order of the flow: a folder imports only from those before it."""

import ast
from pathlib import Path

import unlearnable

PACKAGE = Path(unlearnable.__file__).parent
FOLDERS = (
    *("core", "data", "models", "training", "protection"),
    *("evaluation", "reports", "experiments", "app", "cli"),
)


def imported(path: Path) -> set[str]:
    """The folders of the package that a file imports from."""
    nodes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
    assert not any(n.level for n in nodes), f"{path}: imports inside the package are absolute"
    names = [f"{n.module}.{a.name}".split(".") for n in nodes for a in n.names]
    return {name[1] for name in names if name[0] == "unlearnable" and name[1] in FOLDERS}


def test_a_folder_imports_only_from_folders_before_it():
    assert {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"} == {
        *FOLDERS
    }
    upward = {
        f"{path.relative_to(PACKAGE)} imports {folder}"
        for k, own in enumerate(FOLDERS)
        for path in (PACKAGE / own).rglob("*.py")
        for folder in imported(path)
        if FOLDERS.index(folder) > k
    }
    assert not upward


def test_public_names_stand_once_and_are_there():
    assert sorted(set(unlearnable.__all__)) == sorted(unlearnable.__all__)
    assert all(hasattr(unlearnable, name) for name in unlearnable.__all__)
    assert not set(FOLDERS) & set(unlearnable.__all__), "no folder bears the name of a public verb"
