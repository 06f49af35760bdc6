"""The making of Unlearnable Clusters (Zhang et al., CVPR 2023).

K-means divides the images in a surrogate's feature space. Every cluster gets one noise, which moves
its images to the center of another cluster: what belongs together falls apart, and the noise tells
more than the image. A network makes the noises, each from a fixed random input.

The paper's surrogate was trained elsewhere (CLIP). None is included here, so without ``surrogate``
a network learns on the images themselves to tell by how much they are turned (Gidaris et al.,
2018), which needs no labels. Four things differ from the authors' program. One network makes all
noises, each trained on its own cluster's images; theirs has one network per cluster, trained on all
images. The distance is the one that k-means knows, squared Euclidean; theirs is the divergence of
the features' softmax from the center's. Here a tanh keeps the noise within eps; theirs is clipped,
which stops the gradient there. The network is narrower and shallower (32 channels, one
downsampling, two residual blocks; theirs 64, two, six), without weight decay (theirs 5e-4).
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.core import distributed
from unlearnable.core.checkpoint import State
from unlearnable.core.errors import UserError
from unlearnable.core.seeding import batch_rows, generator
from unlearnable.core.units import in_unit, quantize
from unlearnable.data.images import Images, chunks
from unlearnable.models.layers import conv_bn_relu
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.clusters import UnlearnableClusters
from unlearnable.protection.methods.noise_rows import resumable
from unlearnable.protection.methods.surrogate import read_surrogate, train_surrogate
from unlearnable.training import augment
from unlearnable.training.frozen import Frozen

MAX_BYTES = 4 << 30  # of images that the surrogate trains on
WIDTH = 32  # channels of the noise network's first layer


def craft_clusters(m: UnlearnableClusters, data: Images, run: Context) -> Noise:
    """Cluster the images and make one noise per cluster, resuming from ``run.state``."""
    model, trained = surrogate_of(m, data, run)
    frozen = Frozen(model, bfloat16=run.bfloat16)
    features = features_of(frozen, data, run.device)
    frozen.require_finite()
    centers, cluster = k_means(features, m.clusters, generator("cpu", run.seed, "k-means"))
    if len(centers) < 2:
        raise UserError(
            "All images look alike to the surrogate, which leaves no second cluster; give others."
        )
    noise = ClusterNoise(m, data, run, frozen, centers, cluster).train()
    frozen.require_finite()
    delta = quantize(noise).cpu()[cluster]
    return Noise(delta, model.eval(), trained + distributed.sum_int(frozen.passes))


def surrogate_of(m: UnlearnableClusters, data: Images, run: Context) -> tuple[nn.Module, int]:
    """Return the surrogate and the passes that its training cost here."""
    if m.surrogate:
        folder = Path(m.surrogate)
        return read_surrogate(folder, data, run, own=m.model, any_classes=True), 0
    # T would flip: an image turned to the left and flipped is a flipped one turned to the right
    recipe = m.surrogate_recipe(augment=False)
    return train_surrogate(turned(data), recipe, run, features=True)


def turned(data: Images) -> Images:
    """Return every image four times, turned by 0, 90, 180 and 270 degrees (its middle square) and
    labeled by the turn. Of a set that would take more than ``MAX_BYTES``, every other image, every
    third, and so on."""
    side, (height, width) = data.size, data.x.shape[-2:]
    top, left = (height - side) // 2, (width - side) // 2
    every = max(1, math.ceil(4 * len(data) * 3 * side**2 / MAX_BYTES))
    square = data.x[::every, :, top : top + side, left : left + side]
    x = torch.empty((4, *square.shape), dtype=square.dtype)
    for k in range(4):
        x[k] = square.rot90(k, (2, 3))
    x = x.flatten(0, 1)
    return Images(x, torch.arange(4).repeat_interleave(len(square)), ("0", "90", "180", "270"))


@torch.no_grad()
def features_of(frozen: Frozen, data: Images, device: torch.device) -> Tensor:
    """Return the features of all images, [N, D], on the CPU. Every process looks at all of them,
    because all must agree on the clusters."""
    t = augment.for_size(*data.x.shape[-2:])
    rows = chunks(data.x, 500)
    return torch.cat([frozen.features(t.test(data.pixels(i, device))).cpu() for i in rows])


def k_means(
    x: Tensor, k: int, g: torch.Generator, *, starts: int = 5, rounds: int = 100
) -> tuple[Tensor, Tensor]:
    """Return centers [k, D] and the cluster of every row of x [N, D]: the best of ``starts`` runs
    of Lloyd's iteration, each from centers drawn in proportion to their squared distance from those
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


class ClusterNoiseNetwork(nn.Module):
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
        cluster: Tensor,
    ):
        self.m, self.data, self.run, self.frozen, self.cluster = m, data, run, frozen, cluster
        self.target = centers.roll(-1, 0).to(run.device)
        self.t = augment.for_size(*data.x.shape[-2:])
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(run.seed)
            self.network = ClusterNoiseNetwork().to(run.device)
        g = generator("cpu", run.seed, "noise inputs")
        self.inputs = torch.rand(len(centers), *data.x.shape[1:], generator=g).to(run.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=m.lr)

    def noises(self) -> Tensor:
        """Return the noise of every cluster, [k, 3, H, W] in [-1, 1], within eps."""
        return in_unit(self.m.eps) * self.network(self.inputs)

    def distance(self, i: Tensor, noise: Tensor, g: torch.Generator) -> Tensor:
        """Return the mean squared distance of the images ``i``, with the noise of their clusters,
        from their targets."""
        cluster, draws = self.cluster[i].to(self.run.device), max(1, self.m.eot_samples)
        # not noise[cluster]: the gradient of an index adds up in the order in which threads come
        noise = noise.index_select(0, cluster)
        z = (self.data.pixels(i, self.run.device) + noise).clamp(0, 1)
        if self.m.eot_samples:
            z = self.t(z.repeat(draws, 1, 1, 1), g)
        return (self.frozen.features(z) - self.target[cluster.repeat(draws)]).square().sum(1).mean()

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
        """Take all steps, resuming from the run's state; return ``noises`` of the end."""
        steps = resumable(
            "cluster noise", self.m.steps, self.run, state=self._state, restore=self._restore
        )
        for k in steps:
            self.step(k)
        with torch.no_grad():
            return self.noises()

    def _state(self) -> State:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "passes": self.frozen.passes,
            "finite_flag": self.frozen.finite_flag,
        }

    def _restore(self, saved: State) -> None:
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.frozen.passes = saved["passes"]
