"""Noise for some classes only: the others stay as they are, and everything else is as it was."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from tests.protection.test_protect import NARROW, tiny
from tests.typed import typed, typed_by
from unlearnable import (
    EM,
    METHODS,
    MIUE,
    SEM,
    Context,
    Images,
    Uniform,
    UserError,
    load,
    protect,
)
from unlearnable.core import checkpoint
from unlearnable.core.progress import Progress
from unlearnable.data.card import Card
from unlearnable.data.subsets import class_mask, find_classes
from unlearnable.evaluation.flags import image_flags
from unlearnable.protection.methods.min_min import MinMin
from unlearnable.protection.methods.min_min_loop import MinMinLoop

SMALL = {"model": NARROW, "train_steps": 2, "batch": 40, "steps": 1, "eot_samples": 1}
FAMILY = [
    SEM(**SMALL, adv_steps=1),
    SEM(**SMALL, adv_steps=1, noise_type="classwise"),
    EM(**SMALL, refresh_every=1, noise_batch=16),
    MIUE(**SMALL | {"steps": 1}, refresh_every=1, step=2.0),
]


def own(few: Images, *classes: str) -> torch.Tensor:
    return class_mask(few, classes)


@pytest.mark.parametrize("name", list(METHODS))
def test_only_these_classes_have_noise(name, few, tmp_path):
    chosen = (few.classes[3], few.classes[7])
    method = tiny(name, tuple(few.x.shape), tmp_path)
    done = protect(few, method, tmp_path / "out", protected_classes=(7, few.classes[3]))
    mask = own(few, *chosen)
    assert torch.equal(done.images.x[~mask], few.x[~mask]) and torch.equal(done.images.y, few.y)
    changed = (done.images.x != few.x).flatten(1).any(1)
    assert changed[mask].all() and int(changed.sum()) == 8
    back, card = load(tmp_path / "out"), Card.read(tmp_path / "out")
    assert torch.equal(back.x, done.images.x) and back.classes == few.classes
    assert card == done.card and card.protected_classes == chosen
    assert "partly-protected" in image_flags(few, back, card)
    assert "noise-lost" not in image_flags(few, back, card)


@pytest.mark.parametrize("method", FAMILY, ids=lambda m: f"{m.name} {m.noise_type}")
def test_all_classes_are_the_same_as_none_named(method: MinMin, few):
    """Known answer: a mask that leaves nothing out changes no bit."""
    everything = torch.ones(len(few), dtype=torch.bool)
    whole, masked = (method.craft(few, Context(protected=m)) for m in (None, everything))
    assert torch.equal(whole.delta, masked.delta) and whole.passes == masked.passes
    done = protect(few, method, protected_classes=few.classes)
    assert done.card.protected_classes == () and "protected_classes" not in done.card.to_json()


@pytest.mark.parametrize("method", FAMILY, ids=lambda m: f"{m.name} {m.noise_type}")
def test_the_surrogate_sees_the_others_clean(method: MinMin, few):
    mask = own(few, few.classes[3])
    loop = MinMinLoop(method, few, Context(protected=mask))
    for step in range(2):
        loop.train_step(step)
        for k, chunk in enumerate(loop.pass_chunks(step)):
            loop.update_noise(chunk, step, k)
    rows = torch.arange(len(few))
    seen = loop.protected(rows)
    assert torch.equal(seen[~mask], few.pixels(rows, "cpu")[~mask])
    assert (seen[mask] != few.pixels(rows, "cpu")[mask]).flatten(1).any(1).all()


@pytest.mark.parametrize("name", ["sem", "tap", "hypo", "entf", "class-swap"])
def test_noise_for_a_tenth_costs_a_tenth(name, few, tmp_path):
    """Known answer: the passes that are counted before are those of the run."""
    method = replace(tiny(name, tuple(few.x.shape), tmp_path), batch=40)
    assert method.passes(40, 40) == method.passes(40)
    done = protect(few, method, protected_classes=("3",))
    assert done.card.passes == method.passes(40, 4) < method.passes(40)


def test_the_surrogates_error_is_that_of_what_is_protected(few):
    method = SEM(**SMALL, adv_steps=1)
    error = MinMinLoop(method, few, Context(protected=own(few, few.classes[3]))).error()
    assert error in (0, 25, 50, 75, 100)  # of four images, not of 40


def test_the_surrogates_work_goes_on_after_a_kill(few, tmp_path, monkeypatch):
    method, out = SEM(**SMALL | {"train_steps": 4}, adv_steps=1), tmp_path / "out"
    whole = protect(few, method, tmp_path / "whole", protected_classes=("3",))
    real = Progress.at

    def dies(self, step, text=""):
        real(self, step, text)
        if step == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(Progress, "at", dies)
    with pytest.raises(KeyboardInterrupt):
        protect(few, method, out, protected_classes=("3",))
    monkeypatch.setattr(Progress, "at", real)
    with pytest.raises(UserError, match="state of another run"):
        protect(few, method, out)
    resumed = protect(few, method, out, protected_classes=(few.classes[3],))
    assert torch.equal(resumed.images.x, whole.images.x)
    assert (out / "generator.safetensors").read_bytes() == (
        tmp_path / "whole" / "generator.safetensors"
    ).read_bytes()
    assert protect(few, method, out, protected_classes=("3",)).card == resumed.card
    for other in ((), ("4",), ("3", "4")):
        with pytest.raises(UserError, match="another run's"):
            protect(few, method, out, protected_classes=other)


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--noise-type", "classwise")])
def test_two_processes_of_which_one_may_have_no_image_of_the_class(tmp_path, more):
    """In most batches neither process has one, or one of them has."""
    x = load("shapes", limit=40).x
    y = (torch.arange(40) >= 36).long()
    for k in range(40):
        path = tmp_path / "images" / "ab"[y[k]] / f"{k:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(x[k].permute(1, 2, 0).numpy()).save(path)
    typed_by(
        2, "protect", "sem", "--preset", "short", "--data", "images", "--protected-classes", "b",
        *("--train-steps", 2, "--batch", 4, "--adv-steps", 1, "--out", "out", *more),
        cwd=tmp_path,
    )  # fmt: skip
    done, clean = load(tmp_path / "out"), load(tmp_path / "images")
    changed = (done.x != clean.x).flatten(1).any(1)
    assert torch.equal(changed, clean.y == 1)


def test_classes_by_name_and_by_number():
    names = ("cat", "dog", "3", "owl")
    assert find_classes(("owl", "0"), names) == ("cat", "owl")
    assert find_classes(("3",), names) == ("3",)  # a name comes before a number
    with pytest.raises(UserError, match=r"No class 'emu' .* cat, dog, 3, owl, .* 0 to 3"):
        find_classes(("emu",), names)


def test_mistakes_get_one_sentence(few, tmp_path):
    said = typed(
        *("protect", "lsp", "--data", "shapes", "--limit", 40, "--protected-classes", "emu"),
        *("--out", tmp_path / "out"),
        cwd=tmp_path,
        status=2,
    ).stderr
    assert "No class 'emu' in this set" in said and not (tmp_path / "out").exists()
    some = few.subset(few.y != 3)
    with pytest.raises(UserError, match="has no images to protect"):
        protect(some, METHODS["lsp"](), protected_classes=("3",))
    flat = Images(few.x, torch.zeros_like(few.y), ("",))
    with pytest.raises(UserError, match="no classes to choose from"):
        protect(flat, METHODS["uniform"](), protected_classes=("0",))


def test_learn_says_the_accuracy_on_both_groups(tmp_path):
    typed(
        *("protect", "lsp", "--data", "shapes", "--limit", 40, "--protected-classes", 3, 7),
        *("--out", "out"),
        cwd=tmp_path,
    )
    said = typed(
        *("learn", "out", "--model", NARROW, "--steps", 2, "--batch", 16, "--test-limit", 40),
        *("--out", "run"),
        cwd=tmp_path,
    ).stdout
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    each, card = result["by_class"], Card.read(tmp_path / "out")
    assert set(each) == set(card.classes)
    assert result["accuracy"] == pytest.approx(sum(each.values()) / 10)
    mine = sum(each[name] for name in card.protected_classes) / 2
    others = (sum(each.values()) - 2 * mine) / 8
    names = ", ".join(card.protected_classes)
    assert (
        f"On the protected classes ({names}): {mine:.1f} %; on the others: {others:.1f} %" in said
    )


def test_one_class_may_be_named_without_a_list(few):
    """A text is a sequence of letters: "ring" was five classes."""
    for named in (few.classes[3], 3, "3"):
        made = protect(few, Uniform(), protected_classes=named)
        assert made.card.protected_classes == (few.classes[3],)
