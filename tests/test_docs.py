"""What README and docs show is true: their Python and their commands run, with the presets cut to a
few steps, their links lead somewhere, and README's numbers are those of docs/tables.csv."""

import csv
import json
import re
import shlex
import shutil
import statistics
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unlearnable import EM, METHODS, REM, SEM, NoiseNet, Recipe, learn, load
from unlearnable.app import words
from unlearnable.cli.main import main, parse
from unlearnable.cli.verify import STATUS
from unlearnable.data import shapes
from unlearnable.evaluation.published import figure

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ELSEWHERE = ("stripes:", "--settings protected/mine")  # what needs a file of another block
PREVIEW, PHOTOS, MORE, FIRST, WHOLE, TABLES = range(6)  # README's blocks of commands


@pytest.fixture
def quick(monkeypatch, tmp_path):
    shorter = {"train_steps": 2, "steps": 1, "batch": 16}
    for kind in (EM, REM, SEM):
        more = {"adv_steps": 1} if kind is not EM else {}
        for name in {"short", "fast"} & set(kind.presets):
            monkeypatch.setitem(kind.presets, name, kind.presets[name] | shorter | more)
    small = {"train_steps": 2, "batch": 4, "width": 4, "model": "convnet"}
    monkeypatch.setitem(NoiseNet.presets, "short", NoiseNet.presets["short"] | small)
    for name in ("short", "photos"):
        monkeypatch.setitem(
            Recipe.presets, name, Recipe.presets[name] | {"steps": 2, "adv_steps": 1, "batch": 16}
        )
    drawn = shapes.generate  # 40 images instead of 4,000, where a command does not say how many
    monkeypatch.setattr(
        shapes, "generate", lambda n, seed, classes: drawn(min(n, 40), seed, classes=classes)
    )
    monkeypatch.chdir(tmp_path)


def blocks(kind: str, page: str = "README.md") -> list[str]:
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(), re.S | re.M)
    return [text for found, text in fences if found == kind]


def type_in(commands: str, monkeypatch) -> None:
    for line in commands.splitlines():
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        try:
            main()
        except SystemExit as e:  # the presets are cut short: ``verify`` has no verdict
            assert line.split()[1] == "verify" and e.code in STATUS.values()


def test_python(quick, capsys):
    assert len(blocks("python")) == 1
    exec(blocks("python")[0], {})
    assert len(capsys.readouterr().out.split()) == 2


def test_every_block_of_commands_is_run_here():
    assert len(blocks("console")) == len((PREVIEW, PHOTOS, MORE, FIRST, WHOLE, TABLES))
    assert all(f"unlearnable {verb}" in blocks("console")[k] for k, verb in (
        (PREVIEW, "protect-photos"), (PHOTOS, "verify"), (MORE, "protect-photos more/"),
        (FIRST, "reproduce"), (WHOLE, "audit"), (TABLES, "reproduce"),
    ))  # fmt: skip


def test_a_first_look_at_methods(quick, monkeypatch, capsys):
    shutil.copytree(ROOT / "docs" / "records", "docs/records")
    type_in(blocks("console")[FIRST], monkeypatch)
    assert "| REM(2) " in capsys.readouterr().out
    assert Path("protected/first/sheet.png").exists()


def test_the_whole_path_of_methods(quick, monkeypatch, capsys):
    type_in(blocks("console")[WHOLE], monkeypatch)
    said = capsys.readouterr().out
    assert "chance 10.0 %" in said and "Worst-case learnability" in said
    assert Path("audits/leaderboard.html").exists()


def test_photographs(quick, monkeypatch, capsys):
    random = np.random.default_rng(0)
    for k, path in enumerate(
        Path(root, c, f"{n}.png") for root in ("photos", "more") for c in "ab" for n in range(4)
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (40, 30 + k, 3), dtype=np.uint8)).save(path)
    type_in(blocks("console")[PREVIEW], monkeypatch)
    assert Path("preview.html").exists()
    for block in (PHOTOS, MORE):
        type_in(blocks("console")[block], monkeypatch)
    assert "ordinary training" in capsys.readouterr().out
    assert len(list(Path("more-protected").glob("*/*.png"))) == 8


def test_the_papers_tables(quick, monkeypatch, capsys):
    type_in(blocks("console")[TABLES], monkeypatch)
    said = capsys.readouterr().out
    assert "main-comparison" in said and "| EM " in said
    assert "Time cost" in Path("results/tables.html").read_text()


def test_adding_a_method(quick, monkeypatch, capsys):
    page = "docs/adding-a-method.md"
    (code,) = blocks("python", page)
    assert len(code.splitlines()) <= 30
    Path("stripes.py").write_text(code)
    type_in(blocks("console", page)[0], monkeypatch)
    assert "chance 10.0 %" in capsys.readouterr().out


