"""Unlearnable Clusters (Zhang et al., CVPR 2023): noise for images whose labels nobody knows, not
even the learner's.

K-means divides the images in a surrogate's feature space. Every cluster gets one noise, which moves
its images to the center of another cluster: what belongs together falls apart, and the noise tells
more than the image. A network makes the noises, each from a fixed random input.

The paper's surrogate was trained elsewhere (CLIP). None is at hand here, so that without
``surrogate`` a network learns on the images themselves to tell by how much they are turned (Gidaris
et al., 2018), which needs no labels. One network makes all noises; the paper has one a cluster. The
distance is the one that k-means knows, squared Euclidean.
"""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.core import distributed
from unlearnable.core.errors import UserError
from unlearnable.core.presets import require
from unlearnable.core.progress import Progress
from unlearnable.core.seeding import batch_rows, generator
from unlearnable.data.images import Images
from unlearnable.models import build
from unlearnable.models.layers import conv_bn_relu
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.fixed_surrogate import (
    SHORT,
    OnSurrogate,
    read_surrogate,
    surrogate_recipe,
    train_surrogate,
)
from unlearnable.training import augment
from unlearnable.training.frozen import Frozen
from unlearnable.training.learn import seconds_a_step

MOST = 4 << 30  # bytes of images that the surrogate trains on
WIDTH = 32  # channels of the noise network's first layer


