"""What only a CUDA device can show: the same numbers as on the CPU, as far as its arithmetic
allows."""

import copy

import pytest
import torch

from unlearnable import REM, Images, learn, protect
from unlearnable.core.device import COMPILE
from unlearnable.core.seeding import generator
from unlearnable.core.units import to_unit
from unlearnable.evaluation import rate_vae
from unlearnable.evaluation.countermeasures import apply_countermeasure
from unlearnable.models import build
from unlearnable.training.frozen import Frozen
from unlearnable.training.pgd import total_loss
from unlearnable.training.recipe import Recipe
from unlearnable.training.trainer import Trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


def test_batches_are_picked_on_the_device(few: Images) -> None:
    i = torch.tensor([3, 0, 39, 3])
    # not the CPU's floats: a GPU divides by 255 with another last bit
    assert torch.equal(few.pixels(i, "cuda"), to_unit(few.x[i].cuda()))
    assert torch.equal(few.labels(i, "cuda").cpu(), few.y[i])
    x, y = few._copy_on(torch.device("cuda"))
    assert x.is_cuda and y.is_cuda


def test_a_set_larger_than_the_device_stays_outside(
    few: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 1000))
    few = copy.copy(few)
    few.__dict__.pop("_copies", None)
    assert torch.equal(few.pixels(slice(2, 5), "cuda"), to_unit(few.x[2:5].cuda()))
    assert not few._copy_on(torch.device("cuda"))[0].is_cuda


@pytest.mark.parametrize("compiled", [False, True])
def test_the_frozen_copy_agrees_with_the_cpu(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiled:
        monkeypatch.setenv(COMPILE, "1")
    x, y = torch.rand(8, 3, 32, 32, generator=generator("cpu", 5)), torch.arange(8)
    model = build("resnet18", 10, size=32, seed=1).eval()
    frozen = {
        where: Frozen(copy.deepcopy(model).to(where), bfloat16=False) for where in ("cpu", "cuda")
    }
    for _ in range(4):  # a captured graph is replayed from the third call on
        gradients = []
        for where, f in frozen.items():
            z = x.to(where).requires_grad_()
            gradients.append(torch.autograd.grad(total_loss(f, z, y.to(where)), z)[0].cpu())
        assert (
            float((gradients[0].sign() == gradients[1].sign()).float().mean()) > 0.97
        )  # TF32 moves the last bits


def test_a_replayed_graph_follows_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMPILE, "1")
    trainer = Trainer(
        build("convnet", 10, size=32, seed=1).cuda(),
        lr=0.1,
        momentum=0.9,
        weight_decay=0.0,
        bfloat16=False,
    )
    x, y = torch.rand(16, 3, 32, 32, device="cuda"), torch.arange(16, device="cuda") % 10
    for _ in range(4):
        trainer.step(x, y, 0.1)
        z = x.clone().requires_grad_()
        through = trainer.frozen(z)
        assert torch.allclose(through, trainer.model.eval()(x), atol=1e-2)


def test_noise_and_learner_run_there(few: Images, tmp_path) -> None:
    method = REM(model="convnet", steps=2, eot_samples=2, adv_steps=2, train_steps=3, batch=16)
    done = protect(few, method, tmp_path / "protected", device="cuda")
    assert int((done.images.x.int() - few.x.int()).abs().max()) in range(1, 9)
    recipe = Recipe.preset("short", steps=4, adv_eps=2.0, evals=1)
    result = learn(done.images, recipe, test=few, device="cuda").result
    assert torch.cuda.get_device_name() in result["hardware"]


def test_d_vae_trains_there_and_draws_as_on_the_cpu(
    few: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_vae, "STEPS", 3)
    cpu, gpu = (apply_countermeasure("d-vae", few, device).x for device in ("cpu", "cuda"))
    assert not gpu.is_cuda and gpu.dtype == torch.uint8
    assert float((cpu.int() - gpu.int()).abs().float().mean()) < 1
