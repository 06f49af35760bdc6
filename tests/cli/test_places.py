"""Where a command must not write: among photos that are to be published, and into images that are
read. Each is refused before any work."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.typed import typed
from unlearnable import SEM, Uniform, UserError, load, protect, protect_photos, report, verify
from unlearnable.data.card import private_folder
from unlearnable.training.recipe import Recipe

METHOD = SEM.preset("short", train_steps=2, steps=1, adv_steps=1, batch=8)
BRIEF = {"radii": (0.0,), "countermeasures": (), "networks": (), "seeds": 1}
RECIPE = Recipe.preset("photos", model="tests.networks:narrow", steps=2, batch=4)


def album(root: Path, classes: tuple[str, ...] = ("cat", "dog"), each: int = 4) -> Path:
    random = np.random.default_rng(len(classes[0]))
    for name in classes:
        (root / name).mkdir(parents=True)
        for k in range(each):
            x = random.integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(x).save(root / name / f"{k}.png")
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """photos/ and published/, its protected copies; set/, a protected data set of photos/."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)  # names that hold in a copy, too
        album(Path("photos"))
        protect_photos("photos", "published", METHOD, size=16)
        protect(load("photos", size=16), Uniform(), "set")
    return root


@pytest.fixture
def place(made, tmp_path, monkeypatch) -> Path:
    shutil.copytree(made, tmp_path / "made")
    monkeypatch.chdir(tmp_path / "made")
    return tmp_path / "made"


def contents(root: Path) -> dict[Path, bytes | None]:
    """Every file and folder (None)."""
    return {p: p.read_bytes() if p.is_file() else None for p in root.rglob("*")}


PUBLISHED = (
    "show published --out published/sheet.png",
    "report photos published --out published/page.html",
    "export published --noise published/noise.npy",
    "export published --imagefolder published/more",
    "share set --out published/set.safetensors",
    "audit set --test photos --out published/audit",
    "learn shapes --limit 20 --preset short --steps 1 --watch jsonl --watch-folder published/w",
    "learn shapes --limit 20 --preset short --steps 1 --out published/run",
)
READ = (
    "protect uniform --data photos --size 16 --out photos/protected",
    "learn photos --test photos --size 16 --preset short --steps 1 --out photos/run",
    "export set --imagefolder photos/more",
    "export set --noise photos/cat/noise.npy",
    "export set --noise set/images.npy",
    "show set --out photos/cat/0.png",
    "verify photos published --seeds 1 --radii 0 --out photos/verified",
)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        *((command, "are to be published") for command in PUBLISHED),
        *((command, "whose images are read") for command in READ),
    ],
)
def test_nothing_is_written_where_it_would_be_published_or_read(place, command, says):
    before = contents(place)
    said = typed(*command.split(), cwd=place, status=2).stderr
    assert says in said and said.count("\n") == 1
    assert contents(place) == before


def test_nor_by_a_run_that_is_to_make_them(place):
    command = (
        "protect-photos photos out --train-steps 1 --size 16 --watch jsonl --watch-folder out/w"
    )
    said = typed(*command.split(), cwd=place, status=2).stderr
    assert "choose another --watch-folder" in said and not Path("out").exists()


def test_export_looks_before_it_writes(place):
    def export(*words: str, status: int) -> str:
        return typed("export", *words, cwd=place, status=status).stderr

    Path("noise.npy").write_text("mine")
    said = export("set", "--imagefolder", "new", "--noise", "noise.npy", status=2)
    assert "noise.npy exists already" in said
    assert Path("noise.npy").read_text() == "mine" and not Path("new").exists()
    assert "--test FOLDER" in export("set", "--imagefolder", "new", "--cifar", "c", status=2)
    assert not Path("new").exists()
    assert "give that too" in export("set", "--noise", "n.npy", "--test", "test", status=2)
    album(Path("test"))
    protect(load("photos", size=32), Uniform(), "large")
    export("large", "--cifar", "c", "--test", "test", status=0)
    assert Path("c/cifar-10-batches-py/test_batch").exists()


def test_a_verification_is_of_this_noise(place):
    """Protected again with another seed: what was measured before says nothing of it."""
    verify("photos", "published", RECIPE, out="verified/published", **BRIEF)
    assert "Tested on" in report("published", "verified/published", out="a.html").read_text()
    shutil.rmtree("published")
    shutil.rmtree(private_folder(Path("published")))
    protect_photos("photos", "published", METHOD, size=16, seed=1)
    with pytest.raises(UserError, match="other noise"):
        report("published", "verified/published", out="b.html")
    assert not Path("b.html").exists()


def test_an_original_among_the_protected_photos_is_found(place):
    shutil.copyfile("photos/cat/0.png", "published/cat/0.png")
    with pytest.raises(UserError, match=r"published/cat/0\.png is not protected any more"):
        verify("photos", "published", RECIPE, out="verified", **BRIEF)


def test_a_stranger_among_the_protected_photos_is_named(place):
    shutil.copyfile("photos/cat/0.png", "published/cat/zz.png")
    with pytest.raises(UserError, match=r"published/cat/zz\.png has no original"):
        protect_photos("photos", "published", METHOD, size=16)


def test_verify_begins_with_the_seed_that_is_given(place):
    first, later, again = (
        verify("photos", "published", RECIPE, out=f"v{k}", **BRIEF | {"seeds": n}, seed=seed)
        for k, (n, seed) in enumerate([(3, 0), (1, 2), (2, 1)])
    )
    clean = [row.rows[0].clean for row in (first, later, again)]
    assert clean[0][2:] == clean[1] and clean[0][1:] == clean[2]
    assert (first.seed, later.seed, later.seeds) == (0, 2, 1)


def test_a_generator_that_does_not_know_a_class_is_refused_by_the_plan(place):
    album(Path("other"), ("fox", "owl"))
    for more in (["--dry-run"], []):
        words = ["protect-photos", "other", "out", "--generator", "published", *more]
        said = typed(*words, cwd=place, status=2).stderr
        assert "knows the classes cat, dog, and not fox, owl; give the" in said
    assert not Path("out.private").exists()
    album(Path("photos/new"), ("x",))
    shutil.move("photos/new/x", "photos/owl")
    shutil.rmtree("photos/new")
    with pytest.raises(UserError, match="and not owl"):
        protect_photos("photos", "published", METHOD, size=16)


def test_a_generator_that_is_gone_is_named(place):
    (private_folder(Path("published")) / "generator.safetensors").unlink()
    shutil.copyfile("photos/cat/0.png", "photos/cat/9.png")
    Image.open("photos/cat/9.png").rotate(90, expand=True).save("photos/cat/9.png")
    with pytest.raises(UserError, match=r"generator\.safetensors is gone"):
        protect_photos("photos", "published", METHOD, size=16)


def test_a_link_to_nothing_is_refused_before_the_work(place):
    Path("dangling").symlink_to("nowhere")
    with pytest.raises(UserError, match="a link to nothing"):
        protect_photos("photos", "dangling", METHOD, size=16)


def test_a_dry_run_knows_what_was_typed(place):
    Path("photos/cat/bad.png").write_text("no image")
    command = ["protect-photos", "photos", "out", "--dry-run", "--size", "16", "--train-steps", "1"]
    done = [typed(*command, *more, cwd=place) for more in ([], ["--skip-bad"])]
    assert "1 file cannot be used; repair it or take it out, or give --skip-bad." in done[0].stdout
    assert "cannot be used: photos/cat/bad.png" in done[0].stderr
    assert "1 file would be left out." in done[1].stdout
    assert "left out: photos/cat/bad.png" in done[1].stderr