@dataclass(frozen=True)
class UnlearnableClusters(OnSurrogate):
    """unlearnable clusters (Zhang et al., CVPR 2023): for images without labels. One noise a
    cluster of like images moves them to another cluster's center on a surrogate. The paper's budget
    is 16/255 and its surrogate CLIP; with 8 and a surrogate that knows only these images, expect
    less. Nothing in it meets an adversary."""

    needs_labels: ClassVar[bool] = False

    steps: int = 10_000
    """training steps of the network that makes the noises"""
    eot_samples: int = 1
    batch: int = 256
    clusters: int = 10
    """how many, at most: there are never more than different images"""
    lr: float = 1e-4
    """learning rate of the network that makes the noises (Adam, falling to 0 along a cosine)"""

    presets: ClassVar[dict[str, dict]] = {
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
        # marks the folder as this run's before the surrogate's training writes into it
        if not run.state.load():
            run.state.save(0, {"done": 0}, force=True)
        model, trained = self.surrogate_of(data, run)
        frozen = Frozen(model, bfloat16=run.bfloat16)
        features = features_of(frozen, data, run.device)
        g = generator("cpu", run.seed, "k-means")
        centers, cluster = k_means(features, self.clusters, g)
        if len(centers) < 2:
            raise UserError(
                "All images look alike to the surrogate, which leaves no second cluster; give others."
            )
        noise = ClusterNoise(self, data, run, frozen, centers, cluster).train()
        delta = (noise * 255).round().to("cpu", torch.int8)[cluster]
        return Noise(delta, model.eval(), trained + distributed.sum_int(frozen.passes))

    def surrogate_of(self, data: Images, run: Context) -> tuple[nn.Module, int]:
        """The surrogate and the passes that its training cost here."""
        if self.surrogate:
            return read_surrogate(Path(self.surrogate), data, any_classes=True).to(run.device), 0
        # T would flip: an image turned to the left and flipped is a flipped one turned to the right
        return train_surrogate(turned(data), surrogate_recipe(self, augment=False), run)


def turned(data: Images) -> Images:
    """Every image four times, turned by 0, 90, 180 and 270 degrees (its middle square), labeled by
    the turn. Of a set that would take more than ``MOST`` bytes, every other image, every third,
    ..."""
    side, (height, width) = data.size, data.x.shape[-2:]
    top, left = (height - side) // 2, (width - side) // 2
    every = max(1, math.ceil(4 * len(data) * 3 * side**2 / MOST))
    square = data.x[::every, :, top : top + side, left : left + side]
    x = torch.cat([square.rot90(k, (2, 3)) for k in range(4)])
    return Images(x, torch.arange(4).repeat_interleave(len(square)), ("0", "90", "180", "270"))


@torch.no_grad()
def features_of(frozen: Frozen, data: Images, device: torch.device) -> Tensor:
    """[N, D] on the CPU. Every process looks at all images: they must agree on the clusters."""
    t = augment.for_size(*data.x.shape[-2:])
    parts = torch.arange(len(data)).split(500)
    return torch.cat([frozen.features(t.test(data.pixels(i, device))).cpu() for i in parts])


def k_means(
    x: Tensor, k: int, g: torch.Generator, *, starts: int = 5, rounds: int = 100
) -> tuple[Tensor, Tensor]:
    """Centers [k, D] and the cluster of every row of x [N, D]: the best of ``starts`` runs of
    Lloyd's iteration, each from centers drawn in proportion to their squared distance from those
    before (Arthur & Vassilvitskii, 2007). Fewer than k where x has fewer different rows."""
    runs = [_lloyd(x, _first_centers(x, k, g), rounds) for _ in range(starts)]
    return min(runs, key=lambda run: float((x - run[0][run[1]]).square().sum()))


def _lloyd(x: Tensor, centers: Tensor, rounds: int) -> tuple[Tensor, Tensor]:
    cluster = torch.cdist(x, centers).argmin(1)
    for _ in range(rounds):
        count = torch.bincount(cluster, minlength=len(centers))[:, None]
        total = torch.zeros_like(centers).index_add_(0, cluster, x)
        centers = torch.where(
            count > 0, total / count.clamp(min=1), centers
        )  # an empty cluster stays where it is
        before, cluster = cluster, torch.cdist(x, centers).argmin(1)
        if torch.equal(cluster, before):
            break
    return centers, cluster


def _first_centers(x: Tensor, k: int, g: torch.Generator) -> Tensor:
    rows = [int(torch.randint(len(x), (), generator=g))]
    distance = (x - x[rows[0]]).square().sum(1)
    rounding = 1e-9 * float(x.square().sum(1).max())
    while len(rows) < k and float(distance.max()) > rounding:
        rows.append(int(torch.multinomial(distance, 1, generator=g)))
        distance = torch.minimum(distance, (x - x[rows[-1]]).square().sum(1))
    return x[rows]


class NoiseNetwork(nn.Module):
    """From fixed random inputs [k, 3, H, W] to noises [k, 3, H, W] in [-1, 1]: down to half the
    size, two residual blocks, and up again. Its batch is always all k, so that batch norm has no
    statistics to remember."""

    def __init__(self) -> None:
        super().__init__()
        w = WIDTH
        self.down = nn.Sequential(conv_bn_relu(3, w, 7), conv_bn_relu(w, 2 * w, 3, 2))
        self.blocks = nn.ModuleList(
            nn.Sequential(conv_bn_relu(2 * w, 2 * w, 3), conv_bn_relu(2 * w, 2 * w, 3))
            for _ in range(2)
        )
        self.up = conv_bn_relu(2 * w, w, 3)
        self.out = nn.Conv2d(w, 3, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.down(x)
        for block in self.blocks:
            y = y + block(y)
        return torch.tanh(self.out(self.up(F.interpolate(y, size=x.shape[-2:]))))


class ClusterNoise:
    """The training of the noise network: its steps lower the squared distance of protected images'
    features from the center of the next cluster."""

    def __init__(
        self,
        m: UnlearnableClusters,
        data: Images,
        run: Context,
        frozen: Frozen,
        centers: Tensor,
        own: Tensor,
    ):
        self.m, self.data, self.run, self.frozen, self.cluster = m, data, run, frozen, own
        self.target = centers.roll(-1, 0).to(run.device)
        self.t = augment.for_size(*data.x.shape[-2:])
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(run.seed)
            self.network = NoiseNetwork().to(run.device)
        g = generator("cpu", run.seed, "noise inputs")
        self.inputs = torch.rand(len(centers), *data.x.shape[1:], generator=g).to(run.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=m.lr)

    def noises(self) -> Tensor:
        """[k, 3, H, W] in [0, 1] units, within eps."""
        return self.m.eps / 255 * self.network(self.inputs)

    def distance(self, i: Tensor, noise: Tensor, g: torch.Generator) -> Tensor:
        """Of the images ``i`` with their clusters' noise from their targets: the mean squared
        distance."""
        own, draws = self.cluster[i].to(self.run.device), max(1, self.m.eot_samples)
        # not noise[own]: the gradient of an index adds up in the order in which threads come
        noise = noise.index_select(0, own)
        z = (self.data.pixels(i, self.run.device) + noise).clamp(0, 1)
        z = self.t(z.repeat(draws, 1, 1, 1), g) if self.m.eot_samples else self.t.test(z)
        return (self.frozen.features(z) - self.target[own.repeat(draws)]).square().sum(1).mean()

    def step(self, k: int) -> None:
        i = batch_rows(len(self.data), self.m.batch, self.run.seed, k)
        g = generator(self.run.device, self.run.seed, "clusters", k, distributed.rank())
        for group in self.optimizer.param_groups:
            group["lr"] = self.m.lr * (0.5 + 0.5 * math.cos(math.pi * k / self.m.steps))
        loss = self.distance(i, self.noises(), g)
        self.optimizer.zero_grad()
        loss.backward()
        distributed.average_gradients(self.network)
        self.optimizer.step()

    def train(self) -> Tensor:
        """All steps, resuming from the run's state; the noises at the end."""
        saved = self.run.state.load() or {"done": 0}
        if "network" in saved:
            self.network.load_state_dict(saved["network"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.frozen.passes = saved["passes"]
        with Progress("cluster noise", self.m.steps, first=saved["done"]) as progress:
            for k in range(saved["done"], self.m.steps):
                self.step(k)
                progress.at(k + 1)
                state = {
                    "network": self.network.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                }
                self.run.state.save(k + 1, state | {"done": k + 1, "passes": self.frozen.passes})
        with torch.no_grad():
            return self.noises()


def estimate_seconds(m: UnlearnableClusters, sample: Images, run: Context) -> float:
    """Seconds that a run without ``surrogate`` takes here, from trying two steps of each part on a
    few images."""
    recipe = surrogate_recipe(m, augment=False)
    training = m.train_steps * seconds_a_step(turned(sample), recipe, device=str(run.device))
    frozen = Frozen(build(m.model, 4, size=sample.size).to(run.device), bfloat16=run.bfloat16)
    centers, cluster = k_means(
        features_of(frozen, sample, run.device), m.clusters, generator("cpu", 0)
    )
    noise = ClusterNoise(m, sample, run, frozen, centers, cluster)
    noise.step(0)  # the first pays for what is set up once
    begin = time.monotonic()
    noise.step(1)
    return training + m.steps * (time.monotonic() - begin)
