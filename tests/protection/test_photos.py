"""A person's own folder: native sizes, odd formats, hostile files, further images, and the proof."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from safetensors.torch import load_file

from tests.typed import typed
from unlearnable import (
    LSP,
    SEM,
    Context,
    Recipe,
    Uniform,
    UserError,
    build,
    load,
    protect,
    protect_photos,
    report,
    verify,
)
from unlearnable.core.files import write_json
from unlearnable.data.image_files import listing, read
from unlearnable.data.subsets import holdout_split, near_duplicates
from unlearnable.evaluation.verify import load_pair
from unlearnable.protection.export import originals_of
from unlearnable.protection.methods.from_generator import Generated
from unlearnable.protection.photos import WORK, upsample_noise
from unlearnable.protection.protect import apply_noise

METHOD = SEM.preset("short", train_steps=2, steps=1, adv_steps=1, batch=8)
SIZE = 16


def noisy(size, seed):
    """An image like no other."""
    width, height = size
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    )


def album(root: Path, each: int = 4, classes=("cat", "dog")) -> Path:
    """Images of many sizes and formats."""
    seed = 0
    for name in classes:
        (root / name).mkdir(parents=True)
        for k in range(each):
            seed += 1
            suffix = ("png", "jpg", "webp", "bmp")[k % 4]
            noisy((20 + 5 * k, 50 - 3 * k), seed).save(root / name / f"{k} my image.{suffix}")
    return root


def fingerprint(root: Path) -> dict:
    return {
        p: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns)
        for p in root.rglob("*.*")
    }


def test_names_sizes_and_budget(tmp_path):
    photos = album(tmp_path / "photos")
    before = fingerprint(photos)
    card = protect_photos(photos, tmp_path / "out", METHOD, size=SIZE)
    assert fingerprint(photos) == before
    worst = 0
    for path, c in listing(photos).files:
        a, b = read(path), Image.open(tmp_path / "out" / ("cat", "dog")[c] / f"{path.stem}.png")
        assert a.size == b.size and b.format == "PNG"
        worst = max(worst, int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max()))
    assert 0 < worst <= 8 and card["measured"]["linf"] == worst
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "card.json",
        "cat",
        "dog",
        "generator.safetensors",
    ]
    assert load_pair(photos, tmp_path / "out", None)[1].x.shape[-1] == SIZE * 3 // 2
    clean, protected = load_pair(photos, tmp_path / "out", SIZE)
    assert protected.x.shape == (8, 3, SIZE, SIZE) and not torch.equal(clean.x, protected.x)
    assert torch.equal(load(tmp_path / "out").x, protected.x) and torch.equal(
        originals_of(tmp_path / "out").x, clean.x
    )
    assert load(tmp_path / "out", size=24).x.shape[-1] == 24
    assert protect_photos(photos, tmp_path / "out", METHOD, size=SIZE) == card  # done already
    with pytest.raises(UserError, match="another run"):
        protect_photos(photos, tmp_path / "out", METHOD, size=SIZE, seed=1)


def test_long_names_that_differ_at_their_ends_do_not_mix(tmp_path):
    """Several files are written at a time, under temporary names that are cut short."""
    for k in range(16):
        path = tmp_path / "photos" / "ab"[k % 2] / f"{'holiday ' * 20}{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (300, 200), (10 * k, 100, 100)).save(path)
    protect_photos(tmp_path / "photos", tmp_path / "out", Uniform(), size=SIZE)
    for path, _ in listing(tmp_path / "photos").files:
        both = [
            np.asarray(Image.open(root / path.parent.name / path.name), int)
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
    photos = album(tmp_path / "photos")
    protect_photos(photos, tmp_path / "whole", METHOD, size=SIZE)
    module = sys.modules["unlearnable.protection.photos"]
    written, real = [], module.write

    def dies(*args, **kwargs):
        if len(written) >= 3:  # several threads write
            raise KeyboardInterrupt
        written.append(real(*args, **kwargs))

    monkeypatch.setattr(module, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        protect_photos(photos, tmp_path / "cut", METHOD, size=SIZE)
    assert not (tmp_path / "cut" / "card.json").exists() and (tmp_path / "cut" / WORK).exists()
    monkeypatch.setattr(module, "write", real)
    protect_photos(photos, tmp_path / "cut", METHOD, size=SIZE)
    for p in (tmp_path / "whole").rglob("*.png"):
        assert p.read_bytes() == (tmp_path / "cut" / p.relative_to(tmp_path / "whole")).read_bytes()
    assert (tmp_path / "whole" / "generator.safetensors").read_bytes() == (
        tmp_path / "cut" / "generator.safetensors"
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
    photos = album(tmp_path / "photos")
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
    "bomb.png": (bomb, "more pixels than any photograph"),
    "link.png": (lambda p: p.symlink_to("/etc/passwd"), "symbolic link"),
    "deep.png": (
        lambda p: Image.fromarray(np.zeros((9, 9), np.uint16)).save(p),
        "8 bits a channel",
    ),
    "deep color.png": (deep_color, "8 bits a channel"),
    "film.gif": (
        lambda p: noisy((9, 9), 1).save(p, save_all=True, append_images=[noisy((9, 9), 2)]),
        "animation",
    ),
    f"{'x' * 251}.png": (lambda p: noisy((9, 9), 4).save(p), "too long a name"),
    "0 my image.jpg": (lambda p: noisy((9, 9), 3).save(p), "same name as"),
}


def test_every_bad_file_gets_a_sentence_and_the_rest_can_go_on(tmp_path):
    photos = album(tmp_path / "photos")
    for name, (make, _) in BAD.items():
        make(photos / "cat" / name)
    album(photos / "cat" / "more", each=1, classes=("within",))
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
    assert [d for d in e.value.details if "/more is no file" in d] and [
        d for d in e.value.details if "loose.jpg" in d
    ]
    card = protect_photos(photos, tmp_path / "out", LSP(), size=SIZE, skip_bad=True)
    assert len(listing(tmp_path / "out").files) == 8 and card["left_out"] == e.value.details


def test_strange_names_survive(tmp_path):
    photos = album(tmp_path / "photos")
    names = ["with space", "🐈 cat", "two\nlines", "x" * 200, "-rf", "dots.in.name"]
    for k, name in enumerate(names):
        noisy((20, 20), 50 + k).save(photos / "dog" / f"{name}.png")
    protect_photos(photos, tmp_path / "out", LSP(), size=SIZE)
    assert {p.name for p in (tmp_path / "out" / "dog").iterdir()} >= {
        f"{name}.png" for name in names
    }


def test_places_that_overlap_or_are_taken_are_refused(tmp_path):
    photos = album(tmp_path / "photos")
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
    photos = album(tmp_path / "photos")
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(UserError, match="Cannot write into .*/shut; check"):
        protect_photos(photos, tmp_path / "shut" / "out", LSP(), size=SIZE)
    (photos / "cat").chmod(0)
    try:
        with pytest.raises(UserError, match="cannot be read"):
            protect_photos(photos, tmp_path / "out", LSP(), size=SIZE)
    finally:
        (photos / "cat").chmod(0o700)


def test_further_images_from_the_generator(tmp_path):
    photos = album(tmp_path / "photos")
    protect_photos(photos, tmp_path / "out", METHOD, size=SIZE)
    file = tmp_path / "out" / "generator.safetensors"
    more = album(tmp_path / "more", each=2)
    method = Generated.of(file)
    assert method.size == SIZE and method.eps == 8 and method.family == METHOD
    card = protect_photos(more, tmp_path / "more out", method, size=SIZE)
    assert 0 < card["measured"]["linf"] <= 8 and not (tmp_path / "more out" / file.name).exists()
    with pytest.raises(UserError, match="knows the classes cat, dog; the images have cat, cow"):
        protect_photos(
            album(tmp_path / "cows", classes=("cat", "cow")), tmp_path / "c", method, size=SIZE
        )
    with pytest.raises(UserError, match="made at 16 px"):
        protect_photos(more, tmp_path / "d", method, size=24)
    for wrong in (tmp_path / "nowhere", tmp_path / "out" / "card.json"):
        with pytest.raises(UserError, match="is no generator"):
            Generated.of(wrong)


def generated(folder: Path, data, seed: int = 0):
    """``data`` with noise from the generator in ``folder``."""
    method = Generated.of(folder / "generator.safetensors")
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
    train, more = load("shapes", limit=200), load("shapes", limit=40, split="test")
    network = "tests.networks:narrow"
    method = SEM.preset("short", model=network, train_steps=80, batch=50)
    protect(train, method, tmp_path / "out")
    model = build(network, 10, size=32).eval()
    model.load_state_dict(load_file(tmp_path / "out" / "generator.safetensors"))

    @torch.no_grad()
    def loss(x):
        return float(torch.nn.functional.cross_entropy(model(x.float() / 255), more.y))

    assert loss(generated(tmp_path / "out", more).x) < 0.9 * loss(
        more.x
    )  # 0.74 to 0.77 over three seeds


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


def test_verify_measures_what_learn_measures(tmp_path, capsys):
    photos = album(tmp_path / "photos", each=8)
    protect_photos(photos, tmp_path / "out", METHOD, size=SIZE)
    recipe = Recipe.preset("short", steps=2, batch=8, evals=1, adv_steps=1)
    options = {"out": tmp_path / "results", "radii": (0.0, 2.0), "seeds": 2}
    done = verify(photos, tmp_path / "out", recipe, **options)
    assert [len(row["clean"]) for row in done.rows] == [2, 2, 2] and done.chance == 50
    names = [row["learner"] for row in done.rows]
    assert names == ["ordinary training", "adversarial 2/255", "training after grayscale"]
    assert "few-seeds" in done.flags
    assert json.loads((tmp_path / "results" / "verify.json").read_text())["rows"] == done.rows
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "results").glob("*/cell.json")}
    assert "12 trainings will take about" in capsys.readouterr().err
    assert (
        len(times) == 12 and verify(photos, tmp_path / "out", recipe, **options).rows == done.rows
    )
    assert times == {p: p.stat().st_mtime_ns for p in times}  # nothing was computed twice
    assert "will take" not in capsys.readouterr().err
    with pytest.raises(UserError, match="no countermeasure 'gray'"):
        verify(photos, tmp_path / "out", recipe, countermeasures=("gray",), **options)
    (tmp_path / "out" / "cat" / "0 my image.png").unlink()
    with pytest.raises(UserError, match="missing from"):
        verify(photos, tmp_path / "out", recipe, **options)
    (photos / "cat" / "0 my image.png").unlink()
    with pytest.raises(UserError, match="was not made from the images"):
        verify(photos, tmp_path / "out", recipe, **options)
    with pytest.raises(UserError, match="no folder of protected photographs"):
        verify(photos, photos, recipe, **options)


# ── report ──


class Page(HTMLParser):
    """What a page holds: tags, their attributes, and the text; whether every tag is closed."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.links, self.images, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href")]
        self.images += [dict(attrs)["src"]] if tag == "img" else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_report_says_what_verify_measured(tmp_path):
    photos, out = album(tmp_path / "photos"), tmp_path / "a<b>c"  # a name that is markup
    card = protect_photos(photos, out, METHOD, size=SIZE)
    page = Page(report(out, out=tmp_path / "x.html").read_text())
    assert "not measured yet" in page.text and str(out) in page.text and not page.open
    assert len(page.images) == 6 and all(
        link.startswith("data:image/png;base64,") for link in page.links
    )
    first, second, noise = (
        np.asarray(Image.open(io.BytesIO(b64decode(p.split(",")[1])))) for p in page.images[:3]
    )
    assert np.array_equal(noise, np.clip(128 + 8 * (second.astype(int) - first), 0, 255))

    def proof(rows, flags=()):
        folder = tmp_path / "proof"
        about = {
            "chance": 50.0,
            "flags": list(flags),
            "near_duplicates": 0,
            "seeds": 2,
            "size": SIZE,
        }
        about |= {"recipe": {"steps": 300}, "digest": card["digest"], "rows": rows}
        write_json(folder / "verify.json", about)
        return Page(report(out, folder, out=tmp_path / "x.html").read_text()).text

    held = {
        "learner": "ordinary training",
        "clean": [90.0, 91.0],
        "protected": [51.0, 52.0],
        "held": True,
    }
    failed = {
        "learner": "adversarial 2/255",
        "clean": [80.0, 81.0],
        "protected": [75.0, 76.0],
        "held": False,
    }
    said = proof([held, failed])
    assert (
        "Protected in part, not from adversarial 2/255: models that train on these images get 4 to 84\u00a0% of"
        in said
    )
    assert "90.5" in said and "75.5" in said and said.count("not protected enough") == 1
    assert "Protected: models that train on these images get 4\u00a0% of" in proof([held])
    assert "Not protected enough: models" in proof([failed])
    assert "no verdict" in proof([held], ["weak-baseline"]).lower()
    write_json(tmp_path / "proof" / "verify.json", {"digest": "another"})
    with pytest.raises(UserError, match="other images"):
        report(out, tmp_path / "proof", out=tmp_path / "x.html")
    with pytest.raises(UserError, match=r"no folder that .unlearnable verify. wrote"):
        report(out, tmp_path, out=tmp_path / "x.html")
    with pytest.raises(UserError, match="no folder of protected photographs"):
        report(photos, out=tmp_path / "x.html")


