"""Weights as safetensors: shared ones, and states that the format cannot hold."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from tests.own_networks import Plain, Tied
from unlearnable import UserError
from unlearnable.core.weights import pack_weights, read_weights, restore_weights, write_weights


def test_shared_weights_come_back_shared(tmp_path: Path) -> None:
    model, other, file = Tied(4), Tied(4), tmp_path / "model.safetensors"
    write_weights(file, model)
    restore_weights(other, read_weights(file)[0], file)
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in model.state_dict().items())
    assert other.a.weight is other.b.weight


def test_the_bytes_of_a_network_without_shared_weights_are_what_they_were() -> None:
    model = Plain(4)
    tensors = {k: v.contiguous() for k, v in model.state_dict().items()}
    assert pack_weights(model, {"about": "it"}) == save(tensors, {"about": "it"})


def test_views_of_one_tensor(tmp_path: Path) -> None:
    model = Plain(4)
    model.register_buffer("rows", model.head.weight.detach()[1:3])
    write_weights(tmp_path / "model.safetensors", model)
    back, _ = read_weights(tmp_path / "model.safetensors")
    assert all(torch.equal(value, back[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("bad", [torch.zeros(2).to_sparse(), torch.zeros(2, device="meta")])
def test_a_state_that_cannot_be_saved(bad: torch.Tensor) -> None:
    model = Plain(4)
    model.register_buffer("bad", bad)
    with pytest.raises(UserError, match="Plain cannot be saved as safetensors"):
        pack_weights(model)
