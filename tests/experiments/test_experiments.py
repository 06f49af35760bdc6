"""The tables of the paper: what they ask for, resuming, what is printed beside what, records,
flags, the page."""

import csv
import hashlib
import json
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.browser import axe, browse
from unlearnable import (
    EM,
    HYPO,
    METHODS,
    REM,
    SEM,
    TAP,
    Recipe,
    Uniform,
    UserError,
    audit,
    load,
    protect,
)
from unlearnable.cli.main import main
from unlearnable.core.files import config_hash, write_json
from unlearnable.evaluation.countermeasures import COUNTERMEASURES
from unlearnable.evaluation.learners import Learner
from unlearnable.evaluation.published import Figure, figure
from unlearnable.experiments.cell_values import filled, markdown
from unlearnable.experiments.flags import grid_flags
from unlearnable.experiments.grid import Grid, LearnerSpec, NoiseSpec, Row, learner
from unlearnable.experiments.records import Records, canonical, write_records
from unlearnable.experiments.report import report_results
from unlearnable.experiments.reproduce import chosen, reproduce, write_record
from unlearnable.experiments.runner import Runner
from unlearnable.experiments.scale import Scale, get_scale
from unlearnable.experiments.tables import TABLES
from unlearnable.protection.methods.min_min_variants import AUE, MIUE

AT_2 = Learner(changes=(("adv_eps", 2.0),))
TINY = Scale(
    "small",
    "shapes",
    "tiny",
    Recipe.preset("short", steps=2, batch=16, evals=2, adv_steps=1),
    40,
    20,
    2.0,
)


def made_up(runner, spec, seed):
    """A result with numbers that depend on what was measured."""
    config = runner.config(spec, seed)
    share = int(hashlib.sha256(config_hash(config).encode()).hexdigest()[:4], 16) / 65536
    log = [{"step": k, "loss": 2 / (k + 1), "accuracy": 60 * share} for k in range(20)]
    learned = {
        "accuracy": 20 + 60 * share,
        "peak": 90.0,
        "log": log,
        "seconds": 60.0,
        "hardware": "a made-up machine",
    }
    noise = {
        "passes": int(4e6 * share) + 40,
        "seconds": 600 * share,
        "shape": [40, 3, 32, 32],
        "measured": {"psnr": 31},
    }
    return {"config": config, **(learned if isinstance(spec, LearnerSpec) else noise)}


def fill(root, at, names, seeds=(0,)):
    runner = Runner(at, root)
    for name in names:
        for spec in TABLES[name].load().grid(at).specs():
            for seed in seeds:
                cell = made_up(runner, spec, seed)
                write_json(root / config_hash(cell["config"]) / "cell.json", cell)
    return Runner(at, root)


def test_a_cell_that_many_tables_share_is_reported_once(tmp_path):
    at = get_scale("small", "shapes")
    runner = Runner(at, tmp_path / "results")
    alone = LearnerSpec()  # clean images, ordinary training
    cell = made_up(runner, alone, 0)
    write_json(tmp_path / "results" / config_hash(cell["config"]) / "cell.json", cell)
    sharing = [t for t in TABLES.values() if alone in [*t.load().grid(at).specs()]]
    assert len(sharing) > 3
    report_results(tmp_path / "results", tmp_path)
    assert len(re.findall(r"^## ", (tmp_path / "tables.md").read_text(), re.M)) == 1


def test_cells_that_ask_for_the_same_images_at_once_take_turns(tmp_path, monkeypatch):
    """Both only read the finished set; the one that came while the other read it was refused."""
    runners = [Runner(TINY, tmp_path, device="cpu") for _ in "ab"]
    runners[0].protected(Uniform(), 0)

    def slow(folder):
        time.sleep(0.3)
        return load(folder)

    monkeypatch.setattr("unlearnable.protection.protect.load", slow)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda runner: runner.protected(Uniform(), 0), runners)
    assert first.digest() == second.digest()


@pytest.mark.parametrize("scale", ["small", "gpu", "paper"])
@pytest.mark.parametrize("data", ["cifar10", "cifar100", "imagenet100"])
def test_every_table_stands_at_every_scale_and_asks_for_nothing_twice(scale, data, tmp_path):
    at = get_scale(scale, data)
    runner = Runner(at, tmp_path)
    for name, table in ((n, e.load()) for n, e in TABLES.items()):
        grid = table.grid(at)
        asked = [canonical(runner.config(spec, 0)) for spec in grid.specs()]
        assert (
            len(set(asked)) == len(asked) > 0 and table.name == name and table.title and table.about
        )
        assert len({row.name for row in grid.rows}) == len(grid.rows) and len(
            set(grid.columns)
        ) == len(grid.columns)


