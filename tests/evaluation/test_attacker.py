"""The attacker who makes pairs with this program: where their images come from, that what they make
is made once, and that it undoes what it should."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from unlearnable import (
    EM,
    LSP,
    SUITES,
    TAP,
    Imported,
    Recipe,
    Uniform,
    UserError,
    audit,
    learn,
    load,
    protect,
    protect_photos,
)
from unlearnable.core.seeding import generator
from unlearnable.data.card import Card
from unlearnable.data.decoding import pixels as pixels_of, read
from unlearnable.evaluation import (
    attacker as attackers,
    denoiser,
    detector,
    rate_vae,
    train_and_test,
)
from unlearnable.evaluation.attacker import attacker_of, pairs_of, purifier, with_attacker
from unlearnable.evaluation.audit import _row
from unlearnable.evaluation.cost import preparation
from unlearnable.evaluation.learners import Learner
from unlearnable.evaluation.results import Audit, Result
from unlearnable.evaluation.site_photos import photos_from_site
from unlearnable.evaluation.suites import VERSION
from unlearnable.evaluation.transforms import from_site
from unlearnable.protection.originals import originals_of
from unlearnable.reports.leaderboard import collect, leaderboard
from unlearnable.reports.tables import audit_rows, to_text

SHORT = Recipe.preset("short", model="tests.networks:narrow", steps=1, batch=16, evals=1)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """60 pairs at most, and short trainings."""
    monkeypatch.setattr(attackers, "MOST_PAIRS", 60)
    monkeypatch.setattr(denoiser, "STEPS", 3)
    monkeypatch.setattr(denoiser, "VISITS", 1)
    monkeypatch.setattr(rate_vae, "STEPS", 2)
    monkeypatch.setattr(detector, "STEPS", 4)
    monkeypatch.setattr(detector, "EPOCHS", 1)


@pytest.fixture
def test():
    return load("shapes", split="test", limit=20)


def make(folder, limit, method=None, seed=0):
    protect(load("shapes", limit=limit), method or Uniform(), folder, seed=seed)
    return folder


def of(folder, test, tmp_path):
    return attacker_of(folder, originals_of(folder), test, results=tmp_path / "cells")


def prints(images):
    return {x.numpy().tobytes() for x in images.x}


def test_their_images_are_others_of_the_source(tmp_path, test):
    folder = make(tmp_path / "p", 40)
    clean = originals_of(folder)
    found = attacker_of(folder, clean, clean.subset(torch.arange(2)), results=tmp_path)
    assert len(found.clean) == 60 and found.kept is None and "other images of shapes" in found.where
    assert found.clean.y.bincount().tolist() == [6] * 10 and found.clean.classes == clean.classes
    assert not prints(found.clean) & (prints(clean) | prints(test))
    assert found.method == Uniform() and found.seed != Card.read(folder).seed
    # test images that the source holds are nobody's to train on
    again = attacker_of(folder, clean, found.clean.subset(torch.arange(5)), results=tmp_path)
    assert not prints(again.clean) & prints(found.clean.subset(torch.arange(5)))


def test_where_the_source_has_no_others_a_quarter_is_set_aside(tmp_path, test):
    folder = make(tmp_path / "p", 80)
    whole = originals_of(folder)
    whole = replace(whole, source=whole.source | {"limit": None})  # as if those were all
    found = attacker_of(folder, whole, test, results=tmp_path)
    assert len(found.clean) == 20 and found.clean.y.bincount().tolist() == [2] * 10
    assert int(found.kept.sum()) == 60 and "set aside" in found.where
    assert not prints(found.clean) & prints(whole.subset(found.kept))
    learners = with_attacker(SUITES["adaptive"], found)
    assert [by.name for by in learners][-1] == "purifier from 20 pairs"
    assert len(learners) == len(SUITES["adaptive"]) - 1  # 500 and 4,000 are the same 20
    with pytest.raises(UserError, match="too few to set some aside"):
        attacker_of(folder, whole.subset(torch.arange(2)), test, results=tmp_path)


def test_the_attacker_does_not_get_the_owners_surrogate(tmp_path, test):
    recipe = replace(SHORT, model="convnet")
    learn(load("shapes", limit=40), recipe, test=test, out=tmp_path / "run")
    method = TAP(surrogate=str(tmp_path / "run"), model="convnet", steps=1, train_steps=1)
    folder = make(tmp_path / "p", 40, method, seed=1)
    found = of(folder, test, tmp_path).method
    assert isinstance(found, TAP) and found.surrogate == "" and found.train_steps == 1


def test_what_only_its_owner_can_run_again_is_refused_in_a_sentence(tmp_path, test):
    noise = tmp_path / "noise.npy"
    np.save(noise, np.ones((40, 3, 32, 32), dtype=np.int8))
    imported = make(tmp_path / "imported", 40, Imported(str(noise)))
    with pytest.raises(UserError, match="choose the suite full"):
        of(imported, test, tmp_path)
    folder = make(tmp_path / "p", 40)
    card = json.loads((folder / "card.json").read_text())
    for changes, says in (
        ({"method": "my_module:Mine"}, "only its owner can run"),
        ({"settings": {"model": "evil:factory"}}, "only its owner can run"),
        ({"settings": {"eps": "much"}}, "only its owner can run"),
        ({"settings": {"eps": 8.0, "gone": 1}}, "settings that uniform does not have"),
    ):
        (folder / "card.json").write_text(json.dumps(card | changes))
        with pytest.raises(UserError, match=says):
            of(folder, test, tmp_path)


def test_the_protection_and_the_purifier_are_made_once(tmp_path, test, monkeypatch):
    """For every audit of those originals with that method, whatever the protection's seed."""
    one, two = (of(make(tmp_path / str(s), 40, seed=s), test, tmp_path) for s in (0, 1))
    assert one.key(30) == two.key(30) != one.key(60) and one.own_folder == two.own_folder
    learners = (Learner(own_pairs=30),)
    assert preparation(learners, one.clean, one) > 0
    clean, protected = pairs_of(one, 30)
    assert len(clean) == 30 and torch.equal(clean.y, protected.y)
    noise = protected.x.short() - clean.x.short()
    assert int(noise.abs().max()) == 8 and torch.equal(noise[0], _noise(one, clean)[0])
    weights = purifier(one, 30).state_dict()
    monkeypatch.setattr(attackers, "train_denoiser", None)  # would fail if it were called again
    again = purifier(two, 30).state_dict()
    assert all(torch.equal(weights[k], again[k]) for k in weights)
    assert preparation(learners, one.clean, one) == 0
    assert sorted(p.name for p in one.own_folder.iterdir()) == [
        "protected",
        "u-net-4-30.safetensors",
    ]


