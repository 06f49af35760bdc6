"""The last pass of the min-min family on new images, with the surrogate of an earlier run."""

from safetensors import safe_open

from unlearnable.core import distributed
from unlearnable.data.images import Images
from unlearnable.protection.methods.base import Context, Noise
from unlearnable.protection.methods.from_generator import Generated
from unlearnable.protection.methods.min_min_loop import MinMinLoop
from unlearnable.protection.methods.noise_rows import resumable


def noise_for_further_images(m: Generated, data: Images, run: Context) -> Noise:
    """Visit every image ``m.visits`` times, resuming from ``run.state``."""
    loop = MinMinLoop(m.family, data, run)
    with safe_open(m.file, "pt") as f:
        names = f.keys()
        loop.trainer.model.load_state_dict({name: f.get_tensor(name) for name in names})
    loop.trainer.frozen.refresh()
    loop.noisy = loop.slots.weight_noise is not None
    chunks = len(loop.pass_chunks(0))
    for at in resumable(
        "noise for further images",
        m.visits * chunks,
        run,
        state=lambda: {"table": loop.table},
        restore=loop.set_table,
    ):
        visit, chunk = divmod(at, chunks)
        step = m.family.train_steps - 1 + visit
        loop.update_noise(loop.pass_chunks(step)[chunk], step, chunk)
    return Noise(loop.delta(), None, distributed.sum_int(loop.trainer.passes))
