"""One network that makes all noise: what it returns, its steps restated, further images, a killed
run."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tests.typed import typed
from unlearnable import Context, Generated, NoiseNet, UserError, load, protect
from unlearnable.core import checkpoint
from unlearnable.core.checkpoint import Checkpoint
from unlearnable.core.seeding import batch_rows, generator
from unlearnable.models.noise_network import NoiseNetwork
from unlearnable.protection.methods import noise_net_loop
from unlearnable.protection.methods.noise_net_loop import NoiseNetLoop
from unlearnable.protection.share import share
from unlearnable.training.augment import FlipCrop

NARROW = "tests.networks:narrow"
SHORT = NoiseNet(model=NARROW, train_steps=4, batch=16, width=4)


@pytest.mark.parametrize("size", [(32, 32), (30, 45), (5, 7)])
@pytest.mark.parametrize("zero_mean", [True, False])
def test_noise_keeps_to_its_budget_and_has_no_color_cast(size, zero_mean):
    torch.manual_seed(0)
    net = NoiseNetwork(3, 4, zero_mean=zero_mean)
    with torch.no_grad():
        net.noise.weight *= 50  # most of it at the limit
    x, y = torch.rand(6, 3, *size), torch.arange(6) % 3
    u = net(x, y)
    assert u.shape == x.shape and 0.5 < u.abs().max().item() <= 1
    assert bool((u.mean((2, 3)).abs() < 1e-6).all()) == zero_mean


@pytest.mark.parametrize("size", [(32, 32), (30, 45), (5, 7), (3, 3)])
def test_coarse_noise_has_nothing_fine(size):
    """The same weights with cells of 4: its noise is that of cells of 1, averaged over them and
    interpolated, and keeps to the budget without a color cast."""
    torch.manual_seed(0)
    coarse, fine = NoiseNetwork(3, 4, cell=4), NoiseNetwork(3, 4, zero_mean=False)
    fine.load_state_dict(coarse.state_dict())
    x, y = torch.rand(6, 3, *size), torch.arange(6) % 3
    u = coarse(x, y)
    assert u.shape == x.shape and u.abs().max() <= 1 and (u.mean((2, 3)).abs() < 1e-6).all()
    rows, columns = (range(0, side, 4) for side in size)
    squares = [[fine(x, y)[..., i : i + 4, j : j + 4] for j in columns] for i in rows]
    means = torch.stack([torch.stack([s.mean((2, 3)) for s in row]) for row in squares])
    expected = F.interpolate(means.permute(2, 3, 0, 1), size, mode="bilinear")
    assert torch.allclose(u, expected - expected.mean((2, 3), keepdim=True), atol=1e-6)


def test_noise_depends_on_the_class_at_every_place():
    torch.manual_seed(0)
    net, x = NoiseNetwork(2, 4), torch.full((2, 3, 32, 32), 0.5)
    a, b = net(x, torch.tensor([0, 1]))
    assert ((a - b).abs().amax(0) > 0).float().mean() > 0.9


def test_a_step_restated(few):
    """Without the adversary: Adam's first step has the length of its rate, down the gradient of the
    frozen surrogate's loss; then SGD's first, on the images with the new noise."""
    m = replace(SHORT, steps=1, adv_eps=0.0)
    loop = NoiseNetLoop(m, few, Context())
    net, surrogate = copy.deepcopy(loop.network), copy.deepcopy(loop.trainer.model)
    i = batch_rows(len(few), 16, 0, 0)
    x, y = few.x[i].float() / 255, few.y[i]
    g = generator("cpu", 0, "noise net", 0, 0)

    def loss(model):
        z = FlipCrop()((x + 8 / 255 * net(x, y)).clamp(0, 1), g)
        torch.rand(z.shape, generator=g)  # SEM's draw, of radius 0
        return F.cross_entropy(model(z), y)

    parameters = list(net.parameters())
    gradients = torch.autograd.grad(loss(surrogate.eval()), parameters)
    loop.step(0)
    for p, gradient, new in zip(parameters, gradients, loop.network.parameters(), strict=True):
        expected = p - 2e-3 * gradient / (gradient.abs() + 1e-8)
        assert (new - expected).abs().lt(2e-4).float().mean() > 0.98
        p.data.copy_(new.data)
    parameters, trained = list(surrogate.parameters()), list(loop.trainer.model.parameters())
    gradients = torch.autograd.grad(loss(surrogate.train()), parameters)
    for p, gradient, new in zip(parameters, gradients, trained, strict=True):
        expected = p - 0.1 / 20 * (gradient + 5e-4 * p)
        assert torch.allclose(new, expected, atol=1e-5)


def test_the_surrogate_learns_to_read_the_noise(few):
    """40 images, 60 steps: the loss falls far below that of guessing, ln 10 = 2.3."""
    m = replace(SHORT, train_steps=60, batch=40, width=8, adv_eps=0.0)
    loop = NoiseNetLoop(m, few, Context())
    losses = [float(loop.step(k)) for k in range(m.train_steps)]
    assert losses[0] > 2 and sum(losses[-10:]) / 10 < 1


def test_further_images_get_their_noise_in_one_pass(few, tmp_path):
    done = protect(few, SHORT, tmp_path / "out")
    assert done.card.passes == SHORT.passes(len(few)) == 4 * 16 * (2 * 2 + 3) + 40
    some = few.subset(few.y < 3)
    again = protect(some, Generated.of(tmp_path / "out", NARROW))
    assert torch.equal(again.images.x, done.images.x[few.y < 3]) and again.card.passes == 12
    with pytest.raises(UserError, match="knows the classes"):
        protect(replace(few, classes=tuple("abcdefghij")), Generated.of(tmp_path / "out", NARROW))


def test_the_very_noise_can_be_shared(few, tmp_path):
    protect(few, SHORT, tmp_path / "out", protected_classes=few.classes[:4])
    file = share(tmp_path / "out", tmp_path / "net.safetensors")
    said = typed(
        "protect", "--generator", file, "--model", NARROW, "--out", "again", cwd=tmp_path
    ).stdout
    assert "They are the shared images, bit for bit." in said
    assert load(tmp_path / "again").digest() == load(tmp_path / "out").digest()


def test_a_killed_run_goes_on_bit_for_bit(few, tmp_path, monkeypatch):
    whole = SHORT.craft(few, Context())
    monkeypatch.setattr(checkpoint, "SAVE_EVERY", -1.0)
    real, killed = NoiseNetLoop.step, []

    def step(self, k):
        if k == 2 and not killed:
            killed.append(k)
            raise KeyboardInterrupt
        assert k >= 2 or not killed  # goes on where it was
        return real(self, k)

    monkeypatch.setattr(NoiseNetLoop, "step", step)
    with pytest.raises(KeyboardInterrupt):
        SHORT.craft(few, Context(state=Checkpoint(tmp_path / "out", {})))
    again = SHORT.craft(few, Context(state=Checkpoint(tmp_path / "out", {})))
    assert torch.equal(again.delta, whole.delta) and again.passes == whole.passes


def test_the_others_are_seen_as_they_are(few):
    own = few.y == 3
    loop = NoiseNetLoop(SHORT, few, Context(protected=own))
    seen, _ = loop.protected(torch.arange(len(few)))
    same = (seen == few.pixels(slice(None), "cpu")).flatten(1).all(1)
    assert torch.equal(same, ~own)
    loop.step(0)  # also where a batch has none of the own


def test_mistakes(few, monkeypatch):
    for changes, said in (
        ({"width": 0}, "width"),
        ({"gray_prob": 2.0}, "between 0 and 1, not 2"),
        ({"adv_eps": -1.0}, "adv_eps"),
    ):
        with pytest.raises(UserError, match=said):
            NoiseNet(**changes)
    with pytest.raises(UserError, match="A cell of 32 pixels covers images of 32"):
        protect(few, replace(SHORT, cell=32))
    monkeypatch.setattr(noise_net_loop, "BETAS", (0.5, 0.5))
    with pytest.raises(UserError, match="NaN or infinite"):
        protect(few, replace(SHORT, net_lr=1e38))