def _noise(attacker, clean):
    """The attacker's noise, from a run of its own."""
    done = protect(attacker.clean, attacker.method, seed=attacker.seed).images
    rows = [x.numpy().tobytes() for x in attacker.clean.x]
    at = [rows.index(x.numpy().tobytes()) for x in clean.x]
    return done.x[at].short() - clean.x.short()


def test_the_suite_runs_and_is_printed_and_ranked(tmp_path, test, monkeypatch):
    """Every learner of the suite, the detector, and what the table and the board say of both."""
    monkeypatch.setitem(SUITES, "adaptive", (SUITES["adaptive"][0], *SUITES["adaptive"][-3:]))
    folder = make(tmp_path / "p", 40, LSP())
    out = tmp_path / "audits"
    done = audit(folder, "adaptive", SHORT, out=out / "lsp", test=test)
    assert [r.learner for r in done.rows] == [
        "ordinary training",
        "D-VAE",
        "purifier from 60 pairs",
    ]
    assert Audit.read(out / "lsp" / "audit.json") == done
    assert "60 other images of shapes" in done.pairs and 0 <= done.detection.best <= 100
    text = to_text(audit_rows(done))
    assert "Detector: two layers tell" in text and "The purifiers' pairs: 60 other" in text
    monkeypatch.setattr(train_and_test, "learn", None)  # all is stored
    monkeypatch.setattr(detector, "detect", None)
    assert audit(folder, "adaptive", SHORT, out=out / "lsp", test=test) == done
    # older versions and other suites stand in tables of their own
    for name, changes in (("old", {"version": 3}), ("full", {"suite": "full", "detection": None})):
        (out / name).mkdir()
        (out / name / "audit.json").write_text(json.dumps(done.to_json() | changes))
    boards = collect(out)
    assert sorted(b.title.split(":")[0] for b in boards) == [
        "Suite adaptive, version 3",
        f"Suite adaptive, version {VERSION}",
        f"Suite full, version {VERSION}",
    ]
    assert all(len(b.standings) == 1 for b in boards)
    md = leaderboard(out, out)[0].read_text()
    assert md.count("| detector") == 2 and f"{done.detection.best:.1f}" in md