def test_a_twin_s_result_never_shares_a_mean_with_today_s(tmp_path):
    runner = Runner(TINY, tmp_path)
    cell = learner(EM())
    spec, grid = cell.spec, Grid(("ordinary",), (Row("EM", (cell,)),))
    twins = [made_up(runner, spec, seed) | {"twin": True} for seed in (0, 1)]
    write_records(twins, tmp_path / "old.json")
    assert runner.found(spec).keys() == {0, 1}
    new = made_up(runner, spec, 1)
    write_json(tmp_path / config_hash(new["config"]) / "cell.json", new)
    today = Runner(TINY, tmp_path)
    assert today.found(spec) == {1: new}
    assert "twin-learner" in grid_flags(grid, runner)
    assert "twin-learner" not in grid_flags(grid, today)


def test_fewer_surrogate_steps_keep_the_number_of_noise_passes():
    authors, shorter = get_scale("paper", "cifar10"), get_scale("gpu", "cifar10")
    for kind, passes in ((AUE, 60), (MIUE, 100)):
        for at in (authors, shorter):
            method = at.method(kind)
            assert method.train_steps // method.refresh_every in (passes - 2, passes - 1, passes)


def test_the_authors_settings(tmp_path):
    at = get_scale("paper", "cifar10")
    assert (at.rem(4), at.recipe, at.limit) == (REM(), Recipe(), None)
    assert (at.em.steps, at.em.noise_step(0), at.em.eot_samples, at.em.train_steps) == (
        10,
        1.6,
        0,
        5000,
    )
    other = get_scale("paper", "imagenet100")
    assert (
        other.rem(4).steps,
        other.rem(4).eot_samples,
        other.em.noise_step(0),
        other.em.train_steps,
    ) == (7, 4, 2.0, 3000)
    assert (other.tap.steps, 50 * other.tap.step, other.recipe.adv_steps) == (100, 8.0, 8)
    with pytest.raises(UserError, match="no scale 'huge'"):
        get_scale("huge", "cifar10")
    with pytest.raises(UserError, match="no data set 'mnist'"):
        get_scale("small", "mnist")


def test_printed_figures_stand_beside_the_authors_networks_only():
    for scale, data in (("paper", "cifar10"), ("paper", "imagenet100"), ("small", "cifar10")):
        grid = TABLES["networks"].load().grid(get_scale(scale, data))
        beside = {n for row in grid.rows for n, c in zip(grid.columns, row.cells) if c.paper}
        theirs = {"vgg16-fu", "resnet18-fu", "densenet121-fu", "wrn-34-10-fu"}
        assert beside == (theirs if (scale, data) == ("paper", "cifar10") else set())
        for row in grid.rows:  # the column is the network that is trained
            nets = [dict(c.spec.learner.changes).get("model", "convnet") for c in row.cells]
            assert tuple(nets) == grid.columns
    at = get_scale("paper", "imagenet100")
    made_with = {at.recipe.model, *(m.model for m in (at.em, at.em_t, at.rem(4), at.tap))}
    assert made_with == {"resnet18-fu"}


def test_an_audit_of_a_protected_set_shares_the_trainings_of_the_tables(tmp_path):
    runner, method = Runner(TINY, tmp_path), Uniform()
    for radius in (0.0, 2.0):
        by = Learner(changes=(("adv_eps", radius),) if radius else ())
        result = runner.measure(LearnerSpec(method, learner=by), 0)
    assert len(list(runner.trainings.glob("*/cell.json"))) == 2
    quick = audit(
        runner.protected_folder(method, 0),
        "quick",
        TINY.recipe,
        out=tmp_path / "audit",
        cells=runner.trainings,
        test=runner.test,
    )
    assert (
        len(list(runner.trainings.glob("*/cell.json"))) == 6
    )  # three learners, on clean and on protected images
    assert (
        quick.rows[1].learner == "adversarial 2/255"
        and quick.rows[1].protected == result["accuracy"]
    )


