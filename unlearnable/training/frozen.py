"""The fast frozen copy of a model on which PGD runs."""

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, fx, nn

from unlearnable.core.device import keep_freed_memory
from unlearnable.core.errors import UserError
from unlearnable.core.finite import diverged, is_finite
from unlearnable.models.trial import check_logits
from unlearnable.training.precision import Compiled, arithmetic, channels_last
from unlearnable.training.weight_noise import WeightNoise


@contextlib.contextmanager
def noisy_weights(model: nn.Module, std: float, g: torch.Generator) -> Iterator[None]:
    """Inside, N(0, std^2) is added to every parameter of ``model``; afterwards they hold the same
    bits as before."""
    parameters = list(model.parameters())
    kept = [p.detach().clone() for p in parameters]
    try:
        with torch.no_grad():
            for p in parameters:
                p.add_(torch.randn(p.shape, device=p.device, dtype=p.dtype, generator=g), alpha=std)
        yield
    finally:
        with torch.no_grad():
            for p, old in zip(parameters, kept, strict=True):
                p.copy_(old)


def weight_draws(
    model: nn.Module, noise: WeightNoise | None, g: torch.Generator | None
) -> Iterator[float]:
    """Yield the share of every draw of ``noise`` in a mean, with the noise on the weights of
    ``model`` until the next; without noise the whole, once."""
    if noise is None:
        yield 1.0
        return
    assert g is not None, "weight noise is drawn from g"
    for _ in range(noise.draws):
        with noisy_weights(model, noise.std, g):
            yield 1 / noise.draws


