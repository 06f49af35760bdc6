"""Own folders: native sizes, odd formats, hostile files, further images, and their verification."""

import hashlib
import json
import os
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from safetensors.torch import load_file

from tests.kills import Killed, killed_at_call
from tests.photos import mixed_album, noisy
from tests.typed import typed
from unlearnable import (
    LSP,
    SEM,
    ClassUAP,
    Context,
    NoiseNet,
    Recipe,
    Uniform,
    UnlearnableClusters,
    UserError,
    build,
    load,
    protect,
    protect_photos,
    report,
    verify,
)
from unlearnable.cli.main import main
from unlearnable.data import decoding
from unlearnable.data.card import CARD, MARKER, private_folder
from unlearnable.data.decoding import read
from unlearnable.data.folders import scan_photos
from unlearnable.data.image_files import listing
from unlearnable.data.subsets import holdout_split, near_duplicates
from unlearnable.evaluation.results import Verified
from unlearnable.evaluation.verify import load_pairs
from unlearnable.protection.methods.from_generator import Generated
from unlearnable.protection.originals import originals_of
from unlearnable.protection.photo_files import WORK, upsample_noise
from unlearnable.protection.photos import method_for
from unlearnable.protection.protect import apply_noise

METHOD = SEM.preset("short", train_steps=2, steps=1, adv_steps=1, batch=8)
SIZE = 16


def fingerprint(root: Path) -> dict:
    return {
        p: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns)
        for p in root.rglob("*.*")
    }


def test_names_sizes_and_budget(tmp_path):
    photos = mixed_album(tmp_path / "photos")
    before = fingerprint(photos)
    card = protect_photos(photos, tmp_path / "out", METHOD, size=SIZE)
    assert fingerprint(photos) == before
    worst = 0
    for path, c in listing(photos).files:
        a, b = read(path), Image.open(tmp_path / "out" / ("cat", "dog")[c] / f"{path.stem}.png")
        assert a.size == b.size and b.format == "PNG"
        worst = max(worst, int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max()))
    assert 0 < worst <= 8 and card.measured["linf"] == worst
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["cat", "dog"]
    assert {p.suffix for p in (tmp_path / "out").rglob("*.*")} == {".png"}
    private = sorted(p.name for p in (tmp_path / "out.private").iterdir())
    assert private == ["card.json", "generator.safetensors"]
    assert load_pairs(photos, tmp_path / "out", None)[0][1].x.shape[-1] == SIZE * 3 // 2
    ((clean, protected),) = load_pairs(photos, tmp_path / "out", SIZE)
    assert protected.x.shape == (8, 3, SIZE, SIZE) and not torch.equal(clean.x, protected.x)
    assert torch.equal(load(tmp_path / "out").x, protected.x) and torch.equal(
        originals_of(tmp_path / "out").x, clean.x
    )
    assert load(tmp_path / "out", size=24).x.shape[-1] == 24
    assert protect_photos(photos, tmp_path / "out", METHOD, size=SIZE) == card  # done already
    with pytest.raises(UserError, match="another run"):
        protect_photos(photos, tmp_path / "out", METHOD, size=SIZE, seed=1)


@pytest.fixture
def decoded(monkeypatch):
    """How often every image file was opened."""
    counts: Counter[Path] = Counter()
    real = decoding._opened

    def counting(file):
        counts[file.path] += 1
        return real(file)

    monkeypatch.setattr(decoding, "_opened", counting)
    return counts


def test_a_photo_is_decoded_twice_to_be_protected_and_once_to_be_verified(tmp_path, decoded):
    photos, out = mixed_album(tmp_path / "photos"), tmp_path / "out"
    originals = [path for path, _ in listing(photos).files]
    decoded.clear()
    protect_photos(photos, out, LSP(), size=SIZE)
    assert [decoded[path] for path in originals] == [2] * 8
    written = [path for path, _ in listing(out).files]
    assert [decoded[path] for path in written] == [1] * 8  # read back
    decoded.clear()
    (clean, protected), large = load_pairs(photos, out, None, 48)
    assert [decoded[path] for path in originals + written] == [1] * 16
    assert torch.equal(large[1].x, load(out, size=48).x) and torch.equal(large[0].y, clean.y)
    assert torch.equal(clean.x, load(photos, size=24, skip_bad=True).x)
    assert torch.equal(protected.x, load(out, size=24).x)
    assert clean.source == load(photos, size=24, skip_bad=True).source


