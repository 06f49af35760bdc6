"""Noise made on a surrogate that was trained once, on the clean images, and stays as it is: TAP,
HYPO, EntF."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from unlearnable.core import distributed
from unlearnable.core.errors import UserError
from unlearnable.core.files import read_json
from unlearnable.core.presets import require
from unlearnable.core.progress import Progress
from unlearnable.core.seeding import generator
from unlearnable.data.images import Images
from unlearnable.models import build
from unlearnable.protection.methods.base import Context, Method, Noise
from unlearnable.training import augment
from unlearnable.training.frozen import Frozen
from unlearnable.training.learn import learn
from unlearnable.training.pgd import pgd, total_loss, uniform
from unlearnable.training.recipe import Recipe

Goal = Callable[
    [Tensor, Tensor], Tensor
]  # images [n, 3, H, W] and labels [n] -> what the noise lowers, a sum


@dataclass(frozen=True)
class OnSurrogate(Method):
    """The settings of noise on a surrogate that was trained before."""

    eps: float = 8.0
    """budget of the noise, in /255"""
    steps: int = 100
    """noise steps"""
    eot_samples: int = 0
    """draws of the augmentation T a noise step; 0: no T"""
    batch: int = 128
    """images at a time, over all processes"""
    surrogate: str = ""
    """a folder that `unlearnable learn` wrote; default: train one here"""
    model: str = "resnet18"
    """the surrogate trained here: a name of `unlearnable ls models`, or my_module:factory"""
    train_steps: int = 40_000
    """its training steps"""
    train_adv_eps: float = 0.0
    """its radius of adversarial training, in /255"""
    train_adv_steps: int = 10
    """the PGD steps of that"""
    schedule: Literal["step", "onecycle"] = "step"
    """its learning rate: step (x 0.1 after 40 and 80 % of the steps) or onecycle"""

    def __post_init__(self) -> None:
        require(
            self,
            positive="eps batch train_steps",
            whole="steps eot_samples train_adv_eps train_adv_steps",
        )


@dataclass(frozen=True)
class FixedSurrogate(OnSurrogate):
    """The settings that TAP, HYPO and EntF share."""

    step: float = 0.8
    """size of a noise step in /255"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, positive="step")

    def craft(self, data: Images, run: Context) -> Noise:
        return on_fixed_surrogate(self, data, run)

    @abstractmethod
    def goal(self, frozen: Frozen, data: Images, run: Context) -> Goal:
        """What the noise lowers on the finished surrogate."""


SHORT = {
    "model": "convnet",
    "train_steps": 800,
    "schedule": "onecycle",
    "train_adv_steps": 3,
    "steps": 30,
    "step": 0.8,
}


@dataclass(frozen=True)
class TAP(FixedSurrogate):
    """targeted adversarial poisoning (Fowl et al., NeurIPS 2021): every image is moved to look like
    the next class to a clean-trained model. Collapses ordinary training; undone by adversarial
    training."""

    steps: int = 250
    step: float = 0.064
    eot_samples: int = 1

    presets: ClassVar[dict[str, dict]] = {"paper": {}, "short": SHORT}

    def goal(self, frozen: Frozen, data: Images, run: Context) -> Goal:
        return lambda z, y: total_loss(frozen, z, (y + 1) % len(data.classes))


@dataclass(frozen=True)
class HYPO(FixedSurrogate):
    """hypocritical perturbations (Tao et al., NeurIPS 2021): every image is moved deeper into its
    own class on a clean-trained model. Weak against ordinary training (about 70 % remain in the
    papers), none against adversarial."""

    presets: ClassVar[dict[str, dict]] = {"paper": {}, "short": SHORT}

    def goal(self, frozen: Frozen, data: Images, run: Context) -> Goal:
        return lambda z, y: total_loss(frozen, z, y)


@dataclass(frozen=True)
class EntF(FixedSurrogate):
    """entangled features (Wen et al., ICLR 2023): on an adversarially trained model, an image's
    features are pushed from its class's center, or pulled to the nearest other. Made against
    adversarial training of a large radius."""

    steps: int = 300
    step: float = 0.4
    train_adv_eps: float = 4.0
    how: Literal["push", "pull"] = "push"
    """push: away from the own class's center; pull: toward the nearest other class's center"""

    presets: ClassVar[dict[str, dict]] = {"paper": {}, "short": SHORT}

    def goal(self, frozen: Frozen, data: Images, run: Context) -> Goal:
        centers = feature_centers(frozen, data, run.device)
        apart = torch.cdist(centers, centers) + torch.eye(len(centers), device=centers.device) * 1e9
        aim, sign = (centers, -1.0) if self.how == "push" else (centers[apart.argmin(1)], 1.0)

        def goal(z: Tensor, y: Tensor) -> Tensor:
            # epsilon under the root: the distance of a feature from itself has no gradient
            distance = (frozen.features(z) - aim[y]).square().sum(1).add(1e-12).sqrt()
            return sign * distance.sum()

        return goal


