"""``share`` and ``protect --generator``: a small file that gives the very noise again."""

import json
import shutil
from dataclasses import replace

import pytest

from tests.typed import typed
from unlearnable import EM, LSP, PUE, REM, UserError, load, protect
from unlearnable.core.weights import read_weights
from unlearnable.data.card import Card
from unlearnable.protection.methods.shared import SHARED, Shared
from unlearnable.protection.share import share

COLD = REM(model="convnet", train_steps=2, steps=2, adv_steps=1, eot_samples=1, batch=16)


@pytest.fixture(scope="module")
def folder(few, tmp_path_factory):
    folder = tmp_path_factory.mktemp("share") / "rem"
    protect(few, COLD, folder, seed=3, protected_classes=few.classes[:4])
    return folder


@pytest.fixture(scope="module")
def shared(folder):
    return share(folder, folder.with_name("rem.safetensors"))


def test_the_very_noise_comes_back_from_a_small_file(folder, shared, tmp_path):
    said = typed("protect", "--generator", shared, "--out", "again", cwd=tmp_path).stdout
    assert "They are the shared images, bit for bit." in said
    assert "only " in said
    assert load(tmp_path / "again").digest() == load(folder).digest()
    card = json.loads((tmp_path / "again" / "card.json").read_text())
    assert card["method"] == "shared" and card["passes"] == 2 * 16 * 2  # 4 of 10 classes of 40


def test_nothing_private_is_inside_unless_asked_for(folder, shared, tmp_path):
    card = json.loads((folder / "card.json").read_text())
    run = json.loads(read_weights(shared)[1]["unlearnable"])[SHARED]
    assert not {"data", "command"} & run["card"].keys()
    assert run["data"]["source"] == "shapes"  # a public set
    assert str(folder.parent).encode() not in shared.read_bytes()
    typed("share", folder, "--private", "--out", "all.safetensors", cwd=tmp_path)
    run = json.loads(read_weights(tmp_path / "all.safetensors")[1]["unlearnable"])[SHARED]
    assert run["card"]["command"] == card["command"]


def test_a_file_does_not_choose_what_is_read(few, tmp_path):
    own = replace(few, source={"source": "my_module:load"})
    protect(own, COLD, tmp_path / "own")
    public = share(tmp_path / "own", tmp_path / "public.safetensors")
    private = share(tmp_path / "own", tmp_path / "private.safetensors", private=True)
    said = typed("protect", "--generator", public, cwd=tmp_path, status=2).stderr
    assert "does not say where its images are from; name them with --data" in said
    said = typed("protect", "--generator", private, cwd=tmp_path, status=2).stderr
    assert "says that its images are from my_module:load, and a file must not choose" in said
    assert not (tmp_path / "protected").exists()


def test_other_images_are_refused_before_anything_is_written(shared, tmp_path):
    run = ["--generator", shared, "--data", "shapes", "--limit", 30, "--out", "other"]
    said = typed("protect", *run, cwd=tmp_path, status=2).stderr
    assert "was made for other images (its digest is" in said and said.count("\n") == 1
    assert not (tmp_path / "other").exists()


def test_images_that_differ_in_a_bit_are_told_from_the_shared_ones(folder, shared):
    again, images = Shared.of(shared), load(folder)
    assert again.is_same(images)
    images.x[0, 0, 0, 0] ^= 1
    assert not again.is_same(load(folder).__class__(images.x, images.y, images.classes))


def test_a_generator_that_is_not_shared_protects_further_images(folder, tmp_path):
    file = folder / "generator.safetensors"
    run = ["--generator", file, "--data", "shapes", "--limit", 20, "--out", "more"]
    assert "20 images in more" in typed("protect", *run, cwd=tmp_path).stdout
    said = typed("protect", "--generator", file, cwd=tmp_path, status=2).stderr
    assert "--data is missing" in said
    said = typed("protect", "em", "--generator", file, cwd=tmp_path, status=2).stderr
    assert "leave em out" in said
    with pytest.raises(UserError, match="is not a file that `unlearnable share` wrote"):
        Shared.of(file)


@pytest.mark.parametrize(
    ("method", "says"),
    [
        (EM(model="convnet", train_steps=2, steps=1, batch=16), "warm-started"),
        (
            EM(
                model="convnet",
                train_steps=2,
                steps=1,
                warm_start=False,
                refresh_every=1,
                stop_error=0.5,
            ),
            "at a step that is not recorded",
        ),
        (LSP(), "lsp makes its noise without a network"),
        (
            EM(model="convnet", train_steps=2, noise_type="classwise", stop_error=0, steps=1),
            "class-wise noise, which is not kept in it",
        ),
    ],
)
def test_noise_that_its_generator_does_not_give_again_is_refused(few, tmp_path, method, says):
    protect(few, method, tmp_path / "out")
    said = typed("share", "out", cwd=tmp_path, status=2).stderr
    assert says in said and said.count("\n") == 1
    assert not (tmp_path / "out.safetensors").exists()


def test_noise_that_several_processes_drew_is_refused(folder, tmp_path):
    several = tmp_path / "several"
    shutil.copytree(folder, several)
    card = Card.read(several)
    replace(card, processes=2).write(several)
    assert Card.read(several).processes == 2
    with pytest.raises(UserError, match="made on several processes"):
        share(several, tmp_path / "several.safetensors")


def test_bad_files_get_one_sentence(folder, shared, tmp_path):
    (tmp_path / "torn.safetensors").write_bytes(shared.read_bytes()[:1000])
    for file, says in (("torn.safetensors", "cannot be read"), ("none", "cannot be read")):
        said = typed("protect", "--generator", file, cwd=tmp_path, status=2).stderr
        assert says in said and said.count("\n") == 1
    (tmp_path / "mine.safetensors").write_text("another file")
    with pytest.raises(UserError, match="exists; give another name"):
        share(folder, tmp_path / "mine.safetensors")


@pytest.mark.parametrize("from_accuracy", [0.0, 100.0])
def test_weight_noise_that_never_came_is_not_in_a_shared_file(few, tmp_path, from_accuracy):
    method = PUE(
        model="tests.networks:narrow",
        steps=2,
        train_steps=3,
        batch=16,
        levels=2,
        draws=1,
        refresh_every=2,
        stop_error=0.0,
        from_accuracy=from_accuracy,
        weight_std=0.1,
        warm_start=False,
    )
    protect(few, method, tmp_path / "pue", seed=3)
    file = share(tmp_path / "pue", tmp_path / "pue.safetensors")
    again = Shared.of(file, "tests.networks:narrow")
    assert protect(few, again).images.digest() == load(tmp_path / "pue").digest()


def test_a_file_that_was_written_already_is_no_obstacle(folder, shared):
    before = shared.read_bytes()
    assert share(folder, shared) == shared and shared.read_bytes() == before


def test_a_shared_file_says_itself_which_images(shared, tmp_path):
    for option in (("--limit", 30), ("--classes", "ring"), ("--data-seed", 2)):
        said = typed("protect", "--generator", shared, *option, cwd=tmp_path, status=2).stderr
        assert "says which images it was made for" in said
