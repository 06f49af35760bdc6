"""``learn``: the one training loop, ordinary or adversarial (Madry et al., 2018), resumable at any
step."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn

from unlearnable.core import distributed
from unlearnable.core.callbacks import Callback, JsonLines
from unlearnable.core.checkpoint import Checkpoint, State, held, tidy
from unlearnable.core.device import describe_place, pick_device
from unlearnable.core.errors import UserError, unknown
from unlearnable.core.files import file_digest, read_json, write_json
from unlearnable.core.finite import diverged, is_finite
from unlearnable.core.plugins import form_in_key, own_code, own_code_key
from unlearnable.core.presets import require_seed
from unlearnable.core.progress import Progress
from unlearnable.core.provenance import provenance
from unlearnable.core.seeding import (
    Purpose,
    batch_rows,
    generator,
    global_draws_kept,
    seed_of,
    seed_own_draws,
)
from unlearnable.core.units import in_unit
from unlearnable.core.watch import Watch
from unlearnable.core.weights import (
    read_any_weights,
    read_weights,
    restore_weights,
    write_weights,
)
from unlearnable.data.card import check_outside, check_unpublished
from unlearnable.data.images import Images
from unlearnable.training import augment
from unlearnable.training.accuracy import accuracy, balanced, by_class, right_by_class
from unlearnable.training.augmentations import AUGMENTATIONS
from unlearnable.training.linear_head import fit_head
from unlearnable.training.pgd import adversary, n_fgsm
from unlearnable.training.precision import Precision, use_bfloat16
from unlearnable.training.recipe import Recipe
from unlearnable.training.trainer import Trainer
from unlearnable.training.views import network_and_view

logger = logging.getLogger(__name__)
_NEEDED = {"accuracy", "peak", "seconds"}  # of a finished result


@dataclass(frozen=True, eq=False)
class Learned:
    """A trained model and its ``result``, the content of result.json: accuracy of the last step, of
    the peak and, of the last step, by class, in %; config, evidence. view: how it sees images."""

    model: nn.Module
    result: dict[str, Any]
    view: augment.Augmentation

    def accuracy(self, test: Images) -> float:
        """Return the balanced accuracy on ``test`` in %, as ``result`` has it."""
        return accuracy(self.model, test, self.view)


def learn(
    data: Images,
    recipe: Recipe | None = None,
    *,
    test: Images | None = None,
    out: Path | str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    purpose: Purpose = "learner",
    callbacks: Sequence[Callback] = (),
) -> Learned:
    """Train a learner on ``data`` and take its accuracy on the clean ``test`` images.

    out: a folder for log.jsonl, result.json, model.safetensors and, until done, the state that the
    same call resumes from. purpose: a surrogate starts from other weights and sees other batches
    than a learner with the same seed. callbacks: hear the numbers of every logged step. Bit for bit
    the same with and without interruption (CPU, same threads).
    Raises UserError for a training that diverges and for a network of one's own that fails.
    """
    seed = require_seed(seed)
    out, recipe = Path(out) if out else None, recipe or Recipe()
    check_unpublished(out)
    for images in filter(None, (data, test)):
        check_outside(images.source.get("source"), out)
    if purpose not in get_args(Purpose):
        raise unknown("purpose", purpose, get_args(Purpose))
    with held(out), own_code("model", recipe.model, "failed in training"):
        where = pick_device(device)
        with global_draws_kept(where):
            return _learn(data, recipe, test, out, seed, where, precision, purpose, callbacks)


def _learn(
    data: Images,
    recipe: Recipe,
    test: Images | None,
    out: Path | None,
    seed: int,
    where: torch.device,
    precision: Precision,
    purpose: Purpose,
    callbacks: Sequence[Callback],
) -> Learned:
    bfloat16 = use_bfloat16(precision, where)
    test = test and test.in_classes_of(data)
    _check(data, recipe, test, purpose)
    config = {
        "recipe": asdict(recipe),
        "data": data.digest(),
        "test": test and test.digest(),
        "seed": seed,
        "purpose": purpose,
        "bfloat16": bfloat16,
        **form_in_key(AUGMENTATIONS, recipe.augmentation, "augmentation_form"),
        **own_code_key(recipe.model),
    }
    logger.debug("%s %s: %s", purpose, describe_place(where, bfloat16, out), config)
    own_seed = seed_of(purpose, seed)
    model, t = network_and_view(recipe, len(data.classes), data.x.shape[-2:], seed=own_seed)
    if recipe.init_from:
        config["init_from"] = _init_from(model, Path(recipe.init_from))
    model = model.to(where)
    watch = Watch(purpose, config, [*([JsonLines(out, "log.jsonl")] if out else []), *callbacks])
    if out and (out / "result.json").exists():
        with watch:
            return _finished(out, config, model, t, watch)
    state, about = Checkpoint(out, config), provenance(where)
    trainer = Trainer(
        model,
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        bfloat16=bfloat16,
    )
    with watch:
        if recipe.protocol == "frozen":
            entry, each = fit_head(model, trainer.frozen, data, test, t, where, state)
            state.claim()
            watch.log(**entry)
        else:
            each = _train(trainer, recipe, data, test, t, own_seed, where, state, watch)
    log = watch.entries
    scores = [entry["accuracy"] for entry in log if "accuracy" in entry]
    result = {
        "accuracy": scores[-1] if scores else None,
        "peak": max(scores) if scores else None,
        "by_class": each,
        "config": config,
        "source": data.source,
        "log": log,
        "passes": distributed.sum_int(trainer.passes) or recipe.passes(len(data)),
        "seconds": round(state.seconds, 1),
        **about,
    }
    if out and distributed.rank() == 0:
        write_weights(out / "model.safetensors", model)
        write_json(out / "result.json", result)
    state.remove()
    return Learned(model.eval(), result, t)


def _check(data: Images, recipe: Recipe, test: Images | None, purpose: Purpose) -> None:
    """Raise UserError for images that nothing can be learned from, or not by this recipe, and for
    test images of other classes."""
    data.for_learning()
    if purpose == "learner":
        recipe.check_learner()
        if len(data.y.unique()) < 2:
            raise UserError(
                "All training images are of one class, and there is nothing to tell apart; give "
                "images of two or more."
            )
    if data.unclipped and (recipe.adversarial or recipe.augmentation):
        raise UserError(
            "The countermeasure projection moves pixels beyond 0 and 1; adversarial training and "
            "augmentations would clip them back, which undoes it. Choose one or the other."
        )
    if test is not None and test.classes != data.classes:
        raise UserError(
            f"The test images have the classes {', '.join(test.classes[:5])}..., not those of the "
            "training images; give test images of the same classes."
        )


def _init_from(model: nn.Module, file: Path) -> str:
    """Take over the weights in ``file`` whose names and shapes fit; the file's hash. UserError
    where none fit."""
    saved = read_any_weights(file)
    digest = file_digest(file)[:16]
    own = model.state_dict()
    fits = {
        k: v
        for k, v in saved.items()
        if k in own
        and own[k].shape == v.shape
        and own[k].is_floating_point() == v.is_floating_point()
    }
    if sum(v.dim() > 1 and k not in fits for k, v in own.items()) > 1:
        raise UserError(
            f"{file} holds another network than the recipe's; give one in which all layers but the "
            "head fit."
        )
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
    state: Checkpoint,
    watch: Watch,
) -> dict[str, float]:
    """The loop, from the saved state to its end: the last accuracy on every class."""
    each: dict[str, float] = {}
    first = 0
    if saved := state.load():
        trainer.load(saved)
        first, each = saved["step"], saved.get("by_class", {})
    watch.resume(saved["log"] if saved else ())
    every = max(1, recipe.steps // recipe.evals)

    def snapshot() -> State:
        return trainer.state() | {"step": step + 1, "log": watch.entries, "by_class": each}

    with Progress(f"learning ({_title(recipe)})", recipe.steps, first=first) as progress:
        for step in range(first, recipe.steps):
            loss = training_step(trainer, recipe, data, t, seed, step, where)
            if (step + 1) % every == 0 or step + 1 == recipe.steps:
                _require_finite(trainer, float(loss), recipe, step + 1)
                scalars = {"loss": round(float(loss), 6)}
                if test is not None:
                    right = right_by_class(trainer.frozen, test, t, device=where)
                    scalars["accuracy"], each = balanced(right, test.y), by_class(right, test)
                state.claim()
                watch.log(step=step + 1, **scalars)
            log = watch.entries
            progress.at(
                step + 1, f"test accuracy {log[-1]['accuracy']:.1f} %" if test and log else ""
            )
            state.save(step + 1, snapshot)
    return each


def _require_finite(trainer: Trainer, loss: float, recipe: Recipe, step: int) -> None:
    """Raise UserError for a training that diverged, on every process if on one."""
    sound = math.isfinite(loss) and is_finite(trainer.state())
    if distributed.sum_int(not sound):
        raise diverged(f"Training {recipe.model} diverged before step {step}")


def training_step(
    trainer: Trainer,
    recipe: Recipe,
    data: Images,
    t: augment.Augmentation,
    seed: int,
    step: int,
    device: torch.device,
) -> Tensor:
    """Take step number ``step`` of ``recipe``; return the batch's mean loss, a tensor."""
    i = batch_rows(len(data), recipe.batch, seed, step)
    g = generator(device, seed, "learn", step, distributed.rank())
    seed_own_draws(seed, "learn", step, distributed.rank())
    x, y = t(data.pixels(i, device), g), data.labels(i, device)
    if recipe.augmentation:
        x, y = AUGMENTATIONS[recipe.augmentation].load()(x, y, len(data.classes))
    if recipe.attack == "n-fgsm":
        x = x + n_fgsm(trainer.frozen, x, y, g, eps=in_unit(recipe.adv_eps))
    else:
        x = x + adversary(trainer.frozen, x, y, g, **recipe.adversary)
    refresh = _looked_at(recipe, step)
    return trainer.step(x, y, recipe.lr_at(step), refresh=refresh, copies=recipe.copies)


