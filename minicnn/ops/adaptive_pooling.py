"""Pooling to a given output size, and unpooling, which puts pooled values back to where they came from.

Shapes are as in `pooling`: (N, C, H, W) or (C, H, W) for names ending in 2d, (N, C, L) or (C, L) for 1d.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels import pooling as kernels
from minicnn_kernels.arrays import on_device_of, xp

from ..autograd.engine import Function
from ..device import meta
from ..tensor import Array, Tensor
from .pooling import AvgPool, IntOrPair, MaxPool, Pooled, check, max_pool2d, with_indices
from .tensor.creation import empty
from .tensor.gather import Gather
from .tensor.indexing import span
from .tensor.operands import backend_for
from .tensor.sampling import rand

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices", "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices", "max_unpool1d", "max_unpool2d",
]  # fmt: skip

SizeOrNone = int | Sequence[int | None]

# ---------------------------------------------------------------------------------------------------------------------
# Adaptive pooling
# ---------------------------------------------------------------------------------------------------------------------


def adaptive_avg_pool2d(input: Tensor, output_size: SizeOrNone) -> Tensor:
    """The mean of each of OH x OW windows that cover (N, C, H, W), or (C, H, W), as evenly as possible.

    Window (i, j) has the rows from floor(i H / OH) up to, but without, ceil((i + 1) H / OH); likewise for the columns.
    An `output_size` of 1 gives the mean of each channel of the image. Most nets end with it since M. Lin et al.,
    "Network in network", 2014, https://arxiv.org/abs/1312.4400.

    Args:
        input: images.
        output_size: (OH, OW), where None keeps the size of the input, or an int for both.

    Raises:
        ShapeError: there is nothing to pool, or the output size is not positive.

    >>> F.adaptive_avg_pool2d(minicnn.arange(4.0).reshape(1, 2, 2), 1)  # (0 + 1 + 2 + 3)/4
    tensor([[[1.5000]]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", input, output_size)


def adaptive_avg_pool1d(input: Tensor, output_size: SizeOrNone) -> Tensor:
    """The mean of each of `output_size` windows of (N, C, L), or (C, L): `adaptive_avg_pool2d` in one dimension.

    >>> F.adaptive_avg_pool1d(minicnn.arange(5.0).reshape(1, 5), 2)  # of 0, 1, 2 and of 2, 3, 4
    tensor([[1., 3.]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", input, output_size)


def _adaptive_avg_pool(op: str, input: Tensor, output_size: SizeOrNone) -> Tensor:
    dims = int(op[-2])  # the 2 of adaptive_avg_pool2d
    check(op, input)
    found: Tensor = AvgPool.apply(input, geometry.adaptive_pool2d(input.shape, output_size, op, dims), dims, None)
    return found


def adaptive_max_pool2d(input: Tensor, output_size: SizeOrNone, return_indices: bool = False) -> Pooled:
    """The largest value of each of OH x OW windows that cover (N, C, H, W), or (C, H, W), as evenly as possible.

    Window (i, j) has the rows from floor(i H / OH) up to, but without, ceil((i + 1) H / OH); likewise for the columns.

    Args:
        input: images.
        output_size: (OH, OW), where None keeps the size of the input, or an int for both.
        return_indices: as in `max_pool2d`.

    Raises:
        ShapeError: there is nothing to pool, or the output size is not positive.

    >>> F.adaptive_max_pool2d(minicnn.arange(12.0).reshape(1, 3, 4), (1, 2))
    tensor([[[ 9., 11.]]])
    """
    return _adaptive_max_pool("adaptive_max_pool2d", input, output_size, return_indices)


def adaptive_max_pool1d(input: Tensor, output_size: SizeOrNone, return_indices: bool = False) -> Pooled:
    """The largest value of each of `output_size` windows of (N, C, L), or (C, L): `adaptive_max_pool2d` in 1-d.

    >>> F.adaptive_max_pool1d(minicnn.arange(5.0).reshape(1, 5), 2)
    tensor([[2., 4.]])
    """
    return _adaptive_max_pool("adaptive_max_pool1d", input, output_size, return_indices)


def _adaptive_max_pool(op: str, input: Tensor, output_size: SizeOrNone, return_indices: bool) -> Pooled:
    dims = int(op[-2])
    check(op, input)
    g = geometry.adaptive_pool2d(input.shape, output_size, op, dims)
    return MaxPool.apply(input, g, dims, bool(return_indices))


adaptive_max_pool1d_with_indices = with_indices(adaptive_max_pool1d, 2)
adaptive_max_pool2d_with_indices = with_indices(adaptive_max_pool2d, 2)

# ---------------------------------------------------------------------------------------------------------------------
# Unpooling
# ---------------------------------------------------------------------------------------------------------------------


class MaxUnpool(Function):
    """y = each value at its index, and 0 elsewhere."""

    @staticmethod
    def forward(ctx: Any, x: Array, index: Array, g: geometry.Pool, dims: int) -> Array:
        """Run the chosen kernel."""
        index = index.reshape(g.y_shape)
        ctx.save_for_backward(index)
        ctx.geometry, ctx.shape = g, x.shape
        y: Array = kernels.MAX_UNPOOL(x.reshape(g.y_shape), index, g, **backend_for(x))
        return y.reshape(x.shape[:-dims] + (g.h, g.w)[-dims:])

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> Array:
        """Put the changes at the same places."""
        y: Array = kernels.MAX_UNPOOL(v.reshape(ctx.geometry.y_shape), *ctx.saved, ctx.geometry, **backend_for(v))
        return y

    @staticmethod
    def infer(x: Array, index: Array, g: geometry.Pool, dims: int) -> Array:
        """Return the shape (N, C, H, W), without N or H if the input has none."""
        return meta(x.shape[:-dims] + (g.h, g.w)[-dims:], x.dtype)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Any, ...]:
        """Give each value the gradient at its index."""
        (index,) = ctx.saved
        gx = kernels.MAX_UNPOOL_BACKWARD(gy.reshape(ctx.geometry.x_shape), index, ctx.geometry, **backend_for(gy))
        return gx.reshape(ctx.shape), None, None, None


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put each value of (N, C, OH, OW), or (C, OH, OW), back to where `max_pool2d` took it from; 0 elsewhere.

    If several values have the same index, the last one remains.

    Args:
        input: the result of the pooling, or any tensor of its shape.
        indices: from `max_pool2d(..., return_indices=True)`: p*W + q, int64.
        kernel_size, stride, padding: those of the pooling; a stride of None means kernel_size.
        output_size: (H, W), or the whole shape before pooling. Without it H = (OH - 1) SH + KH - 2 PH, which is smaller
            than the size before pooling if the pooling dropped rows that filled no window.

    Raises:
        ShapeError: the indices have another shape, or pooling the output size does not give the size of the input.
        RuntimeError: the indices are not int64, or lie outside the image.

    >>> y, where = F.max_pool2d(minicnn.arange(4.0).reshape(1, 2, 2), 2, return_indices=True)
    >>> F.max_unpool2d(y, where, 2)
    tensor([[[0., 0.],
             [0., 3.]]])
    """
    return _max_unpool("max_unpool2d", input, indices, kernel_size, stride, padding, output_size)


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put each value of (N, C, OL), or (C, OL), back to its place: `max_unpool2d` in one dimension.

    >>> y, where = F.max_pool1d(minicnn.tensor([[1.0, 3.0, 2.0, 0.0]]), 2, return_indices=True)
    >>> F.max_unpool1d(y, where, 2)
    tensor([[0., 3., 2., 0.]])
    """
    return _max_unpool("max_unpool1d", input, indices, kernel_size, stride, padding, output_size)


def _max_unpool(
    op: str,
    input: Tensor,
    indices: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None,
    padding: IntOrPair,
    output_size: Sequence[int] | None,
) -> Tensor:
    dims = int(op[-2])
    check(op, input)
    if not isinstance(indices, Tensor) or indices.dtype != np.int64:
        kind = indices.dtype if isinstance(indices, Tensor) else type(indices).__name__
        raise RuntimeError(f"{op}: indices must be an int64 tensor, as return_indices=True gives, got {kind}")
    shape = input.shape
    g = geometry.max_unpool2d(shape, indices.shape, kernel_size, stride, padding, output_size, op, dims)
    if indices.array.size and not indices.is_meta:
        low, high = span(indices.array)
        if low < 0 or high >= g.h * g.w:
            raise RuntimeError(
                f"{op}: found an invalid max index: {low if low < 0 else high} in an output of {(g.h, g.w)[-dims:]}; "
                "pass the size before pooling as output_size"
            )
    found: Tensor = MaxUnpool.apply(input, indices, g, dims)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Fractional pooling
# ---------------------------------------------------------------------------------------------------------------------


def fractional_max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    output_size: IntOrPair | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Pooled:
    """The largest value of each of OH x OW windows of equal size at random positions of (N, C, H, W), or (C, H, W).

    For each channel and direction a random number u is drawn from [0, 1). With alpha = (H - KH) / (OH - 1), window i
    begins at row floor(alpha (i + u)) - floor(alpha u), and the last window at H - KH; likewise for the columns.

    Args:
        input: images.
        kernel_size: (KH, KW), or an int for both.
        output_size: (OH, OW), or an int for both.
        output_ratio: instead of `output_size`: OH / H and OW / W, or a number for both.
        return_indices: as in `max_pool2d`.
        _random_samples: (N, C, 2): u of the columns and of the rows, to repeat a result.

    Raises:
        ValueError: neither `output_size` nor `output_ratio` is given.
        ShapeError: the windows do not fit at least one pixel apart, or the samples have another shape.

    B. Graham, "Fractional max-pooling", 2014, https://arxiv.org/abs/1412.6071.

    >>> F.fractional_max_pool2d(minicnn.zeros(1, 3, 20, 20), 2, output_ratio=0.7).shape
    minicnn.Size([1, 3, 14, 14])
    """
    op = "fractional_max_pool2d"
    check(op, input)
    if output_size is None:
        if output_ratio is None:
            raise ValueError(f"{op}: requires specifying either an output_size or an output_ratio")
        ratio = tuple(output_ratio) if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * 2
        ratio = tuple(geometry.real(r, op, "output_ratio") for r in ratio)
        if len(ratio) != 2 or not all(0 < r < 1 for r in ratio):
            raise ValueError(f"{op}: output_ratio must be one or two numbers between 0 and 1, got {output_ratio!r}")
        output_size = tuple(int(side * r) for side, r in zip(input.shape[-2:], ratio, strict=True))
    g = geometry.fractional_pool2d(input.shape, kernel_size, output_size, op)
    samples = rand(g.n, g.c, 2, dtype=input.dtype, device=input.device) if _random_samples is None else _random_samples
    if tuple(samples.shape) != (g.n, g.c, 2):
        raise geometry.ShapeError(
            f"{op}: _random_samples must have shape {(g.n, g.c, 2)}, two for each channel, got {tuple(samples.shape)}"
        )
    window = (g.oh * g.kh, g.ow * g.kw)
    if samples.is_meta:
        places = empty(g.n, g.c, window[0] * window[1], dtype=np.int64, device=samples.device)
    else:
        with on_device_of(samples.array):
            p = _random_rows(samples.array[..., 1], g.h, g.kh, g.oh)[..., None]  # (N, C, OH*KH, 1)
            q = _random_rows(samples.array[..., 0], g.w, g.kw, g.ow)[..., None, :]  # (N, C, 1, OW*KW)
            places = Tensor((p * g.w + q).reshape(g.n, g.c, -1))
    # The pixels of all windows are laid side by side; then plain pooling without overlaps can run.
    under = Gather.apply(input.reshape(g.n, g.c, g.h * g.w), places, 2).reshape(g.n, g.c, *window)
    y, index = max_pool2d(under, (g.kh, g.kw), return_indices=True)
    shape = (*input.shape[:-2], g.oh, g.ow)
    if not return_indices:
        return y.reshape(shape)
    return y.reshape(shape), Gather.apply(places, index.reshape(g.n, g.c, g.oh * g.ow), 2).reshape(shape)


def _random_rows(samples: Array, size: int, kernel: int, outputs: int) -> Array:
    """Return the rows of each window, one window after the other: (N, C) random numbers to (N, C, outputs * kernel)."""
    u = samples[..., None]  # (N, C, 1)
    alpha = samples.dtype.type((size - kernel) / max(outputs - 1, 1))
    first = ((xp(u).arange(outputs, dtype=u.dtype) + u) * alpha).astype(np.int64) - (u * alpha).astype(np.int64)
    first[..., -1] = size - kernel
    rows = first[..., None] + xp(u).arange(kernel)  # (N, C, outputs, kernel)
    return rows.reshape(*samples.shape, outputs * kernel)


fractional_max_pool2d_with_indices = with_indices(fractional_max_pool2d, 4)
