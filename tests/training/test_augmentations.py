"""What a learner may add to T: labels and images stay together, and every draw follows from the
seed."""

import copy
from types import SimpleNamespace

import pytest
import torch

from unlearnable import AUGMENTATIONS, Images, Recipe, UserError, build, learn
from unlearnable.core.seeding import generator
from unlearnable.training import augment, learner_augmentations
from unlearnable.training.augmentations import COPIES
from unlearnable.training.learn import training_step
from unlearnable.training.trainer import Trainer

FLAT = (
    torch.arange(12).view(12, 1, 1, 1) / 12 * torch.ones(1, 3, 16, 16)
)  # image k is k / 12 all over
Y = torch.arange(12) % 4


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_images_stay_images_and_draws_follow_the_seed(name):
    x, before = torch.rand(12, 3, 16, 16), None
    for _ in range(2):
        torch.manual_seed(1)
        z, y = AUGMENTATIONS[name].load()(x, Y, 4)
        assert (
            z.shape == (12 * COPIES.get(name, 1), 3, 16, 16)
            and z.dtype == torch.float32
            and float(z.min()) >= 0
            and float(z.max()) <= 1
        )
        assert not torch.equal(z[:12], x) and (before is None or torch.equal(before, z))
        before = z
    assert torch.equal(y, Y.repeat(len(z) // 12)) or (
        y.shape == (12, 4) and torch.allclose(y.sum(1), torch.ones(12))
    )


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_shares_of_labels_are_shares_of_images(name):
    """Image k is 1 all over in the channel of its class (0 to 2) or black (3), so the image tells
    its label."""
    x = torch.nn.functional.one_hot(Y, 4)[:, :3, None, None].float() * torch.ones(1, 1, 16, 16)
    torch.manual_seed(3)
    z, y = AUGMENTATIONS[name].load()(x, Y, 4)
    assert (y.max(1).values < 0.999).any()  # something was mixed
    assert torch.allclose(z.mean((2, 3)), y[:, :3], atol=1e-4)


def test_channel_offsets_are_uniform_per_channel_and_image():
    """Known distribution: U(-32/255, 32/255), the same for all pixels of a channel."""
    torch.manual_seed(0)
    x = torch.full((2000, 3, 2, 2), 0.5)
    offsets = (AUGMENTATIONS["channel-offsets"].load()(x, Y, 4)[0] - 0.5) * 255
    assert torch.allclose(offsets, offsets[..., :1, :1].expand_as(offsets))
    o = offsets[:, :, 0, 0]
    assert float(o.abs().max()) <= 32.01 and abs(float(o.mean())) < 1
    assert float(o.std()) == pytest.approx(32 / 3**0.5, rel=0.03)
    assert float(o.T.corrcoef().triu(1).abs().max()) < 0.1  # each channel by itself
    black, _ = AUGMENTATIONS["channel-offsets"].load()(torch.zeros(50, 3, 2, 2), Y, 4)
    assert float(black.min()) == 0  # clipped


def test_cutout_is_a_square_of_half_the_side():
    z, _ = AUGMENTATIONS["cutout"].load()(torch.zeros(12, 3, 16, 16), Y, 4)
    assert ((z == 0.5).sum((1, 2, 3)) == 3 * 64).all() and ((z == 0) | (z == 0.5)).all()
    assert all(float(image[0].amax(0).sum()) == 8 * 0.5 for image in z)  # eight columns wide


def test_coin_moves_a_slope_by_up_to_two_pixels():
    slope = torch.arange(16) / 16 * torch.ones(12, 3, 16, 16)
    torch.manual_seed(0)
    z, _ = AUGMENTATIONS["coin"].load()(slope, Y, 4)
    away = 16 * (z - slope)[..., 2:-2]
    assert float(away.abs().max()) <= 2.001 and abs(float(away.mean())) < 0.1
    assert abs(float(away.std()) - 2 / 3**0.5) < 0.05  # uniform on [-2, 2]
    again, _ = AUGMENTATIONS["coin"].load()(slope, Y, 4)
    assert not torch.equal(z, again)  # drawn anew at every visit


def test_coin_pixel_by_pixel():
    """Restated: bilinear between four pixels, and beyond the edge the opposite one."""
    x = torch.rand(2, 3, 5, 7)
    torch.manual_seed(1)
    z, _ = AUGMENTATIONS["coin"].load()(x, Y[:2], 4)
    torch.manual_seed(1)
    away = 2 * (2 * torch.rand(2, 5, 7, 2) - 1)
    for n, row, column in [(0, 0, 0), (0, 4, 6), (1, 2, 3), (1, 0, 5), (1, 4, 1)]:
        right, down = away[n, row, column].tolist()
        at, to = (row + down) % 4, (column + right) % 6
        top, left, a, b = int(at), int(to), at % 1, to % 1
        known = (1 - a) * ((1 - b) * x[n, :, top, left] + b * x[n, :, top, left + 1])
        known += a * ((1 - b) * x[n, :, top + 1, left] + b * x[n, :, top + 1, left + 1])
        assert torch.allclose(z[n, :, row, column], known, atol=1e-5)


def test_ueraser_max_trains_on_the_largest_of_five_losses():
    """As in the authors' program (lafeat/ueraser): all copies go through the network in training
    mode, and the gradient flows through the largest loss of each image."""
    torch.manual_seed(0)
    copies = [AUGMENTATIONS["ueraser"].load()(FLAT, Y, 4)[0] for _ in range(5)]
    torch.manual_seed(0)
    z, y = AUGMENTATIONS["ueraser-max"].load()(FLAT, Y, 4)
    assert torch.equal(z, torch.cat(copies)) and torch.equal(y, Y.repeat(5))
    model = build("tests.networks:shallow", 4, size=32, seed=1)
    trainer = Trainer(copy.deepcopy(model), lr=0.1, momentum=0.0, weight_decay=0.0, bfloat16=False)
    trainer.step(z, y, 0.1, copies=5)
    losses = torch.nn.functional.cross_entropy(model.train()(z), y, reduction="none")
    torch.stack([losses[k::12].max() for k in range(12)]).mean().backward()
    for p, q in zip(model.parameters(), trainer.model.parameters(), strict=True):
        assert torch.allclose(p - 0.1 * p.grad, q, atol=1e-5)
    assert trainer.passes == 60 == Recipe(batch=12, steps=1, augmentation="ueraser-max").passes(12)


def test_ueraser_changes_brightness_by_the_released_ranges():
    brightness, contrast = list(learner_augmentations._kornia("ueraser"))[:2]
    assert str(brightness).count("intensity=(0.5, 1.0)") == 1
    assert all("roughness=(0.3, 0.7)" in str(each) for each in (brightness, contrast))


@pytest.mark.parametrize("name", ["mixup", "ueraser-max"])
def test_learn_takes_one_and_resumes_nothing_else(name, tmp_path):
    data = Images((FLAT * 255).byte(), Y, ("a", "b", "c", "d"))
    recipe = Recipe.preset(
        "short", steps=3, batch=8, evals=1, augmentation=name, adv_eps=2, adv_steps=1
    )
    one, two = (learn(data, recipe, test=data, seed=5).model.state_dict() for _ in range(2))
    assert all(torch.equal(one[k], two[k]) for k in one)
    with pytest.raises(UserError, match="no augmentation 'cutoff'"):
        Recipe(augmentation="cutoff")


def test_what_an_image_gets_does_not_hang_on_its_flip():
    """An erased square whose column follows the flip never meets the edge of an image."""
    data = Images(torch.zeros(64, 3, 8, 8, dtype=torch.uint8), torch.zeros(64).long(), ("a", "b"))
    t, ramp = augment.for_size(8, 8), torch.linspace(0.1, 1, 8).expand(64, 3, 8, 8)
    recipe, cpu, columns, flips = (
        Recipe(augmentation="cutout", batch=64),
        torch.device("cpu"),
        [],
        [],
    )

    def take(x, *args, **kwargs):  # where the network's step would be
        erased = (x[:, 0] > 0).any(1).float()
        columns.append((erased * torch.arange(8)).sum(1) / erased.sum(1))

    for step in range(30):
        training_step(SimpleNamespace(frozen=None, step=take), recipe, data, t, 0, step, cpu)
        ramps = t(ramp, generator(cpu, 0, "learn", step, 0))
        flips.append((ramps[:, 0, 4, 3] > ramps[:, 0, 4, 4]).float())
    pair = torch.stack([torch.cat(columns), torch.cat(flips)])
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.1  # 1,920 draws: 0.023 by chance; it was 0.87
