"""Class-wise universal perturbations: one noise per class, its steps restated, a killed run, and
what is kept of coarse noise."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save

from tests.typed import typed
from unlearnable import (
    ClassUAP,
    Context,
    Frozen,
    Generated,
    NoiseNet,
    UserError,
    learn,
    load,
    protect,
)
from unlearnable.core import checkpoint
from unlearnable.core.checkpoint import Checkpoint
from unlearnable.core.seeding import batch_rows
from unlearnable.core.weights import read_weights
from unlearnable.data.convert import resized
from unlearnable.protection.methods.class_uap_loop import ClassNoise, cell_means, coarse_noise
from unlearnable.protection.methods.noise_net_loop import NoiseNetLoop
from unlearnable.protection.pace import noise_seconds
from unlearnable.protection.share import share

NARROW = "tests.networks:narrow"
ALONE = ClassUAP(networks=(NARROW,), input_size=32, steps=6, batch=20)


def loop(m, data, coarse=None):
    """The loop over networks whose heads are fitted, before its first step."""
    trained = [learn(data, m.head(name), purpose="surrogate").model for name in m.networks]
    networks = [Frozen(model, bfloat16=False) for model in trained]
    return ClassNoise(m, data, Context(), networks, coarse)


def test_every_image_of_a_class_gets_the_same(few):
    delta = ALONE.craft(few, Context()).delta
    for c in range(10):
        own = delta[few.y == c]
        assert torch.equal(own, own[:1].expand_as(own)) and own.any()
    assert int(delta.abs().max()) <= 8 and len(delta[few.y == 0].unique()) > 2


def test_a_step_is_the_sign_of_the_summed_gradient(few, in_double):
    """Restated without tables: the logits of the own class minus those of the next one, by each
    network's spread, summed over the images of a class."""
    m = replace(ALONE, networks=(NARROW, NARROW), hardened=0.0, batch=40)
    noise = loop(m, few)
    for network in noise.networks:
        network.double()
    noise.step(0)
    i = batch_rows(len(few), 40, 0, 0)
    x, y, rows = (few.x[i].double() / 255).requires_grad_(), few.y[i], torch.arange(40)
    seen, total = noise.view(x, 0), 0.0
    for network in noise.networks:
        z = network(seen)
        total = total + (z[rows, y] - z[rows, (y + 1) % 10]).sum() / z.detach().std()
    (gradient,) = torch.autograd.grad(total, x)
    expected = torch.stack([-gradient[y == c].sum(0).sign() for c in range(10)])
    expected *= 8 / 255 * (1 / 5 + 1 / 40)
    assert (noise.noise - expected).abs().lt(1e-12).double().mean() > 0.999


def test_the_networks_take_protected_images_for_the_next_class(few):
    m = replace(ALONE, steps=40, hardened=0.5)
    noise = loop(m, few)
    rows = torch.arange(len(few))

    def goal() -> float:
        with torch.no_grad():
            x = few.pixels(rows, torch.device("cpu"))
            seen = x + noise.noise[few.y]
            return sum(float(noise.goal(network, seen, few.y)) for network in noise.networks)

    before = goal()
    for k in range(40):
        noise.step(k)
    # an untrained network under a fitted head: 8/255 do not turn it, they take a third at least
    assert goal() < before * 2 / 3


def test_images_of_another_size_than_the_networks():
    data = load("shapes", limit=20)
    large = replace(data, x=F.interpolate(data.x.float(), (80, 60)).byte())
    delta = replace(ALONE, input_size=48).craft(large, Context()).delta
    assert delta.shape == large.x.shape and 0 < int(delta.abs().max()) <= 8


def test_a_killed_run_goes_on_bit_for_bit(few, tmp_path, monkeypatch):
    whole = ALONE.craft(few, Context())
    assert whole.passes == ALONE.passes(len(few))
    monkeypatch.setattr(checkpoint, "SAVE_EVERY", -1.0)
    real, killed = ClassNoise.step, []

    def step(self, k):
        if k == 3 and not killed:
            killed.append(k)
            raise KeyboardInterrupt
        assert k >= 3 or not killed  # goes on where it was
        real(self, k)

    monkeypatch.setattr(ClassNoise, "step", step)
    with pytest.raises(KeyboardInterrupt):
        ALONE.craft(few, Context(state=Checkpoint(tmp_path / "out", {})))
    again = ALONE.craft(few, Context(state=Checkpoint(tmp_path / "out", {})))
    assert torch.equal(again.delta, whole.delta) and again.passes == whole.passes


