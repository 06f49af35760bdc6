"""Rewrite committed records and audits to the words of this change: python rewrite_records.py docs"""
import json, sys
from pathlib import Path

METHOD = {"warm": "warm_start", "per": "noise_type", "pass_every": "refresh_every", "samples": "eot_samples", "gray": "gray_prob", "calm": "uniformity_weight"}
RECIPE = {"strong": "augmentation", "start": "init_from", "tests": "evals"}
CONFIG = {"share": "fraction", "counter": "countermeasure"}

def settings(s: dict | None, method: str | None) -> dict | None:
    if s is None:
        return None
    names = METHOD | ({"share": "noise_weight"} if method == "pil" else {})
    out = {names.get(k, k): v for k, v in s.items()}
    if "noise_type" in out:
        out["noise_type"] = {"sample": "samplewise", "class": "classwise"}[out["noise_type"]]
    return out

def recipe(r: dict) -> dict:
    return {RECIPE.get(k, k): v for k, v in r.items()}

def config(c: dict) -> dict:
    c = {CONFIG.get(k, k): v for k, v in c.items()}
    if "settings" in c:
        c["settings"] = settings(c["settings"], c.get("method"))
    if "recipe" in c:
        c["recipe"] = recipe(c["recipe"])
    return c

docs = Path(sys.argv[1])
for path in (docs / "records").glob("*.json"):
    cells = json.loads(path.read_text())["cells"]
    for cell in cells:
        cell["config"] = config(cell["config"])
        if "settings" in cell:  # a noise's card
            cell["settings"] = settings(cell["settings"], cell.get("method"))
    lines = sorted(json.dumps(cell) for cell in cells)
    path.write_text('{"cells": [\n' + ",\n".join(lines) + "\n]}\n")
for path in (docs / "audits").glob("*.json"):
    audit = json.loads(path.read_text())
    if "images" not in audit:
        audit = {("images" if k == "pictures" else k): v for k, v in audit.items()}
        audit["images"] = audit["images"].replace("pictures", "images")
    audit["settings"] = settings(audit["settings"], audit["method"])
    audit["recipe"] = recipe(audit["recipe"])
    path.write_text(json.dumps(audit, indent=2) + "\n")
