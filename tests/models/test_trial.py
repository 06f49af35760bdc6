"""One's own network is tried before any work: what is wrong is said in one sentence."""

import random

import numpy as np
import pytest
import torch

from unlearnable import UserError
from unlearnable.models import build
from unlearnable.models.trial import try_network

WRONG = {
    "Auxiliary": "in training mode returned an object of type tuple for 4 images",
    "Dictionary": "in training mode returned an object of type dict",
    "Whole": "returned int64 [4] on cpu",
    "Squeezed": "in evaluation mode returned float32 [10] on cpu for 1 image;",
    "Viewed": "failed in training mode on 4 images of 32 x 32 pixels, RuntimeError: view",
    "Detached": "do not depend on its parameters",
    "Untested": "NaN or infinite logits in evaluation mode",
    "Backward": "has gradients that are NaN or infinite",
    "Locked": "cannot be copied, TypeError",
    "Leaving": "failed in evaluation mode on 4 images of 32 x 32 pixels, SystemExit: 3",
    "too_few": "returns 3 logits per image in training mode; there are 10 classes",
    "for_224": "4 images of 32 x 32 pixels, RuntimeError: mat1 and mat2 shapes",
    "lazy": "has layers whose sizes are not known yet",
    "untrained": "has no parameter that requires a gradient",
    "leaving": "failed, SystemExit: 0",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_network(name):
    with pytest.raises(UserError) as caught:
        build(f"tests.own_networks:{name}", 10, size=32, tried_on=(32, 32))
    said = str(caught.value)
    assert said.startswith(f"model 'tests.own_networks:{name}'") and WRONG[name] in said
    assert "\n" not in said


@pytest.mark.parametrize("name", ["Plain", "Tied", "Drawing"])
def test_networks_that_work(name):
    for size in ((32, 32), (40, 33)):
        model = build(f"tests.own_networks:{name}", 3, size=32, tried_on=size)
        assert model(torch.rand(2, 3, *size)).shape == (2, 3)


def test_the_sentence_names_the_line():
    with pytest.raises(UserError, match=r"SystemExit: 3 \(.*own_networks\.py:\d+\); correct it"):
        build("tests.own_networks:Leaving", 10, size=32, tried_on=(32, 32))


def test_a_trial_leaves_no_trace():
    """Weights, batch-norm statistics, mode, gradients, and every global generator."""
    model = build("tests.own_networks:Drawing", 10, size=32, seed=3)
    untried = {k: v.clone() for k, v in model.state_dict().items()}
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    try_network(model, "tests.own_networks:Drawing", 10, (32, 32))
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1]
    assert (np.random.get_state()[1] == before[2]).all()
    assert all(torch.equal(v, untried[k]) for k, v in model.state_dict().items())
    assert model.training and all(p.grad is None for p in model.parameters())
    tried = build("tests.own_networks:Drawing", 10, size=32, seed=3, tried_on=(32, 32))
    assert all(torch.equal(v, untried[k]) for k, v in tried.state_dict().items())