def _looked_at(recipe: Recipe, step: int) -> bool:
    """Whether anything looks at the frozen copy after this step: an adversary or a test."""
    if recipe.adversarial:
        return True
    return (step + 1) % max(1, recipe.steps // recipe.evals) == 0 or step + 1 == recipe.steps


def _title(recipe: Recipe) -> str:
    radius = f"{recipe.adv_eps:g}/255" if recipe.adv_eps else f"L2 {recipe.adv_l2:g}"
    return ", ".join(
        [
            recipe.model,
            *[recipe.protocol] * (recipe.protocol != "plain"),
            *[f"adversarial {radius}"] * recipe.adversarial,
            *[recipe.augmentation] * bool(recipe.augmentation),
        ]
    )


def _finished(
    out: Path, config: dict[str, Any], model: nn.Module, t: augment.Augmentation, watch: Watch
) -> Learned:
    result = read_json(out / "result.json")
    if not isinstance(result, dict) or result.get("config") != json.loads(json.dumps(config)):
        raise UserError(f"{out} holds the result of another run; give another --out, or delete it.")
    if not (isinstance(result.get("log"), list) and result.keys() >= _NEEDED):
        raise UserError(f"{out / 'result.json'} is not complete; delete {out} and train again.")
    file = out / "model.safetensors"
    restore_weights(model, read_weights(file)[0], file)
    watch.resume(result["log"])
    if distributed.rank() == 0:
        tidy(out)  # where the run was killed between its result and the end of its state
    return Learned(model.eval(), result, t)