def test_a_result_is_found_by_what_was_measured(tmp_path):
    runner = Runner(get_scale("small", "cifar10"), tmp_path)
    asked = runner.config(LearnerSpec(REM.preset("short"), learner=AT_2), 3)
    old = json.loads(json.dumps(asked))
    del (
        old["settings"]["lr_decay"],
        old["recipe"]["adv_l2"],
    )  # settings that came later, at their defaults
    old["recipe"]["adv_eps"] = 2
    assert canonical(old) == canonical(asked) == canonical({**asked, "seed": 0})
    for changed in (
        runner.config(LearnerSpec(REM.preset("short", lr_decay=0.2), learner=AT_2), 3),
        runner.config(
            LearnerSpec(REM.preset("short"), learner=Learner(changes=(("adv_eps", 4.0),))), 3
        ),
        runner.config(LearnerSpec(SEM.preset("short"), learner=AT_2), 3),
        runner.config(LearnerSpec(REM.preset("short"), fraction=0.8, learner=AT_2), 3),
    ):
        assert canonical(changed) != canonical(asked)
    result = {"config": old, "accuracy": 1.0, "peak": 1.0, "log": []}
    assert write_records([result, dict(result)], tmp_path / "one.json") == 1
    assert Records(tmp_path).of(canonical(asked)) == {3: result}
    (tmp_path / "one.json").write_text('{"cells": [{}]}')
    with pytest.raises(UserError, match="not a complete record"):
        Records(tmp_path)
    (tmp_path / "one.json").write_text('{"cells": [')
    with pytest.raises(UserError, match="cannot be read as JSON"):
        Records(tmp_path)


def test_a_result_of_an_earlier_form_is_not_found(tmp_path, monkeypatch):
    """Of a method and of a countermeasure whose numbers changed and whose settings did not."""
    runner = Runner(get_scale("small", "cifar10"), tmp_path)
    bilateral = Learner(countermeasure="bilateral")
    assert "form" not in runner.config(NoiseSpec(TAP()), 0)
    assert runner.config(NoiseSpec(HYPO()), 0)["form"] == 2
    later = [
        runner.config(NoiseSpec(HYPO()), 0),
        runner.config(LearnerSpec(TAP(), learner=bilateral), 0),
    ]
    monkeypatch.setattr(HYPO, "form", 1)
    monkeypatch.setitem(COUNTERMEASURES, "bilateral", replace(COUNTERMEASURES["bilateral"], form=1))
    earlier = [
        runner.config(NoiseSpec(HYPO()), 0),
        runner.config(LearnerSpec(TAP(), learner=bilateral), 0),
    ]
    for before, now in zip(earlier, later):
        assert canonical(before) != canonical(now)


@pytest.fixture
def quick(monkeypatch):
    for kind in (EM, REM, SEM):
        shorter = {"train_steps": 2, "steps": 1, "batch": 16} | (
            {"adv_steps": 1} if kind is not EM else {}
        )
        monkeypatch.setitem(kind.presets, "short", kind.presets["short"] | shorter)


def test_a_table_is_made_cell_by_cell_and_goes_on_after_a_stop(tmp_path, quick):
    said = []

    def stop(line):
        said.append(line)
        if line.startswith("[3/"):
            raise KeyboardInterrupt

    rows, options = ("clean", "EM"), {"results": tmp_path, "seeds": (0, 1)}
    columns = ("ordinary", "AT-1")
    with pytest.raises(KeyboardInterrupt):
        reproduce(chosen("main-comparison"), TINY, rows=rows, columns=columns, say=stop, **options)
    assert "8 cells, of which 8 are missing" in said[0] and "take about" in said[1]
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/cell.json")}
    said.clear()
    text = reproduce(
        chosen("main-comparison"), TINY, rows=rows, columns=columns, say=said.append, **options
    )
    assert "8 cells, of which 5 are missing" in said[0] and len(said) == 7
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in stamps.items())
    (clean,) = (line.split("|") for line in text.splitlines() if line.startswith("| clean"))
    assert "±" in clean[2] and "±" in clean[3] and clean[4].strip() == "2"
    said.clear()
    assert (
        reproduce(
            chosen("main-comparison"), TINY, rows=rows, columns=columns, say=said.append, **options
        )
        == text
    )
    assert len(said) == 1 and "0 are missing" in said[0]
    for wrong in ({"rows": ("REM",)}, {"columns": ("AT-9",)}):
        with pytest.raises(UserError, match="There is no (row|column)"):
            reproduce(chosen("main-comparison"), TINY, show=True, results=tmp_path, **wrong)


