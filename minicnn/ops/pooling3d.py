"""Pooling of volumes (N, C, D, H, W), or (C, D, H, W): first over H and W in each slice, then over D.

A window of KD*KH*KW pixels has the largest value of the largest values of its slices, and as all its slices have as
many pixels, its mean is the mean of their means. So the kernels of images do both steps: in the first, the slices count
as channels; in the second, an image has D rows of OH*OW pixels and the windows are one pixel wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.geometry import IntOrTriple, Pool

from ..autograd.engine import Function
from ..tensor import Array, Tensor
from .adaptive_pooling import MaxUnpool, check_unpool, fractional
from .pooling import AvgPool, MaxPool, Pooled, check, power_average, with_indices
from .tensor.arithmetic import div
from .tensor.creation import ones
from .tensor.gather import Gather
from .tensor.shape import reshape

__all__ = [
    "adaptive_avg_pool3d", "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices", "avg_pool3d",
    "fractional_max_pool3d", "fractional_max_pool3d_with_indices", "lp_pool3d", "max_pool3d",
    "max_pool3d_with_indices", "max_unpool3d",
]  # fmt: skip

SizesOrNone = int | Sequence[int | None]


class _Watched(Function):
    """y itself; a program that changes the positions before the backward pass is told so, as in PyTorch."""

    @staticmethod
    def forward(ctx: Any, y: Array, index: Array) -> Array:
        """Save the positions."""
        ctx.save_for_backward(index)
        return y

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, None]:
        """Look at the positions, which raises if they were changed."""
        (_,) = ctx.saved
        return gy, None

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> Array:
        """The change itself."""
        return v


def _averages(input: Tensor, plane: Pool, depth: Pool, divisor: int | None = None) -> Tensor:
    """The means of the windows, or with a divisor their sums divided by it."""
    rows = AvgPool.apply(reshape(input, plane.x_shape), plane, 2, divisor)
    found = AvgPool.apply(reshape(rows, depth.x_shape), depth, 2, None if divisor is None else 1)
    return reshape(found, (*input.shape[:-3], depth.oh, plane.oh, plane.ow))


def _whole_averages(input: Tensor, plane: Pool, depth: Pool, divisor: int | None = None) -> Tensor:
    """The means of whole numbers, cut once: the sums divided by what the mean of ones is divided by."""
    counts: int | Tensor | None = divisor
    if counts is None:
        one = ones(*input.shape, dtype=np.float64, device=input.device)
        counts = (_averages(one, plane, depth, 1) / _averages(one, plane, depth)).round().long()
    return div(_averages(input, plane, depth, 1), counts, rounding_mode="trunc")


def _largest(input: Tensor, plane: Pool, depth: Pool, return_indices: bool) -> Pooled:
    """The largest values of the windows, and their positions (d*H + p)*W + q."""
    shape = *input.shape[:-3], depth.oh, plane.oh, plane.ow
    x = reshape(input, plane.x_shape)
    if not return_indices:
        rows = MaxPool.apply(x, plane, 2, False)
        return reshape(MaxPool.apply(reshape(rows, depth.x_shape), depth, 2, False), shape)
    rows, inside = MaxPool.apply(x, plane, 2, True)  # p*W + q in each slice
    y, chosen = MaxPool.apply(reshape(rows, depth.x_shape), depth, 2, True)  # d*OH*OW + the pixel
    count = depth.n, depth.c
    chosen = reshape(chosen, (*count, depth.oh * depth.ow))
    within = Gather.apply(reshape(inside, (*count, depth.h * depth.w)), chosen, 2)
    index = chosen // max(depth.w, 1) * (plane.h * plane.w) + within
    index = reshape(index, shape)
    return _Watched.apply(reshape(y, shape), index), index


def max_pool3d(
    input: Tensor, kernel_size: IntOrTriple, stride: IntOrTriple | None = None, padding: IntOrTriple = 0,
    dilation: IntOrTriple = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> Pooled:  # fmt: skip
    """The largest value of each window of (N, C, D, H, W), or (C, D, H, W): `max_pool2d` with a third axis.

    Args:
        input: volumes.
        kernel_size, stride, padding, dilation: an int or (depth, vertical, horizontal); a stride of None means
            kernel_size.
        ceil_mode: let the last windows extend over the edge.
        return_indices: also return the position (d*H + p)*W + q of each maximum, for `max_unpool3d`.

    Raises:
        ShapeError: a window does not fit, or the padding is more than half of it.

    >>> F.max_pool3d(minicnn.arange(16.0).reshape(1, 4, 2, 2), 2).flatten()
    tensor([ 7., 15.])
    """
    check("max_pool3d", input, "uint8 int8 int16 int32 int64")
    planes = geometry.pool3d(input.shape, kernel_size, stride, padding, dilation, bool(ceil_mode))
    return _largest(input, *planes, bool(return_indices))


def avg_pool3d(
    input: Tensor, kernel_size: IntOrTriple, stride: IntOrTriple | None = None, padding: IntOrTriple = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, D, H, W), or (C, D, H, W): `avg_pool2d` with a third axis.

    Args:
        input: volumes; also of int64, where the mean is cut to a whole number.
        kernel_size, stride, padding: an int or (depth, vertical, horizontal); a stride of None means kernel_size.
        ceil_mode: let the last windows extend over the edge.
        count_include_pad: whether the zeros of the padding count in the mean.
        divisor_override: divide the sum by this number instead of the number of values.

    Raises:
        ShapeError: a window does not fit, or the padding is more than half of it.
        ValueError: the divisor is 0.

    >>> F.avg_pool3d(minicnn.arange(16.0).reshape(1, 4, 2, 2), 2).flatten()
    tensor([ 3.5000, 11.5000])
    """
    check("avg_pool3d", input, "int64")
    if divisor_override is not None:
        divisor_override = geometry.whole(divisor_override, "avg_pool3d", "divisor_override")
        if not divisor_override:
            raise ValueError("avg_pool3d: divisor_override must be an int other than 0, or None, got 0")
    planes = geometry.pool3d(
        input.shape, kernel_size, stride, padding, 1, bool(ceil_mode), bool(count_include_pad), "avg_pool3d"
    )
    return (_averages if input.dtype.kind == "f" else _whole_averages)(input, *planes, divisor_override)


