"""The airbench networks: their size, their whitening, and what training moves."""

import torch
from torch import nn

from unlearnable.models import build
from unlearnable.models.airbench import FLOOR, VARIANCES, whitening


def multiply_adds(model: nn.Module, size: int) -> int:
    counted = []

    def count(layer, inputs, output):
        pixels = output.shape[2] * output.shape[3] if output.dim() == 4 else 1
        counted.append(layer.weight.numel() * pixels)

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    model.eval()(torch.rand(1, 3, size, size))
    return sum(counted)


def test_its_cost_is_that_of_the_published_network():
    assert abs(multiply_adds(build("airbench", 10, size=32), 32) / 118e6 - 1) < 0.01
    assert multiply_adds(build("airbench-half", 10, size=32), 32) < 118e6 / 3.5


def test_the_filters_whiten_patches_with_the_stated_variances():
    variances = torch.tensor(VARIANCES).flatten()
    filters = whitening().flatten(1)
    basis = nn.functional.normalize(filters)
    assert torch.allclose(basis @ basis.T, torch.eye(12), atol=1e-6)  # orthonormal but for scale
    covariance = basis.T @ variances.diag() @ basis
    after = filters @ covariance @ filters.T
    assert torch.allclose(after, (variances / (variances + FLOOR)).diag(), atol=1e-4)


def test_a_large_image_gives_logits_and_a_frozen_first_layer_stays():
    assert build("airbench-half", 7, size=128)(torch.rand(2, 3, 128, 128)).shape == (2, 7)
    model = build("airbench-whitened", 10, size=32)
    model(torch.rand(2, 3, 32, 32)).square().sum().backward()
    assert model.features[0].weight.grad is None and model.head.weight.grad is not None
