"""``Images`` as PyTorch's own loaders take them."""

from collections.abc import Callable
from typing import final

import torch.utils.data
from PIL import Image

from unlearnable.core.errors import UserError
from unlearnable.core.units import to_unit
from unlearnable.data.images import Images


@final
class TorchDataset(torch.utils.data.Dataset[tuple[object, int]]):
    """A map-style ``torch.utils.data.Dataset`` of images, for instance of a protected set:
    ``DataLoader(TorchDataset(load("protected/rem")), 128, shuffle=True)``.

    Its items are pairs of an image and the number of its class. transform: is given the PIL image,
    as torchvision's are; without it, the image is a float32 tensor [3, H, W] in [0, 1]. classes:
    the names of the classes. targets: the label of every image. Raises UserError for images after
    a countermeasure, which may lie outside [0, 1].
    """

    def __init__(
        self, images: Images, transform: Callable[[Image.Image], object] | None = None
    ) -> None:
        if images.unclipped:
            raise UserError("These are images after a countermeasure; give the images themselves.")
        self.images, self.transform = images, transform
        self.classes: list[str] = [*images.classes]
        self.targets: list[int] = images.y.tolist()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[object, int]:
        x = self.images.x[i]
        if self.transform is None:
            return to_unit(x), self.targets[i]
        image = Image.fromarray(x.permute(1, 2, 0).contiguous().numpy())
        return self.transform(image), self.targets[i]