def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: IntOrTriple, stride: IntOrTriple | None = None,
    ceil_mode: bool = False,
) -> Tensor:  # fmt: skip
    """The p-norm of each window of (N, C, D, H, W), or (C, D, H, W): `lp_pool2d` with a third axis.

    >>> F.lp_pool3d(minicnn.tensor([2.0, 3.0, 6.0, 0.0]).reshape(1, 1, 2, 2), 2, (1, 2, 2))  # sqrt(4 + 9 + 36)
    tensor([[[[7.]]]])
    """
    return power_average("lp_pool3d", input, norm_type, kernel_size, stride, ceil_mode, max_pool3d, avg_pool3d)


def adaptive_avg_pool3d(input: Tensor, output_size: SizesOrNone) -> Tensor:
    """The mean of each of OD x OH x OW windows that cover (N, C, D, H, W), or (C, D, H, W), as evenly as possible.

    The windows are those of `adaptive_avg_pool2d`, along each axis.

    >>> F.adaptive_avg_pool3d(minicnn.arange(8.0).reshape(1, 2, 2, 2), (2, 1, 1)).flatten()
    tensor([1.5000, 5.5000])
    """
    check("adaptive_avg_pool3d", input)
    return _averages(input, *geometry.adaptive_pool3d(input.shape, output_size))


def adaptive_max_pool3d(input: Tensor, output_size: SizesOrNone, return_indices: bool = False) -> Pooled:
    """The largest value of each of OD x OH x OW windows that cover (N, C, D, H, W) as evenly as possible.

    >>> F.adaptive_max_pool3d(minicnn.arange(8.0).reshape(1, 2, 2, 2), (2, 1, 1)).flatten()
    tensor([3., 7.])
    """
    check("adaptive_max_pool3d", input)
    planes = geometry.adaptive_pool3d(input.shape, output_size, "adaptive_max_pool3d")
    return _largest(input, *planes, bool(return_indices))


def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: IntOrTriple, stride: IntOrTriple | None = None,
    padding: IntOrTriple = 0, output_size: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Put each value of (N, C, OD, OH, OW), or (C, OD, OH, OW), back to where `max_pool3d` took it from; 0 elsewhere.

    The arguments are those of `max_unpool2d`, with three numbers for the three axes.

    >>> y, where = F.max_pool3d(minicnn.arange(8.0).reshape(1, 2, 2, 2), 2, return_indices=True)
    >>> F.max_unpool3d(y, where, 2).flatten()
    tensor([0., 0., 0., 0., 0., 0., 0., 7.])
    """
    check_unpool("max_unpool3d", input, indices)
    sides, g = geometry.max_unpool3d(input.shape, indices.shape, kernel_size, stride, padding, output_size)
    check_unpool("max_unpool3d", input, indices, sides)
    flat = *input.shape[:-3], g.ow
    found = MaxUnpool.apply(reshape(input, flat), reshape(indices, flat), g, 1)
    return reshape(found, (*input.shape[:-3], *sides))


def fractional_max_pool3d(
    input: Tensor, kernel_size: IntOrTriple, output_size: IntOrTriple | None = None,
    output_ratio: float | Sequence[float] | None = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Pooled:  # fmt: skip
    """The largest value of each of OD x OH x OW windows of equal size at random positions of (N, C, D, H, W).

    The arguments and the source are those of `fractional_max_pool2d`, with three numbers for the three axes;
    `_random_samples` (N, C, 3) are those of the depth, the rows and the columns.

    >>> F.fractional_max_pool3d(minicnn.zeros(1, 3, 10, 20, 20), 2, output_ratio=0.7).shape
    minicnn.Size([1, 3, 7, 14, 14])
    """
    size = output_size, output_ratio
    return fractional("fractional_max_pool3d", input, kernel_size, *size, return_indices, _random_samples, max_pool3d)


max_pool3d_with_indices = with_indices(max_pool3d, 6)
adaptive_max_pool3d_with_indices = with_indices(adaptive_max_pool3d, 2)
fractional_max_pool3d_with_indices = with_indices(fractional_max_pool3d, 4)