def test_one_scan_serves_the_plan_and_the_run(tmp_path, decoded):
    photos = mixed_album(tmp_path / "photos")
    decoded.clear()
    scan = scan_photos(photos, (SIZE, 24))
    near_duplicates(scan.images[SIZE].x)
    card = protect_photos(photos, tmp_path / "out", LSP(), size=SIZE, scan=scan)
    assert [decoded[path] for path, _ in scan.listing.files] == [2] * 8
    assert torch.equal(scan.images[24].x, load(photos, size=24).x)
    assert card.digest == load(photos, size=SIZE).digest()


def test_the_method_for_a_folder(tmp_path):
    mixed_album(tmp_path)
    method, size = method_for(tmp_path, level="strong", train_steps=7)
    assert isinstance(method, NoiseNet) and size == 32
    assert (method.eps, method.adv_eps, method.train_steps) == (16, 4, 7)
    method, size = method_for(tmp_path / "cat", size=24)
    assert isinstance(method, UnlearnableClusters) and (method.eps, size) == (8, 24)
    with pytest.raises(UserError, match="keeps the settings"):
        method_for(tmp_path, generator=tmp_path / "generator.safetensors", size=24)


def test_the_method_against_pretrained_networks(tmp_path, monkeypatch):
    mixed_album(tmp_path)
    monkeypatch.setattr("unlearnable.models.pretrained.find_spec", lambda package: None)
    with pytest.raises(UserError, match="efficientnet-lite0-.* efficientnet-lite2-.*"):
        method_for(tmp_path, pretrained=True)  # both packages in one line
    monkeypatch.setattr("unlearnable.protection.photos.require_installed", lambda names: None)
    monkeypatch.setattr("unlearnable.protection.photos.read_imagenet_weights", lambda name: {})
    method, size = method_for(tmp_path, pretrained=True, level="light", train_steps=7)
    assert isinstance(method, ClassUAP) and (method.eps, method.steps, size) == (4, 7, 224)
    coarse = method.coarse_method()  # against networks from scratch as well
    assert coarse and (coarse.eps, coarse.adv_eps, coarse.train_steps) == (4, 1, 7)
    for folder, gray_prob in ((tmp_path, 0.3), (tmp_path / "cat", None)):
        with pytest.raises(UserError, match="sub-folders, one per class"):
            method_for(folder, pretrained=True, gray_prob=gray_prob)


def test_long_names_that_differ_at_their_ends_do_not_mix(tmp_path):
    """Several files are written at a time, under temporary names that are cut short."""
    for k in range(16):
        path = tmp_path / "photos" / "ab"[k % 2] / f"{'holiday ' * 20}{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (300, 200), (10 * k, 100, 100)).save(path)
    protect_photos(tmp_path / "photos", tmp_path / "out", Uniform(), size=SIZE)
    for path, _ in listing(tmp_path / "photos").files:
        both = [
            np.asarray(Image.open(root / path.parent.name / path.name).convert("RGB"), int)
            for root in (path.parents[1], tmp_path / "out")
        ]
        assert 0 < np.abs(both[0] - both[1]).max() <= 8


def test_carried_noise_keeps_its_sign_and_budget():
    noise = torch.randint(0, 2, (3, 16, 16), generator=torch.Generator().manual_seed(0)) * 16 - 8
    for height, width in ((16, 16), (48, 48), (90, 120), (11, 13)):
        up = upsample_noise(noise, height, width, 8)
        assert up.shape == (3, height, width) and int(up.abs().max()) <= 8
    assert torch.equal(upsample_noise(noise, 16, 16, 8), noise.short())
    up = upsample_noise(noise, 144, 144, 8)[:, 4::9, 4::9]  # the middles of the noise's own pixels
    assert torch.equal(up, noise.short())