def test_ours_and_printed_figures_are_never_mixed_up(tmp_path):
    small, paper = get_scale("small", "cifar10"), get_scale("paper", "cifar10")
    runner = fill(tmp_path, paper, ["main-comparison"], seeds=(0, 1))
    grid = TABLES["main-comparison"].load().grid(paper)
    text = markdown(TABLES["main-comparison"].load(), grid, runner, paper, {})
    row = next(line for line in text.splitlines() if line.startswith("| REM(4)"))
    assert (
        "± " in row
        and "[48.16, others 39.45]" in row
        and "28.21" not in row
        and "Printed by others" not in text
    )
    text = markdown(
        TABLES["main-comparison"].load(),
        TABLES["main-comparison"].load().grid(small),
        Runner(small, tmp_path),
        small,
        {},
    )
    ours, printed = text.split("### Printed by others")
    assert (
        "48.16" not in ours
        and "| REM(4)     | -        | -    |" in ours
        and "another scale" in printed
    )
    assert "| 48.16, others 39.45 |" in printed and "?" not in printed
    assert (str(Figure(48.16, (39.45,))), str(Figure(None, (86.0, 78.7)))) == (
        "48.16, others 39.45",
        "others 78.7-86",
    )
    assert figure("cifar100", "REM(4)", 4) == Figure(27.10)
    # what nobody here has read in a source is not printed: radii 1 to 3, REM(0) to REM(3)
    assert figure("cifar10", "EM", 2) is None and figure("cifar10", "REM(2)", 4) is None
    assert figure("cifar100", "REM(2)", 4) is None and figure("cifar10", "CUDA", 2) is None


def test_a_record_gives_the_same_tables(tmp_path):
    at = get_scale("small", "cifar10")
    runner = fill(tmp_path / "results", at, ["protected-fraction", "time-cost"], seeds=(0, 1))
    tables = [TABLES["protected-fraction"].load(), TABLES["time-cost"].load()]
    cells = write_record(tables, at, tmp_path / "results", tmp_path / "docs" / "small.json")
    assert cells == len(Records(tmp_path / "results")) == len(Records(tmp_path / "docs"))
    assert len((tmp_path / "docs" / "small.json").read_text().splitlines()) == cells + 2
    for table in tables:
        grid = table.grid(at)
        assert filled(grid, runner) == filled(grid, Runner(at, tmp_path / "docs"))
    # a record of some tables keeps what it holds of others
    assert (
        write_record(tables[1:], at, tmp_path / "docs", tmp_path / "docs" / "small.json") == cells
    )
    assert len(Records(tmp_path / "docs")) == cells
    with pytest.raises(UserError, match="nothing to record"):
        write_record(
            tables, get_scale("paper", "cifar10"), tmp_path / "results", tmp_path / "x.json"
        )


def test_shares_and_curves_read_what_they_say(tmp_path):
    at = get_scale("small", "cifar10")
    runner = fill(tmp_path, at, ["protected-fraction", "curves"])
    shares = TABLES["protected-fraction"].load().grid(at)
    by_name = {row.name: row.cells for row in shares.rows}
    assert by_name["EM"][0].spec == by_name["REM(2)"][0].spec == LearnerSpec(learner=AT_2)
    assert by_name["EM"][2].spec.fraction == 0.8 and not by_name["EM"][2].spec.rest
    rest = by_name["the clean rest alone"]
    assert rest[2].spec == LearnerSpec(None, 0.8, True, AT_2) and rest[3] is None
    assert str(by_name["REM(2)"][2].paper) == "88.09" and str(rest[2].paper) == "79.41"
    paper = {
        row.name: row.cells
        for row in TABLES["protected-fraction"].load().grid(get_scale("paper", "cifar10")).rows
    }
    assert [str(e.paper) for e in paper["TAP"][1:]] == ["89.01", "88.66", "88.4", "88.04", "88.02"]
    curves = TABLES["curves"].load().grid(at)
    assert curves.columns[-1] == "800" and len(curves.columns) == 8
    values = [p.values for p in filled(curves, runner)[0][1]]
    assert all(len(v) == 1 for v in values)


