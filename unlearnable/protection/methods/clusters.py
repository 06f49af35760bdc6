"""Unlearnable Clusters (Zhang et al., CVPR 2023): noise for images whose labels nobody knows, not
even the learner's; ``clusters_loop`` makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.fixed_surrogate import SHORT, OnSurrogate

if TYPE_CHECKING:
    from unlearnable.data.images import Images


@dataclass(frozen=True)
class UnlearnableClusters(OnSurrogate):
    """unlearnable clusters (Zhang et al., CVPR 2023): for images without labels. One noise per
    cluster of like images moves them to another cluster's center on a surrogate. The paper's budget
    is 16/255 and its surrogate CLIP; with 8 and a surrogate that knows only these images, expect
    less. Nothing in it meets an adversary."""

    name = "unlearnable-clusters"
    needs_labels: ClassVar[bool] = False

    steps: int = 10_000
    """training steps of the network that makes the noises"""
    eot_samples: int = 1
    batch: int = 256
    clusters: int = 10
    """how many, at most: there are never more than different images"""
    lr: float = 1e-4
    """learning rate of the network that makes the noises (Adam, falling to 0 along a cosine)"""

    presets = {
        "paper": {},
        "short": {k: SHORT[k] for k in ("model", "train_steps", "schedule", "train_adv_steps")}
        | {"steps": 600, "batch": 128, "lr": 1e-3},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, positive="lr")
        if self.clusters < 2:
            raise UserError(
                f"clusters must be 2 or more, not {self.clusters}: a cluster moves to another one."
            )

    def craft(self, data: Images, run: Context) -> Noise:
        from unlearnable.protection.methods.clusters_loop import craft_clusters

        return craft_clusters(self, data, run)

    def training_passes(self, images: int) -> int:
        return super().training_passes(4 * images)  # the turns of every image

    def passes(self, images: int, protected: int | None = None) -> int:
        # the noises are trained on all images, whichever of them get one
        noise = self.steps * min(self.batch, images) * max(1, self.eot_samples)
        return self.training_passes(images) + noise