@pytest.mark.parametrize("learner", SUITES["adaptive"][1:], ids=lambda by: by.name)
def test_ruined_clean_images_are_flagged_for_each_of_them(learner, tmp_path):
    card = replace_source(Card.read(make(tmp_path / "p", 20)))
    ruined, learned = (Result(a, a, [{"loss": 2.0}, {"loss": 0.5}]) for a in (30.0, 50.0))
    for clean, flags in ((ruined, ["ruins-clean"]), (learned, [])):
        assert _row(learner, SHORT, clean, learned, 10.0, 60.0, card).flags == flags


def replace_source(card):
    return replace(card, data={"source": "a folder"})


def pattern(size):
    return torch.randint(0, 2, (3, size, size), generator=generator("cpu", "pattern")) * 16 - 8


def shifted(images, noise):
    return replace(images, x=(images.x.short() + noise).clamp(0, 255).to(torch.uint8))


def test_a_purifier_learns_a_constant_offset(monkeypatch):
    """Known answer: what all pairs have in common goes from images that were not among them."""
    monkeypatch.setattr(denoiser, "BATCH", 16)
    images = load("shapes", limit=120)
    images = replace(images, x=images.x[..., ::2, ::2].contiguous())
    offset = torch.tensor([8, -8, 8]).view(3, 1, 1)
    known, rest = images.subset(torch.arange(60)), images.subset(torch.arange(60, 120))
    model = denoiser.train_denoiser(known, shifted(known, offset), steps=100)
    out = denoiser.denoised(model, shifted(rest, offset).x)
    before, after = (
        float((x.float() - rest.x.float()).abs().mean()) for x in (shifted(rest, offset).x, out)
    )
    assert after < before / 3


def test_a_denoiser_takes_any_size_and_learns_large_images_from_windows():
    x = torch.randint(0, 256, (2, 3, 90, 67), dtype=torch.uint8, generator=generator("cpu", 0))
    images = replace(load("shapes", limit=2), x=x, y=torch.tensor([0, 1]))
    model = denoiser.train_denoiser(images, images, steps=1)
    assert denoiser.denoised(denoiser.Denoiser(), x).equal(x)  # untrained: the identity
    assert denoiser.denoised(model, x).shape == x.shape
    assert denoiser.steps_for(64) == 3 and denoiser.steps_for(64 * 9) == 9


def test_the_detector_finds_constant_noise_and_nothing_in_identical_sets(monkeypatch):
    """Known answers: near 100 % and 50 %."""
    monkeypatch.setattr(detector, "STEPS", 80)
    images = load("shapes", limit=200)
    images = replace(images, x=images.x[..., ::2, ::2].contiguous())
    own = images.subset(torch.arange(100))
    constant = pattern(16)
    seen = detector.detect(images, shifted(images, constant), own=(own, shifted(own, constant)))
    assert seen.residuals > 97 and seen.own_pairs > 97 and seen.best >= seen.residuals
    seen = detector.detect(images, images)
    assert {*images.y[detector._drawn(200, 60, 0)].tolist()} == {*range(10)}  # not only the first
    assert seen.pixels == seen.residuals == 50 and seen.own_pairs is None
    assert seen.classes_clean == seen.classes_protected


