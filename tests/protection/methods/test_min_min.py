"""The family against a slow restatement of the paper's algorithm, and limits that must coincide."""

import pytest
import torch
import torch.nn.functional as F

from tests.restated import slow_flip_crop
from unlearnable import ASR, AUE, EM, MIUE, PUE, REM, SEM, Context, Images, build, protect
from unlearnable.core.errors import UserError
from unlearnable.core.seeding import generator
from unlearnable.protection.methods.losses import class_contrast
from unlearnable.protection.methods.min_min_loop import MinMinLoop, min_min
from unlearnable.training.augment import LUMA
from unlearnable.training.frozen import (
    Frozen,
    mean_over_noisy_weights,
    noisy_weights,
    weight_draws,
)
from unlearnable.training.pgd import total_loss
from unlearnable.training.weight_noise import WeightNoise

NARROW = "tests.networks:narrow"
SMALL = {"model": NARROW, "train_steps": 3, "batch": 16, "steps": 2, "eot_samples": 2}
ROBUST = SMALL | {"adv_eps": 2.0, "adv_steps": 2}


def restated_step(x, y, model, m, seed: int, step: int):
    """The inner minimization of Fu et al. (2022), algorithm 1, for one batch: plain eval-mode
    model, one image's transformation at a time, one adversary at a time. Draws as ``min_min`` draws
    them. Returns the noise [n, 3, H, W] in /255 and the gradient before the first sign."""
    g = generator("cpu", seed, "noise", step, 0)
    model.eval()
    eps, alpha, rho, alpha_a = (
        m.eps / 255,
        m.noise_step(step) / 255,
        m.adv_eps / 255,
        2 * m.adv_eps / m.adv_steps / 255,
    )
    u = torch.empty_like(x).uniform_(-eps, eps, generator=g)
    first = None
    for _ in range(m.steps):
        u = u.detach().requires_grad_()
        views = slow_flip_crop((x + u).clamp(0, 1).repeat(m.eot_samples, 1, 1, 1), 4, g)
        noise = torch.empty_like(views).uniform_(-rho, rho, generator=g)
        gradient = torch.zeros_like(x)
        for j in range(m.eot_samples):
            rows = slice(j * len(x), (j + 1) * len(x))
            z = views[rows]
            fixed = z.detach()
            attacked = (fixed + noise[rows]).clamp(0, 1)
            for _ in range(m.adv_steps):
                attacked = attacked.detach().requires_grad_()
                (ga,) = torch.autograd.grad(
                    F.cross_entropy(model(attacked), y, reduction="sum"), attacked
                )
                attacked = attacked.detach() + alpha_a * ga.sign()
                attacked = torch.min(torch.max(attacked, fixed - rho), fixed + rho).clamp(0, 1)
            loss = F.cross_entropy(model(z + (attacked - fixed)), y, reduction="sum")
            gradient += torch.autograd.grad(loss, u, retain_graph=True)[0]
        first = gradient if first is None else first
        u = (u.detach() - alpha * gradient.sign()).clamp(-eps, eps)
    return (u * 255).round(), first


def test_one_visit_equals_the_restated_algorithm(few: Images, in_double, monkeypatch):
    m = REM(**ROBUST)
    loop = MinMinLoop(m, few, Context(seed=5))
    rows = torch.arange(16)
    x, y = few.pixels(rows, "cpu"), few.y[rows]
    gradients = []
    grad = torch.autograd.grad

    def recorded(loss, leaf, **more):
        gradients.append(grad(loss, leaf, **more))
        return gradients[-1]

    monkeypatch.setattr(torch.autograd, "grad", recorded)
    loop.update_noise(rows, 0)
    monkeypatch.setattr(torch.autograd, "grad", grad)
    fast_first = gradients[m.adv_steps][0]  # after the adversary's own, the first noise step's
    model = build(NARROW, 10, size=32, seed=5)
    slow, slow_first = restated_step(x, y, model, m, 5, 0)
    scale = float(slow_first.abs().max())
    assert torch.allclose(fast_first / scale, slow_first / scale, atol=1e-10)
    clear = slow_first.abs() > 1e-10 * scale  # a gradient of zero has no sign to agree on
    assert torch.equal(fast_first.sign()[clear], slow_first.sign()[clear])
    assert torch.equal(loop.table[rows].float(), slow)


