"""The last pass of the min-min family on new images, with the surrogate of an earlier run."""

from pathlib import Path

from unlearnable.core import distributed
from unlearnable.core.weights import read_weights, restore_weights
from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.from_generator import Generated
from unlearnable.protection.methods.min_min_loop import MinMinLoop
from unlearnable.protection.methods.noise_rows import resumable


def noise_for_further_images(m: Generated, data: Images, run: Context) -> Noise:
    """Visit every image ``m.visits`` times, resuming from ``run.state``."""
    loop = MinMinLoop(m.family, data, run)
    file, frozen = Path(m.file), loop.trainer.frozen
    restore_weights(loop.trainer.model, read_weights(file)[0], file)
    frozen.refresh()

    def state() -> dict:
        return {"table": loop.table, "passes": frozen.passes}

    def restore(saved: dict) -> None:
        loop.set_table(saved)
        frozen.passes = saved["passes"]

    chunks = len(loop.chunks)
    title = "noise for further images"
    for at in resumable(title, m.visits * chunks, run, state=state, restore=restore):
        visit, chunk = divmod(at, chunks)
        loop.update_noise(loop.chunks[chunk], m.family.train_steps - 1 + visit, chunk)
    return Noise(loop.delta(), None, distributed.sum_int(loop.trainer.passes))
