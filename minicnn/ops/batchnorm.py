"""Batch normalisation as a tensor operation: S. Ioffe and C. Szegedy, 2015, https://arxiv.org/abs/1502.03167.

Batch renormalisation: S. Ioffe, 2017, https://arxiv.org/abs/1702.03275.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels import batchnorm as kernels
from minicnn_kernels import geometry
from minicnn_kernels.arrays import GPU_TYPES, as_array, on_device_of

from ..autograd.engine import Function
from ..autograd.gpu import same_device
from ..device import Meta, meta
from ..tensor import Array, Tensor
from .tensor.inplace import memory_to_write
from .tensor.operands import floating
from .tensor.types import to

__all__ = ["batch_norm", "batch_norm_relu", "batch_renorm"]


class BatchNormTraining(Function):
    """y = gamma (x - mean)/sqrt(var + eps) + beta, with the mean and variance of the batch, which are results too.

    With `relu`, y is max(y, 0). Nothing more is saved for it: the kernel computes y again from x.
    """

    backward_allocates = True

    @staticmethod
    def forward(
        ctx: Any, x: Array, gamma: Array | None, beta: Array | None, eps: float, *, relu: bool = False
    ) -> tuple[Array, Array, Array]:
        """Run the chosen kernel."""
        y, mean, var, invstd = kernels.TRAINING(x, gamma, beta, eps, relu)
        ctx.relu, ctx.eps = relu, eps
        ctx.save_for_backward(x, gamma, beta if relu else None, mean, invstd)
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def infer(x: Array, *_: Any, **__: Any) -> tuple[Meta, Meta, Meta]:
        """Return y, which is like x, and a mean and a variance per channel."""
        return meta(x.shape, x.dtype), meta(x.shape[1:2], x.dtype), meta(x.shape[1:2], x.dtype)

    @staticmethod
    def backward(ctx: Any, gy: Array, *_: Array) -> tuple[Array | None, ...]:
        """Compute the gradients with the kernel, also through the mean and the variance."""
        return (*kernels.TRAINING_BACKWARD(gy, *ctx.saved, ctx.needs_input_grad[:3], ctx.relu), None)

    @staticmethod
    def derivative(ctx: Any, gy: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """gx = gamma/sqrt(var + eps) (gy - mean of gy - u mean of gy u), with u the normalised x."""
        x, gamma, beta, mean, invstd = ctx.saved
        axes = [axis for axis in range(x.ndim) if axis != 1]
        away = ctx.at_input(0, x)
        away = away - away.mean(axes, True)
        scale = ((away * away).mean(axes, True) + ctx.eps).rsqrt()
        gy, gx = _through_relu(ctx, gy, x, gamma, beta, mean, invstd), None
        u = away * scale
        if ctx.needs_input_grad[0]:
            gx = (gy - gy.mean(axes, True) - u * (gy * u).mean(axes, True)) * scale
            gx = gx if gamma is None else gx * _column(ctx.at_input(1, gamma), x.ndim)
        _, of_gamma, of_beta = ctx.needs_input_grad[:3]
        return gx, (gy * u).sum(axes) if of_gamma else None, gy.sum(axes) if of_beta else None, None


class BatchNormEvaluation(Function):
    """y = gamma (x - mean)/sqrt(var + eps) + beta with a given mean and variance: a scale and a shift per channel."""

    backward_allocates = True

    @staticmethod
    def forward(
        ctx: Any,
        x: Array,
        gamma: Array | None,
        beta: Array | None,
        mean: Array,
        var: Array,
        eps: float,
        *,
        relu: bool = False,
    ) -> Array:
        """Run the chosen kernel; the statistics are copied, because a later batch in training may change them."""
        if True in ctx.needs_input_grad:
            ctx.save_for_backward(x, gamma, beta if relu else None, mean.copy(), var.copy())
            ctx.eps, ctx.relu = eps, relu
        return kernels.EVALUATION(x, gamma, beta, mean, var, eps, relu)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Compute the gradients with the kernel; mean and variance are constants."""
        needs_grad = ctx.needs_input_grad[:3]
        return (*kernels.EVALUATION_BACKWARD(gy, *ctx.saved, ctx.eps, needs_grad, ctx.relu), None, None, None)

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        """gx = gamma/sqrt(var + eps) gy."""
        x, gamma, beta, mean, var = ctx.saved
        axes, (of_x, of_gamma, of_beta) = [a for a in range(x.ndim) if a != 1], ctx.needs_input_grad[:3]
        invstd = (1 / np.sqrt(var + ctx.eps)).astype(x.dtype, copy=False)
        gy, scale = _through_relu(ctx, gy, x, gamma, beta, mean, invstd), _column(Tensor(invstd), x.ndim)
        gx = ggamma = None
        if of_x:
            gx = gy * scale if gamma is None else gy * (scale * _column(ctx.at_input(1, gamma), x.ndim))
        if of_gamma:
            ggamma = (gy * ((ctx.at_input(0, x) - _column(Tensor(mean), x.ndim)) * scale)).sum(axes)
        return gx, ggamma, gy.sum(axes) if of_beta else None, None, None, None