@torch.no_grad()
def feature_centers(frozen: Frozen, data: Images, device: torch.device) -> Tensor:
    """[classes, D]: the mean penultimate features of every class's clean images."""
    total, count = None, torch.zeros(len(data.classes), device=device)
    for i in distributed.local_rows(len(data)).split(500):
        features, y = frozen.features(data.pixels(i, device)), data.labels(i, device)
        total = features.new_zeros(len(count), features.shape[1]) if total is None else total
        total.index_add_(0, y, features)
        count += torch.bincount(y, minlength=len(count))
    distributed.all_reduce_(total, count)
    return total / count.clamp(min=1)[:, None]


def trained_surrogate(m: FixedSurrogate, data: Images, run: Context) -> tuple[nn.Module, int]:
    """The surrogate, from its folder or trained here (resumable), and the passes that the training
    cost."""
    if m.surrogate:
        return read_surrogate(Path(m.surrogate), data).to(run.device), 0
    return train_surrogate(data, surrogate_recipe(m), run)


def surrogate_recipe(m: OnSurrogate, *, augment: bool = True) -> Recipe:
    return Recipe(
        model=m.model,
        steps=m.train_steps,
        schedule=m.schedule,
        decay_every=max(1, m.train_steps * 2 // 5),
        augment=augment,
        adv_eps=m.train_adv_eps,
        adv_steps=m.train_adv_steps,
        evals=1,
    )


def train_surrogate(data: Images, recipe: Recipe, run: Context) -> tuple[nn.Module, int]:
    """A learner of ``data`` and the passes that it cost; its state lies beside that of the run."""
    precision = "bf16" if run.bfloat16 else "fp32"
    out = run.state.folder and run.state.folder / "surrogate"
    done = learn(data, recipe, out=out, seed=run.seed, device=str(run.device), precision=precision)
    return done.model, done.result["passes"]


def read_surrogate(folder: Path, data: Images, *, any_classes: bool = False) -> nn.Module:
    """The model in a folder that ``learn`` wrote. Raises UserError when it is none, or of other
    classes than those of ``data`` (any_classes: only its features are used, and it may have other
    classes)."""
    if not (folder / "model.safetensors").exists():
        raise UserError(
            f"{folder} holds no trained model; give a folder that `unlearnable learn` has finished."
        )
    name = read_json(folder / "result.json")["config"]["recipe"]["model"]
    weights, classes = load_file(folder / "model.safetensors"), len(data.classes)
    if any_classes:
        last = list(build(name, 2, size=data.size).state_dict())[-1]  # the head's bias or weight
        classes = len(weights.get(last, ()))
    try:
        model = build(name, classes, size=data.size)
        model.load_state_dict(weights)
    except RuntimeError as e:
        wanted = "as images of this size need it" if any_classes else f"on {classes} classes"
        raise UserError(f"The model in {folder} was not trained {wanted}; train another.") from e
    return model


def on_fixed_surrogate(m: FixedSurrogate, data: Images, run: Context) -> Noise:
    """``steps`` sign steps down ``m.goal`` for every image, batch by batch, resuming from
    ``run.state``."""
    own = distributed.local_rows(len(data))
    # the same number of parts on every process: all of them save together
    largest, part = -(-len(data) // distributed.world()), max(1, m.batch // distributed.world())
    parts = own.tensor_split(-(-largest // part))
    table = torch.zeros((len(own), *data.x.shape[1:]), dtype=torch.int8)
    done, passes = 0, 0
    if saved := run.state.load():
        table, done, passes = saved["table"], saved["done"], saved["passes"]
    else:  # marks the folder as this run's before the surrogate's training writes into it
        run.state.save(0, {"table": table, "done": 0, "passes": 0}, force=True)
    model, trained = trained_surrogate(m, data, run)
    frozen = Frozen(model, bfloat16=run.bfloat16)
    frozen.passes = passes
    goal = m.goal(frozen, data, run)
    with Progress(f"{type(m).__name__} noise", len(parts), first=done) as progress:
        for k in range(done, len(parts)):
            i = parts[k]
            table[i // distributed.world()] = _descend(m, goal, data, i, run, k)
            progress.at(k + 1)
            run.state.save(k + 1, {"table": table, "done": k + 1, "passes": frozen.passes})
    return Noise(
        distributed.gather_rows(table, len(data)),
        model.eval(),
        trained + distributed.sum_int(frozen.passes),
    )


def _descend(
    m: FixedSurrogate, goal: Goal, data: Images, i: Tensor, run: Context, part: int
) -> Tensor:
    g = generator(run.device, run.seed, "fixed", part, distributed.rank())
    t = augment.for_size(*data.x.shape[-2:])
    x, y = data.pixels(i, run.device), data.labels(i, run.device)

    def loss(z: Tensor) -> Tensor:
        if not m.eot_samples:
            return goal(t.test(z), y)
        return goal(t(z.repeat(m.eot_samples, 1, 1, 1), g), y.repeat(m.eot_samples))

    start = (x + uniform(x, m.eps / 255, g)).clamp(0, 1) - x
    u = pgd(loss, x, eps=m.eps / 255, step=m.step / 255, steps=m.steps, minimize=True, start=start)
    return (u * 255).round().to("cpu", torch.int8)