def test_by_the_command_line(tmp_path):
    photos = album(tmp_path / "photos")
    (photos / "cat" / "x.jpg").write_text("no image")

    def run(*args, status=0):
        return typed(*args, cwd=tmp_path, status=status)

    small = ["--size", SIZE, "--steps", 2]
    assert "x.jpg cannot be read" in run("protect", "photos", "out", *small, status=2).stderr
    planned = run("protect", "photos", "out", *small, "--dry-run")
    assert (
        "cat: 4 images" in planned.stdout
        and "takes about 1 min" in planned.stdout
        and "x.jpg" in planned.stderr
        and not (tmp_path / "out").exists()
    )
    done = run(
        "protect", "photos", "out", *small, "--skip-bad", "--level", "light", "--gray-prob", 0.4
    )
    assert "at most 4/255" in done.stdout and "x.jpg" in done.stderr
    assert json.loads((tmp_path / "out" / "card.json").read_text())["settings"]["gray_prob"] == 0.4
    (photos / "cat" / "x.jpg").unlink()
    run(
        "protect",
        album(tmp_path / "more", each=2),
        "more out",
        "--generator",
        "out/generator.safetensors",
    )
    refused = run(
        "protect",
        "more",
        "o",
        "--generator",
        "out/generator.safetensors",
        "--gray-prob",
        0.4,
        status=2,
    )
    assert "leave --level, --size, --steps, --gray-prob" in refused.stderr
    proved = run(
        "verify", "photos", "out", "--steps", 2, "--seeds", 1, "--radii", 0, "--batch", 8
    ).stdout
    assert "ordinary training" in proved and "few-seeds" in proved
    assert "<h3>Ordinary training" in (tmp_path / run("report", "out").stdout.strip()).read_text()


