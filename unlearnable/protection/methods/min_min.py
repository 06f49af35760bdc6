"""The min-min family: noise descends, surrogate descends, on one loss. EM, REM and SEM differ only
in what the protected image meets before the loss is taken: nothing, an adversary, or a uniform draw
from the adversary's ball.

Two traps of the authors' released program (Fu et al., 2022) and what happens here: the final pass
covers every image (theirs drops the last incomplete batch); the noise is clipped to valid pixels
where it is added, not where it is kept (as theirs).
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from unlearnable.core import distributed
from unlearnable.core.device import to_device
from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.core.progress import Progress
from unlearnable.core.seeding import batch_rows, generator
from unlearnable.data.images import Images
from unlearnable.models import build
from unlearnable.protection.methods.base import Context, Method, Noise
from unlearnable.training import augment
from unlearnable.training.frozen import Frozen
from unlearnable.training.pgd import adversary, pgd, total_loss, uniform, uniform_perturbation
from unlearnable.training.trainer import Trainer

MAX_PIXELS_PER_FORWARD = (
    2**23
    # pixels of all views together that go through the surrogate at once: 41 images of 224 px, 4 views
)


@dataclass(frozen=True)
class MinMin(Method):
    """The settings that the whole family shares."""

    # an image's noise does not depend on which others are in its batch
    independent: ClassVar[bool] = True

    eps: float = 8.0
    """budget of the noise, in /255 (the paper's rho_u)"""
    steps: int = 10
    """noise steps a visit (K_u)"""
    step: float | None = None
    """size of a noise step in /255; default: 2 eps / steps (the paper's eps / 5 at 10 steps)"""
    eot_samples: int = 5
    """draws of the augmentation T a noise step (J); 0: no T, neither for the noise nor for the
    surrogate"""
    gray_prob: float = 0.0
    """share of the draws of T that lose their colors, 0 to 1: against learners of grayscale copies"""
    warm_start: bool = False
    """start a visit from the noise of the last one, not from a fresh random draw"""
    noise_type: Literal["samplewise", "classwise"] = "samplewise"
    """one noise an image, or one a class"""
    refresh_every: int = 0
    """0: a batch's noise is renewed when the batch is visited; k: all noise is renewed after every
    k surrogate steps"""
    stop_error: float = 0.0
    """stop once the surrogate's error on the protected images is below this, in %; needs
    refresh_every"""
    model: str = "resnet18"
    """the surrogate: a name of `unlearnable ls models`, or my_module:factory"""
    train_steps: int = 5000
    """surrogate steps (M), at most"""
    batch: int = 128
    """images a step, over all processes"""
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    decay_every: int = 2000
    """surrogate steps between two decays of lr"""
    lr_decay: float = 0.1

    def __post_init__(self) -> None:
        require(self, positive="eps step batch train_steps decay_every lr")
        require(self, whole="steps eot_samples refresh_every stop_error momentum weight_decay")
        if self.stop_error and not self.refresh_every:
            raise UserError(
                "stop_error is looked at after a noise pass; set refresh_every too, or stop_error to 0."
            )
        if not 0 <= self.gray_prob <= 1:
            raise UserError(f"gray_prob is a probability between 0 and 1, not {self.gray_prob}.")
        if self.gray_prob and not self.eot_samples:
            raise UserError(
                "gray_prob is a part of T; set eot_samples to 1 or more too, or gray_prob to 0."
            )
        if self.eps < 1:
            raise UserError(
                f"Noise is stored in whole steps of 1/255; an eps of {self.eps} leaves none."
            )

    def craft(self, data: Images, run: Context) -> Noise:
        return min_min(self, data, run)

    @abstractmethod
    def noise_meets(self, model: nn.Module, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        """What is added to z = t(x + u), float [N, 3, H, W], before the noise step's loss."""

    @abstractmethod
    def surrogate_meets(self, model: nn.Module, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        """The same for the surrogate's step."""

    def noise_lowers(self, model: Frozen, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        """The noise step's loss, a sum over images; the cross-entropy unless a member says
        otherwise."""
        return total_loss(model, z, y)

    def views(self, height: int, width: int) -> augment.Augmentation:
        """What stands for T at this size."""
        return augment.for_size(height, width) if self.eot_samples else augment.Identity()

    def noise_step(self, step: int) -> float:
        """Size of a noise step in /255 at surrogate step ``step``."""
        return self.step if self.step is not None else 2 * self.eps / max(1, self.steps)

    def lr_at(self, step: int) -> float:
        return self.lr * self.lr_decay ** (step // self.decay_every)

    def surrogate_also(self) -> Callable[[nn.Module, Tensor], Tensor] | None:
        """A second term of the surrogate's loss, if any: (model, t(x) of the step's clean images)
        -> its mean."""
        return None

    def surrogate_shares(self, model: nn.Module, g: torch.Generator) -> Iterable[float]:
        """The surrogate's loss is taken once for each share and counts by it: ``Trainer.step``."""
        return (1.0,)


_VISITS = {
    "model": "convnet",
    "eot_samples": 1,
    "steps": 2,
    "step": 1.6,
    "refresh_every": 0,
    "stop_error": 0.0,
}


@dataclass(frozen=True)
class EM(MinMin):
    """error-minimizing noise (Huang et al., ICLR 2021): cheap, strong against ordinary training,
    undone by adversarial training. Fair form: noise and image aligned, warm-started, renewed for
    the whole set every 10 surrogate steps."""

    steps: int = 20
    eot_samples: int = 0
    warm_start: bool = True
    refresh_every: int = 10
    stop_error: float = 1.0

    presets: ClassVar[dict[str, dict]] = {
        "paper": {},
        "eot": {
            "steps": 10,
            "eot_samples": 5,
            "warm_start": False,
            "refresh_every": 0,
            "stop_error": 0.0,
        },
        "class": {"noise_type": "classwise", "steps": 1, "step": 1.0},
        "imagenet": {"steps": 7, "step": 2.0, "train_steps": 3000, "decay_every": 1200},
        # one draw of T, noise renewed at every visit: far stronger here than the default form
        # (docs/results.md)
        "short": _VISITS | {"train_steps": 800, "decay_every": 320},
        "fast": _VISITS | {"train_steps": 400, "decay_every": 160},
    }

    def noise_meets(self, model: nn.Module, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        return torch.zeros_like(z)

    surrogate_meets = noise_meets


@dataclass(frozen=True)
class Robust(MinMin):
    """The settings that the robust members share: the adversary."""

    adv_eps: float = 4.0
    """radius that the noise is built to withstand, in /255 (rho_a); at most eps / 2 in the paper"""
    adv_steps: int = 10
    """PGD steps of the adversary (K_a)"""
    adv_step: float | None = None
    """PGD step size in /255; default: 2 adv_eps / adv_steps (the paper's adv_eps / 5 at 10 steps)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, positive="adv_step", whole="adv_eps adv_steps")

    def attacked(self, model: nn.Module, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        step = (
            self.adv_step
            if self.adv_step is not None
            else 2 * self.adv_eps / max(1, self.adv_steps)
        )
        return adversary(
            model, z, y, g, eps=self.adv_eps / 255, step=step / 255, steps=self.adv_steps
        )

    def surrogate_meets(self, model: nn.Module, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        return self.attacked(model, z, y, g)


@dataclass(frozen=True)
class REM(Robust):
    """robust error-minimizing noise (Fu et al., ICLR 2022, algorithm 1): holds against adversarial
    training up to about adv_eps, not beyond, and only when nearly every image is protected. Costly:
    the adversary runs in every draw."""

    presets: ClassVar[dict[str, dict]] = {
        "paper": {},
        "imagenet": {"steps": 7, "step": 2.0, "eot_samples": 4, "adv_steps": 7, "adv_step": 1.0}
        | {"train_steps": 3000, "decay_every": 1200},
        "short": {
            "model": "convnet",
            "adv_eps": 2.0,
            "warm_start": True,
            "steps": 2,
            "step": 1.6,
            "eot_samples": 1,
        }
        | {"adv_steps": 3, "train_steps": 800, "decay_every": 320},
    }

    def noise_meets(self, model: nn.Module, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        return self.attacked(model, z, y, g)


@dataclass(frozen=True)
class SEM(Robust):
    """stable error-minimizing noise (Liu et al., AAAI 2024): REM with one uniform draw in place of
    the adversary in the noise step; about nine times fewer passes at the paper's settings."""

    presets: ClassVar[dict[str, dict]] = {
        "paper": {},
        "short": {
            "model": "convnet",
            "adv_eps": 2.0,
            "warm_start": True,
            "steps": 2,
            "step": 1.6,
            "eot_samples": 1,
        }
        | {"adv_steps": 3, "train_steps": 800, "decay_every": 320},
    }

    def noise_meets(self, model: nn.Module, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        return uniform_perturbation(z, g, eps=self.adv_eps / 255)


# ── the loop ──


class MinMinLoop:
    """One run: the noise table (int8, in /255: this process's rows, or one row a class), the
    surrogate, their steps."""

    def __init__(self, method: MinMin, data: Images, run: Context):
        self.m, self.data, self.run = method, data, run
        views = method.views(*data.x.shape[-2:])
        self.t = augment.Gray(views, method.gray_prob) if method.gray_prob else views
        model = build(method.model, len(data.classes), size=data.size, seed=run.seed).to(run.device)
        self.trainer = Trainer(
            model,
            lr=method.lr,
            momentum=method.momentum,
            weight_decay=method.weight_decay,
            bfloat16=run.bfloat16,
        )
        own = distributed.local_rows(len(data))
        # the same number of parts on every process, because class-wise noise sums gradients over
        # the processes
        largest, part = (
            -(-len(data) // distributed.world()),
            max(1, method.batch // distributed.world()),
        )
        self.parts = own.tensor_split(-(-largest // part))
        rows = len(own) if method.noise_type == "samplewise" else len(data.classes)
        self.table = torch.zeros((rows, *data.x.shape[1:]), dtype=torch.int8)
        if method.warm_start:
            key = distributed.rank() if method.noise_type == "samplewise" else "class"
            random = generator("cpu", run.seed, "first noise", key)
            eps = int(method.eps)
            self.table.random_(-eps, eps + 1, generator=random)
        self.table = self.table.to(run.device)

    def rows(self, i: Tensor) -> Tensor:
        """Where the noise of the images ``i`` stands in the table, on its device."""
        device = self.run.device
        return (
            self.data.labels(i, device)
            if self.m.noise_type == "classwise"
            else to_device(i, device) // distributed.world()
        )

    def renew(self, i: Tensor, step: int, part: int | None = None) -> None:
        """The inner minimization for the images ``i`` of surrogate step ``step`` (or of a part of
        the pass after it), as many at once as memory allows."""
        key = (step,) if part is None else ("pass", step, part)
        views = (
            max(1, self.m.eot_samples) * self.data.x.shape[-2] * self.data.x.shape[-1]
        )  # pixels an image
        at_once = (
            max(1, MAX_PIXELS_PER_FORWARD // views)
            if self.m.independent and self.m.noise_type == "samplewise"
            else len(i)
        )
        for k, rows in enumerate(i.split(at_once)):
            self._minimize(rows, step, key if k == 0 else (*key, "rows", k))

    def _minimize(self, i: Tensor, step: int, key: tuple) -> None:
        """u minimizes E_t loss(f(t(x + u) + a)), N[i] = round(u); ``key`` names the random draws."""
        m, device = self.m, self.run.device
        g = generator(device, self.run.seed, "noise", *key, distributed.rank())
        x, y = self.data.pixels(i, device), self.data.labels(i, device)
        by_class = m.noise_type == "classwise"
        noise = slice(None) if by_class else self.rows(i)
        start = self.table[noise].float() / 255
        if not m.warm_start:
            # class noise must start equal on all processes
            start = uniform(
                start, m.eps / 255, generator(device, self.run.seed, *key) if by_class else g
            )

        def loss(u: Tensor) -> Tensor:
            if by_class:
                u.register_hook(_summed)
            # not u[y]: the gradient of an index adds up in the order in which threads come
            return self.noise_loss(x, u.index_select(0, y) if by_class else u, y, g)

        zero = torch.zeros_like(start)
        size = m.noise_step(step) / 255
        u = pgd(
            loss,
            zero,
            eps=m.eps / 255,
            step=size,
            steps=m.steps,
            minimize=True,
            start=start,
            valid=False,
        )
        self.table[noise] = (u * 255).round().to(torch.int8)

    def noise_loss(self, x: Tensor, u: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        """Sum over images and draws t of loss(f(t(clip(x + u)) + a)); all draws go through the
        model in one batch."""
        draws = max(1, self.m.eot_samples)
        y = y.repeat(draws)
        z = self.t((x + u).clamp(0, 1).repeat(draws, 1, 1, 1), g)
        a = self.m.noise_meets(self.trainer.frozen, z.detach(), y, g)
        return self.m.noise_lowers(self.trainer.frozen, z + a, y, g)

    def protected(self, i: Tensor) -> Tensor:
        """The images ``i`` with their present noise, float [n, 3, H, W] in [0, 1]."""
        u = self.table[self.rows(i)].float() / 255
        return (self.data.pixels(i, self.run.device) + u).clamp(0, 1)

    def descend(self, step: int) -> None:
        """Surrogate step number ``step``, after the noise of its batch was renewed (unless that is
        done in passes)."""
        m = self.m
        i = batch_rows(len(self.data), m.batch, self.run.seed, step)
        if not m.refresh_every:
            self.renew(i, step)
        g = generator(self.run.device, self.run.seed, "surrogate", step, distributed.rank())
        torch.manual_seed(g.initial_seed())  # for a user's model that draws by itself (dropout)
        y = self.data.labels(i, self.run.device)
        z = self.t(self.protected(i), g)
        a = m.surrogate_meets(self.trainer.frozen, z, y, g)
        shares = m.surrogate_shares(self.trainer.model, g)
        also = m.surrogate_also()
        if also is not None:
            g = generator(self.run.device, self.run.seed, "clean", step, distributed.rank())
            clean = self.t(self.data.pixels(i, self.run.device), g)
        second = also and (lambda model: also(model, clean))
        self.trainer.step(z + a, y, m.lr_at(step), also=second, shares=shares)

    @torch.no_grad()
    def error(self) -> float:
        """The surrogate's error on the protected images, in %."""
        wrong = torch.zeros((), device=self.run.device)
        for i in self.parts:
            guess = self.trainer.frozen(self.t.test(self.protected(i))).argmax(1)
            wrong += (guess != self.data.labels(i, self.run.device)).sum()
        distributed.all_reduce_(wrong)
        return 100 * float(wrong) / len(self.data)

    def delta(self) -> Tensor | None:
        """int8 [N, 3, H, W] for all images, on rank 0."""
        if self.m.noise_type == "classwise":
            return self.table.cpu()[self.data.y] if distributed.rank() == 0 else None
        return distributed.gather_rows(self.table.cpu(), len(self.data))


def _summed(gradient: Tensor) -> Tensor:
    gradient = gradient.contiguous()
    distributed.all_reduce_(gradient)
    return gradient


def _plan(m: MinMin, parts: int) -> Iterator[tuple[str, int, int]]:
    """Every piece of work in order: (what, surrogate step, part of the pass). The last noise pass
    has the finished model."""
    for step in range(m.train_steps):
        yield "descend", step, 0
        last = step + 1 == m.train_steps
        if last or (m.refresh_every and (step + 1) % m.refresh_every == 0):
            for part in range(parts):
                yield "renew", step, part
            yield "check", step, 0


def min_min(m: MinMin, data: Images, run: Context) -> Noise:
    """Run the loop (Fu et al., 2022, algorithm 1) to its end, resuming from ``run.state``."""
    loop = MinMinLoop(m, data, run)
    done = 0
    if saved := run.state.load():
        loop.trainer.load(saved)
        loop.table = saved["table"].to(run.device)
        done = saved["done"]
    plan = list(_plan(m, len(loop.parts)))
    with Progress(
        f"{type(m).__name__.lower()} noise", len(plan), first=done, at_most=m.stop_error > 0
    ) as progress:
        for at in range(done, len(plan)):
            what, step, part = plan[at]
            if what == "descend":
                loop.descend(step)
            elif what == "renew":
                loop.renew(loop.parts[part], step, part)
            elif m.stop_error and loop.error() < m.stop_error:
                break
            progress.at(at + 1)
            run.state.save(at + 1, loop.trainer.state() | {"table": loop.table, "done": at + 1})
    return Noise(loop.delta(), loop.trainer.model.eval(), distributed.sum_int(loop.trainer.passes))
