"""What a learner may add to T: labels and images stay together, and every draw follows from the
seed."""

import pytest
import torch
from torch import nn

from unlearnable import AUGMENTATIONS, Images, Recipe, UserError, learn

FLAT = (
    torch.arange(12).view(12, 1, 1, 1) / 12 * torch.ones(1, 3, 16, 16)
)  # image k is k / 12 all over
Y = torch.arange(12) % 4


class Brightness(nn.Module):
    """Says class 0 in so far as an image is dark."""

    def forward(self, x):
        dark = 1 - x.mean((1, 2, 3))
        return torch.stack([dark, *[torch.zeros_like(dark)] * 3], 1)


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_images_stay_images_and_draws_follow_the_seed(name):
    x, before = torch.rand(12, 3, 16, 16), None
    for _ in range(2):
        torch.manual_seed(1)
        z, y = AUGMENTATIONS[name].load()(x, Y, 4, Brightness())
        assert (
            z.shape == x.shape
            and z.dtype == torch.float32
            and float(z.min()) >= 0
            and float(z.max()) <= 1
        )
        assert not torch.equal(z, x) and (before is None or torch.equal(before, z))
        before = z
    assert torch.equal(y, Y) or (y.shape == (12, 4) and torch.allclose(y.sum(1), torch.ones(12)))


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_shares_of_labels_are_shares_of_images(name):
    """Image k is 1 all over in the channel of its class (0 to 2) or black (3), so the image tells
    its label."""
    x = torch.nn.functional.one_hot(Y, 4)[:, :3, None, None].float() * torch.ones(1, 1, 16, 16)
    torch.manual_seed(3)
    z, y = AUGMENTATIONS[name].load()(x, Y, 4, Brightness())
    assert (y.max(1).values < 0.999).any()  # something was mixed
    assert torch.allclose(z.mean((2, 3)), y[:, :3], atol=1e-4)


def test_cutout_is_a_square_of_half_the_side():
    z, _ = AUGMENTATIONS["cutout"].load()(torch.zeros(12, 3, 16, 16), Y, 4, Brightness())
    assert ((z == 0.5).sum((1, 2, 3)) == 3 * 64).all() and ((z == 0) | (z == 0.5)).all()
    assert all(float(image[0].amax(0).sum()) == 8 * 0.5 for image in z)  # eight columns wide


def test_ueraser_max_takes_the_copy_with_the_highest_loss():
    def loss(x):
        return torch.nn.functional.cross_entropy(Brightness()(x), Y, reduction="none")

    torch.manual_seed(0)
    copies = [AUGMENTATIONS["ueraser"].load()(FLAT, Y, 4, None)[0] for _ in range(5)]
    torch.manual_seed(0)
    z, _ = AUGMENTATIONS["ueraser-max"].load()(FLAT, Y, 4, Brightness())
    assert torch.equal(loss(z), torch.stack([loss(c) for c in copies]).amax(0))


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
