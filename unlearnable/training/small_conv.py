"""Convolutions on small maps as matrix products, for CPUs with matrix units (AMX).

On such a CPU the convolutions that torch calls (oneDNN) fall far behind a matrix product of the
same size where a map is few pixels wide: five times for the gradient of the weights on 4 x 4
pixels, and in all three directions once the weights exceed the cache. There the neighborhoods of
every image are laid side by side ([n h w, k k C]) and multiplied. On larger maps that copy costs
more than it saves. docs/log.md has the figures.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

MAX_ELEMENTS = 2**25  # numbers laid side by side at a time: 64 MiB in bfloat16


def is_faster(device: torch.device, bfloat16: bool) -> bool:
    """Whether this is bfloat16 on a CPU with the units that the rule below was measured on."""
    return bfloat16 and device.type == "cpu" and torch.cpu._is_amx_tile_supported()


class SmallConv(TorchFunctionMode):
    """Inside, ``conv2d`` in bfloat16 on the CPU takes the faster way: the same function up to
    rounding."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is torch.conv2d:
            return _conv2d(*args, **kwargs or {})
        return func(*args, **kwargs or {})


def _conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: str | int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    cast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    half = cast or {x.dtype, weight.dtype} == {torch.bfloat16}
    k, s, p = _both(tuple(weight.shape[2:])), _both(stride), _both(padding)
    fits = half and x.dim() == 4 and groups == 1 and _both(dilation) == 1
    if fits and k and s and p is not None and p < k:
        pixels = _out(x.shape[2], k, s, p) * _out(x.shape[3], k, s, p)
        weights_exceed_cache = pixels <= 16 and weight.numel() >= 2**20
        if pixels <= 16 or (pixels <= 64 and weight.shape[:2].numel() >= 2**15):
            b = None if bias is None else bias.bfloat16()
            how = s, p, weights_exceed_cache
            return Convolution.apply(x.bfloat16(), weight.bfloat16(), b, *how)
    return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)


def _both(v: str | int | tuple[int, ...]) -> int | None:
    """Return the number that counts in both directions, if it is one."""
    if isinstance(v, int):
        return v
    return v[0] if len(set(v)) == 1 and isinstance(v[0], int) else None


class Convolution(torch.autograd.Function):
    """conv2d of x [N, C, H, W] with weight [D, C, k, k], of one stride and padding (below k) in
    both directions. The gradient of the weights is a matrix product; with
    ``weights_exceed_cache`` so is the rest, where the stride allows."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: int,
        padding: int,
        weights_exceed_cache: bool,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = stride, padding, weights_exceed_cache
        if not weights_exceed_cache:
            return F.conv2d(x, weight, bias, stride, padding)
        d, _, k, _ = weight.shape
        return _product(x, weight.permute(0, 2, 3, 1).reshape(d, -1), bias, k, stride, padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        (s, p, weights_exceed_cache), k = ctx.how, weight.shape[2]
        to_x = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            if weights_exceed_cache and s == 1:
                turned = weight.permute(2, 3, 0, 1).flip(0, 1).reshape(-1, weight.shape[1])
                to_x = _product(g, turned.t(), None, k, 1, k - 1 - p)
            else:
                pair = [s, s], [p, p], [1, 1]
                back = torch.ops.aten.convolution_backward
                to_x = back(g, x, weight, None, *pair, False, [0, 0], 1, [True, False, False])[0]
        if ctx.needs_input_grad[1]:
            to_weight = _weight_gradient(g, x, k, s, p)
        if ctx.needs_input_grad[2]:
            to_bias = g.sum((0, 2, 3))
        return to_x, to_weight, to_bias, None, None, None


def _out(size: int, k: int, stride: int, padding: int) -> int:
    return (size + 2 * padding - k) // stride + 1


def _rows(x: Tensor, k: int, stride: int, padding: int) -> Tensor:
    """Return the rows of every pixel's neighborhood, a view [N, h, w, k, k C]: in channels_last the
    k pixels of a row lie side by side."""
    x = F.pad(x, (padding,) * 4) if padding else x
    x = x.permute(0, 2, 3, 1).contiguous()
    n, height, width, c = x.shape
    h, w = _out(height, k, stride, 0), _out(width, k, stride, 0)
    a, b, d, _ = x.stride()
    return x.as_strided((n, h, w, k, k * c), (a, b * stride, d * stride, b, 1))


def _chunks(x: Tensor, k: int, stride: int, padding: int) -> list[slice]:
    """Divide the batch so that its neighborhoods are at most ``MAX_ELEMENTS`` numbers."""
    n, c, height, width = x.shape
    each = _out(height, k, stride, padding) * _out(width, k, stride, padding) * k * k * c
    at_once = max(1, MAX_ELEMENTS // each)
    return [slice(i, i + at_once) for i in range(0, n, at_once)]


def _product(
    x: Tensor, matrix: Tensor, bias: Tensor | None, k: int, stride: int, padding: int
) -> Tensor:
    """Multiply ``matrix`` [D, k k C] by the neighborhoods of x -> [N, D, h, w], channels_last."""
    out = []
    for part in _chunks(x, k, stride, padding):
        rows = _rows(x[part], k, stride, padding)
        n, h, w, *_ = rows.shape
        out.append(F.linear(rows.reshape(n * h * w, -1), matrix, bias).view(n, h, w, -1))
    return torch.cat(out).permute(0, 3, 1, 2) if len(out) > 1 else out[0].permute(0, 3, 1, 2)


def _weight_gradient(g: Tensor, x: Tensor, k: int, stride: int, padding: int) -> Tensor:
    """Return the gradient [D, C, k, k]: one row of the kernel at a time, so that only k C numbers
    per pixel are copied."""
    d, c = g.shape[1], x.shape[1]
    total = torch.zeros(d, k, k * c) if g.dtype is torch.bfloat16 else g.new_zeros(d, k, k * c)
    for part in _chunks(x, k, stride, padding):
        rows = _rows(x[part], k, stride, padding)
        left = g[part].permute(1, 0, 2, 3).reshape(d, -1)
        for i in range(k):
            total[:, i] += left @ rows[..., i, :].reshape(-1, k * c)
    return total.view(d, k, k, c).permute(0, 3, 1, 2).to(g.dtype)
