"""Pooling to a given output size, and unpooling, which puts pooled values back to where they came from.

Shapes are as in `pooling`: (N, C, H, W) or (C, H, W) for names ending in 2d, (N, C, L) or (C, L) for 1d.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels import pooling as kernels
from minicnn_kernels.arrays import on_device_of, xp

from ..autograd.engine import Function
from ..autograd.nodes import shown_as
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
    g = geometry.adaptive_pool2d(input.shape, output_size, op, dims)
    found: Tensor = AvgPool.apply(input, g, dims, None)
    if dims == 2 and g.oh == g.ow == 1:
        return shown_as(found, "MeanBackward1")
    return shown_as(found, f"AdaptiveAvgPool{dims}DBackward0")


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
    found = MaxPool.apply(input, g, dims, bool(return_indices))
    shown_as(found[0] if return_indices else found, f"AdaptiveMaxPool{dims}DBackward0")
    return found


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
    check_unpool(op, input, indices)
    g = geometry.max_unpool2d(input.shape, indices.shape, kernel_size, stride, padding, output_size, op, dims)
    check_unpool(op, input, indices, (g.h, g.w)[-dims:])
    found: Tensor = MaxUnpool.apply(input, indices, g, dims)
    return found


def check_unpool(op: str, input: Tensor, indices: Tensor, sides: tuple[int, ...] | None = None) -> None:
    """Check the types of unpooling, or that the indices lie in an output with the given sides."""
    check(op, input)
    if not isinstance(indices, Tensor) or indices.dtype != np.int64:
        kind = indices.dtype if isinstance(indices, Tensor) else type(indices).__name__
        raise RuntimeError(f"{op}: indices must be an int64 tensor, as return_indices=True gives, got {kind}")
    if sides is not None and indices.array.size and not indices.is_meta:
        low, high = span(indices.array)
        if low < 0 or high >= math.prod(sides):
            raise RuntimeError(
                f"{op}: found an invalid max index: {low if low < 0 else high} in an output of {sides}; "
                "pass the size before pooling as output_size"
            )


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
    size = output_size, output_ratio
    return fractional("fractional_max_pool2d", input, kernel_size, *size, return_indices, _random_samples, max_pool2d)


def fractional(
    op: str, input: Tensor, kernel_size: Any, output_size: Any, output_ratio: Any, return_indices: bool,
    samples: Tensor | None, pool: Callable[..., Pooled],
) -> Pooled:  # fmt: skip
    """Fractional pooling of two or three axes, by the max `pool` of as many.

    The pixels of all windows are laid side by side; then plain pooling without overlaps can run.
    """
    dims = int(op[-2])
    check(op, input)
    if output_size is None:
        output_size = _of_ratio(op, input.shape[-dims:], output_ratio)
    leading, sides, kernel, outs = geometry.fractional_pool(input.shape, kernel_size, output_size, op)
    if samples is None:
        samples = rand(*leading, dims, dtype=input.dtype, device=input.device)
    if samples.ndim != 3 or samples.shape[0] < leading[0] or samples.shape[1:] != (leading[1], dims):
        raise geometry.ShapeError(
            f"{op}: Expect _random_samples of shape {(*leading, dims)}, {dims} for each channel, got "
            f"{tuple(samples.shape)}"
        )
    samples = samples[: leading[0]]  # as in PyTorch, there may be more
    if not math.prod(outs):
        none = input[..., :0].sum(-1, keepdim=True).sum(tuple(range(-dims, 0)))  # of no windows, but in the graph
        y = none.reshape(*input.shape[:-dims], *(1,) * dims).expand(*input.shape[:-dims], *outs)
        return (y, y.long()) if return_indices else y
    window = tuple([out * k for out, k in zip(outs, kernel, strict=True)])
    if samples.is_meta:
        places = empty(*leading, math.prod(window), dtype=np.int64, device=samples.device)
    else:
        columns = range(dims) if dims == 3 else (1, 0)  # PyTorch's order: of an image, the columns' number is first
        with on_device_of(samples.array):
            found: Any = 0
            for axis, column in enumerate(columns):
                rows = _random_rows(samples.array[..., column], sides[axis], kernel[axis], outs[axis])
                one = (1,) * dims
                found = found * sides[axis] + rows.reshape(*leading, *one[:axis], window[axis], *one[axis + 1 :])
            places = Tensor(found.reshape(*leading, math.prod(window)))
    under = Gather.apply(input.reshape(*leading, math.prod(sides)), places, 2).reshape(*leading, *window)
    y, index = pool(under, kernel, return_indices=True)
    shape = (*input.shape[:-dims], *outs)
    if not return_indices:
        return y.reshape(shape)
    return y.reshape(shape), Gather.apply(places, index.reshape(*leading, math.prod(outs)), 2).reshape(shape)


def _of_ratio(op: str, sides: tuple[int, ...], output_ratio: Any) -> tuple[int, ...]:
    """Return the output size that is a part of the input's."""
    if output_ratio is None:
        raise ValueError(f"{op}: requires specifying either an output_size or an output_ratio")
    ratio = tuple(output_ratio) if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * len(sides)
    ratio = tuple(geometry.real(r, op, "output_ratio") for r in ratio)
    if len(ratio) != len(sides) or not all(0 < r < 1 for r in ratio):
        count = "one or two" if len(sides) == 2 else "one or three"
        raise ValueError(f"{op}: output_ratio must be {count} numbers between 0 and 1, got {output_ratio!r}")
    return tuple(int(side * r) for side, r in zip(sides, ratio, strict=True))


def _random_rows(samples: Array, size: int, kernel: int, outputs: int) -> Array:
    """Return the rows of each window, one window after the other: (N, C) random numbers to (N, C, outputs * kernel)."""
    u = samples[..., None]  # (N, C, 1)
    alpha = samples.dtype.type((size - kernel) / max(outputs - 1, 1))
    first = ((xp(u).arange(outputs, dtype=u.dtype) + u) * alpha).astype(np.int64) - (u * alpha).astype(np.int64)
    first[..., -1] = size - kernel
    rows = first[..., None] + xp(u).arange(kernel)  # (N, C, outputs, kernel)
    return rows.reshape(*samples.shape, outputs * kernel)


fractional_max_pool2d_with_indices = with_indices(fractional_max_pool2d, 4)
