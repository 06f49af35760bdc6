"""NTGA: noise against networks of infinite width (Yuan & Wu, ICML 2021); ``ntga_kernels`` makes
it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.protection.methods.base import Context, Method, Noise

if TYPE_CHECKING:
    from unlearnable.data.images import Images


@dataclass(frozen=True)
class NTGA(Method):
    """neural tangent generalization attack (Yuan & Wu, ICML 2021): needs no trained surrogate.
    Undone by adversarial training, and with a few thousand images it hardly hurts ordinary training
    either (docs/results.md). The presets authors-fc and authors-cnn have the networks and the
    targets of the authors' program. Memory: about 16 block^2 (fc), 40 block^2 H W (cnn) floats of 4
    bytes per layer."""

    name = "ntga"

    eps: float = 8.0
    """budget of the noise, in /255"""
    steps: int = 10
    """noise steps"""
    step: float | None = None
    """size of a noise step in /255; default: 1.1 eps / steps"""
    block: int = 512
    """images that are attacked together"""
    targets: int | None = None
    """clean images outside the block on which the loss is raised; default: as many as the block"""
    kernel: Literal["fc", "cnn"] = "fc"
    """fully connected, or convolutions with a dense readout"""
    activation: Literal["erf", "relu"] = "erf"
    depth: int = 5
    """hidden layers, or convolutions"""
    readout: bool = True
    """whether a fully connected network ends in a linear layer; without, in the activation"""
    filter: int = 3
    """width of the convolutions, odd"""
    stride: int = 1
    """stride of the convolutions"""
    dense: int = 1
    """linear layers after the convolutions, with nothing between them"""
    w_var: float = 1.76
    """variance of the weights, times the number of inputs"""
    b_var: float = 0.18
    """variance of the biases"""
    time: float = 64.0
    """training time t at which the prediction is attacked (learning rate times steps)"""

    def unused(self) -> dict[str, str]:
        if self.kernel == "cnn":
            return {"readout": "convolutions end in a dense layer; choose --kernel fc"}
        return {"filter stride dense": "it is of convolutions; choose --kernel cnn"}

    presets = {
        "paper": {},
        "cnn": {
            "kernel": "cnn",
            "activation": "relu",
            "depth": 2,
            "w_var": 2.0,
            "b_var": 0.01,
            "block": 100,
        },
        # the authors take the targets out of what they protect; here the rest of the set stands in
        "authors-fc": {"readout": False, "targets": 10_000},
        "authors-cnn": {
            "kernel": "cnn",
            "activation": "relu",
            "depth": 2,
            "filter": 5,
            "stride": 2,
            "dense": 3,
            "targets": 10_000,
            "block": 100,
        },
    }

    def __post_init__(self) -> None:
        require(self, positive="eps steps step block targets depth w_var time", whole="b_var")
        require(self, positive="filter stride dense")
        if self.filter % 2 == 0:
            raise UserError(f"filter must be odd, not {self.filter}.")
        if self.block < 2:
            raise UserError("block must be 2 or more: one image teaches no kernel.")

    def craft(self, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.ntga_kernels import ntga

        return Noise(ntga(self, data, run))