def test_a_code_without_rate_holds_the_mean_image_and_the_class_noise(monkeypatch):
    """Known limit: at rate 0 and a large weight the code says nothing, so that the reconstruction
    is the mean image and reconstruction + noise the mean of the class."""
    monkeypatch.setattr(rate_vae, "BATCH", 32)
    y = torch.arange(60) % 3
    g = generator("cpu", "means")
    x = 100 + 30 * torch.rand(60, 3, 8, 8, generator=g)
    x += 8 * torch.tensor([-1.0, 0.0, 1.0])[y].view(-1, 1, 1, 1)
    x = x.round().to(torch.uint8)
    model = rate_vae.train_vae(x, y, 0.0, steps=200, weight=10.0)
    draw = torch.randn(60, rate_vae.LATENT, 4, 4, generator=g)
    with torch.no_grad():
        image, noise, nats = model(x.float() / 255, y, draw)
    assert float(nats) < 0.02
    mean = x.float().mean(0) / 255
    assert float((image.mean(0) - mean).abs().mean()) * 255 < 4
    for c in range(3):
        own = x[y == c].float().mean((0, 2, 3)) / 255
        assert float((image + noise)[y == c].mean((0, 2, 3)).sub(own).abs().max()) * 255 < 4
        tint = float((own - mean.mean((1, 2))).mean())
        assert float(noise[y == c].mean()) == pytest.approx(tint, abs=2.5 / 255)


def test_d_vae_keeps_sizes_that_its_strides_do_not_divide():
    x = torch.randint(0, 256, (6, 3, 9, 13), dtype=torch.uint8, generator=generator("cpu", 0))
    y = torch.arange(6) % 2
    out = rate_vae.d_vae(x, y, steps=1)
    assert out.shape == x.shape and out.dtype == torch.uint8
    assert out.equal(rate_vae.d_vae(x, y, steps=1))


def test_photos_go_through_a_site_at_their_own_sizes(tmp_path, monkeypatch):
    """By hand: each file shrunk to 1080 pixels, JPEG 85, then the size at which learners see it;
    the audit trains on those, and the attacker's photos are a part of the owner's."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k, size in enumerate([(1300, 90), (64, 48), (70, 70), (40, 40)]):
            pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{k}.png")
    out, source = tmp_path / "out", tmp_path / "photos"
    protect_photos(source, out, Uniform(), size=16)
    clean, protected, card = originals_of(out), load(out), Card.read(out)
    seen = photos_from_site(out, card, clean, protected)
    for images, folder in zip(seen, (source, out)):
        file = next((folder / "cat").glob("0.*"))
        known = pixels_of(from_site(read(file)), 16)
        assert np.array_equal(images.x[0].numpy(), known) and torch.equal(images.y, clean.y)
    assert not torch.equal(seen[0].x, clean.x) and not torch.equal(seen[1].x, seen[0].x)
    with pytest.raises(UserError, match="protect them again"):
        photos_from_site(out, card, clean.subset(torch.arange(2)), protected)
    by_site = (Learner("ordinary training"), Learner("site", countermeasure="site"))
    monkeypatch.setitem(SUITES, "quick", (*by_site, Learner("purifier", own_pairs=500)))
    done = audit(out, "quick", SHORT, out=tmp_path / "audit", test=clean)
    assert [r.learner for r in done.rows][1:] == ["site", "purifier from 2 pairs"]
    cells = [json.loads(p.read_text())["config"] for p in tmp_path.glob("cells/*/cell.json")]
    assert {seen[0].digest(), seen[1].digest()} <= {c["train"] for c in cells}
    assert "2 of the originals, set aside" in done.pairs


def test_it_trains_with_a_method_that_trains(tmp_path, test):
    """EM through the whole path: the card's settings, the attacker's own seed."""
    settings = EM(model="convnet", train_steps=2, steps=1, batch=8)
    found = of(make(tmp_path / "p", 20, settings), test, tmp_path)
    assert found.method == settings
    assert preparation((Learner(own_pairs=20),), found.clean, found) > 0
