"""The contract, over every method; what is written, exported, imported and refused."""

import json
import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from unlearnable import (
    EM,
    METHODS,
    REM,
    SEM,
    Imported,
    Method,
    Noise,
    Recipe,
    Uniform,
    UserError,
    build,
    learn,
    load,
    protect,
    visibility,
)
from unlearnable.core import provenance
from unlearnable.core.callbacks import Callback
from unlearnable.protection.cifar_files import export_cifar
from unlearnable.protection.methods.noise_files import read_noise, write_noise, write_noise_tensor
from unlearnable.protection.originals import noise_of, originals_of

NARROW = "tests.networks:narrow"
TINY = {"model": NARROW, "train_steps": 2, "batch": 16, "steps": 2, "eot_samples": 1}


def tiny(name: str, shape: tuple[int, ...], folder) -> Method:
    """Every method of the table at a size that a test affords."""
    if name == "imported":
        noise = torch.randint(-8, 9, shape, dtype=torch.int8)
        write_noise(noise, folder / "noise.npy")
        return Imported(file=str(folder / "noise.npy"))
    if name in ("tap", "hypo", "entf"):
        return METHODS[name](
            model=NARROW, train_steps=2, batch=16, steps=2, step=2.0, train_adv_steps=1
        )
    if name in ("em", "rem", "sem", "asr"):
        return METHODS[name](**TINY, adv_steps=1) if name != "em" else EM(**TINY, refresh_every=1)
    if name in ("mi-ue", "aue"):
        return METHODS[name](**TINY, refresh_every=1, step=2.0)
    if name == "unlearnable-clusters":
        return METHODS[name](model=NARROW, train_steps=2, batch=16, steps=3, lr=0.01, clusters=3)
    if name == "class-uap":
        return METHODS[name](networks=(NARROW,), input_size=32, steps=9, batch=160)
    if name == "class-swap":
        return METHODS[name](model=NARROW, train_steps=2, batch=16, steps=2, step=2.0)
    if name == "noise-net":
        return METHODS[name](model=NARROW, train_steps=2, batch=16, width=4, net_lr=0.02)
    if name == "pue":
        return METHODS[name](**TINY, refresh_every=1, draws=2)
    return METHODS[name](**({"steps": 2, "block": 16} if name == "ntga" else {}))


@pytest.mark.parametrize("name", list(METHODS))
@pytest.mark.parametrize("images", ["few", "extremes"])
def test_contract(name, images, request, tmp_path):
    data = request.getfixturevalue(images)
    x, y = data.x.clone(), data.y.clone()
    done = protect(data, tiny(name, tuple(data.x.shape), tmp_path), tmp_path / "out")
    assert torch.equal(data.x, x) and torch.equal(data.y, y)  # the originals are not touched
    assert done.images.x.dtype == torch.uint8 and done.images.x.shape == x.shape
    assert torch.equal(done.images.y, y) and done.images.classes == data.classes
    worst = int((done.images.x.short() - x.short()).abs().max())
    assert 0 < worst <= done.card.settings.get("eps", 255) and done.card.measured["linf"] == worst
    back = load(tmp_path / "out")
    assert (
        torch.equal(back.x, done.images.x)
        and torch.equal(back.y, y)
        and back.classes == data.classes
    )
    assert not (tmp_path / "out" / "state").exists()
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["method"] == name and card["passes"] >= 0
    # whatever leaves the ball of 8/255 says so
    assert (card["budget"] == "L-inf 8/255") == (card["settings"].get("eps") == 8)
    again = protect(data, tiny(name, tuple(data.x.shape), tmp_path)) if name != "imported" else done
    assert torch.equal(again.images.x, done.images.x)


@dataclass(frozen=True)
class Wrong(Method):
    """A method that breaks the contract in the way it is told to."""

    how: str = "budget"
    eps: float = 8.0

    def craft(self, data, run):
        noise = torch.zeros(data.x.shape, dtype=torch.int8)
        if self.how == "budget":
            noise[0, 0, 0, 0] = -9
        if self.how == "lowest":
            noise[0, 0, 0, 0] = -128
        return Noise(
            noise[:-1] if self.how == "shape" else noise.float() if self.how == "type" else noise
        )


