"""``learn``: the one training loop, ordinary or adversarial (Madry et al., 2018), resumable at any step."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from unlearnable import augment
from unlearnable.core import distributed
from unlearnable.core.checkpoint import Checkpoint
from unlearnable.core.device import pick_device
from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write, read_json, write_json
from unlearnable.core.presets import Presets, require
from unlearnable.core.progress import Progress
from unlearnable.core.provenance import provenance
from unlearnable.core.seeding import batch_rows, generator
from unlearnable.data.images import Images
from unlearnable.measure import accuracy
from unlearnable.models import build
from unlearnable.pgd import Compiled, Frozen, adversary, arithmetic, has_bfloat16
from unlearnable.strong_augment import STRONG

Precision = Literal["auto", "bf16", "fp32"]


@dataclass(frozen=True)
class Recipe(Presets):
    """How a learner trains. Defaults: the paper's recipe for CIFAR (Fu et al., 2022, appendix)."""

    model: str = "resnet18"
    """a name of `unlearnable ls models`, or my_module:factory"""
    steps: int = 40_000
    """optimiser steps"""
    batch: int = 128
    """pictures a step, over all processes"""
    lr: float = 0.1
    """learning rate of SGD at its start (step schedule) or peak (onecycle)"""
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["step", "onecycle"] = "step"
    """step: x lr_decay every decay_every steps; onecycle: up over the first fifth, then a cosine to 0"""
    decay_every: int = 16_000
    lr_decay: float = 0.1
    augment: bool = True
    """the paper's T (flip and padded crop; RandomResizedCrop from 128 px on)"""
    adv_eps: float = 0.0
    """radius of adversarial training, in /255; 0 is ordinary training"""
    adv_steps: int = 10
    """PGD steps of the adversary"""
    adv_step: float | None = None
    """PGD step size in /255; default: 2 adv_eps / adv_steps (the paper's adv_eps / 5 at 10 steps)"""
    adv_l2: float = 0.0
    """radius of adversarial training in the L2 norm instead, pixels in [0, 1] (0.25 to 0.75 are usual)"""
    strong: str = ""
    """an augmentation of `unlearnable ls strong`, after T"""
    start: str = ""
    """model.safetensors to start from; layers of another shape (the head) start at random"""
    tests: int = 20
    """how often the test accuracy is taken on the way, for the peak"""

    presets: ClassVar[dict[str, dict]] = {
        "paper": {},
        "imagenet": {"adv_steps": 8},
        "short": {"model": "convnet", "steps": 800, "schedule": "onecycle", "adv_steps": 3, "tests": 8},
        # a few hundred pictures: 80 epochs of 480
        "photos": {"model": "convnet", "steps": 300, "schedule": "onecycle", "adv_steps": 3, "tests": 1},
    }

    def __post_init__(self) -> None:
        require(
            self,
            positive="steps batch lr decay_every adv_step tests",
            whole="adv_eps adv_l2 adv_steps momentum weight_decay",
        )
        if self.adv_eps and self.adv_l2:
            raise UserError("Adversarial training has one radius; give adv_eps or adv_l2, not both.")
        if self.strong and self.strong not in STRONG:
            raise UserError(f"There is no augmentation '{self.strong}'; there are {', '.join(STRONG)}.")

    def lr_at(self, step: int) -> float:
        if self.schedule == "step":
            return self.lr * self.lr_decay ** (step // self.decay_every)
        warm = max(1, self.steps // 5)
        rise = min(1.0, (step + 1) / warm)
        fall = max(0.0, (step + 1 - warm) / max(1, self.steps - warm))
        return self.lr * rise * (0.5 + 0.5 * math.cos(math.pi * fall))

    @property
    def adversary(self) -> dict:
        """Radius, step size, steps and norm for ``pgd.adversary``, with pixels in [0, 1]."""
        radius = self.adv_l2 or self.adv_eps / 255
        step = self.adv_step / 255 if self.adv_step is not None else 2 * radius / max(1, self.adv_steps)
        return {"eps": radius, "step": step, "steps": self.adv_steps, "norm": "l2" if self.adv_l2 else "linf"}

    @property
    def adversarial(self) -> bool:
        return self.adv_eps > 0 or self.adv_l2 > 0


@dataclass(frozen=True, eq=False)
class Learned:
    """A trained model and its ``result``: accuracy of the last step and of the peak in %, config, evidence."""

    model: nn.Module
    result: dict


class Trainer:
    """A model, its SGD and its frozen copy: one training step for learners and for surrogates alike."""

    def __init__(self, model: nn.Module, *, lr: float, momentum: float, weight_decay: float, bfloat16: bool):
        self.model = model.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay)
        self.bfloat16 = bfloat16
        self.frozen = Frozen(model, bfloat16=bfloat16)
        # no CUDA graph: the step between two forward passes changes the weights in place
        self._network = Compiled(model, graphs=False)
        self._steps = 0  # pictures of training steps so far

    def step(
        self,
        x: Tensor,
        y: Tensor,
        lr: float,
        *,
        refresh: bool = True,
        also: Callable[[nn.Module], Tensor] | None = None,
        shares: Iterable[float] = (1.0,),
    ) -> Tensor:
        """One SGD step on x [n, 3, H, W], already augmented and perturbed. Returns the batch's mean loss (a tensor, so
        that nothing waits for the device). ``refresh`` False leaves the frozen copy behind; ``also`` is a second term
        of the loss, on as many pictures. ``shares``: the loss is taken once for each and counts by it; what yields them
        may change the model's weights meanwhile, and must have put them back at the end."""
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        x = x.contiguous(memory_format=torch.channels_last)
        self.optimizer.zero_grad()
        total = torch.zeros((), device=x.device)
        for share in shares:
            with arithmetic(x.device, self.bfloat16):
                logits = self._network(x)
                second = also(self.model) if also else 0.0
            loss = share * (F.cross_entropy(logits.float(), y) + second)
            loss.backward()
            total += loss.detach()
            self._steps += len(x) * (2 if also else 1)
        distributed.average_gradients(self.model)
        self.optimizer.step()
        if refresh:
            self.frozen.refresh()
        return total

    @property
    def passes(self) -> int:
        """Forward and backward passes of one picture so far, on this process: training steps and PGD steps."""
        return self._steps + self.frozen.passes

    def state(self) -> dict:
        passes = {"steps": self._steps, "frozen": self.frozen.passes}
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "passes": passes}

    def load(self, state: dict) -> None:
        self._steps, self.frozen.passes = state["passes"]["steps"], state["passes"]["frozen"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.frozen.refresh()


def use_bfloat16(precision: Precision, device: torch.device) -> bool:
    return has_bfloat16(device) if precision == "auto" else precision == "bf16"


def learn(
    data: Images,
    recipe: Recipe | None = None,
    *,
    test: Images | None = None,
    out: Path | str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
) -> Learned:
    """Train a learner on ``data`` and take its accuracy on the clean ``test`` pictures.

    out: a folder for log.jsonl, result.json, model.safetensors and, until done, the state that the same call resumes
    from.  Bit for bit the same with and without interruption (CPU, same threads).
    """
    recipe = recipe or Recipe()
    where = pick_device(device)
    bfloat16 = use_bfloat16(precision, where)
    data.for_learning()
    if test is not None and test.classes != data.classes:
        raise UserError(f"The test pictures have the classes {', '.join(test.classes[:5])}..., not the training ones.")
    out = Path(out) if out else None
    config = {
        "recipe": asdict(recipe),
        "data": data.digest(),
        "test": test and test.digest(),
        "seed": seed,
        "bfloat16": bfloat16,
    }
    model = build(recipe.model, len(data.classes), size=data.size, seed=seed)
    if recipe.start:
        config["start"] = _start_from(model, Path(recipe.start))
    model = model.to(where)
    if out and (out / "result.json").exists():
        return _finished(out, config, model)
    state = Checkpoint(out, config)
    t = augment.for_size(*data.x.shape[-2:]) if recipe.augment else augment.Nothing()
    trainer = Trainer(
        model, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, bfloat16=bfloat16
    )
    log = _train(trainer, recipe, data, test, t, seed, where, out, state)
    scores = [entry["accuracy"] for entry in log if "accuracy" in entry]
    result = {
        "accuracy": scores[-1] if scores else None,
        "peak": max(scores) if scores else None,
        "config": config,
        "source": data.source,
        "log": log,
        "passes": distributed.sum_int(trainer.passes),
        "seconds": round(state.seconds, 1),
        **provenance(where),
    }
    if out and distributed.rank() == 0:
        _write_model(out / "model.safetensors", model)
        write_json(out / "result.json", result)
    state.remove()
    return Learned(model.eval(), result)


def _start_from(model: nn.Module, file: Path) -> str:
    """Take over the weights in ``file`` whose names and shapes fit; the file's hash. UserError where none fit."""
    try:
        saved, digest = load_file(file), hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    except (OSError, SafetensorError) as e:
        raise UserError(f"{file} is no model.safetensors that `unlearnable learn` wrote; check the path.") from e
    own = model.state_dict()
    fits = {k: v for k, v in saved.items() if k in own and own[k].shape == v.shape}
    if sum(v.dim() > 1 and k not in fits for k, v in own.items()) > 1:
        raise UserError(f"{file} holds another network than the recipe's; give one whose layers fit but for the head.")
    model.load_state_dict(own | fits)
    return digest


def _train(
    trainer: Trainer,
    recipe: Recipe,
    data: Images,
    test: Images | None,
    t: augment.Augmentation,
    seed: int,
    where: torch.device,
    out: Path | None,
    state: Checkpoint,
) -> list[dict]:
    """The loop, from the saved state to its end: the log."""
    log: list[dict] = []
    first = 0
    if saved := state.load():
        trainer.load(saved)
        first, log = saved["step"], saved["log"]
    every = max(1, recipe.steps // recipe.tests)
    with Progress(f"learning ({_title(recipe)})", recipe.steps, first=first) as progress:
        for step in range(first, recipe.steps):
            loss = _step(trainer, recipe, data, t, seed, step, where)
            if (step + 1) % every == 0 or step + 1 == recipe.steps:
                log.append({"step": step + 1, "loss": round(float(loss), 6)})
                if test is not None:
                    log[-1]["accuracy"] = accuracy(trainer.frozen, test, t, device=where)
                _write_log(out, log)
            progress.at(step + 1, f"test accuracy {log[-1]['accuracy']:.1f} %" if test and log else "")
            state.save(step + 1, trainer.state() | {"step": step + 1, "log": log})
    return log


def _step(
    trainer: Trainer, recipe: Recipe, data: Images, t: augment.Augmentation, seed: int, step: int, device: torch.device
) -> Tensor:
    i = batch_rows(len(data), recipe.batch, seed, step)
    g = generator(device, seed, "learn", step, distributed.rank())
    torch.manual_seed(g.initial_seed())  # for a user's model that draws by itself (dropout)
    x, y = t(data.pixels(i, device), g), data.labels(i, device)
    if recipe.strong:
        x, y = STRONG[recipe.strong].change(x, y, len(data.classes), trainer.frozen)
    x = x + adversary(trainer.frozen, x, y, g, **recipe.adversary)
    return trainer.step(x, y, recipe.lr_at(step), refresh=_looked_at(recipe, step))


def seconds_a_step(data: Images, recipe: Recipe, *, device: str = "auto") -> float:
    """What a step takes here, from trying two; the first also pays for what is set up once and does not count."""
    where = pick_device(device)
    model = build(recipe.model, len(data.classes), size=data.size, seed=0).to(where)
    trainer = Trainer(model, lr=0.0, momentum=0.0, weight_decay=0.0, bfloat16=use_bfloat16("auto", where))
    t = augment.for_size(*data.x.shape[-2:]) if recipe.augment else augment.Nothing()
    for step in range(2):
        begin = time.monotonic()
        _step(trainer, recipe, data, t, 0, step, where).item()
    return time.monotonic() - begin


def _looked_at(recipe: Recipe, step: int) -> bool:
    """Whether anything looks at the frozen copy after this step: an adversary, an augmentation, a test."""
    if recipe.adversarial or (recipe.strong and STRONG[recipe.strong].needs_model):
        return True
    return (step + 1) % max(1, recipe.steps // recipe.tests) == 0 or step + 1 == recipe.steps


def _title(recipe: Recipe) -> str:
    radius = f"{recipe.adv_eps:g}/255" if recipe.adv_eps else f"L2 {recipe.adv_l2:g}"
    return ", ".join(
        [recipe.model, *[f"adversarial {radius}"] * recipe.adversarial, *[recipe.strong] * bool(recipe.strong)]
    )


def _finished(out: Path, config: dict, model: nn.Module) -> Learned:
    result = read_json(out / "result.json")
    if result["config"] != json.loads(json.dumps(config)):
        raise UserError(f"{out} holds the result of another run; give another --out, or delete it.")
    model.load_state_dict(load_file(out / "model.safetensors"))
    return Learned(model.eval(), result)


def _write_log(out: Path | None, log: list[dict]) -> None:
    if out and distributed.rank() == 0:
        with atomic_write(out / "log.jsonl") as tmp:
            tmp.write_text("".join(json.dumps(entry) + "\n" for entry in log))


def _write_model(path: Path, model: nn.Module) -> None:
    with atomic_write(path) as tmp:
        save_file({k: v.cpu().contiguous() for k, v in model.state_dict().items()}, tmp)