def _column(v: Tensor, rank: int) -> Tensor:
    """(C,) -> (C, 1, 1) for images (N, C, H, W)."""
    return v.reshape((-1, *[1] * (rank - 2)))


def _through_relu(
    ctx: Any, gy: Tensor, x: Array, gamma: Array | None, beta: Array | None, mean: Array, invstd: Array
) -> Tensor:
    """Return gy, with 0 where the ReLU has made y 0."""
    if not ctx.relu:
        return gy
    column = (-1, *[1] * (x.ndim - 2))
    y = (x - mean.reshape(column)) * invstd.reshape(column)
    y = y if gamma is None else y * gamma.reshape(column)
    y = y if beta is None else y + beta.reshape(column)
    return gy * Tensor((y > 0).astype(x.dtype))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of (N, C, ...) to mean 0 and variance 1, then scale by `weight` and shift by `bias`.

        y = weight * (x - mean) / sqrt(var + eps) + bias

    In training, mean and variance are those of the batch (the variance is divided by the count). The running statistics
    move towards them; their variance is divided by the count - 1:

        running = (1 - momentum) * running + momentum * batch

    Args:
        input: (N, C) or (N, C, ...).
        running_mean, running_var: (C,), changed in place in training, or None. They have no gradient.
        weight, bias: (C,) or None: gamma and beta.

    Raises:
        ShapeError: a vector is not (C,), or in training there is only one value per channel.
        ValueError: eps is negative, or 0 in training; or only one of the running statistics is given.
        RuntimeError: there are no running statistics in evaluation, or they require a gradient.

    S. Ioffe and C. Szegedy, 2015, https://arxiv.org/abs/1502.03167.

    >>> x = minicnn.tensor([[1.0, 10.0], [3.0, 30.0]])  # two images of two channels
    >>> F.batch_norm(x, None, None, training=True)
    tensor([[-1.0000, -1.0000],
            [ 1.0000,  1.0000]])
    >>> mean, var = minicnn.zeros(2), minicnn.ones(2)
    >>> y = F.batch_norm(x, mean, var, training=True, momentum=0.5)
    >>> mean, var  # half way to 2 and 20, and to the variances 2 and 200
    (tensor([ 1., 10.]), tensor([  1.5000, 100.5000]))
    """
    return _normalise(input, running_mean, running_var, weight, bias, training, momentum, eps, False)


def batch_norm_relu(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """max(batch_norm(...), 0) in one operation, so that ReLU needs no pass over memory, forward or backward.

    Arguments and errors are those of `batch_norm`. Not in PyTorch; `nn.Sequential` uses it on compiled backends.

    >>> F.batch_norm_relu(minicnn.tensor([[1.0, 10.0], [3.0, 30.0]]), None, None, training=True)
    tensor([[0.0000, 0.0000],
            [1.0000, 1.0000]])
    """
    return _normalise(input, running_mean, running_var, weight, bias, training, momentum, eps, True)


def _normalise(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    relu: bool,
) -> Tensor:
    """`batch_norm`, with or without ReLU."""
    if is_half(input):

        def wide(x: Tensor, m: Any, v: Any, w: Any, b: Any) -> Tensor:
            return _normalise(x, m, v, w, b, training, momentum, eps, relu)

        return in_float32(wide, (input, running_mean, running_var, weight, bias), training)
    floating("batch_norm", input=input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    vectors = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    if input.ndim == 1 and not input.numel():
        return input.clone()  # as in PyTorch, which does not check the channels of an empty input
    shape = input._array.shape
    geometry.batch_norm(shape, training, {k: None if v is None else v._array.shape for k, v in vectors.items()})
    constant("batch_norm", input, running_mean, running_var)
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"batch_norm: eps must be positive in training and not negative otherwise, got {eps}")
    if not training:
        return evaluate("batch_norm", input, running_mean, running_var, weight, bias, eps, relu)
    y, mean, var = BatchNormTraining.apply(input, weight, bias, eps, relu=relu)
    count = math.prod(shape) // shape[1] if shape[1] else 0
    if running_mean is not None and count and not input.is_meta:  # an empty batch has no statistics
        with on_device_of(mean.array):
            move(running_mean, mean.array, momentum)
            move(running_var, var.array * (count / max(count - 1, 1)), momentum)
    return y


def is_half(x: Any) -> bool:
    """Return whether x is a tensor of float16, which the normalisations compute in float32."""
    return isinstance(x, Tensor) and x._array.dtype == np.float16


def in_float32(function: Callable[..., Tensor], tensors: tuple[Tensor | None, ...], training: bool = False) -> Tensor:
    """Compute a function of (input, running_mean, running_var, ...) in float32 for a float16 input; in training it
    changes the running statistics. The other tensors may be float32, as in PyTorch.
    """
    wide = tuple(to(t, np.float32) if is_half(t) else t for t in tensors)
    y: Tensor = to(function(*wide), np.float16)
    for own, moved in zip(tensors[1:3], wide[1:3], strict=True):
        if training and own is not None and moved is not None and moved is not own:
            own.detach().copy_(moved)
    return y


def constant(op: str, input: Tensor, running_mean: Tensor | None, running_var: Tensor | None) -> None:
    """Check that both running statistics are given or none, on the input's device, and without a gradient."""
    if (running_mean is None) != (running_var is None):
        raise ValueError(f"{op}: running_mean and running_var must either both be None or neither be None")
    if running_mean is not None and running_var is not None and running_mean.requires_grad | running_var.requires_grad:
        raise RuntimeError(f"{op}: running statistics have no gradient; call detach() or requires_grad_(False) on them")
    if GPU_TYPES and running_mean is not None and running_var is not None:
        same_device(op, input._array, running_mean._array, running_var._array)