@pytest.mark.parametrize(
    ("how", "says"),
    [("budget", "9/255"), ("lowest", "128/255"), ("shape", "shape"), ("type", "int8")],
)
def test_a_broken_contract_is_refused_and_nothing_is_published(few, tmp_path, how, says):
    with pytest.raises(UserError, match=says):
        protect(few, Wrong(how=how), tmp_path / "out")
    assert not list(tmp_path.rglob("*.npy")) and not list(tmp_path.rglob("card.json"))


def test_the_generator_loads_into_its_network(few, tmp_path):
    protect(few, REM(**TINY, adv_steps=1), tmp_path / "out")
    model = build(NARROW, 10, size=32)
    keys = model.load_state_dict(load_file(tmp_path / "out" / "generator.safetensors"))
    assert not keys.missing_keys and not keys.unexpected_keys


def test_same_command_again_returns_what_is_there_and_another_is_refused(few, tmp_path):
    first = protect(few, SEM(**TINY, adv_steps=1), tmp_path / "out")
    again = protect(few, SEM(**TINY, adv_steps=1), tmp_path / "out")
    assert torch.equal(first.images.x, again.images.x) and again.card.seconds == first.card.seconds
    with pytest.raises(UserError, match="another run"):
        protect(few, SEM(**TINY, adv_steps=2), tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="not this run's"):
        protect(few, SEM(**TINY, adv_steps=1), tmp_path / "mine")


@pytest.mark.parametrize("suffix", ["npy", "pkl"])
def test_noise_goes_out_and_comes_in(few, tmp_path, suffix):
    done = protect(few, EM(**TINY, refresh_every=1), tmp_path / "out")
    noise = noise_of(tmp_path / "out")
    file = tmp_path / f"noise.{suffix}"
    write_noise(noise, file)
    raw = np.load(file) if suffix == "npy" else pickle.loads(file.read_bytes())
    assert isinstance(raw, np.ndarray) and raw.dtype == np.int8 and raw.shape == tuple(few.x.shape)
    back = protect(few, Imported(file=str(file)), tmp_path / "back")
    assert torch.equal(back.images.x, done.images.x)
    write_noise(-noise, file)  # other noise under the same name
    with pytest.raises(UserError, match="another run's"):
        protect(few, Imported(file=str(file)), tmp_path / "back")


def test_noise_that_int8_does_not_hold_is_not_exported(few, tmp_path):
    protect(few, METHODS["cuda"](), tmp_path / "out")
    with pytest.raises(UserError, match="more than int8 holds"):
        noise_of(tmp_path / "out")


class _Evil:
    def __reduce__(self):
        return print, ("this must not run",)


def test_a_noise_pickle_with_code_in_it_is_refused(tmp_path, capsys):
    (tmp_path / "noise.pkl").write_bytes(pickle.dumps(_Evil()))
    with pytest.raises(UserError, match="print"):
        read_noise(tmp_path / "noise.pkl")
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "noise", [np.zeros((4, 3, 8, 8), np.float32), np.zeros((4, 8, 8, 3), np.int8), {"a": 1}]
)
def test_other_things_are_no_noise(tmp_path, noise):
    (tmp_path / "noise.pkl").write_bytes(pickle.dumps(noise))
    with pytest.raises(UserError, match="int8"):
        read_noise(tmp_path / "noise.pkl")


def test_the_official_layout_is_read_like_a_clean_set(few, tmp_path):
    done = protect(few, EM(**TINY, refresh_every=1), tmp_path / "out")
    export_cifar(load(tmp_path / "out"), few, tmp_path / "root")
    train, test = (load("cifar10", split=s, root=tmp_path / "root") for s in ("train", "test"))
    assert (
        torch.equal(train.x, done.images.x)
        and torch.equal(train.y, few.y)
        and train.classes == few.classes
    )
    assert torch.equal(test.x, few.x)


