"""The networks: pixels in [0, 1], float32 N x 3 x H x W (H, W >= 32), to logits N x classes."""

import inspect
from collections.abc import Callable

import torch
from torch import nn

from unlearnable.core.errors import UserError
from unlearnable.core.plugins import load_object, one_line, working_directory_importable
from unlearnable.models.convnet import convnet
from unlearnable.models.densenet import densenet121
from unlearnable.models.resnet import resnet18, resnet50
from unlearnable.models.vgg import vgg11, vgg16, vgg19
from unlearnable.models.wide_resnet import wrn_28_10, wrn_34_10

MODELS: dict[str, Callable[[int, bool], nn.Module]] = {
    "convnet": convnet,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "vgg11": vgg11,
    "vgg16": vgg16,
    "vgg19": vgg19,
    "densenet121": densenet121,
    "wrn-34-10": wrn_34_10,
    "wrn-28-10": wrn_28_10,
}


def describe(name: str) -> str:
    """One line about the model `name` of MODELS."""
    return (inspect.getdoc(_known(name)) or name).splitlines()[0]


def build(name: str, classes: int, *, size: int, seed: int = 0) -> nn.Module:
    """The network `name` for size x size pixels, its weights drawn from `seed`; logits are N x
    classes.

    From 128 pixels on it gets the ImageNet stem. `name` is a key of MODELS, or "my_module:factory":
    then factory(classes) makes the network, and my_module may lie in the current working directory.
    """
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also reseed the GPUs, whose state is not restored here.
        torch.default_generator.manual_seed(seed)
        if ":" in name:
            return _build_custom(name, classes)
        return _known(name)(classes, size >= 128)


def _known(name: str) -> Callable[[int, bool], nn.Module]:
    if name not in MODELS:
        known = ", ".join(MODELS)
        raise UserError(
            f"unknown model '{name}': use one of {known}, or your own as my_module:factory"
        )
    return MODELS[name]


def _build_custom(name: str, classes: int) -> nn.Module:
    """The network that the factory at `name`, "my_module:factory", makes for `classes` classes."""
    factory, where = load_object("model", name)
    attribute = name.partition(":")[2]
    if not callable(factory):
        problem = f"'{attribute}' {where} is of type {type(factory).__name__}"
        raise UserError(f"model '{name}': {problem}; name a function of the number of classes")
    with working_directory_importable():  # a factory may import more when it runs
        try:
            model = factory(classes)
        except Exception as error:
            problem = f"{attribute}({classes}) {where} failed, {one_line(error)}"
            raise UserError(
                f"model '{name}': {problem}; correct it (it gets the number of classes)"
            ) from error
    if not isinstance(model, nn.Module):
        problem = (
            f"{attribute}({classes}) {where} returned an object of type {type(model).__name__}"
        )
        raise UserError(f"model '{name}': {problem}; let it return a torch.nn.Module")
    return model