@pytest.mark.parametrize("warm_start", [False, True])
def test_rem_without_adversary_is_em_with_expectation_bit_for_bit(few: Images, warm_start):
    shared = SMALL | {"warm_start": warm_start}
    em = min_min(EM(**shared, refresh_every=0, stop_error=0.0), few, Context(seed=1))
    rem = min_min(REM(**shared, adv_eps=0.0), few, Context(seed=1))
    assert torch.equal(em.delta, rem.delta)
    for a, b in zip(
        em.generator.state_dict().values(), rem.generator.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b)


def test_sem_and_rem_differ_only_in_what_the_noise_meets(few: Images):
    """With one adversary step of size 0 the adversary is its own uniform start: REM's noise step is
    then SEM's."""
    flat = ROBUST | {"adv_steps": 0}
    assert torch.equal(
        min_min(REM(**flat), few, Context()).delta, min_min(SEM(**flat), few, Context()).delta
    )
    assert not torch.equal(
        min_min(REM(**ROBUST), few, Context()).delta, min_min(SEM(**ROBUST), few, Context()).delta
    )


def test_the_final_pass_covers_every_image(few: Images):
    """41 images in batches of 16: the last, incomplete one has the finished model's noise too."""
    data = Images(few.x[[*range(40), 0]], few.y[[*range(40), 0]], few.classes)
    loop = MinMinLoop(REM(**ROBUST), data, Context())
    assert torch.equal(torch.cat(loop.chunks), torch.arange(41))
    delta = min_min(REM(**ROBUST), data, Context()).delta
    assert (delta.flatten(1).abs().max(1).values > 0).all()


def test_em_lowers_the_loss_of_a_fixed_model(few: Images):
    loop = MinMinLoop(EM(model="convnet", batch=40), few, Context())
    rows = torch.arange(40)
    loop.table.zero_()
    for step in range(20):
        loop.train_step(step)
    g = generator("cpu", 0)

    def loss() -> float:
        u = loop.table.float() / 255
        return float(loop.noise_loss(few.pixels(rows, "cpu"), u, few.y, g).detach())

    before = loss()
    loop.update_noise(rows, 0)
    assert loss() < 0.8 * before


def test_class_noise_is_one_noise_a_class(few: Images):
    delta = min_min(EM.preset("class", model="convnet", train_steps=10), few, Context()).delta
    for c in range(10):
        assert (delta[few.y == c] == delta[few.y == c][0]).all()
    assert not torch.equal(delta[0], delta[1])


def test_early_stop_ends_with_noise_from_the_finished_model(few: Images, monkeypatch):
    steps = []
    train_step = MinMinLoop.train_step
    monkeypatch.setattr(
        MinMinLoop, "train_step", lambda loop, step: (steps.append(step), train_step(loop, step))
    )
    m = EM(model=NARROW, steps=10, refresh_every=5, train_steps=400, batch=40, stop_error=60.0)
    done = min_min(m, few, Context(seed=2))
    assert len(steps) < 400 and len(steps) % 5 == 0
    x = (few.x.short() + done.delta).clamp(0, 255).float() / 255
    assert float((done.generator(x).argmax(1) != few.y).float().mean()) < 0.6


@pytest.mark.parametrize(
    "method", [EM(**SMALL), REM(**ROBUST), SEM(**ROBUST)], ids=lambda m: type(m).__name__
)
def test_same_seed_same_noise_other_seed_other_noise(few: Images, method):
    first, again = (protect(few, method, seed=3).images.x for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, protect(few, method, seed=4).images.x)


def test_asr_without_its_second_term_is_em_against_an_adversarial_surrogate(few: Images):
    """Without the adversary too, it is EM with expectation; with the term, the surrogate guesses at
    clean images."""
    plain = min_min(ASR(**SMALL, adv_eps=0.0, uniformity_weight=0.0), few, Context())
    em = min_min(EM(**SMALL, warm_start=False, refresh_every=0, stop_error=0.0), few, Context())
    assert torch.equal(plain.delta, em.delta)
    model = build("convnet", 10, size=32, seed=1)
    x = few.pixels(slice(None), "cpu")
    guess = model(x).softmax(1).detach()
    by_hand = sum(float((row - 0.1).square().sum().sqrt()) for row in guess) / len(x)
    assert float(ASR(uniformity_weight=2.0).slots.regularizer(model, x).detach()) == pytest.approx(
        2 * by_hand, rel=1e-4
    )
    certain = {}
    for calm in (0.0, 20.0):
        m = ASR(
            **ROBUST | {"train_steps": 40, "steps": 1, "adv_steps": 1, "eot_samples": 1},
            uniformity_weight=calm,
        )
        done = min_min(m, few, Context())
        certain[calm] = float((done.generator(x).softmax(1) - 0.1).norm(dim=1).mean())
    assert certain[20.0] < 0.5 * certain[0.0]


