"""Tests of the networks and of building them by name."""

import sys
from functools import cache

import pytest
import torch
from torch import fx, nn

from unlearnable.core.errors import UserError
from unlearnable.models import MODELS, build, check_model
from unlearnable.models.layers import Center

# At 10 classes with the CIFAR stem. VGG-16 is often given as 14,728,266: with a bias in each of its
# convolutions, 4,224 in all.
PARAMETERS = {
    "resnet18": 11_173_962,
    "resnet50": 23_520_842,
    "vgg16": 14_728_266 - 4_224,
    "densenet121": 6_956_298,
    "wrn-34-10": 46_160_474,
    "wrn-28-10": 36_479_194,
    # counted in the released program of Fu et al. (2022); its VGG-16 has those biases too
    "resnet18-fu": 11_173_962,
    "vgg16-fu": 15_253_578 - 4_224,
    "densenet121-fu": 6_964_106,
    "wrn-34-10-fu": 46_162_714,
}

# With the ImageNet stem at 1000 classes, as the papers' networks have them.
IMAGENET_PARAMETERS = {"resnet18": 11_689_512, "resnet50": 25_557_032, "densenet121": 7_978_856}

# tests/models/test_pretrained.py has those whose layers bear the names of others' weights
NAMED_BY_OTHERS = [n for n in MODELS if n.startswith(("mobilenet", "efficientnet"))]
EACH = pytest.mark.parametrize("name", [n for n in MODELS if n not in NAMED_BY_OTHERS])


@cache
def small(name: str) -> nn.Module:
    """The network for 32 x 32 pixels and 10 classes; built once, as the wide ones take a while."""
    return build(name, 10, size=32).eval()


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def pixels(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def test_names() -> None:
    small = "convnet airbench airbench-half airbench-whitened"
    wide = "resnet18 resnet50 vgg11 vgg16 vgg19 densenet121 wrn-34-10 wrn-28-10"
    bodies = "mobilenet-v2 efficientnet-lite0 efficientnet-lite2"
    others = f"{bodies} {' '.join(f'{name}-imagenet' for name in bodies.split())}"
    authors = "resnet18-fu vgg16-fu densenet121-fu wrn-34-10-fu"
    assert [*MODELS] == f"{small} {wide} {others} {authors}".split()


@pytest.mark.parametrize("name", MODELS)
def test_description_is_one_line(name: str) -> None:
    assert 0 < len(MODELS[name].about) < 80
    assert "\n" not in MODELS[name].about


@EACH
def test_logits_and_trace(name: str) -> None:
    x = pixels(2, 3, 32, 32)
    traced = fx.symbolic_trace(small(name))
    with torch.no_grad():
        logits = small(name)(x)
        assert logits.shape == (2, 10)
        assert logits.isfinite().all()
        assert torch.equal(traced(x), logits)


@EACH
def test_layers_suit_folding(name: str) -> None:
    """Each convolution and batch norm is called once; no biases before a batch norm, no in-place
    ReLUs."""
    calls = [
        node.target
        for node in fx.symbolic_trace(small(name)).graph.nodes
        if node.op == "call_module"
    ]
    modules = dict(small(name).named_modules())
    weighted = [
        key for key, module in modules.items() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)
    ]
    assert sorted(call for call in calls if call in weighted) == sorted(weighted)
    biased = {k for k, m in modules.items() if isinstance(m, nn.Conv2d) and m.bias is not None}
    assert biased == ({"features.0"} if name.startswith("airbench") else set())
    assert not any(module.inplace for module in modules.values() if isinstance(module, nn.ReLU))


@pytest.mark.parametrize(("name", "expected"), PARAMETERS.items())
def test_parameter_count(name: str, expected: int) -> None:
    assert count(small(name)) == expected


@pytest.mark.parametrize(("name", "expected"), IMAGENET_PARAMETERS.items())
def test_imagenet_parameter_count(name: str, expected: int) -> None:
    with torch.device("meta"):
        assert count(MODELS[name].load()(1000, True)) == expected


