"""Patterns against what defines them: a recurrence, a plane, one pixel, a convolution."""

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from unlearnable import AR, CUDA, LSP, OPS, Gratings, Images, Uniform, UserError
from unlearnable.core.seeding import generator
from unlearnable.protection.methods import autoregressive
from unlearnable.protection.methods.autoregressive import ar_filters, ar_process, ar_rules
from unlearnable.protection.methods.base import Context
from unlearnable.protection.methods.pattern_noise import class_filters


def gray(n: int = 40, size: int = 32, classes: int = 10) -> Images:
    """Images far enough from black and white that no noise is cut."""
    x = torch.randint(
        100, 150, (n, 3, size, size), dtype=torch.uint8, generator=generator("cpu", 1)
    )
    return Images(x, torch.arange(n) % classes, tuple(map(str, range(classes))))


def test_ar_noise_follows_its_own_rule():
    rules = ar_rules(4, (36, 36), 0, 10.0)
    assert torch.allclose(rules.sum(2), torch.ones(4, 3), atol=1e-5)
    assert rules.flatten(0, 1).unique(dim=0).shape[0] == 12
    y = torch.tensor([0, 1, 2, 3, 1])
    noise = ar_process(torch.randn(5, 3, 36, 36, generator=generator("cpu", 0)), rules[y])
    # restated as a convolution: the window's last tap is the pixel itself
    kernel = torch.cat([rules[y], torch.full((5, 3, 1), -1.0)], 2).view(15, 1, 3, 3)
    rest = conv2d(noise.reshape(1, 15, 36, 36), kernel, groups=15)
    assert float(rest.abs().max()) < 1e-4 * float(noise.abs().max())


def test_ar_noise_has_the_stated_norm_and_a_rule_a_class():
    data = gray()
    noise = AR().craft(data, Context()).delta.float() / 255
    assert torch.allclose(noise.flatten(1).norm(dim=1), torch.ones(len(data)), atol=0.02)
    kernel = ar_filters(ar_rules(10, (36, 36), 0, 10.0)).unsqueeze(2)
    rests = torch.stack([conv2d(noise, k, groups=3).square().mean((1, 2, 3)) for k in kernel], 1)
    assert (
        rests.argmin(1) == data.y
    ).float().mean() > 0.95  # the rule tells the class, up to rounding to 8 bits


def test_ar_rules_are_those_that_the_authors_program_accepts():
    """Restated from the coefficient finder of Sandoval-Segura et al.'s program, pixel by pixel:
    three patterns of 36 x 36 pixels without their first four rows and columns have an L2 norm of at
    most 50, and the filter of every earlier class gives at least 10 (ReLU, summed) on the last of
    them, scaled to norm 1."""
    rules, g = ar_rules(10, (36, 36), 0, 10.0).double(), generator("cpu", 5)
    patterns = []
    for rule in rules:
        window = torch.cat([rule, torch.zeros(3, 1)], 1).view(3, 3, 3)
        norms = []
        for _ in range(3):
            x = torch.randn(3, 36, 36, generator=g, dtype=torch.float64)
            for i in range(34):
                for j in range(34):
                    x[:, i + 2, j + 2] = (x[:, i : i + 3, j : j + 3] * window).sum((1, 2))
            norms.append(float(x[:, 4:, 4:].norm()))
        assert max(norms) <= 100  # other draws than those by which they were accepted
        patterns.append((norms, x[:, 4:, 4:] / norms[-1]))
    within = [n <= 50 for norms, _ in patterns for n in norms]
    assert sum(within) >= 0.8 * len(within)
    answers = []
    for k, (_, pattern) in enumerate(patterns):
        for earlier in rules[:k]:
            filter = torch.cat([earlier, torch.full((3, 1), -1.0)], 1).view(1, 3, 3, 3)
            answers.append(float(conv2d(pattern[None], filter).relu().sum()))
    assert min(answers) > 5 and sum(a >= 10 for a in answers) >= 0.8 * len(answers)


def test_ar_rules_for_more_classes_and_when_none_are_left(monkeypatch):
    assert ar_rules(20, (36, 36), 0, 3.0).shape == (20, 3, 8)
    assert ar_rules(2, (50, 44), 0, 10.0).isfinite().all()
    monkeypatch.setattr(autoregressive, "ROUNDS", 2)
    with pytest.raises(UserError, match="lower min_response"):
        ar_rules(3, (36, 36), 0, 1e9)


def test_lsp_noise_is_linearly_separable_blocks_of_the_stated_size():
    data = gray(400)
    noise = LSP().craft(data, Context()).delta.float()  # 48 colors an image, each rounded
    assert torch.allclose(
        noise.square().mean((1, 2, 3)).sqrt(), torch.full((400,), 6.0), atol=0.25
    )  # 48 cells, rounded
    blocks = noise.view(400, 3, 4, 8, 4, 8)
    assert torch.equal(blocks, blocks[:, :, :, :1, :, :1].expand_as(blocks))
    a = torch.cat([noise[:, :, ::8, ::8].flatten(1), torch.ones(400, 1)], 1).double()
    target = torch.eye(10).double()[data.y]
    w = torch.linalg.lstsq(a[:300], target[:300]).solution
    assert (
        (a[300:] @ w).argmax(1) == data.y[300:]
    ).all()  # on noise that the plane was not fitted to