def test_class_contrast_is_the_stated_sum():
    f = torch.randn(7, 5, generator=generator("cpu", 0))
    y = torch.tensor([0, 0, 0, 1, 1, 2, 2])
    total = 0.0
    for i in range(7):
        e = {
            j: float(torch.exp(F.cosine_similarity(f[i], f[j], dim=0) / 0.1))
            for j in range(7)
            if j != i
        }
        total -= float(
            torch.log(torch.tensor(sum(v for j, v in e.items() if y[j] == y[i]) / sum(e.values())))
        )
    assert float(class_contrast(f, y, 0.1)) == pytest.approx(total, rel=1e-4)
    alone = (
        f.clone().requires_grad_()
    )  # nobody has a classmate: nothing to lower, and no gradient of nan
    class_contrast(alone, torch.arange(7), 0.1).backward()
    assert torch.equal(alone.grad, torch.zeros_like(f))


def test_mi_ue_gathers_classes_with_growing_steps(few: Images):
    m = MIUE(model="convnet", train_steps=30, refresh_every=10, batch=40, step=0.8)
    assert m.noise_step(0) == 0.8 and m.noise_step(15) == pytest.approx(1.2)
    assert m.lr_at(0) == m.lr and m.lr_at(15) == pytest.approx(m.lr / 2)
    loop = MinMinLoop(m, few, Context())
    rows = torch.arange(40)
    loop.table.zero_()
    for step in range(20):
        loop.train_step(step)

    def contrast() -> float:
        return float(class_contrast(loop.trainer.frozen.features(loop.protected(rows)), few.y, 0.1))

    before = contrast()
    loop.update_noise(rows, 20, 0)
    assert contrast() < 0.9 * before


@pytest.mark.parametrize("draws", [1, 3])
def test_pue_without_weight_noise_is_em_bit_for_bit(few: Images, draws):
    shared = SMALL | {"refresh_every": 0, "stop_error": 0.0}
    em = min_min(EM(**shared), few, Context(seed=1))
    pue = min_min(PUE(**shared, weight_std=0.0, draws=draws), few, Context(seed=1))
    assert torch.equal(em.delta, pue.delta) and em.passes == pue.passes
    for a, b in zip(
        em.generator.state_dict().values(), pue.generator.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b)


def test_pue_descends_the_mean_over_noisy_weights(few: Images):
    """The noise step's gradient and the surrogate's against plain models, each with the noise of
    one draw. In double precision, lest a ReLU at zero falls to either side."""
    noise = PUE(weight_std=0.05, draws=3).slots.weight_noise
    x, y = few.pixels(slice(0, 8), "cpu").double(), few.y[:8]
    model = build("convnet", 10, size=32, seed=1).double()
    before = [p.detach().clone() for p in model.parameters()]
    frozen = Frozen(model, bfloat16=False)
    plain = frozen(x)
    z = x.clone().requires_grad_()
    lowered = mean_over_noisy_weights(
        lambda z: total_loss(frozen, z, y), frozen, z, noise, generator("cpu", 3)
    )
    (fast,) = torch.autograd.grad(lowered, z)
    assert frozen.passes == 3 * 8
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert torch.equal(frozen(x), plain)  # the copy is back, too
    g, slow, losses = generator("cpu", 3), torch.zeros_like(x), []
    for std in noise.stds(g):
        assert 0 < std < 0.05
        noisy = build("convnet", 10, size=32, seed=1).double().eval()
        for p in noisy.parameters():
            p.data += std * torch.randn(p.shape, generator=g, dtype=torch.float64)
        loss = F.cross_entropy(noisy(z), y, reduction="sum")
        slow += torch.autograd.grad(loss, z)[0] / 3
        losses.append(loss)
    assert torch.allclose(fast, slow, atol=1e-4 * float(slow.abs().max()))
    # the surrogate: every draw has its share, and an exception inside leaves no noise behind
    seen = []
    for share in weight_draws(model, noise, generator("cpu", 3)):
        seen.append((share, F.cross_entropy(model.eval()(x), y, reduction="sum").item()))
    assert [s for s, _ in seen] == [1 / 3] * 3
    assert [v for _, v in seen] == pytest.approx([float(v.detach()) for v in losses], rel=1e-4)
    with pytest.raises(ZeroDivisionError), noisy_weights(model, 0.05, generator("cpu", 0)):
        1 / 0  # noqa: B018
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_step_over_draws_without_noise_is_the_step(few: Images):
    """Its draws give the mean of equal losses, at three times the work."""
    models, passes = [], []
    for noise in (None, WeightNoise(std=0.0, draws=3)):
        loop = MinMinLoop(EM(model="convnet", batch=16), few, Context(seed=2))
        x, y, g = few.pixels(slice(0, 16), "cpu"), few.y[:16], generator("cpu", 0)
        loop.trainer.step(x, y, 0.1, weight_noise=noise, g=g)
        models.append(torch.cat([p.detach().flatten() for p in loop.trainer.model.parameters()]))
        passes.append(loop.trainer.passes)
    assert torch.allclose(models[0], models[1], atol=1e-5) and passes == [16, 48]


