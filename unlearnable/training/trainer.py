"""One training step, for learners and for surrogates alike."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.core import distributed
from unlearnable.core.checkpoint import State
from unlearnable.models.trial import check_logits
from unlearnable.training.frozen import Frozen, weight_draws
from unlearnable.training.precision import Compiled, arithmetic, channels_last
from unlearnable.training.weight_noise import WeightNoise


class Trainer:
    """A model, its SGD and its frozen copy."""

    def __init__(
        self, model: nn.Module, *, lr: float, momentum: float, weight_decay: float, bfloat16: bool
    ):
        self.model = channels_last(model)
        self.optimizer = torch.optim.SGD(
            model.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay
        )
        self.bfloat16 = bfloat16
        self.frozen = Frozen(model, bfloat16=bfloat16)
        # no CUDA graph: the step between two forward passes changes the weights in place
        self._network = Compiled(model, graphs=False)
        self._steps = 0  # passes of training steps so far

    def step(
        self,
        x: Tensor,
        y: Tensor,
        lr: float,
        *,
        refresh: bool = True,
        copies: int = 1,
        regularizer: Callable[[nn.Module], Tensor] | None = None,
        weight_noise: WeightNoise | None = None,
        g: torch.Generator | None = None,
        scale: float = 1.0,
        clip: float | None = None,
    ) -> Tensor:
        """Take one SGD step on x [n, 3, H, W], already augmented and perturbed. Returns the batch's
        mean loss (a tensor, so that nothing waits for the device).

        refresh: whether the frozen copy follows. copies: x is so many versions of the same images,
        one set after the other, and an image's loss is its largest. regularizer: a second term of
        the loss, on as many images. weight_noise: the loss is the mean over its draws, drawn from
        ``g``. scale: of the loss. clip: the largest L2 norm of the gradient, after every draw."""
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        x = x.contiguous(memory_format=torch.channels_last)
        self.optimizer.zero_grad()
        total = torch.zeros((), device=x.device)
        for share in weight_draws(self.model, weight_noise, g):
            with arithmetic(x.device, self.bfloat16):
                logits = check_logits(self._network(x), x, type(self.model).__name__)
                second = regularizer(self.model) if regularizer else 0.0
            each = F.cross_entropy(logits.float(), y, reduction="none" if copies > 1 else "mean")
            first = each.view(copies, -1).max(0).values.mean() if copies > 1 else each
            loss = scale * share * (first + second)
            loss.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
            total += loss.detach()
            self._steps += len(x) * (2 if regularizer else 1)
        distributed.average_gradients(self.model)
        self.optimizer.step()
        if refresh:
            self.frozen.refresh()
        return total

    @property
    def passes(self) -> int:
        """Forward and backward passes of one image so far, on this process, in training and PGD
        steps."""
        return self._steps + self.frozen.passes

    def state(self) -> State:
        passes = {"steps": self._steps, "frozen": self.frozen.passes}
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "passes": passes,
            "finite_flag": self.frozen.finite_flag,
        }

    def load(self, state: State) -> None:
        self._steps, self.frozen.passes = state["passes"]["steps"], state["passes"]["frozen"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.frozen.refresh()
