"""Images in memory: how many are worked on at a time."""

import pytest
import torch

from unlearnable import UserError
from unlearnable.data.images import Images, chunks


def test_parts_hold_as_many_pixels_whatever_the_size():
    for side, most in ((32, 500), (224, 10), (1024, 1)):
        parts = chunks(torch.empty(1001, 3, side, side, device="meta"), 500)
        assert torch.equal(torch.cat(parts), torch.arange(1001)) and len(parts[0]) == most


@pytest.mark.parametrize("dtype", [torch.int32, torch.float32])
def test_labels_of_another_type_are_refused(dtype):
    with pytest.raises(UserError, match="int64"):
        Images(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(2, dtype=dtype), ("a",))


def test_images_elsewhere_than_on_the_cpu_are_refused():
    x = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(UserError, match="CPU"):
        Images(x.to("meta"), torch.zeros(2, dtype=torch.int64), ("a",))