def test_noise_does_not_depend_on_how_many_images_go_through_at_once(
    few: Images, in_double, monkeypatch
):
    made = []
    for at_once in (2**23, 5 * 32 * 32):
        monkeypatch.setattr(
            "unlearnable.protection.methods.min_min_loop.MAX_PIXELS_PER_FORWARD", at_once
        )
        # nothing is drawn: no T, and the noise starts from the table
        loop = MinMinLoop(
            EM(**SMALL | {"eot_samples": 0, "refresh_every": 0, "stop_error": 0.0}),
            few,
            Context(seed=3),
        )
        loop.update_noise(torch.arange(16), 0)
        made.append(loop.table[:16].clone())
    assert made[0].unique().numel() > 2
    assert torch.equal(made[0], made[1])


def test_the_gradient_of_class_noise_has_the_same_bits_every_time(few: Images, monkeypatch):
    m = EM(
        **SMALL
        | {
            "noise_type": "classwise",
            "eot_samples": 0,
            "steps": 1,
            "refresh_every": 0,
            "stop_error": 0.0,
            "batch": 40,
        }
    )
    gradients, grad = [], torch.autograd.grad

    def recorded(loss, leaf, **more):
        gradients.append(grad(loss, leaf, **more))
        return gradients[-1]

    monkeypatch.setattr(torch.autograd, "grad", recorded)
    for _ in range(3):
        MinMinLoop(m, few, Context(seed=2)).update_noise(torch.arange(40), 0)
    assert all(torch.equal(gradients[0][0], g[0]) for g in gradients)


@pytest.mark.parametrize("kind", [EM, SEM, AUE])
def test_where_every_view_is_gray_the_noise_follows_the_luma(few: Images, kind):
    """The gradient of every pixel is then the luma's weights times one number, whatever the rest of
    T does."""
    settings = {"model": "convnet", "eot_samples": 2, "gray_prob": 1.0} | (
        {"strength": 0.0} if kind is AUE else {}
    )
    loop = MinMinLoop(kind(**settings), few, Context())
    x, y = few.pixels(torch.arange(16), "cpu"), few.y[:16]
    u = torch.zeros_like(x).requires_grad_()
    (gradient,) = torch.autograd.grad(loop.noise_loss(x, u, y, generator("cpu", 1)), u)
    inside = ((x > 0) & (x < 1)).all(1)
    each = [gradient[:, c][inside] / LUMA[c] for c in range(3)]
    assert float(each[0].abs().max()) > 0
    assert all(
        torch.allclose(e, each[0], rtol=1e-3, atol=1e-4 * float(each[0].abs().max())) for e in each
    )


def test_gray_is_a_share_and_a_part_of_t():
    with pytest.raises(UserError, match="between 0 and 1, not 2"):
        SEM(gray_prob=2.0)
    with pytest.raises(UserError, match="set eot_samples to 1 or more"):
        EM(gray_prob=0.5)
