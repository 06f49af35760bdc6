"""What `mkdocs.yml` cannot say. docs/ is the site as it stands; this adds README as the first page,
what pages link to outside docs/, the notebook, and the API, without a second copy of any of them.

Pages are written for the repository, so links are those of files in it; they are led to the same
files of the site. A file FOLDER/NAME of docs/ is FOLDER/NAME there, as is one outside docs/.
"""

import ast
import json
import re
from itertools import groupby
from os.path import relpath
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {  # of the site: where they lie in the repository
    "index.md": "README.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "first-steps.md": "examples/first-steps.ipynb",
}
LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")  # ](FILE#ANCHOR), and no address
FOLDERS = {
    "core": "Errors and version",
    "data": "Data",
    "models": "Networks",
    "training": "Training",
    "protection": "Protection",
    "evaluation": "Evaluation",
    "reports": "Reports",
}
FAMILIES = (  # not exported, but their fields are settings of many methods
    "min_min.MinMin",
    "min_min.Robust",
    "fixed_surrogate.OnSurrogate",
    "fixed_surrogate.FixedSurrogate",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and files that do not lie in docs/."""
    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        text = notebook(text) if source.endswith(".ipynb") else text
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "api.md", content=api()))
    for page in list(files.documentation_pages()):
        for _, link, _ in LINK.findall(page.content_string):
            there = (ROOT / source_of(page.src_uri)).parent / link
            name = site_path(relpath(there, ROOT))
            if there.is_file() and name not in files.src_uris:
                files.append(File.generated(config, name, abs_src_path=str(there)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead a page's links to files of the repository to those of the site."""
    uri = page.file.src_uri

    def led(found: re.Match[str]) -> str:
        there = relpath((ROOT / source_of(uri)).parent / found[2], ROOT)
        return found[1] + relpath(site_path(there), PurePosixPath(uri).parent) + found[3]

    # commands without a prompt, which the highlighter of "console" would gray out as output
    return LINK.sub(led, markdown).replace("```console\n", "```sh\n")


def source_of(uri: str) -> str:
    """Return where a page of the site lies in the repository."""
    return PAGES.get(uri, f"docs/{uri}")


def site_path(path: str) -> str:
    """Return where a file of the repository is in the site."""
    pages = {source: page for page, source in PAGES.items()}
    return pages.get(path, path.removeprefix("docs/"))


def notebook(text: str) -> str:
    """Return a notebook as Markdown: its texts, its code, and what that printed when it was run."""
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            if image := output.get("data", {}).get("image/png"):
                parts.append(f"![Shown by the cell above](data:image/png;base64,{image.strip()})")
            elif printed := output.get("text") or output.get("data", {}).get("text/plain"):
                parts.append(f"```text\n{''.join(printed).rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def api() -> str:
    """Return the page of the public names, by the folder that they come from."""
    stub = ast.parse((ROOT / "unlearnable" / "__init__.pyi").read_text(encoding="utf-8"))
    names = [
        (str(node.module).split(".")[0], f"unlearnable.{node.module}.{alias.name}")
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if not alias.name.startswith("_")
    ]
    order = [*FOLDERS]
    names.sort(key=lambda name: order.index(name[0]))
    parts = ["# API\n\nEvery public name: `from unlearnable import NAME`.\n"]
    for folder, group in groupby(names, key=lambda name: name[0]):
        parts.append(f"## {FOLDERS[folder]}\n")
        parts += [f"::: {name}\n" for _, name in group]
        if folder == "protection":
            parts.append("Families of methods, whose settings their members share:\n")
            parts += [f"::: unlearnable.protection.methods.{name}\n" for name in FAMILIES]
    return "\n".join(parts)
