"""The surrogate of a method: trained in turn with the noise, trained before it, or read from a
folder."""

import logging
from pathlib import Path

from torch import nn

from unlearnable.core.errors import UserError
from unlearnable.core.files import read_json
from unlearnable.core.weights import read_weights
from unlearnable.data.images import Images
from unlearnable.models import MODELS, build, check_named
from unlearnable.protection.methods.base import Context
from unlearnable.protection.methods.min_min import MinMin
from unlearnable.protection.methods.noise_net import NoiseNet
from unlearnable.training import augment
from unlearnable.training.frozen import require_head
from unlearnable.training.learn import learn
from unlearnable.training.recipe import Recipe
from unlearnable.training.trainer import Trainer

logger = logging.getLogger(__name__)


def untrained_surrogate(
    m: MinMin | NoiseNet, data: Images, run: Context, t: augment.Augmentation
) -> Trainer:
    """Return the surrogate of a method that trains it in turn with the noise, on images after
    ``t``, with its SGD."""
    seen = augment.size_after(t, *data.x.shape[-2:])
    model = build(m.model, len(data.classes), size=data.size, seed=run.seed, tried_on=seen)
    return Trainer(
        model.to(run.device),
        lr=m.lr,
        momentum=m.momentum,
        weight_decay=m.weight_decay,
        bfloat16=run.bfloat16,
    )


def train_surrogate(
    data: Images, recipe: Recipe, run: Context, *, features: bool, name: str = "surrogate"
) -> tuple[nn.Module, int]:
    """Train a learner of ``data``; return it and the passes that it cost. Its state lies beside
    that of the run, which resumes it. features: whether its features will be needed. Raises
    UserError for a network that has none, or is a person's own and fails, before any work."""
    if recipe.model not in MODELS:
        shape = data.x.shape[-2], data.x.shape[-1]  # at which the noise is made; learn tries T's
        model = build(recipe.model, len(data.classes), size=data.size, tried_on=shape)
        if features:
            require_head(model)
    run.state.claim()  # before the training writes into the folder
    out = run.state.folder and run.state.folder / name
    done = learn(
        data,
        recipe,
        out=out,
        seed=run.seed,
        device=str(run.device),
        precision="bf16" if run.bfloat16 else "fp32",
        purpose="surrogate",
        callbacks=run.watch.callbacks,
    )
    run.state.count_at_least(done.result["seconds"])
    return done.model, done.result["passes"]


def read_surrogate(
    folder: Path, data: Images, run: Context, *, own: str, any_classes: bool = False
) -> nn.Module:
    """Read the model in a folder that ``learn`` wrote. own: the one network outside ``MODELS`` that
    it may be, because a folder from elsewhere must not choose what is imported. Raises UserError
    where there is none, or one of other classes than those of ``data`` (any_classes: only its
    features are used, and it may have other classes)."""
    if not (folder / "model.safetensors").exists():
        raise UserError(
            f"{folder} holds no trained model; give a folder that `unlearnable learn` has finished."
        )
    name, seed = _network(folder)
    check_named(name, own, folder)
    if seed == run.seed:
        logger.warning(
            "The surrogate in %s was trained with --seed %s. A learner of the same settings and "
            "seed starts from the same weights and sees the same batches, as no outsider does: "
            "give `learn` and `audit` another --seed, or train the surrogate with another.",
            folder,
            seed,
        )
    weights, classes = read_weights(folder / "model.safetensors")[0], len(data.classes)
    if any_classes:
        last = list(build(name, 2, size=data.size).state_dict())[-1]  # the head's bias or weight
        classes = len(weights.get(last, ()))
    try:
        model = build(name, classes, size=data.size)
        model.load_state_dict(weights)
    except RuntimeError as e:
        wanted = "as images of this size need it" if any_classes else f"on {classes} classes"
        raise UserError(f"The model in {folder} was not trained {wanted}; train another.") from e
    return model.to(run.device)


def _network(folder: Path) -> tuple[str, object]:
    """The name of the network in a folder that ``learn`` wrote, and its seed. Raises UserError."""
    try:
        config = read_json(folder / "result.json")["config"]
        name, seed = config["recipe"]["model"], config["seed"]
    except (KeyError, TypeError):
        name = seed = None
    if not isinstance(name, str):
        raise UserError(
            f"{folder / 'result.json'} does not say which network was trained; train it again with "
            "`unlearnable learn`."
        )
    return name, seed
