"""The family against a slow restatement of the paper's algorithm, and limits that must coincide."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tests.restated import slow_flip_crop
from unlearnable import (
    ASR,
    AUE,
    EM,
    METHODS,
    MIUE,
    PUE,
    REM,
    SEM,
    Context,
    Images,
    Recipe,
    build,
    load,
    protect,
)
from unlearnable.core.errors import UserError
from unlearnable.core.seeding import batch_rows, generator
from unlearnable.protection.methods.losses import class_contrast
from unlearnable.protection.methods.min_min import MinMin
from unlearnable.protection.methods.min_min_loop import MinMinLoop, min_min
from unlearnable.training.augment import LUMA
from unlearnable.training.frozen import (
    Frozen,
    noisy_weights,
    weight_draws,
)
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
    loop = MinMinLoop(EM(model=NARROW, batch=40), few, Context())
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
        MinMinLoop, "train_step", lambda loop, step: steps.append(step) or train_step(loop, step)
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
            **ROBUST
            | {"train_steps": 40, "steps": 1, "adv_steps": 1, "eot_samples": 1, "model": NARROW},
            uniformity_weight=calm,
        )
        done = min_min(m, few, Context())
        certain[calm] = float((done.generator(x).detach().softmax(1) - 0.1).norm(dim=1).mean())
    assert certain[20.0] < 0.5 * certain[0.0]


def test_class_contrast_is_the_stated_sum():
    """With the image itself in both sums, as in the authors' program (hala64/mi-ue)."""
    f = torch.randn(7, 5, generator=generator("cpu", 0))
    y = torch.tensor([0, 0, 0, 1, 1, 2, 3])
    total = 0.0
    for i in range(7):
        e = [float(torch.exp(F.cosine_similarity(f[i], f[j], dim=0) / 0.1)) for j in range(7)]
        same = sum(v for j, v in enumerate(e) if y[j] == y[i])
        total -= float(torch.log(torch.tensor(same / sum(e))))
    assert float(class_contrast(f, y, 0.1)) == pytest.approx(total, rel=1e-4)
    alone = f.clone().requires_grad_()  # without any classmate, images still leave each other
    class_contrast(alone, torch.arange(7), 0.1).backward()
    assert alone.grad.isfinite().all() and (alone.grad.abs().sum(1) > 0).all()


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


def test_mi_ue_gathers_the_classes_of_a_sorted_folder():
    """A chunk of one class has nothing to gather: the noise stayed at its start."""
    data = load("shapes", limit=160)
    data = data.subset(data.y.argsort(stable=True))
    m = MIUE(model=NARROW, train_steps=6, refresh_every=3, batch=16, noise_batch=16, step=2.0)
    done = min_min(m, data, Context(seed=1))
    frozen, x = Frozen(done.generator, bfloat16=False), data.pixels(slice(None), "cpu")
    start = torch.randint(-8, 9, x.shape, generator=generator("cpu", 1)) / 255
    clean, random, made = (
        float(class_contrast(frozen.features((x + u).clamp(0, 1)), data.y, 0.1))
        for u in (0.0, start, done.delta / 255)
    )
    assert made < 0.95 * min(clean, random)


def test_moves_of_less_than_half_a_level_add_up(few: Images):
    """Three passes of one step of 0.2: int8 would round each back to where it was."""
    m = MIUE(model=NARROW, steps=1, step=0.2, growth=1.0, batch=40)
    loop = MinMinLoop(m, few, Context(seed=1))
    for k in range(5):
        loop.update_noise(torch.arange(40), k, 0)
    assert float(loop.table.abs().max()) == pytest.approx(1.0, abs=0.01)
    assert int(loop.delta().abs().max()) == 1
    assert MinMinLoop(SEM.preset("short"), few, Context()).table.dtype == torch.int8


def test_classes_without_an_image_in_a_chunk_keep_their_noise(few: Images):
    """They ended at the random start of the visit."""
    m = SEM(**ROBUST | {"noise_type": "classwise"})
    loop = MinMinLoop(m, few, Context(seed=1))
    loop.table.fill_(3)
    loop.update_noise(torch.arange(40)[few.y < 2], 0, 0)
    assert (loop.table[2:] == 3).all() and (loop.table[:2] != 3).float().mean() > 0.8


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


PUE_SMALL = {"model": NARROW, "steps": 2, "step": 1.0, "batch": 8, "levels": 3, "draws": 2}


def slow_levels(model, few: Images, g, draws: int):
    """Yield, level by level (0, 0.05, 0.1), copies of ``model`` with noise on their weights."""
    for std in (0.0, 0.05, 0.1):
        noisy = [copy.deepcopy(model) for _ in range(draws if std else 1)]
        for each in noisy:
            for p in each.parameters():
                p.data += std * torch.randn(p.shape, generator=g)
        yield noisy


