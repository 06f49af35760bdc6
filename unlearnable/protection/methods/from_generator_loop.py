"""The last pass of the min-min family on new images, with the surrogate of an earlier run."""

from pathlib import Path

from unlearnable.core import distributed
from unlearnable.core.checkpoint import State
from unlearnable.core.weights import read_weights, restore_weights
from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.from_generator import Generated
from unlearnable.protection.methods.min_min import MinMin
from unlearnable.protection.methods.min_min_loop import MinMinLoop
from unlearnable.protection.methods.noise_rows import resumable


def noise_for_further_images(m: Generated, family: MinMin, data: Images, run: Context) -> Noise:
    """Visit every image ``m.visits`` times, resuming from ``run.state``. family: of ``m``."""
    loop = MinMinLoop(family, data, run)
    file, frozen = Path(m.file), loop.trainer.frozen
    restore_weights(loop.trainer.model, read_weights(file)[0], file)
    frozen.refresh()
    loop.noisy = loop.slots.weight_noise is not None

    def state() -> State:
        return {"table": loop.table, "passes": frozen.passes, "finite_flag": frozen.finite_flag}

    def restore(saved: State) -> None:
        loop.set_table(saved)
        frozen.passes = saved["passes"]

    chunks = len(loop.pass_chunks(0))
    title = "noise for further images"
    for at in resumable(title, m.visits * chunks, run, state=state, restore=restore):
        visit, chunk = divmod(at, chunks)
        step = family.train_steps - 1 + visit
        loop.update_noise(loop.pass_chunks(step)[chunk], step, chunk)
    frozen.require_finite()
    return Noise(loop.delta(), None, distributed.sum_int(loop.trainer.passes))
