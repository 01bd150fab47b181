"""Group, layer, instance, root-mean-square and local response normalisation as tensor operations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels import geometry, local_response
from minicnn_kernels import normalization as kernels
from minicnn_kernels.arrays import on_device_of

from ..autograd.engine import Function
from ..autograd.nodes import shown_as
from ..device import Meta, meta
from ..tensor import Array, Tensor
from .batchnorm import constant, evaluate, in_float32, is_half, move
from .pad import pad
from .tensor.arguments import ints
from .tensor.operands import floating

__all__ = ["group_norm", "instance_norm", "layer_norm", "local_response_norm", "rms_norm"]


class GroupNorm(Function):
    """y = gamma (x - mean)/sqrt(var + eps) + beta per group of channels of x seen as `shape`, (N, C, ...)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Array,
        gamma: Array | None,
        beta: Array | None,
        *,
        shape: tuple[int, ...],
        groups: int,
        eps: float,
        centred: bool = True,
    ) -> tuple[Array, Array, Array]:
        """Run the chosen kernel; the means and variances, (N, groups), are results too."""
        ctx.shape, ctx.options = shape, (groups, eps, centred)
        ctx.shapes = [None if a is None else a.shape for a in (x, gamma, beta)]
        vectors = (None if v is None else v.reshape(shape[1]) for v in (gamma, beta))  # normalized_shape -> (C,)
        y, mean, var = kernels.FORWARD(x.reshape(shape), *vectors, *ctx.options)
        ctx.save_for_backward(x, gamma, mean, var)
        ctx.mark_non_differentiable(mean, var)
        return y.reshape(x.shape), mean, var

    @staticmethod
    def infer(x: Array, *_: Any, shape: tuple[int, ...], groups: int, **options: Any) -> tuple[Meta, Meta, Meta]:
        """Return y, which is like x, and a mean and a variance per group."""
        return meta(x.shape, x.dtype), meta((shape[0], groups), x.dtype), meta((shape[0], groups), x.dtype)

    @staticmethod
    def backward(ctx: Any, gy: Array, *_: Array) -> tuple[Array | None, ...]:
        """Compute the gradients with the kernel, also through the means and the variances."""
        x, gamma, mean, var = ctx.saved
        gamma = None if gamma is None else gamma.reshape(ctx.shape[1])  # normalized_shape -> (C,)
        gradients = kernels.BACKWARD(
            gy.reshape(ctx.shape), x.reshape(ctx.shape), gamma, mean, var, *ctx.options, ctx.needs_input_grad
        )
        return tuple(None if g is None else g.reshape(s) for g, s in zip(gradients, ctx.shapes, strict=True))

    @staticmethod
    def derivative(ctx: Any, gy: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """As in batch norm, with the means over each group."""
        x, gamma, _, _ = ctx.saved
        (groups, eps, centred), shape = ctx.options, ctx.shape
        columns = shape[0], groups, shape[1] // groups * math.prod(shape[2:])
        rows = shape[1], *[1] * (len(shape) - 2)
        u = ctx.at_input(0, x).reshape(columns)  # (N, C, ...) -> (N, groups, C/groups ...)
        u = u - u.mean(-1, True) if centred else u
        scale = ((u * u).mean(-1, True) + eps).rsqrt()
        u = u * scale
        gx, axes = None, [axis for axis in range(len(shape)) if axis != 1]
        of_x, of_gamma, of_beta = ctx.needs_input_grad
        up = gy.reshape(shape)
        if of_x:
            scaled = (up if gamma is None else up * ctx.at_input(1, gamma).reshape(rows)).reshape(columns)
            gx = scaled - u * (scaled * u).mean(-1, True)
            gx = ((gx - scaled.mean(-1, True) if centred else gx) * scale).reshape(x.shape)
        ggamma = (up * u.reshape(shape)).sum(axes).reshape(ctx.shapes[1]) if of_gamma else None
        return gx, ggamma, up.sum(axes).reshape(ctx.shapes[2]) if of_beta else None


def _shapes(**tensors: Tensor | None) -> dict[str, tuple[int, ...] | None]:
    return {name: None if tensor is None else tensor.shape for name, tensor in tensors.items()}


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise the channels of each image in `num_groups` groups to mean 0 and variance 1, then scale and shift.

        y = weight * (x - mean) / sqrt(var + eps) + bias         mean and (biased) var over C/num_groups channels

    Y. Wu and K. He, 2018, https://arxiv.org/abs/1803.08494.

    Args:
        input: (N, C, ...).
        num_groups: a divisor of C; 1 normalises all channels together, C each channel alone.
        weight, bias: (C,) or None.

    Raises:
        ShapeError: num_groups does not divide C, a vector is not (C,), or there is only one value to normalise.

    >>> x = minicnn.tensor([[[1.0], [3.0], [10.0], [30.0]]])  # an image of four channels and one pixel
    >>> F.group_norm(x, 2).flatten()  # the mean of the first group is 2, of the second 20
    tensor([-1.0000,  1.0000, -1.0000,  1.0000])
    """
    if is_half(input):
        vectors = (None, None, weight, bias)
        return in_float32(lambda x, _, __, w, b: group_norm(x, num_groups, w, b, eps), (input, *vectors))
    floating("group_norm", input=input, weight=weight, bias=bias)
    num_groups = geometry.whole(num_groups, "group_norm", "num_groups", 1)
    geometry.group_norm(input.shape, num_groups, _shapes(weight=weight, bias=bias))
    return GroupNorm.apply(input, weight, bias, shape=input.shape, groups=num_groups, eps=eps)[0]


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of each image to mean 0 and variance 1, then scale and shift.

        y = weight * (x - mean) / sqrt(var + eps) + bias

    With `use_input_stats`, mean and variance are those of the channel in the image, and the running statistics, if
    given, move towards their averages over the batch (as in `batch_norm`). Without it, the running statistics are used.
    D. Ulyanov, A. Vedaldi and V. Lempitsky, 2016, https://arxiv.org/abs/1607.08022.

    Args:
        input: (N, C, ...).
        running_mean, running_var: (C,), changed in place with `use_input_stats`; or None.
        weight, bias: (C,) or None.

    Raises:
        ShapeError: a vector is not (C,), or with `use_input_stats` the images have a single pixel.
        ValueError: only one of the running statistics is given.
        RuntimeError: neither `use_input_stats` nor running statistics are given, or the statistics require a gradient.

    >>> x = minicnn.tensor([[[1.0, 3.0], [10.0, 30.0]]])  # an image of two channels of two pixels
    >>> F.instance_norm(x)
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    vectors = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    if is_half(input):

        def wide(x: Tensor, m: Any, v: Any, w: Any, b: Any) -> Tensor:
            return instance_norm(x, m, v, w, b, use_input_stats, momentum, eps)

        return in_float32(wide, (input, *vectors.values()), use_input_stats)
    floating("instance_norm", input=input, **vectors)
    geometry.instance_norm(input.shape, use_input_stats, _shapes(**vectors))
    constant("instance_norm", input, running_mean, running_var)
    if not use_input_stats:
        return evaluate("instance_norm", input, running_mean, running_var, weight, bias, eps)
    y, mean, var = GroupNorm.apply(input, weight, bias, shape=input.shape, groups=input.shape[1], eps=eps)
    if input.numel() and not input.is_meta:
        count = math.prod(input.shape[2:])
        with on_device_of(mean.array), np.errstate(over="ignore"):  # the variance of 1e20 is Inf in float32
            move(running_mean, mean.array.mean(0), momentum)
            move(running_var, var.array.mean(0) * (count / (count - 1)), momentum)
    return y


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise over the last axes, `normalized_shape`, to mean 0 and variance 1, then scale and shift.

        y = weight * (x - mean) / sqrt(var + eps) + bias

    J. L. Ba, J. R. Kiros and G. E. Hinton, 2016, https://arxiv.org/abs/1607.06450.

    Args:
        input: (..., *normalized_shape).
        weight, bias: of shape `normalized_shape`, one number for each value, or None.

    Raises:
        ShapeError: the last axes of the input, or a weight, have another shape.

    >>> F.layer_norm(minicnn.tensor([[1.0, 3.0], [10.0, 30.0]]), (2,))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """
    return _last_axes("layer_norm", input, normalized_shape, weight, bias, eps, True)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Divide by the root of the mean square over the last axes, `normalized_shape`, then scale.

        y = weight * x / sqrt(mean(x^2) + eps)

    B. Zhang and R. Sennrich, 2019, https://arxiv.org/abs/1910.07467.

    Args:
        input: (..., *normalized_shape).
        weight: of shape `normalized_shape`, one number for each value, or None.
        eps: None means the distance from 1 to the next number of the type of the computation (the input's, or float32).

    Raises:
        ShapeError: the last axes of the input, or a weight, have another shape.

    >>> F.rms_norm(minicnn.tensor([[1.0, 7.0]]), (2,))  # 1/5 and 7/5: the mean square is 25
    tensor([[0.2000, 1.4000]])
    """
    if not is_half(input):
        floating("rms_norm", input=input)
        if isinstance(weight, Tensor) and weight.dtype.kind == "f" and weight.dtype != input.dtype:
            weight = weight.to(input.dtype)  # as in PyTorch, where only this normalisation takes two types
    eps = float(np.finfo(np.float32 if is_half(input) else input.dtype).eps) if eps is None else eps
    return _last_axes("rms_norm", input, normalized_shape, weight, None, eps, False)


def _last_axes(
    op: str, input: Tensor, normalized: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float,
    centred: bool,
) -> Tensor:  # fmt: skip
    """Normalise each row of (rows, values) as one group, with a weight for each value."""
    if is_half(input):

        def wide(x: Tensor, _: None, __: None, w: Tensor | None, b: Tensor | None) -> Tensor:
            return _last_axes(op, x, normalized, w, b, eps, centred)

        return in_float32(wide, (input, None, None, weight, bias))
    floating(op, input=input, weight=weight, bias=bias)
    axes = ints(op, "normalized_shape", (normalized,))
    geometry.layer_norm(input.shape, axes, _shapes(weight=weight, bias=bias), op)
    shape = math.prod(input.shape[: input.ndim - len(axes)]), math.prod(axes)
    y = GroupNorm.apply(input, weight, bias, shape=shape, groups=1, eps=eps, centred=centred)[0]
    return shown_as(y, "NativeLayerNormBackward0" if centred else "FusedRmsNormBackward0")


class LocalResponseNorm(Function):
    """y = x d^-beta with d = k + a * sum of x^2 over the neighbouring channels."""

    @staticmethod
    def forward(ctx: Any, x: Array, before: int, after: int, a: float, beta: float, k: float) -> Array:
        """Run the chosen kernel and save d."""
        y, d = local_response.FORWARD(x, before, after, a, beta, k)
        ctx.save_for_backward(x, d)
        ctx.options, ctx.k = (before, after, a, beta), k
        return y

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Compute the gradient with the kernel."""
        x, d = ctx.saved
        return local_response.BACKWARD(gy, x, d, *ctx.options), None, None, None, None, None

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        """gx = gy d^-beta - 2 a beta x (gy x d^(-beta-1), summed over the channels to which x is a neighbour)."""
        (before, after, a, beta), x = ctx.options, ctx.at_input(0, ctx.saved[0])
        d = ctx.k + a * _neighbours(x * x, before, after)
        shared = _neighbours(gy * x * d ** (-beta - 1), after, before)
        return gy * d**-beta - (2 * a * beta) * x * shared, None, None, None, None, None


def _neighbours(x: Tensor, before: int, after: int) -> Tensor:
    """The sum over the channels c - before, ..., c + after, as far as they exist."""
    count, total = x.shape[1], x
    for step in (*range(-min(before, count - 1), 0), *range(1, min(after, count - 1) + 1)):
        part = x.narrow(1, max(step, 0), count - abs(step))
        total = total + pad(part, (0,) * (2 * x.ndim - 4) + (max(-step, 0), max(step, 0)))
    return total


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Divide each value by a power of the mean square of `size` channels around it.

        y[c] = x[c] / (k + alpha/size * sum_j x[j]^2)^beta       j = c - size//2 .. c + (size - 1)//2

    A. Krizhevsky, I. Sutskever and G. E. Hinton, 2012, section 3.3. For their formula use size 5, k 2, beta 0.75 and
    alpha 5e-4: PyTorch divides alpha by `size`, the paper, with alpha 1e-4, does not.

    Args:
        input: (N, C, ...) with 3 or more axes.
        size: the number of channels in a window; outside the first and last channel there are zeros.

    Raises:
        ShapeError: the input has fewer axes, or the window is empty.

    >>> x = minicnn.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1)  # three channels of one pixel
    >>> F.local_response_norm(x, 3, alpha=3.0, beta=1.0, k=0.0).flatten()  # 1/(1 + 4), 2/(1 + 4 + 9), 3/(4 + 9)
    tensor([0.2000, 0.1429, 0.2308])
    """
    floating("local_response_norm", input=input)
    geometry.local_response_norm(input.shape, size)
    size, channels = int(size), input.shape[1]  # a window that is wider than all channels sees all of them
    alpha, beta, k = (
        geometry.real(value, "local_response_norm", name)
        for name, value in (("alpha", alpha), ("beta", beta), ("k", k))
    )
    before, after = min(size // 2, channels), min((size - 1) // 2, channels)
    return LocalResponseNorm.apply(input, before, after, alpha / size, beta, k)


def cross_map_lrn(input: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """Local response normalisation as old models have it; the equation is that of `nn.CrossMapLRN2d`."""
    floating("CrossMapLRN2d", input=input)
    if input.ndim != 4:
        raise geometry.ShapeError(f"CrossMapLRN2d: Expected input to be 4D (N, C, H, W), got {input.ndim}D instead")
    reach, channels = (size - 1) // 2, input.shape[1]
    squares: Any = input * input
    total = _neighbours(squares, reach, reach)
    if channels > reach + 1:  # the first channel stays in the sums after its last window
        late = channels - reach - 1
        total = total + pad(squares[:, :1].expand(-1, late, -1, -1), (0, 0, 0, 0, reach + 1, 0))
    return input * (k + alpha / size * total) ** -beta