def test_pue_takes_a_noise_step_for_every_level(few: Images, in_double):
    """Wang et al.'s program, restated: at every level the sign of the gradient summed over draws of
    the weights."""
    loop = MinMinLoop(PUE(**PUE_SMALL, weight_std=0.1), few, Context(seed=4))
    model = build(NARROW, 10, size=32, seed=4).eval()
    before = [p.detach().clone() for p in loop.trainer.model.parameters()]
    rows = torch.arange(8)
    x, y, g = few.pixels(rows, "cpu"), few.y[:8], generator("cpu", 4, "noise", 0, 0)
    u = loop.table[rows].double() / 255
    loop.noisy = True
    loop.update_noise(rows, 0)
    for _ in range(2):
        for noisy in slow_levels(model, few, g, draws=2):
            u = u.detach().requires_grad_()
            total = sum(F.cross_entropy(each((x + u).clamp(0, 1)), y) for each in noisy)
            (gradient,) = torch.autograd.grad(total, u)
            u = (u - gradient.sign() / 255).clamp(-8 / 255, 8 / 255)
    assert torch.equal(loop.table[rows].double(), (u * 255).round())
    assert loop.trainer.frozen.passes == 8 * loop.m.passes_per_update == 8 * 2 * (1 + 2 + 2)
    after = list(loop.trainer.model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_pue_takes_a_surrogate_step_for_every_level(few: Images, in_double):
    """As there: a share of the loss per level, and the gradient clipped after every draw."""
    m = PUE(**PUE_SMALL, weight_std=0.1, train_draws=2)
    loop = MinMinLoop(m, few, Context(seed=4))
    loop.noisy = True
    model, i = build(NARROW, 10, size=32, seed=4).train(), batch_rows(40, 8, 4, 0)
    x, y, g = loop.protected(i), few.y[i], generator("cpu", 4, "surrogate", 0, 0)
    loop.train_step(0)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for std in (0.0, 0.05, 0.1):
        sgd.zero_grad()
        for _ in range(2 if std else 1):
            noise = [std * torch.randn(p.shape, generator=g) for p in model.parameters()]
            for p, n in zip(model.parameters(), noise, strict=True):
                p.data += n
            (F.cross_entropy(model(x), y) / 3 / (2 if std else 1)).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            for p, n in zip(model.parameters(), noise, strict=True):
                p.data -= n
        sgd.step()
    pairs = zip(loop.trainer.model.parameters(), model.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-9) for a, b in pairs)


@pytest.mark.parametrize("refresh_every", [0, 2])
def test_pue_is_em_until_the_surrogate_is_right_often_enough(few: Images, refresh_every):
    shared = SMALL | {"train_steps": 4, "refresh_every": refresh_every, "stop_error": 0.0}
    em = min_min(EM(**shared), few, Context(seed=1))
    waits = PUE(**shared, levels=2, draws=1, train_draws=1)
    never, soon = (
        min_min(replace(waits, from_accuracy=from_accuracy), few, Context(seed=1))
        for from_accuracy in (100.0, 1.0)
    )
    assert torch.equal(em.delta, never.delta) and em.passes == never.passes < soon.passes
    assert not torch.equal(em.delta, soon.delta)


def test_weights_are_the_same_bits_after_their_noise(few: Images):
    model = build("convnet", 10, size=32, seed=1)
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(ZeroDivisionError), noisy_weights(model, 0.05, generator("cpu", 0)):
        1 / 0  # noqa: B018
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert list(weight_draws(model, WeightNoise(0.1, 4), generator("cpu", 0))) == ([0.25] * 4)


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


PRESETS = [(kind, name) for kind in METHODS.values() for name in kind.presets]


@pytest.mark.parametrize(("kind", "name"), [p for p in PRESETS if issubclass(p[0], MinMin)])
def test_the_schedule_of_every_preset_fits_its_steps(kind, name):
    """The rate is worth something for most of the run, and small at its end. (AUE's was 1e-7 after
    half of it.)"""
    m = kind.preset(name)
    assert m.lr_at(m.train_steps // 2) >= m.lr / 10 and m.lr_at(int(0.75 * m.train_steps)) >= 1e-3
    assert m.lr_at(m.train_steps - 1) < m.lr / 50


@pytest.mark.parametrize("name", list(Recipe.presets))
def test_the_schedule_of_every_recipe_fits_its_steps(name):
    r = Recipe.preset(name)
    assert r.lr_at(r.steps // 2) >= r.lr / 10 and r.lr_at(int(0.75 * r.steps)) >= 1e-3
    assert r.lr_at(r.steps - 1) < r.lr / 50


def test_without_t_every_member_sees_the_images_as_they_are(few: Images):
    x = few.pixels(torch.arange(4), "cpu")
    for kind in (EM, SEM, AUE):
        m = kind(model=NARROW, eot_samples=0)
        assert MinMinLoop(m, few, Context()).t(x, generator("cpu", 0)).equal(x)


def test_a_cosine_has_no_steps():
    for kind in (AUE, MIUE):
        for more in ({"decay_every": 10}, {"lr_decay": 0.5}):
            with pytest.raises(UserError, match="falls along a cosine"):
                kind(**more)


def test_aue_falls_along_the_released_cosine():
    """0.1 (1 + cos(pi epoch / 60)) / 2 over 60 epochs (EhanW/AUE-AAP)."""
    assert AUE().lr_at(12_000) == pytest.approx(0.048, abs=5e-4)
    assert AUE().weight_decay == MIUE().weight_decay == 1e-4
    assert AUE().noise_step(0) == pytest.approx(0.8) and AUE(eps=4).noise_step(0) == 0.4


@pytest.mark.parametrize("radius", [1.0, 4.0])
def test_steps_of_the_imagenet_presets_are_quarters_of_the_radius(radius):
    """gen_rem.sh of Fu et al. for the ImageNet subset: 7 steps of 2 in 8 and of 1 in 4."""
    assert REM.preset("imagenet", adv_eps=radius).adversary.step == radius / 4
    for kind in (EM, REM):
        assert kind.preset("imagenet", eps=2 * radius).noise_step(0) == radius / 2
    assert REM(adv_eps=radius).adversary.step == radius / 5
    assert REM(eps=2 * radius).noise_step(0) == 2 * radius / 5
    recipe = Recipe.preset("imagenet", adv_eps=radius).adversary
    assert recipe["step"] == pytest.approx(radius / 4 / 255)