@EACH
def test_first_layer_centers(name: str) -> None:
    first = next(small(name).children())
    assert isinstance(first, Center)
    assert first(torch.tensor([0.0, 0.5, 1.0])).tolist() == [-0.5, 0.0, 0.5]


def test_logits_depend_on_centered_pixels() -> None:
    x = pixels(2, 3, 32, 32)
    model = small("convnet")
    with torch.no_grad():
        assert torch.equal(model[1:](x - 0.5), model(x))
        assert not torch.allclose(model[1:](x), model(x))


@pytest.mark.parametrize("name", ["convnet", "resnet18", "vgg11", "densenet121"])
@pytest.mark.parametrize("large", [False, True])
def test_any_size_from_32(name: str, large: bool) -> None:
    model = MODELS[name].load()(3, large).eval()
    with torch.no_grad():
        for height, width in ((32, 32), (33, 47)):
            assert model(pixels(1, 3, height, width)).shape == (1, 3)


@EACH
def test_imagenet_stem(name: str) -> None:
    """Shapes only (meta device): 224 px give a 14 x 14 map for the wide networks, 6 x 6 for
    airbench, else 7 x 7; with the CIFAR stem of the authors four times as wide."""
    with torch.device("meta"):
        model = MODELS[name].load()(100, True)
        side = {"wrn": 14, "air": 6}.get(name[:3], 7)
        side *= 4 if name in ("resnet18-fu", "wrn-34-10-fu") else 1
        assert model.features(torch.empty(1, 3, 224, 224)).shape[2:] == (side, side)


@pytest.mark.parametrize(("size", "kernel"), [(32, 3), (127, 3), (128, 7), (224, 7)])
def test_stem_follows_size(size: int, kernel: int) -> None:
    model = build("resnet18", 10, size=size)
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    assert first.kernel_size == (kernel, kernel)


def test_large_images() -> None:
    model = build("resnet18", 100, size=224).eval()
    with torch.no_grad():
        assert model(pixels(2, 3, 224, 224)).shape == (2, 100)


def test_gradient_reaches_everything() -> None:
    x = pixels(2, 3, 32, 32).requires_grad_()
    model = build("resnet18", 10, size=32)
    nn.functional.cross_entropy(model(x), torch.tensor([3, 7])).backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_initial_weights() -> None:
    for module in small("resnet18").modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all() and (module.bias == 0).all()


def test_initial_weights_of_the_authors() -> None:
    """ResNet keeps PyTorch's uniform ones, of variance 1 / (3 fan-in); DenseNet has Kaiming's for
    the fan-in, and a last layer without bias at the start."""
    for name, variance in (("resnet18-fu", 1 / 3), ("densenet121-fu", 2)):
        for module in small(name).modules():
            if isinstance(module, nn.Conv2d) and module.in_channels >= 64:
                fan_in = module.in_channels * module.kernel_size[0] * module.kernel_size[1]
                assert module.weight.std().item() == pytest.approx((variance / fan_in) ** 0.5, 0.1)
    assert not small("densenet121-fu").head.bias.any()


def test_the_authors_densenet_sees_small_images_through_the_imagenet_stem() -> None:
    ours, theirs = small("densenet121").features, small("densenet121-fu").features
    x = pixels(1, 3, 32, 32)
    with torch.no_grad():
        sides = [part(x).shape[-1] for part in (ours[0][0], theirs[0][0], ours, theirs)]
    assert sides == [32, 16, 4, 1]


def test_the_authors_resnet_has_the_cifar_stem_at_every_size() -> None:
    with torch.device("meta"):
        theirs = str(MODELS["resnet18-fu"].load()(10, True))
        cifar, imagenet = (str(MODELS["resnet18"].load()(10, large)) for large in (False, True))
    assert theirs == cifar != imagenet