def test_a_killed_run_resumes_to_the_same_files(tmp_path, monkeypatch):
    photos = mixed_album(tmp_path / "photos")
    protect_photos(photos, tmp_path / "whole", METHOD, size=SIZE)
    module = sys.modules["unlearnable.protection.photo_files"]
    written, real = [], module.write

    def dies(*args, **kwargs):
        if len(written) >= 3:  # several threads write
            raise KeyboardInterrupt
        written.append(real(*args, **kwargs))

    monkeypatch.setattr(module, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        protect_photos(photos, tmp_path / "cut", METHOD, size=SIZE)
    private = tmp_path / "cut.private"
    assert not (private / "card.json").exists() and (private / WORK).exists()
    assert {p.suffix for p in (tmp_path / "cut").rglob("*") if p.is_file()} <= {".png"}
    with pytest.raises(UserError, match="an unfinished run of other photos or with other settings"):
        protect_photos(photos, tmp_path / "cut", METHOD, size=SIZE, keep_metadata=True)
    monkeypatch.setattr(module, "write", real)
    protect_photos(photos, tmp_path / "cut", METHOD, size=SIZE)
    for p in (tmp_path / "whole").rglob("*.png"):
        assert p.read_bytes() == (tmp_path / "cut" / p.relative_to(tmp_path / "whole")).read_bytes()
    assert not (private / WORK).exists() and not (private / MARKER).exists()
    assert (tmp_path / "whole.private" / "generator.safetensors").read_bytes() == (
        private / "generator.safetensors"
    ).read_bytes()


def odd(folder: Path) -> None:
    """One image of every kind that is handled, 20 x 30 as a viewer shows it."""
    plain = noisy((20, 30), 99)
    folder.mkdir(parents=True)
    turned = plain.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"  # 6: to be turned by 90 degrees; the maker's name
    turned.save(folder / "turned.png", exif=exif)
    plain.convert("L").save(folder / "gray.png")
    plain.convert("P").save(folder / "palette.png")
    plain.convert("CMYK").save(folder / "print.jpg")
    plain.convert("1").save(folder / "ink.png")
    plain.save(
        folder / "phone.jpg", format="MPO", save_all=True, append_images=[plain.resize((5, 5))]
    )
    with_alpha = plain.convert("RGBA")
    with_alpha.putalpha(Image.fromarray(np.arange(600, dtype=np.uint8).reshape(30, 20)))
    with_alpha.save(folder / "alpha.png")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain.save(folder / "profile.jpg", icc_profile=profile)


@pytest.mark.parametrize("kind", ["png", "webp"])
@pytest.mark.parametrize("keep", [False, True])
def test_formats(tmp_path, kind, keep):
    photos = mixed_album(tmp_path / "photos")
    odd(photos / "odd")
    out = tmp_path / "out"
    protect_photos(photos, out, LSP(), size=SIZE, kind=kind, keep_metadata=keep)
    for p in (photos / "odd").iterdir():
        assert Image.open(out / "odd" / f"{p.stem}.{kind}").size == (20, 30), p
    assert Image.open(out / "odd" / f"profile.{kind}").info["icc_profile"]
    alpha = Image.open(out / "odd" / f"alpha.{kind}").getchannel("A")
    assert np.array_equal(np.asarray(alpha).ravel(), np.arange(600) % 256)
    exif = Image.open(out / "odd" / f"turned.{kind}").getexif()
    assert exif.get(0x010F) == ("Camera" if keep else None) and exif.get(0x0112) in (None, 1)


def raw_png(path: Path, side: int, bits: int, data: bytes) -> None:
    """A PNG in RGB, made by hand."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    header = side.to_bytes(4, "big") * 2 + bytes([bits, 2, 0, 0, 0])
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def bomb(path: Path) -> None:
    """A PNG header that announces 30,000 x 30,000 pixels."""
    raw_png(path, 30000, 8, b"")


def deep_color(path: Path) -> None:
    """9 x 9 pixels of 16 bits a channel, which Pillow would read as 8 bits without a word."""
    raw_png(path, 9, 16, bytes(9 * (1 + 9 * 6)))


def cut(path: Path) -> None:
    noisy((60, 60), 5).save(path)
    path.write_bytes(path.read_bytes()[:2000])


BAD = {
    "cut.png": (cut, "cannot be read as an image"),
    "empty.jpg": (lambda p: p.write_bytes(b""), "cannot be read as an image"),
    "letter.jpg": (lambda p: p.write_text("dear reader"), "cannot be read as an image"),
    "bomb.png": (bomb, "more pixels than any photo"),
    "link.png": (lambda p: p.symlink_to("/etc/passwd"), "symbolic link"),
    "deep.png": (
        lambda p: Image.fromarray(np.zeros((9, 9), np.uint16)).save(p),
        "8 bits per channel",
    ),
    "deep color.png": (deep_color, "8 bits per channel"),
    "film.gif": (
        lambda p: noisy((9, 9), 1).save(p, save_all=True, append_images=[noisy((9, 9), 2)]),
        "animation",
    ),
    f"{'x' * 251}.png": (lambda p: noisy((9, 9), 4).save(p), "too long a name"),
    "0 my image.jpg": (lambda p: noisy((9, 9), 3).save(p), "same name as"),
}


def test_every_bad_file_gets_a_sentence_and_the_rest_can_go_on(tmp_path):
    photos = mixed_album(tmp_path / "photos")
    for name, (make, _) in BAD.items():
        make(photos / "cat" / name)
    mixed_album(photos / "cat" / "more", each=1, classes=("within",))
    noisy((9, 9), 7).save(photos / "loose.jpg")
    (photos / "notes.txt").write_text("no image, and not looked at")
    with pytest.raises(UserError, match="12 files .* --skip-bad") as e:
        protect_photos(photos, tmp_path / "out", LSP(), size=SIZE)
    assert not (tmp_path / "out").exists()
    for name, (_, says) in BAD.items():
        (said,) = [
            d for d in e.value.details if f"/{name} " in d or f"/{Path(name).stem}.png " in d
        ]
        assert says in said and "\n" not in said
    assert [d for d in e.value.details if "/more is not a file" in d] and [
        d for d in e.value.details if "loose.jpg" in d
    ]
    card = protect_photos(photos, tmp_path / "out", LSP(), size=SIZE, skip_bad=True)
    assert len(listing(tmp_path / "out").files) == 8 and [*card.left_out] == e.value.details


def test_strange_names_survive(tmp_path):
    photos = mixed_album(tmp_path / "photos")
    names = ["with space", "🐈 cat", "two\nlines", "x" * 200, "-rf", "dots.in.name"]
    for k, name in enumerate(names):
        noisy((20, 20), 50 + k).save(photos / "dog" / f"{name}.png")
    protect_photos(photos, tmp_path / "out", LSP(), size=SIZE)
    assert {p.name for p in (tmp_path / "out" / "dog").iterdir()} >= {
        f"{name}.png" for name in names
    }


def test_places_that_overlap_or_are_taken_are_refused(tmp_path):
    photos = mixed_album(tmp_path / "photos")
    (tmp_path / "link").symlink_to(photos)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter.txt").write_text("mine")
    cases = {
        photos: "inside each other",
        photos / "out": "inside each other",
        tmp_path: "inside each other",
    }
    cases |= {
        tmp_path / "link" / "x": "inside each other",
        tmp_path / "taken": "not this run's output",
    }
    for out, says in cases.items():
        with pytest.raises(UserError, match=says):
            protect_photos(photos, out, LSP(), size=SIZE)
    with pytest.raises(UserError, match="no folder"):
        protect_photos(tmp_path / "nowhere", tmp_path / "out", LSP(), size=SIZE)
    assert (tmp_path / "taken" / "letter.txt").read_text() == "mine" and not (
        tmp_path / "out"
    ).exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads and writes everything")
def test_folders_without_permission(tmp_path):
    photos = mixed_album(tmp_path / "photos")
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(UserError, match="Cannot write into .*/shut; check"):
        protect_photos(photos, tmp_path / "shut" / "out", LSP(), size=SIZE)
    (photos / "cat").chmod(0)
    try:
        with pytest.raises(UserError, match="cannot be read"):
            protect_photos(photos, tmp_path / "out", LSP(), size=SIZE)
    finally:
        (photos / "cat").chmod(0o700)


@pytest.mark.parametrize("now", [{"keep_metadata": False}, {"kind": "webp"}, {"size": 20}])
def test_photos_that_were_written_with_other_settings_are_not_kept(tmp_path, monkeypatch, now):
    """Cut short with metadata and as PNG: the same folder with other settings is refused."""
    photos, out = mixed_album(tmp_path / "photos", each=2), tmp_path / "out"
    first = {"size": SIZE, "kind": "png", "keep_metadata": True}
    with monkeypatch.context() as m, pytest.raises(Killed):
        killed_at_call(m, sys.modules["unlearnable.protection.photos"], "_card", 1)
        protect_photos(photos, out, LSP(), **first)
    name = {"kind": "format", "size": "digest"}.get(next(iter(now)), *now)
    with pytest.raises(UserError, match=f"unfinished run .*{name} is "):
        protect_photos(photos, out, LSP(), **first | now)
    protect_photos(photos, out, LSP(), **first)
    assert [p.name for p in private_folder(out).iterdir()] == [CARD]


def test_a_generator_from_elsewhere_chooses_no_module(tmp_path):
    few = load("shapes", limit=20)
    method = SEM.preset("short", train_steps=1, batch=16, model="tests.networks:narrow")
    protect(few, method, tmp_path / "out")
    file = tmp_path / "out" / "generator.safetensors"
    with pytest.raises(UserError, match="name it with --model tests.networks:narrow"):
        Generated.of(file)
    assert Generated.of(file, "tests.networks:narrow").family == method


def test_further_images_from_the_generator(tmp_path):
    photos = mixed_album(tmp_path / "photos")
    protect_photos(photos, tmp_path / "out", METHOD, size=SIZE)
    file = tmp_path / "out.private" / "generator.safetensors"
    more = mixed_album(tmp_path / "more", each=2)
    method = Generated.of(file)
    assert method == Generated.of(tmp_path / "out")  # found beside the photos
    assert method.size == SIZE and method.eps == 8 and method.family == METHOD
    card = protect_photos(more, tmp_path / "more out", method, size=SIZE)
    assert (
        0 < card.measured["linf"] <= 8 and not (tmp_path / "more out.private" / file.name).exists()
    )
    with pytest.raises(UserError, match="knows the classes cat, dog, and not cow"):
        cows = mixed_album(tmp_path / "cows", classes=("cat", "cow"))
        protect_photos(cows, tmp_path / "c", method, size=SIZE)
    with pytest.raises(UserError, match="made at 16 px"):
        protect_photos(more, tmp_path / "d", method, size=24)
    for wrong in (tmp_path / "nowhere", tmp_path / "out.private" / "card.json"):
        with pytest.raises(UserError, match="is not a generator"):
            Generated.of(wrong)


def generated(folder: Path, data, seed: int = 0, model: str | None = None):
    """``data`` with noise from the generator in ``folder``."""
    method = Generated.of(folder / "generator.safetensors", model)
    return apply_noise(data, method.craft(data, Context(seed=seed)).delta, eps=8)


def test_the_generator_makes_the_noise_of_the_run_that_made_it(tmp_path):
    """Known answer: from a random start, noise for the training images is that of the run's last
    pass."""
    train = load("shapes", limit=100)
    method = SEM.preset("short", train_steps=2, batch=30, warm_start=False)
    own = protect(train, method, tmp_path / "out", seed=3, precision="fp32").images
    assert torch.equal(generated(tmp_path / "out", train, seed=3).x, own.x)
    assert not torch.equal(generated(tmp_path / "out", train, seed=4).x, own.x)


def test_the_generator_lowers_the_loss_of_images_it_never_saw(tmp_path):
    train, more = load("shapes", limit=100), load("shapes", limit=40, split="test")
    network = "tests.networks:narrow"
    method = SEM.preset("short", model=network, train_steps=40, batch=25)
    protect(train, method, tmp_path / "out")
    model = build(network, 10, size=32).eval()
    model.load_state_dict(load_file(tmp_path / "out" / "generator.safetensors"))

    @torch.no_grad()
    def loss(x):
        return float(torch.nn.functional.cross_entropy(model(x.float() / 255), more.y))

    assert loss(generated(tmp_path / "out", more, model=network).x) < 0.9 * loss(
        more.x
    )  # 0.80 to 0.82 over three seeds


# ── verify ──


def test_near_duplicates_stay_together():
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (12, 3, 32, 32), dtype=np.uint8))
    x = torch.nn.functional.interpolate(x[:, :, :8, :8].float(), 32).to(torch.uint8)
    x[5] = (x[1].float() * 0.99).to(torch.uint8)
    x[7] = (x[5].float() * 0.99).to(torch.uint8)
    groups = near_duplicates(x)
    assert groups[1] == groups[5] == groups[7] and len(groups.unique()) == 10
    y = torch.arange(12) % 2
    for seed in range(10):
        test = holdout_split(y, groups, 0.34, seed)
        assert test[1] == test[5] == test[7]
        assert all(0 < int(test[y == c].sum()) <= 2 for c in (0, 1))
    assert not torch.equal(holdout_split(y, groups, 0.34, 0), holdout_split(y, groups, 0.34, 1))


def test_verify_measures_what_learn_measures(tmp_path, capsys, caplog):
    caplog.set_level("INFO", "unlearnable")
    photos = mixed_album(tmp_path / "photos", each=8)
    protect_photos(photos, tmp_path / "out", METHOD, size=SIZE)
    recipe = Recipe.preset("short", steps=2, batch=8, evals=1, adv_steps=1)
    options = {"out": tmp_path / "results", "radii": (0.0, 2.0), "seeds": 2}
    options["networks"] = ()  # whatever is installed
    done = verify(photos, tmp_path / "out", recipe, **options)
    assert [len(row.clean) for row in done.rows] == [2, 2, 2, 2] and done.chance == 50
    names = [row.learner for row in done.rows]
    assert names[:2] == ["ordinary training", "adversarial 2/255"]
    assert names[2:] == ["training after grayscale", "training after white balance"]
    assert {"few-seeds", "small-test"} <= {*done.flags} and done.test_photos == 4
    assert Verified.read(tmp_path / "results" / "verify.json") == done
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "results").glob("*/cell.json")}
    assert "16 trainings will take about" in caplog.text and not capsys.readouterr().err
    assert (
        len(times) == 16 and verify(photos, tmp_path / "out", recipe, **options).rows == done.rows
    )
    assert times == {p: p.stat().st_mtime_ns for p in times}  # nothing was computed twice
    assert "will take" not in capsys.readouterr().err
    with pytest.raises(UserError, match="no countermeasure 'grey'"):
        verify(photos, tmp_path / "out", recipe, countermeasures=("grey",), **options)
    (tmp_path / "out" / "cat" / "0 my image.png").unlink()
    with pytest.raises(UserError, match="missing from"):
        verify(photos, tmp_path / "out", recipe, **options)
    (photos / "cat" / "0 my image.png").unlink()
    with pytest.raises(UserError, match="was not made from the photos"):
        verify(photos, tmp_path / "out", recipe, **options)
    with pytest.raises(UserError, match="folder of protected photos"):
        verify(photos, photos, recipe, **options)


# ── the command line ──


def test_by_the_command_line(tmp_path):
    photos = mixed_album(tmp_path / "photos")
    (photos / "cat" / "x.jpg").write_text("no image")

    def run(*args, status=0):
        return typed(*args, cwd=tmp_path, status=status)

    small = ["--size", SIZE, "--train-steps", 2]
    assert "x.jpg cannot be read" in run("protect-photos", "photos", "out", *small, status=2).stderr
    planned = run("protect-photos", "photos", "out", *small, "--dry-run")
    assert (
        "cat: 4 photos" in planned.stdout
        and "takes about 1 min" in planned.stdout
        and "x.jpg" in planned.stderr
        and not (tmp_path / "out").exists()
    )
    done = run(
        "protect-photos",
        "photos",
        "out",
        *small,
        "--skip-bad",
        "--level",
        "light",
        "--gray-prob",
        0.4,
    )
    assert "noise at most" in done.stdout and "x.jpg" in done.stderr
    card = json.loads((tmp_path / "out.private" / "card.json").read_text())
    assert (card["settings"]["eps"], card["settings"]["gray_prob"]) == (4, 0.4)
    assert 0 < card["measured"]["linf"] <= 4  # two steps do not reach it
    (photos / "cat" / "x.jpg").unlink()
    run(
        "protect-photos",
        mixed_album(tmp_path / "more", each=2),
        "more out",
        "--generator",
        "out",
    )
    refused = run(
        "protect-photos",
        "more",
        "o",
        "--generator",
        "out.private/generator.safetensors",
        "--gray-prob",
        0.4,
        status=2,
    )
    assert (
        "leave out --level, --size, --train-steps, --gray-prob and --pretrained" in refused.stderr
    )
    small = ["--steps", 2, "--seeds", 1, "--radii", 0, "--batch", 8, "--countermeasures", "gray"]
    proved = run("verify", "photos", "out", *small, status=4).stdout  # 2 steps teach nothing
    assert "ordinary training" in proved and "few-seeds" in proved and "small-test" in proved
    assert "Tested on 2 clean photos" in proved and "\nNo verdict: " in proved
    assert (
        "<h3>Ordinary training"
        in (tmp_path / run("report", "photos", "out").stdout.strip()).read_text()
    )


# ── what people bring ──


def test_what_is_left_behind_in_the_output_folder_is_no_obstacle(tmp_path):
    photos, out = mixed_album(tmp_path / "photos"), tmp_path / "out"
    for name in ("Thumbs.db", ".DS_Store"):
        out.mkdir(exist_ok=True)
        (out / name).write_bytes(b"x")
    protect_photos(photos, out, LSP(), size=SIZE)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "card.json").write_text('{"title": "my photos"}')
    with pytest.raises(UserError, match="not this run's output"):
        protect_photos(photos, tmp_path / "mine", LSP(), size=SIZE)


def test_gray_photos_stay_gray(tmp_path):
    photos = mixed_album(tmp_path / "photos")
    noisy((40, 30), 9).convert("L").save(photos / "cat" / "gray.png")
    noisy((40, 30), 9).convert("LA").save(photos / "cat" / "clear.png")
    protect_photos(photos, tmp_path / "png", METHOD, size=SIZE)
    protect_photos(photos, tmp_path / "webp", METHOD, size=SIZE, kind="webp")
    assert Image.open(tmp_path / "png" / "cat" / "gray.png").mode == "L"
    assert Image.open(tmp_path / "png" / "cat" / "clear.png").mode == "LA"
    clean = np.asarray(read(photos / "cat" / "gray.png"), int)
    for path in (tmp_path / "png" / "cat" / "gray.png", tmp_path / "webp" / "cat" / "gray.webp"):
        x = np.asarray(read(path), int)
        assert (x[..., :1] == x).all() and 0 < np.abs(x - clean).max() <= 8


def test_a_side_that_webp_cannot_hold_is_said_before_the_work(tmp_path):
    photos = mixed_album(tmp_path / "photos")
    Image.new("RGB", (17000, 2)).save(photos / "cat" / "panorama.png")
    with pytest.raises(UserError, match="panorama.png has 17000 x 2 .* give --format png"):
        protect_photos(photos, tmp_path / "out", METHOD, size=SIZE, kind="webp")
    assert not (tmp_path / "out").exists()


def test_the_card_knows_the_originals_and_what_metadata_was_lost(tmp_path):
    photos = mixed_album(tmp_path / "photos")
    (photos / "cat" / "0 my image.AAE").write_text("<plist/>")
    file = photos / "dog" / "1 my image.jpg"
    jpeg = file.read_bytes()
    file.write_bytes(jpeg[:2] + b"\xff\xe1\0\x1aExif\0\0" + b"\xff" * 18 + jpeg[2:])
    card = protect_photos(photos, tmp_path / "out", LSP(), size=SIZE, keep_metadata=True)
    assert [f.original for f in card.files[:2]] == ["cat/0 my image.png", "cat/1 my image.jpg"]
    assert card.lost_metadata == ("dog/1 my image.jpg",)
    assert protect_photos(photos, tmp_path / "out2", LSP(), size=SIZE).lost_metadata == ()


def test_names_in_no_encoding(tmp_path, monkeypatch, capsys):
    photos = mixed_album(tmp_path / "photos")
    os.rename(os.fsencode(photos / "cat"), os.fsencode(photos) + b"/caf\xe9\x1b[31m")
    monkeypatch.setattr(
        sys, "argv", ["unlearnable", "protect-photos", str(photos), "x", "--dry-run"]
    )
    main()
    said = capsys.readouterr().out
    assert "caf\\udce9\\x1b[31m: 4 photos" in said
    protect_photos(photos, tmp_path / "out", LSP(), size=SIZE)
    page = report(tmp_path / "out", out=tmp_path / "page.html").read_text(encoding="utf-8")
    assert "caf\\udce9" in page and page.count("data:image/png") >= 6