def test_choosing_a_method_names_every_method_and_its_commands_run(quick, monkeypatch):
    page = "docs/choosing-a-method.md"
    text = (ROOT / page).read_text()
    assert [n for n in METHODS if f"`{n}`" not in text and n != "imported"] == []
    type_in(blocks("console", page)[0], monkeypatch)


def test_watching(quick, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    page = "docs/watching.md"
    shutil.copytree(ROOT / "docs" / "records", "docs/records")
    for block in blocks("console", page):
        type_in(block, monkeypatch)
    names: dict[str, type] = {}
    exec(blocks("python", page)[0], names)
    learn(load("shapes", limit=20), Recipe.preset("short"), callbacks=[names["Loudest"]()])
    assert capsys.readouterr().out.rstrip().endswith("True")
    assert Path("report/tables.md").exists()
    assert {p.parent.name for p in Path("watch").rglob("*.jsonl")} >= {"watched"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_ones_that_the_command_line_takes(page, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    for line in "\n".join(blocks("console", page.relative_to(ROOT).as_posix())).splitlines():
        if line and not any(part in line for part in ELSEWHERE):
            program, *args = shlex.split(line, comments=True)
            assert program == "unlearnable", line
            parse(args)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_fence_has_its_line_to_itself(page):
    """A block that was wrapped like prose is none."""
    fences = [line for line in page.read_text(encoding="utf-8").splitlines() if "```" in line]
    assert [line for line in fences if not re.fullmatch(r" *```[a-z]*", line)] == []
    assert len(fences) % 2 == 0


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make ([\w-]+)", blocks("")[0], re.M)
    assert targets and all(f"\n{target}:" in makefile for target in targets)


def measured() -> dict[tuple[str, str], set[str]]:
    """(row, column) of docs/tables.csv -> what the tables there print for it."""
    out: dict[tuple[str, str], set[str]] = {}
    with open(ROOT / "docs" / "tables.csv", encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            values = [float(v) for v in line["values"].split()]
            if values:
                spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
                cell = out.setdefault((line["row"], line["column"]), set())
                cell.add(f"{statistics.mean(values):.1f}{spread}")
    return out


def test_numbers_are_the_measured_ones():
    text, known = (ROOT / "README.md").read_text(), measured()
    tables = re.findall(r"^(\|.+\|)\n\|[-|]+\|\n((?:\|.+\|\n)+)", text, re.M)
    assert [len(rows.splitlines()) for _, rows in tables] == [9, 4, 6]
    for head, rows in tables[1:]:  # the first is of photographs
        columns = cells_of(head)[1:]
        for name, *cells in map(cells_of, rows.splitlines()):
            for column, c in zip(columns, cells, strict=True):
                assert column in ("passes per image", "noise") or c in known[name, column]
    dots = re.findall(r"<title>(.+), (.+): (.+)</title>", (ROOT / "docs/radius.svg").read_text())
    assert len(dots) == 12 + 6  # ours and those in print
    for row, column, value in dots:
        radius = 0 if column == "ordinary" else float(column.removeprefix("AT-"))
        assert value in known[row, column] | {str(figure("cifar10", row, radius))}


def photo_rows(page: str, after: str) -> dict[str, list[str]]:
    """learner -> the cells of the first table of a page after the text ``after``."""
    text = (ROOT / page).read_text().partition(after)[2]
    table = re.search(r"(?:^\|.+\|\n)+", text, re.M)
    assert table
    return {name: cells for name, *cells in map(cells_of, table[0].splitlines()[2:])}


def whole(cell: str) -> str:
    """A mean as README has it, in whole percent."""
    return str(int(float(cell.strip("*").split()[0]) + 0.5))


def test_the_numbers_of_photographs_are_the_same_everywhere():
    default = photo_rows("docs/photographs.md", "## The default")
    both = photo_rows("docs/pretrained.md", "`--radii 0 --countermeasures jpeg50 site`:")
    said = photo_rows("README.md", "guessing gives 17)")
    assert len(default) == 8 and len(said) == 9
    names = {
        "ordinary training": "a small model, from scratch",
        "AT-2": "the same, by adversarial training (2/255)",
        "after white balance": "on white-balanced copies",
        "after JPEG 50, at 48 px": "on copies after JPEG 50",
        "after grayscale": "on grayscale copies",
        "frozen MobileNetV2": "a frozen pretrained network (MobileNetV2)",
    }
    for name, shown in names.items():
        clean, protected, *_ = default[name]
        cells = next(cells for key, cells in both.items() if key.startswith(name))
        two = [whole(cells[k]) for k in (1, 3)]
        row = [cell.replace("*", "") for cell in said[shown]]
        assert row == [whole(clean), whole(protected), ", ".join(two)], name
    app = " ".join([words.HOLDS_BACK, *map(" ".join, words.NOT_STOPPED)])
    ordinary, frozen, gray = (
        [whole(cell) for cell in default[name][:2]]
        for name in ("ordinary training", "frozen MobileNetV2", "after grayscale")
    )
    assert f"recognized {ordinary[1]} of 100 new photos instead of {ordinary[0]}" in app
    assert f"recognized {frozen[1]} of 100 after protected photos, {frozen[0]} after" in app
    assert f"recognized {gray[1]} of 100, and {gray[0]} after clean" in app
    kept = [
        cells[k].strip("*% ")
        for k in (2, 4)
        for cells in [both[next(key for key in both if key.startswith("frozen MobileNetV2"))]]
    ]
    template = ROOT / "unlearnable/reports/templates/report.html"
    assert f"it kept {kept[0]} and {kept[1]}% of what it learns" in template.read_text()


def test_the_table_of_class_swap_is_its_record():
    """Mean, deviation, and highest of three seeds, for each of the eleven learners."""
    found: dict[str, list[float]] = {}
    for line in (ROOT / "docs/records/class-swap.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["noise"] == "brief" and row["images"] == 5000:
            recipe = row["config"]["recipe"]
            attack = ("N-FGSM" if recipe.get("attack") else "PGD") * ("adv_eps" in recipe)
            radius = recipe.get("adv_eps", 0)
            of = row["config"].get("countermeasure") or recipe.get("augmentation", "")
            found.setdefault(f"{radius:g} {attack} {of}".strip(), []).append(row["accuracy"])
    text = (ROOT / "docs/results.md").read_text().partition("## One noise against every learner")[2]
    rows = [cells_of(line) for line in re.findall(r"^\|.+\|$", text, re.M)[2:13]]
    names = ["0", "2 PGD", "2 N-FGSM", "4 PGD", "4 N-FGSM", "0  jpeg10", "0  gray", "0  bits2"]
    names += ["0  posterize2", "0  ueraser", "0  cutout"]
    assert {*names} == {*found} and all(len(found[name]) == 3 for name in names)
    for name, (_, _, mean, highest, *_) in zip(names, rows, strict=True):
        values = found[name]
        spread = f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"
        assert (mean.strip("*"), highest.strip("*")) == (spread, f"{max(values):.1f}"), name


def test_the_table_of_the_suite_adaptive_is_that_of_its_audits():
    audits: dict[str, list[dict]] = {}
    for path in sorted((ROOT / "docs/audits").glob("*-adaptive-*.json")):
        audit = json.loads(path.read_text())
        audits.setdefault(audit["method"], []).append(audit)
    text = (ROOT / "docs/results.md").read_text().partition("### The worst case, suite adaptive")[2]
    lines = re.findall(r"^\|.+\|$", text, re.M)
    head, rows, told = cells_of(lines[0]), lines[2:19], lines[19:26]
    methods = [name.partition(" ")[0] for name in head[2:]]
    assert {*methods} == {*audits} and [len(audits[m]) for m in methods] == [2] * 6 + [1] * 2
    names = [row["learner"] for row in audits["em"][0]["rows"]]
    assert [cells_of(line)[0] for line in rows] == names
    for k, line in enumerate(rows):
        for method, cell in zip(methods, cells_of(line)[2:], strict=True):
            values = [audit["rows"][k]["protected"] for audit in audits[method]]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            assert cell.strip("*") == f"{statistics.mean(values):.1f}{spread}", (method, line)
    keys = ["pixels", "residuals", "own_pairs", "classes_clean", "classes_protected"]
    for key, line in zip(keys, told[2:], strict=True):
        for method, cell in zip(methods, cells_of(line)[1:], strict=True):
            values = [audit["detection"][key] for audit in audits[method]]
            assert cell == f"{statistics.mean(values):.1f}", (method, line)


def test_the_records_of_class_swap_tell_noises_apart():
    """The digest of the images that a learner trained on belongs to one seed and size."""
    of: dict[str, set[tuple]] = {}
    for line in (ROOT / "docs/records/class-swap.jsonl").read_text().splitlines():
        row = json.loads(line)
        noise = row["images"], row["noise_seed"]
        if train := row["config"].get("train"):
            of.setdefault(train, set()).add(noise)
    assert of and all(len(noises) == 1 for noises in of.values())


def test_the_table_of_class_swap_on_all_images_is_its_record():
    found: dict[str, dict[int, dict]] = {}
    for line in (ROOT / "docs/records/class-swap.jsonl").read_text().splitlines():
        row = json.loads(line)
        recipe = row["config"]["recipe"]
        if row["images"] != 50000 or not row["noise"].startswith("brief"):
            continue
        of = row["config"].get("countermeasure") or recipe.get("augmentation", "")
        attack = recipe["attack"] if recipe.get("adv_eps") else ""
        name = f"{recipe['model']} {recipe.get('adv_eps', 0):g} {attack} {of}"
        found.setdefault(" ".join(name.split()), {})[row["noise_seed"]] = row
    text = (ROOT / "docs/results.md").read_text().partition("**All 50,000 images**")[2]
    rows = [cells_of(line) for line in re.findall(r"^\|.+\|$", text, re.M)[2:11]]
    names = ["0", "2 n-fgsm", "4 n-fgsm", "4 pgd", "0 jpeg10", "0 gray"]
    names += ["0 posterize2", "0 cutout", "0 ueraser"]
    ours = {f"airbench-half {name}" for name in names}
    assert {name for name in found if name.startswith("airbench")} == ours
    for name, (_, _, seeds, mean, peak, *_) in zip(names, rows, strict=True):
        by_seed = found[f"airbench-half {name}"]
        values = [by_seed[k]["accuracy"] for k in sorted(by_seed)]
        told = [f"{by_seed[k]['accuracy']:.1f}" if k in by_seed else "-" for k in range(3)]
        assert seeds == ", ".join(told), name
        spread = f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"
        highest = f"{max(row['peak'] for row in by_seed.values()):.1f}"
        assert (mean.strip("*"), peak.strip("*")) == (spread, highest), name
    text = text[: text.index("SEM(4) with views is")]
    for name in ("4 n-fgsm", "0 jpeg10", "0"):
        assert f"{found[f'resnet18 {name}'][1]['accuracy']:.1f}" in text


def test_the_table_of_the_shortcut_is_its_record():
    found: dict[str, dict[int, float]] = {}
    for line in (ROOT / "docs/records/class-swap.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["noise"] == "shortcut 0.25":
            config = row["config"]
            pairs, radius = "own_pairs" in config, config["recipe"].get("adv_eps", 0)
            name = "purifier" if pairs else config.get("countermeasure", f"{radius:g}")
            found.setdefault(name, {})[row["noise_seed"]] = row["accuracy"]
    text = (ROOT / "docs/results.md").read_text().partition("`--shortcut 0.25` adds")[2]
    rows = [cells_of(line) for line in re.findall(r"^\|.+\|$", text, re.M)[2:8]]
    for name, (_, seeds, mean, _) in zip(("0", "2", "4", "jpeg10", "gray", "purifier"), rows):
        values = [found[name].get(seed) for seed in range(3)]
        assert seeds == ", ".join("-" if v is None else f"{v:.1f}" for v in values), name
        known = [v for v in values if v is not None]
        spread = f"{statistics.mean(known):.1f} ± {statistics.stdev(known):.1f}"
        assert mean.strip("*") == spread, name


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split("|")]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_the_tables_of_the_noise_network_are_its_record():
    """Accuracy and highest on the way, of both seeds, and of all images."""
    lines = (ROOT / "docs/records/noise-net.jsonl").read_text().splitlines()
    found = {
        (row["images"], row["noise_seed"], row["learner"]): row
        for row in map(json.loads, lines)
        if not row["changes"]
    }
    text = (ROOT / "docs/results.md").read_text()
    text = text.partition("### A noise network against the same learners")[2]
    names = {"ordinary": "ordinary training", "at2": "AT-2, N-FGSM", "at4": "AT-4, N-FGSM"}
    names |= {
        "at4pgd": "AT-4, three PGD steps",
        "at8": "AT-8, N-FGSM",
        "jpeg10": "JPEG 10",
        "gray": "grayscale",
    }
    names |= {"bits": "2 bits, cut off", "ueraser": "UEraser", "cutout": "Cutout"}
    names |= {"means": "the mean image of each class taken out"}
    names |= {"purifier, ordinary": "a purifier from 4,000 pairs"}
    first, second = text.split("**All 50,000 images**")[:2]
    for part, images in ((first, 5000), (second.partition("\n- ")[0], 50000)):
        table = {cells[0]: cells for cells in map(cells_of, re.findall(r"^\|.+\|$", part, re.M))}
        for (size, seed, learner), row in found.items():
            if size == images and learner in names:
                said = f"{row['accuracy']:.1f} ({row['peak']:.1f})"
                assert table[names[learner]][2 + seed].replace("*", "") == said, (learner, seed)
