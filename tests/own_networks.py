"""Networks as people bring them: some that work, and most that cannot."""

import sys
import threading

import torch
from torch import Tensor, nn

CALLS: list[int] = []
"""training batches that ``Later`` has seen"""


def body() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Plain(nn.Module):
    def __init__(self, classes: int):
        super().__init__()
        self.body, self.head = body(), nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class Tied(nn.Module):
    """Two layers share one weight, and a convolution with batch norm shares that of another."""

    def __init__(self, classes: int):
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.second = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.norm, self.body = nn.BatchNorm2d(3), body()
        self.a, self.b, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, classes)
        self.second.weight, self.b.weight = self.first.weight, self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(self.second(self.norm(self.first(x))))
        return self.head(torch.relu(self.b(torch.relu(self.a(x)))))


class Drawing(nn.Module):
    """Batch norm and dropout: the trial must leave no trace of either."""

    def __init__(self, classes: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.layers(x)))


class Auxiliary(Plain):
    def forward(self, x: Tensor):  # type: ignore[override]
        return (super().forward(x),) * 2 if self.training else super().forward(x)


class Dictionary(Plain):
    def forward(self, x: Tensor):  # type: ignore[override]
        return {"logits": super().forward(x)}


class Whole(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).argmax(1)


class Squeezed(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).squeeze()


class Viewed(nn.Module):
    def __init__(self, classes: int):
        super().__init__()
        self.head = nn.Linear(3 * 32 * 32, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.view(len(x), -1))


class Detached(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).detach()


class Untested(Plain):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if self.training else y * float("nan")


class Backward(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.sqrt(self.head.bias * 0)


class Locked(Plain):
    def __init__(self, classes: int):
        super().__init__(classes)
        self.lock = threading.Lock()


class Leaving(Plain):
    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            sys.exit(3)
        return super().forward(x)


class Later(Plain):
    """Fails in its third training batch of 16."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) == 16:
            CALLS.append(len(x))
            if len(CALLS) == 3:
                raise ValueError("the third\nbatch")
        return super().forward(x)


class NaNLater(Plain):
    """NaN in evaluation mode, of more than four images."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if self.training or len(x) <= 4 else y * float("nan")


class Shorter(Plain):
    """One row too few, of more than four images."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y[1:] if len(y) > 4 else y


def too_few(classes: int) -> nn.Module:
    return nn.Sequential(body(), nn.Linear(8, 3))


def for_224(classes: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 7, 2), nn.Flatten(), nn.Linear(8 * 109 * 109, classes))


def lazy(classes: int) -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(8, 3, 2), nn.Flatten(), nn.LazyLinear(classes))


def untrained(classes: int) -> nn.Module:
    return nn.Sequential(body(), nn.Linear(8, classes)).requires_grad_(False)


def leaving(classes: int) -> nn.Module:
    sys.exit(0)