PROBE = """<script>
const luminance = c => { const [r, g, b] = c.match(/[0-9]+/g).map(v => { v /= 255;
  return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
const style = getComputedStyle(document.body), [a, b] = [style.color, style.backgroundColor].map(luminance);
parent.postMessage(JSON.stringify({wide: document.documentElement.scrollWidth, window: innerWidth, dark: b < .5,
  contrast: (Math.max(a, b) + .05) / (Math.min(a, b) + .05), bars: document.querySelectorAll(".fill").length,
  broken: [...document.images].filter(i => !i.naturalWidth).length}), '*');
</script>"""


@pytest.mark.parametrize("width, dark", [(390, False), (1200, False), (1200, True)])
def test_report_in_a_browser(tmp_path, width, dark):
    """No sideways scrolling at phone and desktop width, nothing on the console, dark mode readable
    (WCAG AAA: 7)."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no Chromium on this machine")
    card = protect_photos(album(tmp_path / "photos"), tmp_path / "out", METHOD, size=SIZE)
    row = {
        "learner": "ordinary training",
        "clean": [90.0, 91.0],
        "protected": [51.0, 52.0],
        "held": True,
    }
    about = {
        "chance": 50.0,
        "flags": ["few-seeds"],
        "near_duplicates": 0,
        "seeds": 2,
        "size": SIZE,
        "rows": [row],
    }
    write_json(
        tmp_path / "proof" / "verify.json",
        about | {"recipe": {"steps": 300}, "digest": card["digest"]},
    )
    page = report(tmp_path / "out", tmp_path / "proof", out=tmp_path / "page.html")
    page.write_text(page.read_text() + PROBE)
    frame = tmp_path / "frame.html"  # a window cannot be as narrow as a phone, a frame can
    frame.write_text(
        "<script>onmessage = message => document.title = message.data</script>"
        f'<iframe src="page.html" style="border: 0; width: {width}px; height: 2000px"></iframe>'
    )
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'browser'}",
    ]
    options += [
        "--window-size=1300,2100",
        "--enable-logging=stderr",
        "--dump-dom",
        "--virtual-time-budget=3000",
    ]
    options += ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = subprocess.run(
        [browser, *options, frame.as_uri()], capture_output=True, text=True, timeout=60
    )
    seen = json.loads(re.search(r"<title>(.*?)</title>", done.stdout)[1])
    assert seen["wide"] <= seen["window"] == width and seen["dark"] == dark
    assert seen["contrast"] > 7 and seen["bars"] == 2 and seen["broken"] == 0
    assert "CONSOLE" not in done.stderr