def test_flags_of_a_table(tmp_path):
    at = get_scale("small", "cifar10")
    runner, grid = Runner(at, tmp_path), TABLES["protected-fraction"].load().grid(at)
    clean, em, part = (grid.rows[0].cells[k].spec for k in (0, 3, 2))
    whole = {"log": [{"loss": 2.0}, {"loss": 1.0}], "accuracy": 55.0, "peak": 55.0}
    runner.records.add({"config": runner.config(clean, 0), **whole})
    runner.records.add(
        {"config": runner.config(em, 0), **whole, "log": [{"loss": 2.0}, {"loss": 1.9}]}
    )
    runner.records.add({"config": runner.config(part, 0), **whole})
    runner.records.add({"config": runner.config(part, 1), **whole})
    found = grid_flags(grid, runner)
    assert found["not-converged"] == ["EM × 100 %"] and found["partly-protected"] == ["EM × 80 %"]
    assert "EM × 100 %" in found["few-seeds"] and "EM × 80 %" not in found["few-seeds"]
    assert "low-baseline" not in found and "weak-baseline" not in found
    runner.records.add({"config": runner.config(clean, 0), **whole, "accuracy": 51.0})  # known: 55
    assert "EM × 100 %" in grid_flags(grid, runner)["low-baseline"]


def test_passes_are_counted_before_they_are_spent(few):
    short = {"model": "tests.networks:narrow", "train_steps": 3, "batch": 16}
    for method in (
        EM.preset("short", steps=2, **short),
        EM(steps=2, refresh_every=2, stop_error=0.0, **short),
        SEM.preset("short", steps=2, adv_steps=2, **short),
        REM.preset("short", steps=2, eot_samples=2, adv_steps=2, **short),
        TAP.preset("short", steps=2, **short | {"train_steps": 2}),
    ):
        counted, spent = method.passes(len(few)), protect(few, method).card.passes
        # the learners of fixed surrogates take at most 40 images a step here
        assert 0.6 * counted <= spent <= counted or isinstance(method, TAP), method


@pytest.fixture(scope="module")
def reported(tmp_path_factory) -> Path:
    """A folder with a report in ``out`` and its plots in ``paper``."""
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("reported")
    at = get_scale("small", "cifar10")
    fill(folder, at, ["main-comparison", "protection-vs-cost"], seeds=(0, 1))
    report_results(folder, folder / "out", plots=folder / "paper")
    return folder


def test_the_report_holds_the_numbers_of_the_cells(reported, tmp_path):
    out = reported / "out"
    md, table, page = ((out / f"tables.{kind}").read_text() for kind in ("md", "csv", "html"))
    rows = {(r["table"], r["row"], r["column"]): r for r in csv.DictReader(table.splitlines())}
    one = rows["main-comparison", "REM(2)", "AT-4"]
    values = [float(v) for v in one["values"].split()]
    assert one["seeds"] == "2" and float(one["mean"]) == pytest.approx(sum(values) / 2, abs=0.01)
    assert one["printed by others"] == "" and "recalled" not in one
    assert rows["main-comparison", "REM(4)", "AT-4"]["printed by others"] == "48.16, others 39.45"
    assert f"{sum(values) / 2:.1f} ±" in page and "a made-up machine" in page and "http" not in page
    assert (
        page.count('<svg class="plot"') >= 5 and "## Main comparison" in md and "<img" not in page
    )
    links = re.findall(r'<a href="#(.*?)">', page)  # the contents lead to each table
    assert links == re.findall(r'<h2 id="(.*?)">', page) and len(set(links)) == len(links) > 1
    assert page.count('<a class="up" href="#contents">') == len(links)
    assert "<main>" in page and "<th></th>" not in page and "<i aria-hidden" in page
    plots = re.findall(r"!\[.*\]\((.*\.svg)\)", md)
    assert len(plots) == page.count('<svg class="plot"') == len(set(plots))
    for file in plots:  # each stands on its own: whole, and with the names of its lines
        drawing = ElementTree.parse(out / file).getroot()
        words = {t.text for t in drawing.iter("{http://www.w3.org/2000/svg}text")}
        assert words & {"REM(2)", "REM(4)", "SEM, short", "clean, AT-2"}, file
    paper = sorted(p.name for p in (reported / "paper").iterdir())
    assert paper == sorted(f"{Path(p).stem}.{kind}" for p in plots for kind in ("pdf", "svg"))
    with pytest.raises(UserError, match="no result of any table"):
        report_results(out, tmp_path)