class Frozen(nn.Module):
    """The copy of a model on which PGD runs: eval mode, no parameter gradients, batch norm folded
    into the convolution before it, channels_last, bfloat16 convolutions if asked.

    ``refresh()`` copies the model's present weights; call it after every change of them. A model
    that torch.fx cannot trace runs unfolded, with a warning: the same function, slower.
    """

    def __init__(self, model: nn.Module, *, bfloat16: bool):
        super().__init__()
        keep_freed_memory()
        self._bfloat16 = bfloat16  # nn.Module has a method of the bare name
        self.passes = 0  # images sent forward and backward so far
        # 0 while all logits were finite, then NaN. In a saved state only so that one with NaN is
        # refused; never read from there, because what was saved was finite
        self.finite_flag = torch.zeros(())
        self._model = [model]  # in a list: not a sub-module
        self._copy = copy.deepcopy(model).eval().requires_grad_(False)
        self._folds: list[tuple[str, str]] = []  # names of (convolution, batch norm)
        try:
            self._fold()
        except Exception as e:
            warnings.warn(
                f"{type(model).__name__} is not traceable ({e}); its batch norms stay unfolded.",
                stacklevel=2,
            )
        self._copy = channels_last(self._copy)
        self._compiled = Compiled(self._copy, graphs=True)
        self.refresh()

    def _fold(self) -> None:
        graph = fx.symbolic_trace(self._copy)
        modules = dict(graph.named_modules())
        # a module called twice cannot be folded at one of its calls
        called = [n.target for n in graph.graph.nodes if n.op == "call_module"]
        shared = _shared(self._copy)
        folds: list[tuple[str, str]] = []
        for node in list(graph.graph.nodes):
            if node.op != "call_module" or not _is_plain(modules[node.target], nn.BatchNorm2d):
                continue
            before = node.args[0] if node.args else node.kwargs["input"]
            fits = before.op == "call_module" and _is_plain(modules[before.target], nn.Conv2d)
            once = called.count(node.target) == 1 and fits and called.count(before.target) == 1
            once = once and before.target not in shared  # nor one whose weights another one has
            if once and len(before.users) == 1 and modules[node.target].track_running_stats:
                folds.append((before.target, node.target))
                node.replace_all_uses_with(before)
                graph.graph.erase_node(node)
        for name, _ in folds:
            conv = modules[name]
            if conv.bias is None:
                conv.bias = nn.Parameter(
                    conv.weight.new_zeros(conv.out_channels), requires_grad=False
                )
        graph.delete_all_unused_submodules()
        graph.recompile()
        self._copy, self._folds = graph, folds  # both or, where something above failed, neither

    @torch.no_grad()
    def refresh(self) -> None:
        source = dict(self._model[0].named_modules())
        folded = {name for name, _ in self._folds}
        target = dict(self._copy.named_modules())
        own = self._model[0]
        parameters = own.named_parameters(remove_duplicate=False)  # a shared one has several owners
        for name, value in [*parameters, *own.named_buffers(remove_duplicate=False)]:
            owner, _, leaf = name.rpartition(".")
            if owner in target and owner not in folded and hasattr(target[owner], leaf):
                getattr(target[owner], leaf).copy_(value)
        for conv_name, norm_name in self._folds:
            conv, norm, fused = source[conv_name], source[norm_name], target[conv_name]
            scale = (norm.running_var + norm.eps).rsqrt()
            scale = scale if norm.weight is None else scale * norm.weight
            bias = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
            fused.weight.copy_(conv.weight * scale[:, None, None, None])
            fused.bias.copy_(bias * scale if norm.bias is None else bias * scale + norm.bias)

    @contextlib.contextmanager
    def noisy_weights(self, std: float, g: torch.Generator) -> Iterator[None]:
        """Inside, this is the copy of the model with N(0, std^2) on its parameters: the noise comes
        first, the fold after it. Take gradients inside, too: the copy's weights are overwritten on
        the way in and out."""
        try:
            with noisy_weights(self._model[0], std, g):
                self.refresh()
                yield
        finally:
            self.refresh()

    def forward(self, x: Tensor) -> Tensor:
        return self._through(self._compiled if x.requires_grad else self._copy, x)

    def _through(self, network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        with arithmetic(x.device, self._bfloat16):
            logits = network(x.contiguous(memory_format=torch.channels_last))
        logits = check_logits(logits, x, type(self._model[0]).__name__).float()
        # the sign of a NaN gradient is 0: noise made of it would look like any other
        flag = self.finite_flag.to(x.device)  # nothing waits for the device here
        self.finite_flag = torch.add(flag, logits.detach().sum(), alpha=0)
        self.passes += len(x) if x.requires_grad else 0
        return logits

    def require_finite(self) -> None:
        """Raise UserError where logits were NaN or infinite at any time. Waits for the device."""
        if not is_finite(self.finite_flag):
            raise diverged(f"The logits of {type(self._model[0]).__name__}")

    def features(self, x: Tensor) -> Tensor:
        """Return what the last layer of the model receives, [N, D]. Raises UserError for a model
        that is not an nn.Sequential."""
        model = self._model[0]
        require_head(model)
        seen: list[Tensor] = []
        name, _ = last_layer(model)
        head = self._copy.get_submodule(name)
        hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            self._through(self._copy, x)  # compiled, it would not call the hook
        finally:
            hook.remove()
        return seen[0].float()


def require_head(model: nn.Module) -> None:
    """Raise UserError for a model whose last layer, and so its features, cannot be told."""
    if not isinstance(model, nn.Sequential) or len(model) < 2:
        raise UserError(
            f"{type(model).__name__} is not an nn.Sequential that ends in its head; use one that "
            "is."
        )


def last_layer(model: nn.Module) -> tuple[str, nn.Module]:
    """Return the last layer of ``model`` and its name. The last child may hold more than that layer
    (dropout before it)."""
    *_, last = ((name, part) for name, part in model.named_modules() if not [*part.children()])
    return last


def _is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether ``module`` computes what its class does, from parameters that can be written: a
    parametrization makes a class of its own, and folding would lose a hook."""
    return type(module) is kind and not (module._forward_hooks or module._forward_pre_hooks)


def _shared(model: nn.Module) -> set[str]:
    """Return the names of the modules that share a parameter with another one."""
    owners: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name.rpartition(".")[0])
    return {owner for names in owners.values() if len(names) > 1 for owner in names}


def mean_over_noisy_weights(
    loss: Callable[[Tensor], Tensor],
    frozen: Frozen,
    z: Tensor,
    noise: WeightNoise,
    g: torch.Generator,
) -> Tensor:
    """Return the first-order part in z [N, 3, H, W] of ``loss``'s mean over draws of noise on the
    weights of ``frozen``: its gradient is the mean gradient, and that of every draw is taken before
    the next draw changes the weights. The noise is on the real parameters, then folded."""
    gradient = torch.zeros_like(z)
    for _ in range(noise.draws):
        with frozen.noisy_weights(noise.std, g):
            leaf = z.detach().requires_grad_()
            gradient += torch.autograd.grad(loss(leaf), leaf)[0]
    return (gradient / noise.draws * z).sum()
