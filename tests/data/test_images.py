"""Images in memory: how many are worked on at a time."""

import torch

from unlearnable.data.images import chunks


def test_parts_hold_as_many_pixels_whatever_the_size():
    for side, most in ((32, 500), (224, 10), (1024, 1)):
        parts = chunks(torch.empty(1001, 3, side, side, device="meta"), 500)
        assert torch.equal(torch.cat(parts), torch.arange(1001)) and len(parts[0]) == most