def test_the_coarse_noise_is_kept_and_patterns_are_finer(few):
    eps = 8 / 255
    grid = torch.randint(0, 2, (10, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    coarse = 0.6 * eps * F.interpolate(2.0 * grid - 1, (32, 32), mode="bilinear")
    noise = loop(replace(ALONE, steps=10), few, coarse)
    for k in range(10):
        noise.step(k)
    assert noise.noise.abs().max() <= eps
    added = noise.noise - coarse
    assert added.abs().mean() > 0.3 * eps
    assert cell_means(added).abs().mean() < 0.05 * eps  # 0.002; 0.18 where it is not kept


def test_the_coarse_noise_is_the_mean_of_noise_nets(few):
    m = replace(ALONE, coarse=0.5, train_steps=3)
    small = replace(few, x=F.interpolate(few.x.float(), (64, 48), mode="bilinear").byte())
    coarse, passes = coarse_noise(m, small, Context(protected=few.y != 2))
    net = NoiseNet.preset("short", train_steps=3, adv_eps=2.0)
    made = net.craft(replace(small, x=resized(small.x, 32)), Context(protected=few.y != 2))
    assert coarse.shape == (10, 3, 64, 48) and passes == made.passes
    for c in range(10):
        mean = 0.5 * made.delta[few.y == c].float().mean(0, keepdim=True) / 255 * (c != 2)
        assert torch.allclose(coarse[c], F.interpolate(mean, (64, 48), mode="bilinear")[0])
    assert coarse_noise(ALONE, few, Context()) == (None, 0)


def test_a_run_with_coarse_noise_that_was_killed_in_either_part(few, tmp_path, monkeypatch):
    m = replace(ALONE, coarse=0.5, train_steps=4)
    whole = m.craft(few, Context())
    assert whole.passes == m.passes(len(few)) > replace(m, coarse=0.0).passes(len(few))
    monkeypatch.setattr(checkpoint, "SAVE_EVERY", -1.0)
    for kind, at in ((NoiseNetLoop, 2), (ClassNoise, 3)):
        real = kind.step

        def step(self, k, real=real, at=at):
            if k == at:
                raise KeyboardInterrupt
            return real(self, k)

        with monkeypatch.context() as patch:
            patch.setattr(kind, "step", step)
            with pytest.raises(KeyboardInterrupt):
                m.craft(few, Context(state=Checkpoint(tmp_path / "out", {})))
    steps = []
    real = NoiseNetLoop.step
    monkeypatch.setattr(NoiseNetLoop, "step", lambda self, k: steps.append(k) or real(self, k))
    again = m.craft(few, Context(state=Checkpoint(tmp_path / "out", {})))
    assert torch.equal(again.delta, whole.delta) and again.passes == whole.passes
    assert not steps  # the coarse noise was whole, and its network is not trained again


def test_what_is_announced_counts_the_coarse_noise_at_its_own_size(few):
    m = replace(ALONE, coarse=0.5, train_steps=4)
    both, fine = (noise_seconds(x, (32, 32), len(few), 10) for x in (m, replace(m, coarse=0.0)))
    coarse = noise_seconds(m.coarse_method(), (32, 32), len(few), 10)
    assert both == pytest.approx(fine + coarse) and min(fine, coarse) > 0


def test_further_images_get_the_noise_of_their_class(few, tmp_path):
    m = replace(ALONE, coarse=0.5, train_steps=2)
    done = protect(few, m, tmp_path / "out")
    some = few.subset(few.y < 3)
    again = protect(some, Generated.of(tmp_path / "out"))
    assert torch.equal(again.images.x, done.images.x[few.y < 3]) and again.card.passes == 0
    assert noise_seconds(Generated.of(tmp_path / "out"), (32, 32), 12, 3) == 0
    file = tmp_path / "out" / "generator.safetensors"
    weights, about = read_weights(file)
    file.write_bytes(save({"noise": weights["noise"][:, :, :16].contiguous()}, about))
    with pytest.raises(UserError, match="the weights of another network"):
        protect(some, Generated.of(tmp_path / "out"))


def test_the_very_noise_can_be_shared(few, tmp_path):
    protect(few, ALONE, tmp_path / "out", protected_classes=few.classes[:4])
    file = share(tmp_path / "out", tmp_path / "table.safetensors")
    said = typed("protect", "--generator", file, "--out", "again", cwd=tmp_path).stdout
    assert "They are the shared images, bit for bit." in said
    assert load(tmp_path / "again").digest() == load(tmp_path / "out").digest()


def test_only_the_own_classes_count(few):
    own = few.y == 3
    delta = ALONE.craft(few, Context(protected=own)).delta
    assert delta[own].any() and not delta[~own].any()


def test_mistakes(few, monkeypatch):
    for changes, said in (
        ({"networks": ()}, "networks names no network"),
        ({"networks": ("resnet",)}, "resnet"),
        ({"momentum": 1.5}, "momentum must lie in 0..1"),
        ({"hardened": -1}, "hardened"),
        ({"steps": 0}, "steps"),
        ({"coarse": 1.5}, "coarse must lie in 0..1"),
        ({"train_steps": 0}, "train_steps"),
    ):
        with pytest.raises(UserError, match=said):
            ClassUAP(**changes)
    monkeypatch.setattr("unlearnable.models.pretrained.find_spec", lambda package: None)
    with pytest.raises(UserError, match="pip install"):
        protect(few, ClassUAP())
