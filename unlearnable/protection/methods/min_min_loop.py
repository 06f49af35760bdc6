"""The loop of the min-min family (Fu et al., 2022, algorithm 1).

Two traps of the authors' released program and what happens here: the final pass covers every image
(theirs drops the last incomplete batch); the noise is clipped to valid pixels where it is added,
not where it is kept (as theirs).
"""

import json
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import torch
from torch import Tensor, nn

from unlearnable.core import distributed
from unlearnable.core.checkpoint import State
from unlearnable.core.device import to_device
from unlearnable.core.seeding import batch_rows, generator, seed_own_draws
from unlearnable.core.units import LEVELS, in_unit, quantize, to_unit
from unlearnable.core.weights import read_weights, restore_weights
from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.min_min import MinMin
from unlearnable.protection.methods.noise_rows import batches, places, resumable
from unlearnable.protection.methods.surrogate import untrained_surrogate
from unlearnable.training import augment
from unlearnable.training.frozen import mean_over_noisy_weights
from unlearnable.training.pgd import pgd, uniform
from unlearnable.training.weight_noise import WeightNoise

# pixels that go through the surrogate at once, with all draws of T: 41 images of 224 px, 4 draws
MAX_PIXELS_PER_FORWARD = 2**23
LOGGED = 100  # steps of the surrogate, about
NOISY = "weight noise"  # among a generator's notes: whether its noise was made under any


