"""``report`` of a folder of audits: tables of worst-case learnability as Markdown, CSV and one HTML
page. Audits of different suites, versions, images or recipes are different questions and never
share a table. Only reads results."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write, read_json
from unlearnable.reports.html import rendered
from unlearnable.reports.tables import mean_std

NEEDED = {
    "suite",
    "version",
    "chance",
    "rows",
    "method",
    "budget",
    "psnr",
    "images",
    "recipe",
    "seed",
}


@dataclass(frozen=True)
class Table:
    """title: what all rows share; learners: the columns; rows: one a method, the best protection
    first: rank, method, budget, psnr, seeds, clean, worst (mean peak of the worst learner),
    worst_text, by (its name), and cells by learner. Noise over the budget of 8/255 stands last
    and has no rank."""

    title: str
    chance: float
    learners: list[str]
    rows: list[dict]


def leaderboard(folder: Path | str, out: Path | str) -> list[Path]:
    """Write leaderboard.md, .csv and .html into ``out`` from every audit under ``folder``. Returns
    the files. Raises UserError where there is none, and for one that is incomplete."""
    tables = collect(Path(folder))
    done = []
    for name, text in (("md", _markdown(tables)), ("csv", _csv(tables)), ("html", _html(tables))):
        with atomic_write(Path(out) / f"leaderboard.{name}") as tmp:
            tmp.write_text(text)
        done.append(Path(out) / f"leaderboard.{name}")
    return done


def collect(folder: Path) -> list[Table]:
    """The tables, audits of the same method and settings joined over their seeds."""
    groups: dict[str, dict[str, list[dict]]] = {}
    for path in audit_files(folder):
        audit = read_json(path)
        if missing := NEEDED - audit.keys():
            raise UserError(
                f"{path} lacks {', '.join(sorted(missing))}; run `unlearnable audit` again."
            )
        asked = {k: audit[k] for k in ("suite", "version", "images", "recipe", "chance")}
        group = groups.setdefault(json.dumps(asked, sort_keys=True), {})
        group.setdefault(
            json.dumps([audit["method"], audit.get("settings")], sort_keys=True), []
        ).append(audit)
    if not groups:
        raise UserError(
            f"There is no audit.json under {folder}; make one with `unlearnable audit`."
        )
    return [_table(list(group.values())) for _, group in sorted(groups.items())]


def audit_files(folder: Path) -> list[Path]:
    """Every audit.json under ``folder``, and every audit of another name that lies directly in it."""
    others = (
        p
        for p in folder.glob("*.json")
        if p.name != "audit.json" and '"suite"' in p.read_text(errors="replace")
    )
    return sorted([*folder.rglob("audit.json"), *others])


def _table(methods: list[list[dict]]) -> Table:
    first = methods[0][0]
    learners = [row["learner"] for row in first["rows"]]
    names = _names([audits[0] for audits in methods])
    rows = [_row(n, audits, learners) for n, audits in zip(names, methods)]
    rows.sort(key=lambda row: ("over-8" in row["flags"], row["worst"]))
    for k, row in enumerate(rows):
        row["rank"] = "-" if "over-8" in row["flags"] else str(k + 1)
    title = (
        f"Suite {first['suite']}, version {first['version']}: {first['images']}, {first['recipe']['model']}, "
        f"{first['recipe']['steps']} steps"
    )
    return Table(title, first["chance"], learners, rows)


def _names(audits: list[dict]) -> list[str]:
    """The methods' names, with the settings in which those of the same name differ."""
    names = []
    for audit in audits:
        same = [a.get("settings") or {} for a in audits if a["method"] == audit["method"]]
        own = audit.get("settings") or {}
        differ = [k for k in own if any(s.get(k) != own[k] for s in same)]
        names.append(
            audit["method"] + (f" ({', '.join(f'{k} {own[k]}' for k in differ)})" if differ else "")
        )
    return names


def _row(name: str, audits: list[dict], learners: list[str]) -> dict:
    peaks = {
        name: [row["peak"] for a in audits for row in a["rows"] if row["learner"] == name]
        for name in learners
    }
    by = max(learners, key=lambda name: sum(peaks[name]))
    flags = sorted(
        {flag for a in audits for row in [*a["rows"], a] for flag in row.get("flags", [])}
    )
    return {
        "method": name,
        "budget": audits[0]["budget"],
        "psnr": mean_std([a["psnr"] for a in audits]),
        "seeds": len({a["seed"] for a in audits}),
        "clean": mean_std([a["rows"][0]["clean"] for a in audits]),
        "worst": sum(peaks[by]) / len(peaks[by]),
        "worst_text": mean_std(peaks[by]),
        "by": by,
        "cells": {
            name: {"text": mean_std(v), "mean": sum(v) / len(v)} for name, v in peaks.items()
        },
        "flags": flags,
    }


UNRANKED = "Noise over the budget of 8/255 has no rank."
LEAD = {  # what stands before the learners' columns: key of a row -> heading
    "rank": "rank",
    "method": "method",
    "budget": "budget",
    "psnr": "PSNR, dB",
    "seeds": "seeds",
    "clean": "clean, ordinary",
    "worst_text": "worst case",
    "by": "by",
}


HEAD = list(LEAD.values())


def _lead(row: dict) -> list[str]:
    return [str(row[k]) for k in LEAD]


def _markdown(tables: list[Table]) -> str:
    lines = ["# Worst-case learnability", ""]
    lines += [
        "Highest accuracy on clean test images during training, in %: lower is better protected.",
        "",
    ]
    for t in tables:
        lines += [f"## {t.title}", "", f"Chance is {t.chance:g}. {UNRANKED}", ""]
        lines += [
            f"| {' | '.join([*HEAD, *t.learners])} |",
            "|---" * (len(HEAD) + len(t.learners)) + "|",
        ]
        lines += [
            f"| {' | '.join([*_lead(r), *(r['cells'][n]['text'] for n in t.learners)])} |"
            for r in t.rows
        ]
        lines += [
            "",
            *(
                f"{r['method']}: {', '.join(r['flags'])} (docs/checks.md)\n"
                for r in t.rows
                if r["flags"]
            ),
        ]
    return "\n".join(lines)


def _csv(tables: list[Table]) -> str:
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["table", "method", "budget", "seeds", "learner", "peak"])
    for t in tables:
        for r in t.rows:
            for name in t.learners:
                rows.writerow(
                    [
                        t.title,
                        r["method"],
                        r["budget"],
                        r["seeds"],
                        name,
                        f"{r['cells'][name]['mean']:.2f}",
                    ]
                )
    return file.getvalue()


def _html(tables: list[Table]) -> str:
    return rendered(
        "leaderboard.html",
        title="Worst-case learnability",
        tables=tables,
        head=HEAD,
        lead=_lead,
        unranked=UNRANKED,
    )