def test_ops_changes_one_pixel_the_same_for_a_class():
    data = gray()
    noise = OPS().craft(data, Context()).delta
    assert ((noise != 0).any(1).flatten(1).sum(1) == 1).all()
    after = data.x.short() + noise
    for c in range(10):
        i = (data.y == c).nonzero()[:, 0]
        places = (noise[i] != 0).any(1).flatten(1).int().argmax(1)
        assert len(places.unique()) == 1
        colors = after[i].flatten(2)[:, :, places[0]]
        assert len(colors.unique(dim=0)) == 1 and set(colors.unique().tolist()) <= {0, 255}


def test_ops_agrees_with_a_search_by_hand():
    """Restated from Wu et al.'s program: mean over standard deviation of the absolute change, over
    images and channels, and no place and color that another class has."""
    x = torch.randint(0, 256, (24, 3, 4, 5), dtype=torch.uint8, generator=generator("cpu", 2))
    x[12:] = x[:12]  # both classes would take the same
    data = Images(x, torch.arange(24) // 12, ("a", "b"))
    taken = []
    for _ in data.classes:
        best = (-1.0, None, None)
        for row, column in np.ndindex(4, 5):
            for k in np.ndindex(2, 2, 2):
                change = np.abs(np.array(k) - x[:12, :, row, column].numpy() / 255.0)
                score = change.mean() / change.std()
                if score > best[0] and ((row, column), k) not in taken:
                    best = (score, (row, column), k)
        taken.append(best[1:])
    after = x + OPS().craft(data, Context()).delta
    for c, ((row, column), color) in enumerate(taken):
        colors = after[12 * c : 12 * c + 12, :, row, column]
        assert torch.equal(colors, 255 * torch.tensor(color).expand(12, 3).short())
    assert taken[0] != taken[1]


def test_cuda_is_the_stated_convolution():
    data = gray(10)
    after = data.x.short() + CUDA().craft(data, Context(seed=3)).delta
    weight = class_filters(10, 3, 0.3, 3)
    assert (weight == 1).flatten(1).sum(1).eq(1).all() and float(
        weight.flatten(1).sort(1).values[:, :-1].max()
    ) <= 0.3
    k = 7
    padded = np.pad(data.x[k].numpy() / 255.0, ((0, 0), (1, 1), (1, 1)))
    image = np.zeros((3, 32, 32))
    for dy in range(3):
        for dx in range(3):
            image += float(weight[k, dy, dx]) * padded[:, dy : dy + 32, dx : dx + 32]
    image /= image.max()
    assert np.abs(after[k].numpy() - 255 * image).max() < 0.51


def test_uniform_noise_fills_the_ball_by_sample_and_by_class():
    data = gray(400)
    noise = Uniform().craft(data, Context()).delta
    assert noise.min() == -8 and noise.max() == 8 and abs(float(noise.float().mean())) < 0.05
    shared = Uniform(noise_type="classwise").craft(data, Context()).delta
    assert all(len(shared[data.y == c].unique(dim=0)) == 1 for c in range(10))


@pytest.mark.parametrize(
    "wrong", [lambda: CUDA(kernel=4), lambda: LSP(cells=0), lambda: AR(l2=-1.0)]
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(UserError):
        wrong()


def test_gratings_are_yellow_and_blue_without_a_cast():
    noise = Gratings().craft(gray(32, 48, 16), Context()).delta
    red, green, blue = noise.unbind(1)
    assert torch.equal(red, green) and torch.equal(red, -blue)
    assert set(red.unique().tolist()) == {-8, 8}
    assert torch.equal(noise[:16], noise[16:])  # one per class
    assert noise.double().mean((2, 3)).abs().max() < 0.6


def test_no_shift_and_no_flip_makes_one_grating_another():
    one = Gratings().craft(gray(16, 96, 16), Context()).delta[:, 0].double() / 8
    spectra = torch.fft.fft2(torch.cat([one, one.flip(2)]))
    for a in range(16):
        same = torch.fft.ifft2(spectra[a].conj() * spectra).real.amax((1, 2)) / 96**2
        assert same[a] > 0.99
        others = [k for k in range(32) if k % 16 != a]
        assert same[others].max() < 0.6


def test_the_widest_gratings_have_the_stated_waves():
    data = gray(6, 64, 6)
    found = []
    for one in Gratings().craft(data, Context()).delta[:, 0].double():
        strength = torch.fft.fft2(one, (1024, 1024)).abs()
        place = divmod(int(strength.argmax()), 1024)
        found.append([min(k, 1024 - k) / 16 for k in place])
    wanted = [[0, 4], [0, 8], [4, 0], [8, 0], [4 / 2**0.5] * 2, [8 / 2**0.5] * 2]
    for waves in wanted:
        assert sum(abs(a - waves[0]) + abs(b - waves[1]) < 0.3 for a, b in found) == 1


def test_gratings_know_their_limit():
    with pytest.raises(UserError, match="16 classes apart, and there are 17"):
        Gratings().craft(gray(17, 32, 17), Context())


def test_seeds_deal_the_gratings_out():
    data = gray(12, 32, 6)
    first, again, other = (Gratings().craft(data, Context(seed=k)).delta for k in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