@pytest.mark.parametrize("encoding", ["latin1", "bytes"])
def test_the_official_layout_is_read_by_the_readers_of_the_field(few, tmp_path, encoding):
    """Restated: torchvision's CIFAR10 (encoding latin1, text as keys), from which the released
    programs derive theirs, and the reader of the data set's own page (encoding bytes)."""

    def key(name):
        return name if encoding == "latin1" else name.encode()

    folder = export_cifar(few, few, tmp_path)
    data, targets = [], []
    for name in [f"data_batch_{k}" for k in range(1, 6)]:
        entry = pickle.loads((folder / name).read_bytes(), encoding=encoding)
        assert set(entry) == {key(k) for k in ("batch_label", "labels", "data", "filenames")}
        data.append(entry[key("data")])
        targets.extend(entry[key("labels")])
    x = np.vstack(data).reshape(-1, 3, 32, 32)
    assert x.dtype == np.uint8 and np.array_equal(x, few.x) and targets == few.y.tolist()
    meta = pickle.loads((folder / "batches.meta").read_bytes(), encoding=encoding)
    assert meta[key("label_names")] == [key(name) for name in few.classes]
    assert meta[key("num_vis")] == 3072


def test_noise_for_the_reader_that_wants_floats(few, tmp_path):
    """Restated from Huang et al.'s program: times 255, clamped to 0..255, added, cut to uint8.
    Every positive value arrives exactly, no negative one does."""
    levels = (torch.arange(len(few) * 3072) % 255 - 127).view(few.x.shape)
    lost = write_noise_tensor(levels.to(torch.int8), tmp_path / "perturbation.pt")
    noise = torch.load(tmp_path / "perturbation.pt")
    assert noise.dtype == torch.float32 and float(noise.abs().max()) <= 1
    assert lost == pytest.approx(127 / 255, abs=0.01)
    added = noise.mul(255).clamp_(0, 255).permute(0, 2, 3, 1).numpy()
    seen = np.clip(few.x.permute(0, 2, 3, 1).numpy().astype(np.float32) + added, 0, 255)
    known = (few.x.short() + levels.clamp(min=0)).clamp(0, 255)
    assert np.array_equal(seen.astype(np.uint8), known.permute(0, 2, 3, 1))


def test_originals_are_found_again_and_a_change_is_noticed(few, tmp_path):
    protect(few, EM(**TINY, refresh_every=1), tmp_path / "out")
    assert torch.equal(originals_of(tmp_path / "out").x, few.x)
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    card["digest"] = "0"
    (tmp_path / "out" / "card.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match="changed"):
        originals_of(tmp_path / "out")


def test_visibility_of_known_noise():
    a = torch.full((2, 3, 32, 32), 100, dtype=torch.uint8)
    b = a + 8
    m = visibility(a, b)
    assert m["linf"] == 8
    assert m["psnr"] == pytest.approx(20 * np.log10(255 / 8), abs=0.01)
    assert m["l2"] == pytest.approx(8 / 255 * np.sqrt(3072), abs=1e-3)
    assert visibility(a, a)["ssim"] == 1


# ── methods and networks of a person's own ──


@dataclass(frozen=True)
class Broken(Method):
    """what a method may do wrong"""

    eps: float = 8.0
    how: str = ""

    def craft(self, data, run):
        noise = torch.ones(data.x.shape, dtype=torch.int8)
        network = build("tests.networks:shallow", 2, size=32)
        match self.how:
            case "nothing":
                return None
            case "array":
                return Noise(noise.numpy())
            case "sparse":
                return Noise(noise.to_sparse())
            case "network":
                return Noise(noise, generator=3)
            case "passes":
                return Noise(noise, passes="many")
            case "raises":
                raise ValueError("two\nlines")
            case "leaves":
                raise SystemExit(0)
            case "diverged":
                next(network.parameters()).data.fill_(float("nan"))
                return Noise(noise, generator=network)
            case "unsaved":
                network.register_buffer("sparse", torch.ones(2).to_sparse())
                return Noise(noise, generator=network)
            case "dtype":
                return Noise(noise * float("nan"))
        return Noise(noise, generator=network)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("nothing", "must give a Noise, not one of type NoneType"),
        ("array", "must give noise whose delta is a tensor, not one of type ndarray"),
        ("sparse", "must be a dense tensor on the CPU, not torch.sparse_coo"),
        ("network", "must give noise whose generator is a network"),
        ("passes", "must give noise whose passes are 0 or more"),
        (
            "raises",
            r"method 'tests.protection.test_protect:Broken' failed, ValueError: two lines \(",
        ),
        ("leaves", "failed, SystemExit: 0"),
        ("diverged", "surrogate of Broken: numbers became NaN"),
        ("unsaved", "cannot be saved as safetensors"),
        ("dtype", "must be int8 or int16"),
    ],
)
def test_what_is_wrong_with_a_method(few, tmp_path, how, said):
    with pytest.raises(UserError, match=said):
        protect(few, Broken(how=how), tmp_path / "out")
    assert not (tmp_path / "out" / "card.json").exists()
    assert not [*tmp_path.rglob("*.npy")]