def test_the_authors_vgg_drops_half_of_two_hidden_layers() -> None:
    """By hand: the linear layers on the pooled features; in training mode every run differs."""
    x, model = pixels(2, 3, 32, 32), small("vgg16-fu")
    drops = [m for m in model.modules() if isinstance(m, nn.Dropout)]
    assert [m.p for m in drops] == [0.5, 0.5]
    with torch.no_grad():
        h = model.features(x - 0.5).mean((2, 3))
        hidden = [m for m in model.hidden if isinstance(m, nn.Linear)]
        for layer in hidden:
            h = (h @ layer.weight.T + layer.bias).clamp(min=0)
        assert torch.allclose(model.head(h), model(x), atol=1e-6)
        inside = torch.ones(1, 512)
        for m in drops:
            m.train()
        seen = drops[0](inside)
        model.eval()
    assert set(seen.unique().tolist()) == {0.0, 2.0}


def test_the_authors_wide_network_activates_after_the_sum() -> None:
    """No value under 0 leaves a block, and none is normalized after the last; ours are raw sums."""
    x = pixels(1, 3, 32, 32)
    for name, after in (("wrn-34-10-fu", True), ("wrn-34-10", False)):
        with torch.no_grad():
            first = small(name).features[:2](x)
        assert bool((first >= 0).all()) == after
    assert not isinstance(small("wrn-34-10-fu").features[-1], nn.ReLU)


def test_seed_decides_the_weights() -> None:
    one, again, other = (
        build("convnet", 10, size=32, seed=seed).state_dict() for seed in (4, 4, 5)
    )
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_global_random_state_is_untouched() -> None:
    before = torch.get_rng_state()
    build("convnet", 10, size=32, seed=4)
    assert torch.equal(torch.get_rng_state(), before)


OWN_MODULE = """
from torch import nn

def network(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(12, classes))

def nothing(classes):
    pass

def two(classes, size):
    return nn.Identity()

number = 3
"""


def write(folder, monkeypatch: pytest.MonkeyPatch, module: str, text: str) -> None:
    (folder / f"{module}.py").write_text(text)
    monkeypatch.chdir(folder)


def test_own_factory(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, monkeypatch, "own_network", OWN_MODULE)
    import_path = list(sys.path)
    model = build("own_network:network", 7, size=32, seed=4)
    assert model(pixels(2, 3, 2, 2)).shape == (2, 7)
    again = build("own_network:network", 7, size=32, seed=4)
    assert torch.equal(model[1].weight, again[1].weight)
    assert sys.path == import_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own_missing:network", "no module 'own_missing'"),
        ("own_missing.part:network", "no module 'own_missing.part'"),
        (":network", "no module ''"),
        ("own_errors:absent", "there is no 'absent'"),
        ("own_errors:", "there is no ''"),
        ("own_errors:number", "of type int"),
        ("own_errors:nothing", "returned an object of type NoneType"),
        ("own_errors:two", "missing 1 required positional argument"),
    ],
)
def test_own_factory_mistakes(
    name: str, said: str, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, monkeypatch, "own_errors", OWN_MODULE)
    with pytest.raises(UserError) as caught:
        build(name, 10, size=32)
    message = str(caught.value)
    assert f"'{name}'" in message and said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("module", "text", "said"),
    [
        ("own_import", "import surely_not_installed\n", "No module named 'surely_not_installed'"),
        ("own_syntax", "def broken(:\n", "SyntaxError"),
        ("own_crash", "raise RuntimeError('two\\nlines')\n", "RuntimeError: two lines"),
    ],
)
def test_own_module_that_fails(
    module, text, said, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, monkeypatch, module, text)
    with pytest.raises(UserError) as caught:
        build(f"{module}:network", 10, size=32)
    message = str(caught.value)
    assert f"importing '{module}' failed" in message and said in message
    assert "\n" not in message


def test_unknown_name_lists_the_known_ones() -> None:
    for call in (check_model, lambda name: build(name, 10, size=32)):
        with pytest.raises(UserError) as caught:
            call("resnet19")
        message = str(caught.value)
        assert "'resnet19'" in message and "\n" not in message
        assert all(name in message for name in MODELS)
