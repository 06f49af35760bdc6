"""What a member of the min-min family puts into the common loop. All of it values, which import
torch when they are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from unlearnable.training.augment import Augmentation
    from unlearnable.training.frozen import Frozen
    from unlearnable.training.weight_noise import WeightLevels


class Perturbation(Protocol):
    """What a model sees added to z = t(x + u) [N, 3, H, W] before the loss is taken."""

    @property
    def passes(self) -> int:
        """Forward and backward passes per image."""

    def __call__(self, model: nn.Module, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor: ...


@dataclass(frozen=True)
class Nothing:
    """The image as it is."""

    passes: ClassVar[int] = 0

    def __call__(self, model: nn.Module, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        import torch

        return torch.zeros_like(z)


@dataclass(frozen=True)
class Adversary:
    """PGD against the model, all in /255."""

    eps: float
    step: float
    steps: int

    @property
    def passes(self) -> int:
        return self.steps if self.eps else 0

    def __call__(self, model: nn.Module, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        from unlearnable.core.units import in_unit
        from unlearnable.training.pgd import adversary

        eps, step = in_unit(self.eps), in_unit(self.step)
        return adversary(model, z, y, g, eps=eps, step=step, steps=self.steps)


@dataclass(frozen=True)
class UniformPerturbation:
    """One uniform draw from the ball of radius ``eps``, in /255."""

    eps: float
    passes: ClassVar[int] = 0

    def __call__(self, model: nn.Module, z: Tensor, y: Tensor, g: torch.Generator) -> Tensor:
        from unlearnable.core.units import in_unit
        from unlearnable.training.pgd import uniform_perturbation

        return uniform_perturbation(z, g, eps=in_unit(self.eps))


class NoiseLoss(Protocol):
    """What the noise lowers: a sum over the images z [N, 3, H, W]."""

    @property
    def independent(self) -> bool:
        """Whether an image's noise is the same whichever images share its batch."""

    def __call__(self, model: Frozen, z: Tensor, y: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class CrossEntropy:
    """The surrogate's own loss."""

    independent: ClassVar[bool] = True

    def __call__(self, model: Frozen, z: Tensor, y: Tensor) -> Tensor:
        from unlearnable.training.pgd import total_loss

        return total_loss(model, z, y)


@dataclass(frozen=True)
class ClassContrast:
    """Supervised contrast of the surrogate's features, their cosines divided by ``temperature``."""

    temperature: float
    independent: ClassVar[bool] = False

    def __call__(self, model: Frozen, z: Tensor, y: Tensor) -> Tensor:
        from unlearnable.protection.methods.losses import class_contrast

        return class_contrast(model.features(z), y, self.temperature)


@dataclass(frozen=True)
class ContrastiveTransform:
    """The augmentation of contrastive learners at ``strength`` 0 to 1."""

    strength: float

    def __call__(self, height: int, width: int) -> Augmentation:
        from unlearnable.training.augment import Contrastive

        return Contrastive((height, width), self.strength)


@dataclass(frozen=True)
class UniformGuess:
    """``weight`` times the mean distance of the surrogate's guess on clean images from a uniform
    guess."""

    weight: float

    def __call__(self, model: nn.Module, clean: Tensor) -> Tensor:
        from unlearnable.protection.methods.losses import distance_from_uniform

        return self.weight * distance_from_uniform(model(clean))


@dataclass(frozen=True)
class Slots:
    """The defaults are those of EM."""

    noise_sees: Perturbation = Nothing()
    """added to the image in the noise step"""
    surrogate_sees: Perturbation = Nothing()
    """added to the image in the surrogate's step"""
    noise_loss: NoiseLoss = CrossEntropy()
    transform: Callable[[int, int], Augmentation] | None = None
    """(height, width) -> what stands for the paper's T, which eot_samples = 0 leaves out"""
    regularizer: Callable[[nn.Module, Tensor], Tensor] | None = None
    """(model, t(x) of the step's clean images) -> a second term of the surrogate's loss, a mean"""
    weight_noise: WeightLevels | None = None
    """on the weights, in both losses"""
    schedule: Literal["step", "cosine"] = "step"
    """the surrogate's learning rate: x lr_decay every decay_every steps, or a cosine to 0"""
    noise_step_growth: float = 1.0
    """how many times its first size a noise step has at the end; it grows linearly"""
    zero_start: bool = False
    """warm-started noise begins at 0, not at a random draw"""
    valid: bool = False
    """noise per image is clipped to valid pixels after every step, not only where it is added"""