def test_a_method_with_a_surrogate_and_no_model_among_its_settings(few, tmp_path):
    protect(few, Broken(), tmp_path / "out")
    assert (tmp_path / "out" / "generator.safetensors").exists()


@pytest.mark.parametrize("changes", [{"eps": None}, {"eps": "8"}, {"how": {1, 2}}, {"how": 1j}])
def test_what_is_wrong_with_the_settings_of_a_method(few, tmp_path, changes):
    with pytest.raises(UserError, match="must give a number|cannot be written as JSON"):
        protect(few, Broken(**changes), tmp_path / "out")


@pytest.mark.parametrize("name", ["rem", "tap", "entf", "unlearnable-clusters"])
def test_a_surrogate_of_ones_own_is_tried_before_anything_is_written(few, tmp_path, name):
    wrong = {"entf": "Plain", "unlearnable-clusters": "Plain"}.get(name, "Dictionary")
    method = replace(tiny(name, (), tmp_path), model=f"tests.own_networks:{wrong}")
    with pytest.raises(UserError, match="not an nn.Sequential|returned an object of type dict"):
        protect(few, method, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["rem", "em", "tap"])
def test_noise_is_not_made_on_logits_that_are_nan(few, tmp_path, name):
    """The sign of a NaN gradient is 0, so that such noise would look like any other."""
    method = replace(tiny(name, (), tmp_path), model="tests.own_networks:NaNLater")
    with pytest.raises(UserError, match="NaN or infinite"):
        protect(few, method, tmp_path / "out")
    assert not [*tmp_path.rglob("*.npy")]


def test_a_surrogate_that_diverges_makes_no_noise(few, tmp_path):
    method = replace(tiny("em", (), tmp_path), lr=1e30, train_steps=4)
    with pytest.raises(UserError, match="NaN or infinite"):
        protect(few, method, tmp_path / "out")
    assert not [*tmp_path.rglob("*.npy")]


@pytest.mark.parametrize("work", [protect, learn])
def test_a_result_names_the_commit_that_its_run_began_with(few, monkeypatch, work):
    """A checkout can move on in the hours that a noise takes."""
    head = ["began"]
    monkeypatch.setattr(provenance, "commit", lambda: head[0])

    class Moves(Callback):
        def begin(self, run):
            pass

        def log(self, scalars):
            head[0] = "moved on"

        def end(self, finished):
            pass

    if work is protect:
        named = protect(few, EM(**TINY), callbacks=[Moves()]).card.commit
    else:
        recipe = Recipe(model=NARROW, steps=2, batch=16)
        named = learn(few, recipe, test=few, callbacks=[Moves()]).result["commit"]
    assert named == "began" and head[0] == "moved on"


@pytest.mark.parametrize("cut", [np.s_[:30], np.s_[:, :, :16, :16]])
def test_images_that_do_not_fit_their_card_are_refused(few, tmp_path, cut):
    protect(few, Uniform(), tmp_path / "p")
    x, y = (np.load(tmp_path / "p" / f"{name}.npy") for name in ("images", "labels"))
    np.save(tmp_path / "p" / "images.npy", x[cut])
    np.save(tmp_path / "p" / "labels.npy", y[: len(x[cut])])
    with pytest.raises(UserError, match=r"its card says \[40, 3, 32, 32\]"):
        load(tmp_path / "p")