def test_without_matplotlib_there_are_tables(tmp_path, monkeypatch, caplog):
    from unlearnable.experiments import report

    monkeypatch.setattr(report, "can_plot", lambda: False)
    fill(tmp_path, get_scale("small", "cifar10"), ["main-comparison"], seeds=(0,))
    md, _, page = (p.read_text() for p in report_results(tmp_path, tmp_path / "out"))
    assert "| REM(2)" in md and "![" not in md and "svg class" not in page
    assert caplog.messages == [
        "The plots are left out, because matplotlib is not installed, an extra: pip install "
        "'unlearnable[plots]' (in a clone: pip install '.[plots]')."
    ]
    with pytest.raises(UserError, match=r"unlearnable\[plots\]"):
        report_results(tmp_path, tmp_path / "other", plots=tmp_path / "plots")
    assert not (tmp_path / "other").exists()


PROBE = """
const table = document.querySelector("#main-comparison-small-cifar10 ~ .wide table");
const first = () => table.tBodies[0].rows[0].cells[1].textContent;
const before = first(); table.querySelectorAll("th button")[1].click();
return {sorted: parseFloat(first()), before: parseFloat(before),
  wide: document.documentElement.scrollWidth, window: innerWidth,
  lines: document.querySelectorAll("svg path").length,
  broken: [...document.images].filter(i => !i.naturalWidth).length};
"""


@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_in_a_browser(reported, width):
    """Sorts by a click, fits a phone, nothing on the console."""
    page = browse(reported / "out" / "tables.html", PROBE, width=width)
    seen = page.found
    assert seen["wide"] <= seen["window"] == width and seen["lines"] > 10 and seen["broken"] == 0
    assert seen["sorted"] <= seen["before"] and not page.console


def test_axe_finds_nothing(reported):
    assert axe(reported / "out" / "tables.html", width=390, dark=True) == []


def test_images_and_noise_where_the_protected_set_lies(tmp_path, monkeypatch):
    from unlearnable.experiments import report

    at = replace(TINY, data="shapes")
    monkeypatch.setattr(report, "SETS", ("shapes",))
    monkeypatch.setattr(report, "get_scale", lambda name, data: replace(at, name=name))
    runner = fill(tmp_path, at, ["time-cost"])
    protect(
        load("shapes", limit=40), replace(at.rem(2), train_steps=1, steps=1), tmp_path / "elsewhere"
    )
    shutil.move(tmp_path / "elsewhere", runner.protected_folder(at.rem(2), 0))
    page = report_results(tmp_path, tmp_path)[2].read_text()
    assert page.count("<img") == 1 and "<figcaption>REM(2)" in page


def test_the_command(tmp_path, monkeypatch, capsys):
    def type_in(*args):
        monkeypatch.setattr(sys, "argv", ["unlearnable", *map(str, args)])
        main()
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    assert all(f" {name} " in type_in("reproduce") for name in TABLES)
    fill(tmp_path / "results", get_scale("small", "cifar10"), ["time-cost"])
    assert "| REM(2) |" in type_in(
        "reproduce", "time-cost", "--show", "--record", "docs/small.json"
    )
    assert "| REM(2) |" in type_in("reproduce", "time-cost", "--show", "--results", "docs")
    assert "docs/tables.html" in type_in("report", "results", "docs")
    for args, says in (
        (["reproduce", "mian"], "no table 'mian'"),
        (["reproduce", "main-comparison", "--data", "mnist"], "no --data 'mnist'"),
        (["reproduce", "main-comparison", "--show", "--results", "gone"], "no folder gone"),
        (["reproduce", "main-comparison", "--show", "--rows", "REMM"], "no row 'REMM'"),
        (["report", "results", "gone"], "no folder gone"),
    ):
        with pytest.raises(SystemExit):
            type_in(*args)
        error = capsys.readouterr().err
        assert says in error and error.count("\n") == 1


def test_noise_of_a_spec_is_shared_by_tables():
    at = get_scale("small", "cifar10")
    specs = {n: set(e.load().grid(at).specs()) for n, e in TABLES.items()}
    assert (
        NoiseSpec(at.rem(2))
        in specs["time-cost"] & specs["all-methods"] & specs["protection-vs-cost"]
    )
    assert specs["main-comparison"] & specs["rho-a"] & specs["curves"]


@pytest.mark.parametrize("method", METHODS.values())
def test_a_result_is_found_whether_its_settings_are_read_or_made(method):
    """JSON has no tuples."""
    try:
        settings = asdict(method())
    except TypeError:  # it needs a file
        return
    config = {"method": method.name, "settings": settings, "recipe": asdict(Recipe(adv_eps=2))}
    assert canonical(config) == canonical(json.loads(json.dumps(config)))