class MinMinLoop:
    """One run: the noise table (in /255: this process's rows, or one row per class), the surrogate,
    and their steps. The table is int8, or float16 where noise moves by less than one level at a
    time, which rounding would undo."""

    def __init__(self, method: MinMin, data: Images, run: Context):
        self.m, self.slots, self.data, self.run = method, method.slots, data, run
        self.classwise = method.noise_type == "classwise"
        self.t = _transform(method, *data.x.shape[-2:])
        self.trainer = untrained_surrogate(method, data, run, self.t)
        self.own = run.protected
        self.chunks = batches(len(data), method.batch, among=self.own)
        # whether an image's noise is the same whichever images share its batch
        self.independent = self.slots.noise_loss.independent and not self.classwise
        rows = len(data.classes) if self.classwise else len(distributed.local_rows(len(data)))
        self.table = torch.zeros((rows, *data.x.shape[1:]), dtype=torch.int8)
        if method.warm_start and not self.slots.zero_start:
            # noise per class must start equal on all processes
            key = "class" if self.classwise else distributed.rank()
            random = generator("cpu", run.seed, "first noise", key)
            eps = int(method.eps)
            self.table.random_(-eps, eps + 1, generator=random)
        fine = method.warm_start and method.noise_step(0) < 1
        self.table = self.table.to(run.device, torch.float16 if fine else torch.int8)
        if self.own is not None:
            self.table[~self._own_rows(self.own)] = 0
        levels = self.slots.weight_noise
        self.noisy = levels is not None and not levels.from_accuracy  # from now on
        self.made_noisy = self.noisy  # when noise was last updated

    def pass_chunks(self, step: int) -> tuple[Tensor, ...]:
        """Return the rows of every chunk of the noise pass after surrogate step ``step``. Where the
        images of a chunk act on each other's noise they are shuffled anew: a folder's images come
        class by class."""
        size = self.m.noise_batch or self.m.batch
        if self.independent:
            return batches(len(self.data), size, among=self.own)
        g = generator("cpu", self.run.seed, "chunks", step, distributed.rank())
        return batches(len(self.data), size, g)

    def _own_rows(self, own: Tensor) -> Tensor:
        """Return which rows of the table hold noise of the images ``own``, bool."""
        if self.classwise:
            return torch.bincount(self.data.y[own], minlength=len(self.table)) > 0
        return own[distributed.local_rows(len(self.data))]

    def rows(self, i: Tensor) -> Tensor:
        """Return where the table holds the noise of the images ``i``, on its device."""
        device = self.run.device
        return self.data.labels(i, device) if self.classwise else places(to_device(i, device))

    def update_noise(self, i: Tensor, step: int, chunk: int | None = None) -> None:
        """Run the inner minimization for the images ``i`` of surrogate step ``step`` (or of a chunk
        of the pass after it), as many at once as memory allows."""
        self.made_noisy = self.noisy
        key = (step,) if chunk is None else ("pass", step, chunk)
        pixels = self.m.copies * self.data.x.shape[-2] * self.data.x.shape[-1]  # per image
        at_once = len(i)
        if self.independent:
            i, at_once = self._own_among(i), max(1, MAX_PIXELS_PER_FORWARD // pixels)
            if not len(i):
                return
        for k, rows in enumerate(i.split(at_once)):
            self._minimize(rows, step, key if k == 0 else (*key, "rows", k))

    def _own_among(self, i: Tensor) -> Tensor:
        """Return those of the images ``i`` that get noise."""
        return i if self.own is None else i[self.own[i]]

    def _minimize(self, i: Tensor, step: int, key: tuple) -> None:
        """Let u minimize E_t loss(f(t(x + u) + a)) and keep round(u); ``key`` names the draws."""
        m, device = self.m, self.run.device
        g = generator(device, self.run.seed, "noise", *key, distributed.rank())
        x, y = self.data.pixels(i, device), self.data.labels(i, device)
        noise = slice(None) if self.classwise else self.rows(i)
        start = to_unit(self.table[noise])
        if not m.warm_start:
            # noise per class must start equal on all processes
            shared = generator(device, self.run.seed, *key) if self.classwise else g
            start = uniform(start, in_unit(m.eps), shared)
        kept = self._kept_at_zero(noise)
        start = start if kept is None else start.masked_fill(kept, 0)

        valid = self.slots.valid and not self.classwise
        base = x if valid else torch.zeros_like(start)
        levels = self.weight_levels(training=False)
        turns = cycle(levels)

        def loss(z: Tensor) -> Tensor:
            u = z - base
            if kept is not None:
                u = u.masked_fill(kept, 0)  # no gradient, so no step
            if self.classwise:
                u.register_hook(_summed)
                # not u[y]: the gradient of an index adds up in the order in which threads come
                u = u.index_select(0, y)
            return self.noise_loss(x, u, y, g, next(turns))

        u = pgd(
            loss,
            base,
            eps=in_unit(m.eps),
            step=in_unit(m.noise_step(step)),
            steps=m.steps * len(levels),
            minimize=True,
            start=start,
            valid=valid,
        )
        self._keep(u, noise, y)

    def _kept_at_zero(self, rows: Tensor | slice) -> Tensor | None:
        """Return which of the table's ``rows`` are of images that get no noise, bool [n, 1, 1, 1];
        None if there are none, as in a batch of independent images."""
        if self.own is None or self.independent:
            return None
        own = self._own_rows(self.own).to(self.table.device)[rows]
        return ~own.view(-1, 1, 1, 1)

    def _keep(self, u: Tensor, rows: Tensor | slice, y: Tensor) -> None:
        """Put the noise u in [-1, 1] of labels ``y`` into the table's ``rows``; with noise per
        class, classes of which no process has an image keep theirs."""
        kept = quantize(u) if self.table.dtype == torch.int8 else (u * LEVELS).to(self.table.dtype)
        if self.classwise:
            count = torch.bincount(y, minlength=len(kept)).float()
            distributed.all_reduce_(count)
            kept = torch.where(count.view(-1, 1, 1, 1) > 0, kept, self.table)
        self.table[rows] = kept

    def weight_levels(self, *, training: bool) -> tuple[WeightNoise | None, ...]:
        """Return the noise on the weights in every turn of a step; once, None, without any."""
        levels = self.slots.weight_noise
        if levels is None or not self.noisy:
            return (None,)
        return levels.of(levels.train_draws if training else levels.draws)

    def noise_loss(
        self,
        x: Tensor,
        u: Tensor,
        y: Tensor,
        g: torch.Generator,
        weight_noise: WeightNoise | None = None,
    ) -> Tensor:
        """Return the sum over images and draws t of loss(f(t(clip(x + u)) + a)); all draws go
        through the model in one batch."""
        copies, frozen, loss = self.m.copies, self.trainer.frozen, self.slots.noise_loss
        y = y.repeat(copies)
        # noise that is kept valid: a clip would stop the gradient where rounding passes 0 or 1
        z = x + u if self.slots.valid and not self.classwise else (x + u).clamp(0, 1)
        z = self.t(z.repeat(copies, 1, 1, 1), g)
        z = z + self.slots.noise_sees(frozen, z.detach(), y, g)
        if weight_noise is None:
            return loss(frozen, z, y)
        return mean_over_noisy_weights(lambda z: loss(frozen, z, y), frozen, z, weight_noise, g)

    def protected(self, i: Tensor) -> Tensor:
        """Return the images ``i`` with their present noise, float [n, 3, H, W] in [0, 1]."""
        u = to_unit(self.table[self.rows(i)])
        return (self.data.pixels(i, self.run.device) + u).clamp(0, 1)

    def train_step(self, step: int) -> Tensor:
        """Take surrogate step number ``step``, after updating the noise of its batch (unless that
        is done in passes). Returns the batch's mean loss, a tensor."""
        i = batch_rows(len(self.data), self.m.batch, self.run.seed, step)
        if not self.m.refresh_every:
            self.update_noise(i, step)
        g = generator(self.run.device, self.run.seed, "surrogate", step, distributed.rank())
        seed_own_draws(self.run.seed, "surrogate", step, distributed.rank())
        y = self.data.labels(i, self.run.device)
        z = self.t(self.protected(i), g)
        z = z + self.slots.surrogate_sees(self.trainer.frozen, z, y, g)
        levels, loss = self.weight_levels(training=True), torch.zeros((), device=self.run.device)
        for noise in levels:
            loss = loss + self.trainer.step(
                z,
                y,
                self.m.lr_at(step),
                regularizer=self._regularizer(i, step),
                weight_noise=noise,
                g=g,
                scale=1 / len(levels),
                clip=self.slots.weight_noise.clip if self.slots.weight_noise and noise else None,
            )
        return loss

    def _regularizer(self, i: Tensor, step: int) -> Callable[[nn.Module], Tensor] | None:
        term = self.slots.regularizer
        if term is None:
            return None
        i = self._own_among(i)
        if not len(i):
            return None
        g = generator(self.run.device, self.run.seed, "clean", step, distributed.rank())
        clean = self.t(self.data.pixels(i, self.run.device), g)
        return lambda model: term(model, clean)

    @torch.no_grad()
    def error(self) -> float:
        """Return the surrogate's error on the protected images, in %."""
        wrong = torch.zeros((), device=self.run.device)
        for i in filter(len, self.chunks):
            guess = self.trainer.frozen(self.t.test(self.protected(i))).argmax(1)
            wrong += (guess != self.data.labels(i, self.run.device)).sum()
        distributed.all_reduce_(wrong)
        return 100 * float(wrong) / (len(self.data) if self.own is None else int(self.own.sum()))

    def check(self) -> bool:
        """Return whether the surrogate is right often enough to stop; where weight noise waits for
        it to come far enough, add that from now on."""
        levels = self.slots.weight_noise
        waits = levels is not None and not self.noisy
        if not (waits or self.m.stop_error):
            return False
        error = self.error()
        if levels is not None and 100 - error > levels.from_accuracy:
            self.noisy = True
        return error < self.m.stop_error

    def delta(self) -> Tensor | None:
        """Return the noise of all images, int8 [N, 3, H, W], on rank 0."""
        table = self.table.cpu()
        if table.dtype != torch.int8:  # part by part: in float32 a large table is four times itself
            table = torch.cat([quantize(to_unit(part)) for part in table.split(4096)])
        if self.classwise:
            return table[self.data.y] if distributed.rank() == 0 else None
        return distributed.gather_rows(table, len(self.data))

    def set_table(self, saved: State) -> None:
        self.table = saved["table"].to(self.run.device)


def _transform(m: MinMin, height: int, width: int) -> augment.Augmentation:
    """Return what stands for T at this size."""
    t: augment.Augmentation = augment.Identity()
    if m.eot_samples:
        t = (m.slots.transform or augment.for_size)(height, width)
    return augment.Gray(t, m.gray_prob) if m.gray_prob else t


def _summed(gradient: Tensor) -> Tensor:
    gradient = gradient.contiguous()
    distributed.all_reduce_(gradient)
    return gradient


def _plan(m: MinMin, chunks: int, epoch: int) -> Iterator[tuple[str, int, int]]:
    """Yield every piece of work in order: (what, surrogate step, chunk of the pass). The last noise
    pass has the finished model. Without passes before, an ``epoch`` of surrogate steps ends in a
    check where weight noise waits for one."""
    waits = m.slots.weight_noise is not None and not m.refresh_every
    for step in range(m.train_steps):
        yield "train", step, 0
        last = step + 1 == m.train_steps
        if last or (m.refresh_every and (step + 1) % m.refresh_every == 0):
            for chunk in range(chunks):
                yield "update", step, chunk
        elif not (waits and (step + 1) % epoch == 0):
            continue
        yield "check", step, 0


def min_min(m: MinMin, data: Images, run: Context) -> Noise:
    """Run the loop to its end, resuming from ``run.state``."""
    loop = MinMinLoop(m, data, run)

    def state() -> State:
        own = {"table": loop.table, "noisy": loop.noisy, "made_noisy": loop.made_noisy}
        return loop.trainer.state() | own | {"log": run.watch.entries}

    def restore(saved: State) -> None:
        loop.trainer.load(saved)
        loop.set_table(saved)
        loop.noisy = saved["noisy"]
        loop.made_noisy = saved.get("made_noisy", loop.noisy)
        run.watch.resume(saved.get("log", ()))

    every = max(1, m.train_steps // LOGGED)
    plan = list(_plan(m, len(loop.pass_chunks(0)), max(1, len(data) // m.batch)))
    title, may_stop = f"{m.name} noise", m.stop_error > 0
    for at in resumable(title, len(plan), run, state=state, restore=restore, at_most=may_stop):
        what, step, chunk = plan[at]
        if what == "train":
            loss = loop.train_step(step)
            if (step + 1) % every == 0 or step + 1 == m.train_steps:
                run.watch.log(step=step + 1, loss=round(float(loss), 6))
        elif what == "update":
            loop.update_noise(loop.pass_chunks(step)[chunk], step, chunk)
        elif loop.check():
            break
    loop.trainer.frozen.require_finite()
    # further images get their noise as the last update made it
    notes = {NOISY: loop.made_noisy} if loop.slots.weight_noise is not None else {}
    passes = distributed.sum_int(loop.trainer.passes)
    return Noise(loop.delta(), loop.trainer.model.eval(), passes, notes)


def noise_of_further(m: MinMin, file: Path, data: Images, run: Context) -> Noise:
    """Make the noise of further images with the surrogate in ``file``: the last pass of the loop,
    ``m.further_visits`` times, resuming from ``run.state``."""
    loop = MinMinLoop(m, data, run)
    frozen = loop.trainer.frozen
    weights, metadata = read_weights(file)
    restore_weights(loop.trainer.model, weights, file)
    frozen.refresh()
    if loop.slots.weight_noise is not None:
        # a generator of before tells nothing, and most had come so far
        loop.noisy = json.loads(metadata["unlearnable"]).get("notes", {}).get(NOISY, True)

    def state() -> State:
        return {"table": loop.table, "passes": frozen.passes, "finite_flag": frozen.finite_flag}

    def restore(saved: State) -> None:
        loop.set_table(saved)
        frozen.passes = saved["passes"]

    chunks = len(loop.pass_chunks(0))
    title = "noise for further images"
    for at in resumable(title, m.further_visits * chunks, run, state=state, restore=restore):
        visit, chunk = divmod(at, chunks)
        step = m.train_steps - 1 + visit
        loop.update_noise(loop.pass_chunks(step)[chunk], step, chunk)
    frozen.require_finite()
    return Noise(loop.delta(), None, distributed.sum_int(loop.trainer.passes))