def evaluate(
    op: str,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    relu: bool = False,
) -> Tensor:
    """Normalise by the running statistics, which are constants."""
    if running_mean is None or running_var is None:
        raise RuntimeError(f"{op}: running_mean and running_var must be defined in evaluation, or use the input's own")
    return BatchNormEvaluation.apply(input, weight, bias, running_mean.array, running_var.array, eps, relu=relu)


def move(running: Tensor | None, batch: Array, momentum: float) -> None:
    """running = (1 - momentum) running + momentum batch, in place."""
    if running is None:
        return
    batch = as_array(batch).astype(running._array.dtype, copy=False)
    plain = memory_to_write(running)
    if plain is None:
        running.detach().copy_((1 - momentum) * running.array + momentum * batch)
    else:
        plain *= 1 - momentum
        plain += momentum * batch


def batch_renorm(
    input: Tensor,
    running_mean: Tensor,
    running_std: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.01,
    eps: float = 1e-5,
    r_max: float = 3.0,
    d_max: float = 5.0,
) -> Tensor:
    """Batch normalisation, corrected towards the running statistics, so that training agrees with evaluation.

        y = weight * ((x - mean)/std * r + d) + bias          mean and std = sqrt(var + eps) of the batch, per channel
        r = std/running_std                  limited to 1/r_max .. r_max
        d = (mean - running_mean)/running_std            limited to -d_max .. d_max

    r and d are constants for the gradient. While neither limit is reached, y is the same as in evaluation, which uses
    the running statistics. With r_max 1 and d_max 0, y is that of batch normalisation. Afterwards the running
    statistics move,

        running = (1 - momentum) * running + momentum * batch

    where std, as in the paper, takes the place of the variance. Not in PyTorch. S. Ioffe, 2017,
    https://arxiv.org/abs/1702.03275.

    Args:
        input: (N, C) or (N, C, ...).
        running_mean, running_std: (C,), changed in place in training.
        weight, bias: (C,) or None: gamma and beta.

    Raises:
        ShapeError: a vector is not (C,), or in training there is only one value per channel.
        ValueError: r_max is below 1, or d_max below 0.

    >>> x = minicnn.tensor([[1.25], [3.0]])
    >>> F.batch_renorm(x, minicnn.tensor([1.0]), minicnn.tensor([1.0]), training=True)  # (x - 1)/1, as in evaluation
    tensor([[0.2500],
            [2.0000]])
    """
    vectors = {"running_mean": running_mean, "running_std": running_std, "weight": weight, "bias": bias}
    floating("batch_renorm", input=input, **vectors)
    geometry.batch_norm(input.shape, training, {k: None if v is None else v.shape for k, v in vectors.items()})
    if not (r_max >= 1 and d_max >= 0):
        raise ValueError(f"batch_renorm: r_max must be at least 1 and d_max at least 0, got {r_max} and {d_max}")
    mean, std = running_mean.detach(), running_std.detach()
    if not training:
        return evaluate("batch_renorm", input, mean, std * std, weight, bias, 0.0)
    y, batch_mean, batch_var = BatchNormTraining.apply(input, None, None, eps)
    batch_std = (batch_var + eps).sqrt()
    scale = (batch_std / std).clamp(1 / r_max, r_max)
    shift = ((batch_mean - mean) / std).clamp(-d_max, d_max)
    if weight is not None:
        scale, shift = weight * scale, weight * shift
    if bias is not None:
        shift = shift + bias
    column = (-1, *(1,) * (input.ndim - 2))  # (C,) -> (C, 1, ...)
    y = y * scale.reshape(column) + shift.reshape(column)
    if input.numel() and not input.is_meta:
        with on_device_of(batch_mean.array):
            move(running_mean, batch_mean.array, momentum)
            move(running_std, batch_std.array, momentum)
    return y
