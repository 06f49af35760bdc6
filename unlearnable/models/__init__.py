"""The networks: pixels in [0, 1], float32 N x 3 x H x W (H, W >= 32), to logits N x classes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from unlearnable.core.errors import UserError, unknown
from unlearnable.core.plugins import Entry, load_object, one_line, working_directory_importable

if TYPE_CHECKING:
    from torch import nn

Factory = Callable[[int, bool], "nn.Module"]
"""(classes, large) -> network; large: the ImageNet stem, for 128 pixels and more"""

MODELS: dict[str, Entry[Factory]] = {
    "convnet": Entry(
        "five convolutions with batch norm, 0.5M weights: for quick runs and tests",
        "unlearnable.models.convnet:convnet",
    ),
    "airbench": Entry(
        "seven convolutions, 2.0M weights (Jordan, 2024): for all of CIFAR-10 on a CPU",
        "unlearnable.models.airbench:airbench",
    ),
    "airbench-half": Entry(
        "airbench at half its widths, 0.5M weights", "unlearnable.models.airbench:airbench_half"
    ),
    "airbench-whitened": Entry(
        "airbench, its first convolution a frozen whitening, as published",
        "unlearnable.models.airbench:airbench_whitened",
    ),
    "resnet18": Entry("ResNet-18 (He et al., 2016)", "unlearnable.models.resnet:resnet18"),
    "resnet50": Entry(
        "ResNet-50 with bottleneck blocks (He et al., 2016)", "unlearnable.models.resnet:resnet50"
    ),
    "vgg11": Entry(
        "VGG-11 with batch norm (Simonyan and Zisserman, 2015)", "unlearnable.models.vgg:vgg11"
    ),
    "vgg16": Entry(
        "VGG-16 with batch norm (Simonyan and Zisserman, 2015)", "unlearnable.models.vgg:vgg16"
    ),
    "vgg19": Entry(
        "VGG-19 with batch norm (Simonyan and Zisserman, 2015)", "unlearnable.models.vgg:vgg19"
    ),
    "densenet121": Entry(
        "DenseNet-121, growth 32, reduction 0.5 (Huang et al., 2017)",
        "unlearnable.models.densenet:densenet121",
    ),
    "wrn-34-10": Entry(
        "Wide ResNet, depth 34, ten times as wide (Zagoruyko and Komodakis, 2016)",
        "unlearnable.models.wide_resnet:wrn_34_10",
    ),
    "wrn-28-10": Entry(
        "Wide ResNet, depth 28, ten times as wide (Zagoruyko and Komodakis, 2016)",
        "unlearnable.models.wide_resnet:wrn_28_10",
    ),
    "mobilenet-v2": Entry(
        "MobileNetV2 (Sandler et al., 2018), for --init-from",
        "unlearnable.models.mobilenet_v2:mobilenet_v2",
    ),
    "efficientnet-lite0": Entry(
        "EfficientNet-Lite0 (Tan and Le, 2019), for --init-from",
        "unlearnable.models.efficientnet_lite:efficientnet_lite0",
    ),
    "efficientnet-lite2": Entry(
        "EfficientNet-Lite2, 1.1 times as wide and 1.2 times as deep, for --init-from",
        "unlearnable.models.efficientnet_lite:efficientnet_lite2",
    ),
    "mobilenet-v2-imagenet": Entry(
        "MobileNetV2 with ImageNet weights from an installed package",
        "unlearnable.models.pretrained:mobilenet_v2_imagenet",
    ),
    "efficientnet-lite0-imagenet": Entry(
        "EfficientNet-Lite0 with ImageNet weights from an installed package",
        "unlearnable.models.pretrained:efficientnet_lite0_imagenet",
    ),
    "efficientnet-lite2-imagenet": Entry(
        "EfficientNet-Lite2 with ImageNet weights from an installed package",
        "unlearnable.models.pretrained:efficientnet_lite2_imagenet",
    ),
    # of the released program of Fu et al. (2022): published figures stand beside these only
    "resnet18-fu": Entry(
        "ResNet-18 of Fu et al. (2022): the CIFAR stem at every size",
        "unlearnable.models.resnet:resnet18_fu",
    ),
    "vgg16-fu": Entry(
        "VGG-16 of Fu et al. (2022): two hidden layers of 512 with dropout 0.5",
        "unlearnable.models.vgg:vgg16_fu",
    ),
    "densenet121-fu": Entry(
        "DenseNet-121 of Fu et al. (2022): the ImageNet stem at every size",
        "unlearnable.models.densenet:densenet121_fu",
    ),
    "wrn-34-10-fu": Entry(
        "WRN-34-10 of Fu et al. (2022): post-activation blocks, CIFAR stem",
        "unlearnable.models.wide_resnet:wrn_34_10_fu",
    ),
}


def check_model(name: str) -> None:
    """Raise UserError unless ``name`` is a key of MODELS or a person's own, my_module:factory
    (which is loaded only by ``build``)."""
    if name not in MODELS and ":" not in name:
        raise unknown("model", name, MODELS, ", or your own as my_module:factory")


def check_named(name: str, own: str | None, where: object) -> None:
    """Raise UserError unless the network that the file or folder ``where`` names is a key of MODELS
    or ``own``: what comes from elsewhere must not choose what is imported."""
    if name not in MODELS and name != own:
        raise UserError(
            f"{where} was made with the network '{name}', which is not one of this program's; if "
            f"it is your own, name it with --model {name}."
        )


def build(
    name: str, classes: int, *, size: int, seed: int = 0, tried_on: tuple[int, int] | None = None
) -> "nn.Module":
    """Return the network ``name`` for size x size pixels, its weights drawn from ``seed``; logits
    are N x classes.

    From 128 pixels on it gets the ImageNet stem (a name that ends in "-fu": the stem of the
    authors, at every size). ``name`` is a key of MODELS, or "my_module:factory": then
    factory(classes) makes the network, and my_module may lie in the current working directory.
    tried_on: height and width of the images that it will see, on which one's own network is tried
    first. Raises UserError for another name, for a factory that fails, and for a network that does.
    """
    import torch

    check_model(name)
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also reseed the GPUs, whose state is not restored here.
        torch.default_generator.manual_seed(seed)
        if name in MODELS:
            model = MODELS[name].load()(classes, size >= 128)
            _check_small(model, name, tried_on)
            return model
        model = _build_custom(name, classes)
    if tried_on is not None:
        from unlearnable.models.trial import try_network

        try_network(model, name, classes, tried_on)
    return model


def _check_small(model: "nn.Module", name: str, size: tuple[int, int] | None) -> None:
    """Raise UserError for images that are too small for a network of this program. size: their
    height and width in pixels."""
    import torch

    if size is None or min(size) >= 32:  # what all are made for
        return
    mode = model.training
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, 3, *size))
    except RuntimeError as e:
        raise UserError(
            f"The network {name} cannot see images of {size[1]} x {size[0]} pixels; give larger "
            "ones, or another network (`unlearnable ls models`)."
        ) from e
    model.train(mode)


def _build_custom(name: str, classes: int) -> "nn.Module":
    """The network that the factory at ``name``, "my_module:factory", makes for ``classes``
    classes."""
    from torch import nn

    factory, where = load_object("model", name)
    attribute = name.partition(":")[2]
    if not callable(factory):
        problem = f"'{attribute}' {where} is of type {type(factory).__name__}"
        raise UserError(f"model '{name}': {problem}; name a function of the number of classes")
    with working_directory_importable():  # a factory may import more when it runs
        try:
            model = factory(classes)
        except (Exception, SystemExit) as error:
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
