"""Where a command must not write: among photos that are to be published, and into images that are
read. Each is refused before any work."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.photos import album
from tests.typed import typed
from unlearnable import (
    HYPO,
    SEM,
    Uniform,
    UserError,
    learn,
    load,
    protect,
    protect_photos,
    report,
    verify,
)
from unlearnable.data.card import private_folder
from unlearnable.data.image_files import listing
from unlearnable.protection.originals import originals_of
from unlearnable.protection.settings import method_of_card
from unlearnable.training.recipe import Recipe

METHOD = SEM.preset("short", train_steps=2, steps=1, adv_steps=1, batch=8)
BRIEF = {"radii": (0.0,), "countermeasures": (), "networks": (), "seeds": 1}
RECIPE = Recipe.preset("photos", model="tests.networks:narrow", steps=2, batch=4)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """photos/ and published/, its protected copies; set/ and generated/, protected data sets of
    photos/; other/, more photos; empty folders of results and audits."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)  # names that hold in a copy, too
        album(Path("photos"))
        protect_photos("photos", "published", METHOD, size=16)
        protect(load("photos", size=16), Uniform(), "set")
        protect(load("photos", size=16), replace(METHOD, warm_start=False), "generated")
        album(Path("other"))
        Path("audits").mkdir()
        Path("results").mkdir()
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
    "report audits audits --out published",
    "report results results --out published/cat",
    "report results results --out tables --plots published/plots",
    "reproduce main-comparison --show --results results --record published/record.json",
    "reproduce main-comparison --results published",
    "verify photos published --seeds 1 --radii 0 --out published/verified",
)
READ = (
    "protect uniform --data photos --size 16 --out photos/protected",
    "learn photos --test photos --size 16 --preset short --steps 1 --out photos/run",
    "export set --imagefolder photos/more",
    "export set --noise photos/cat/noise.npy",
    "export set --noise set/images.npy",
    "show set --out photos/cat/0.png",
    "verify photos published --seeds 1 --radii 0 --out photos/verified",
    "report photos published --out photos/page.html",
    "share generated --out photos/cat/set.safetensors",
    "learn set --test other --preset short --steps 1 --out other/run",
    "learn set --test other --preset short --steps 1 --out photos/run",
    "audit set --test other --out photos/audit",
    "audit set --test other --out audit --cells other/cells",
    "protect uniform --data photos --size 16 --out out --watch jsonl --watch-folder photos/w",
    "protect-photos photos new --size 16 --train-steps 1 --watch jsonl --watch-folder photos",
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
    Path("noise.npy").unlink()
    both = ("set", "--noise", "noise.npy", "--pt", "noise.pt")
    export(*both, status=0)
    Path("noise.pt").unlink()  # as if it had been killed between the two
    export(*both, status=0)
    export(*both, status=0)
    Path("noise.pt").write_bytes(Path("noise.pt").read_bytes()[:-100])
    assert "noise.pt exists already" in export(*both, status=2)
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


def test_a_file_of_the_owners_is_not_replaced(place):
    """What is there already is replaced only where this program wrote it."""
    original = Path("other/cat/0.png").read_bytes()
    for command in (
        "report photos published --out other/cat/0.png",
        "show set --out other/cat/0.png",
        "reproduce main-comparison --show --results results --record other/cat/0.png",
    ):
        said = typed(*command.split(), cwd=place, status=2).stderr
        assert "was not written by this command" in said
        assert Path("other/cat/0.png").read_bytes() == original
    for command in (
        "show set --out sheet.png",
        "report photos published --out page.html",
    ):
        for _ in range(2):  # its own, again
            typed(*command.split(), cwd=place)


def test_a_place_is_where_its_path_leads(place, monkeypatch):
    monkeypatch.chdir("published")
    assert report(".", out="../page.html").exists()
    monkeypatch.chdir("cat")
    with pytest.raises(UserError, match="are to be published"):
        report("..", out="../../published/page.html")


@pytest.mark.parametrize(
    "outs",
    [
        "--imagefolder new --noise new/noise.npy",
        "--noise n.npy --pt n.npy",
        "--imagefolder new --webdataset new",
        "--imagefolder new/cat --webdataset new",
    ],
)
def test_exports_lie_apart(place, outs):
    before = contents(place)
    assert (
        "one place or lie inside each other"
        in typed("export", "set", *outs.split(), cwd=place, status=2).stderr
    )
    assert contents(place) == before


def test_photos_are_paired_with_their_own_originals(place):
    """Another ending sorts differently: a.png, a.old.png of a.jpg, a.old.jpg."""
    for name in ("cat", "dog"):
        for old, new in (("0", "a"), ("1", "a.old"), ("2", "b"), ("3", "b.min")):
            Path(f"photos/{name}/{old}.png").rename(f"photos/{name}/{new}.png")
            image = Image.open(f"photos/{name}/{new}.png")
            image.save(f"photos/{name}/{new}.bmp")
            Path(f"photos/{name}/{new}.png").unlink()
    protect_photos("photos", "sorted", METHOD, size=16)
    clean, protected = originals_of(Path("sorted")), load("sorted")
    # photos are shrunk after the noise, so that it is smaller here than in the files
    assert int((clean.x.short() - protected.x.short()).abs().max()) <= 8
    names = [path.name for path, _ in listing(Path("photos")).files]
    assert names[:2] != [path.stem + ".bmp" for path, _ in listing(Path("sorted")).files][:2]


def test_photos_that_are_not_those_that_were_written(place):
    shutil.copy("published/cat/0.png", "published/dog/9.png")
    Path("published/cat/1.png").unlink()
    for command in ("show published", "audit published --test other --out audit"):
        said = typed(*command.split(), cwd=place, status=2).stderr
        assert "Photos are missing from published, were renamed, or were added" in said
    with pytest.raises(UserError, match="Photos are missing"):
        verify("photos", "published", RECIPE, out="v", **BRIEF)
    assert len(load("published")) == 8  # a learner takes what is there


def test_an_original_in_place_of_a_protected_photo(place):
    shutil.copyfile("photos/cat/0.png", "published/cat/0.png")
    with pytest.raises(UserError, match="is not protected any more"):
        protect_photos("photos", "published", METHOD, size=16)
    Path("published/cat/0.png").unlink()
    assert len(protect_photos("photos", "published", METHOD, size=16).files) == 8


def test_classes_that_are_one_folder_elsewhere(tmp_path):
    for names in (("Cat", "cat"), ("\u00e9", "e\u0301")):
        folder = album(tmp_path / str(len(names[0].encode())), names)
        with pytest.raises(UserError, match="one folder on Windows and macOS"):
            protect_photos(folder, tmp_path / "out", METHOD, size=16)


def test_one_class_teaches_nothing(place):
    shutil.rmtree("photos/dog")
    protect(load("photos", size=16), Uniform(), "one")
    said = typed(
        *["audit", "one", "--test", "photos", "--out", "audit"], cwd=place, status=2
    ).stderr
    assert "All images of one are of one class" in said
    with pytest.raises(UserError, match="one class, and there is nothing"):
        learn(load("photos", size=16), Recipe.preset("short", steps=1, batch=4))


def test_a_finished_training_that_lost_a_key(place):
    command = "learn photos --test photos --size 16 --preset short --steps 1 --batch 4 --out run"
    typed(*command.split(), cwd=place)
    whole = json.loads(Path("run/result.json").read_text())
    for key in ("log", "accuracy", "seconds"):
        Path("run/result.json").write_text(json.dumps({k: whole[k] for k in whole if k != key}))
        assert "is not complete" in typed(*command.split(), cwd=place, status=2).stderr


def test_weights_that_are_none(place):
    Path("text.pth").write_text("hello")
    command = "learn photos --test photos --size 16 --preset short --steps 1 --init-from text.pth"
    assert "cannot be read as a state dict" in typed(*command.split(), cwd=place, status=2).stderr


def test_what_an_earlier_form_of_a_method_made_is_of_another_run(tmp_path, monkeypatch):
    images, method = load("shapes", limit=20), HYPO.preset("short", train_steps=1, steps=1)
    protect(images, method, tmp_path / "now")
    assert json.loads((tmp_path / "now" / "card.json").read_text())["form"] == 2
    assert len(protect(images, method, tmp_path / "now").images) == 20
    assert method_of_card(tmp_path / "now") == method
    with monkeypatch.context() as patch:
        patch.setattr(HYPO, "form", 1)
        protect(images, method, tmp_path / "before")
    with pytest.raises(UserError, match="another run's"):
        protect(images, method, tmp_path / "before")
    with pytest.raises(UserError, match="of an earlier form of hypo"):
        method_of_card(tmp_path / "before")


def test_a_set_that_has_the_name_of_a_folder(place):
    """The card's source is a name here, and no folder."""
    protect(load("shapes", limit=20), Uniform(), "of-shapes")
    typed(*["export", "of-shapes", "--imagefolder", "shapes"], cwd=place)
    assert Path("shapes/metadata.jsonl").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"rows": []},
        {"recipe": {}},
        {"chance": 100.0},
        {"rows": [{"learner": "a", "clean": 60.0, "protected": 20.0, "peak": float("nan")}]},
    ],
)
def test_an_audit_from_which_no_row_can_be_made(tmp_path, change):
    known = Path(__file__).parents[2] / "docs" / "audits" / "em-0.json"
    (tmp_path / "audit.json").write_text(json.dumps(json.loads(known.read_text()) | change))
    said = typed("report", "audits", ".", cwd=tmp_path, status=2).stderr
    assert "is not a complete Audit" in said
