"""Max, average and power-average pooling with given windows; `adaptive_pooling` pools to a given output size.

Each function takes batches and single images: (N, C, H, W) or (C, H, W) for names ending in 2d, (N, C, L) or (C, L)
for 1d. A signal is pooled as an image with one row.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels import pooling as kernels

from ..autograd.engine import Function
from ..device import meta
from ..dtypes import DtypeError
from ..tensor import Array, Tensor
from .activation import relu
from .tensor.arguments import no_tensor
from .tensor.operands import backend_for

__all__ = [
    "avg_pool1d", "avg_pool2d", "lp_pool1d", "lp_pool2d", "max_pool1d", "max_pool1d_with_indices", "max_pool2d",
    "max_pool2d_with_indices",
]  # fmt: skip

IntOrPair = geometry.IntOrPair
Pooled = Any  # a tensor, or with return_indices a pair of tensors


def pooled_shape(x: Array, g: geometry.Pool, dims: int) -> tuple[int, ...]:
    """Return the shape of the result: batch and channels of the input, then (OH, OW) or (OW,)."""
    return x.shape[:-dims] + (g.oh, g.ow)[-dims:]


class MaxPool(Function):
    """y = the largest value of each window, and its position with `indices`; saves the positions, not x."""

    backward_allocates = True
    bends_in = (0,)

    @staticmethod
    def forward(ctx: Any, x: Array, g: geometry.Pool, dims: int, indices: bool) -> Any:
        """Run the chosen kernel."""
        y, index = kernels.MAX_POOL(x.reshape(g.x_shape), g, **backend_for(x))  # -> (N, C, H, W)
        ctx.geometry, ctx.shape, ctx.kind = g, x.shape, index.dtype
        shape = pooled_shape(x, g, dims)
        if not indices:
            ctx.save_for_backward(index)
            return y.reshape(shape)
        numbers = index.astype(np.int64).reshape(shape)
        ctx.save_for_backward(numbers)  # so that a program that changes them is told
        ctx.mark_non_differentiable(numbers)
        return y.reshape(shape), numbers

    @staticmethod
    def infer(x: Array, g: geometry.Pool, dims: int, indices: bool) -> Any:
        """Return (N, C, OH, OW), without N or OH if the input has none; indices are int64."""
        shape = pooled_shape(x, g, dims)
        return (meta(shape, x.dtype), meta(shape, np.int64)) if indices else meta(shape, x.dtype)

    @staticmethod
    def backward(ctx: Any, gy: Array, *_: Array) -> tuple[Any, ...]:
        """Give each gradient to the one value that was the largest."""
        g, (index,) = ctx.geometry, ctx.saved
        index = index.astype(ctx.kind, copy=False).reshape(g.y_shape)
        gx = kernels.MAX_POOL_BACKWARD(gy.reshape(g.y_shape), index, g, **backend_for(gy))
        return gx.reshape(ctx.shape), None, None, None

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> tuple[Array, None]:
        """Take the changes of the largest values."""
        return taken(v.reshape(ctx.geometry.x_shape), ctx.saved[0].reshape(ctx.geometry.y_shape)), None


def taken(x: Array, index: Array) -> Array:
    """The values at positions (N, C, OH, OW) within the planes of images; 0 for a position that no image has."""
    n, c = index.shape[:2]
    planes = x.reshape(n, c, math.prod(x.shape[-2:]))
    where = index.reshape(n, c, math.prod(index.shape[2:])).astype(np.int64)
    found = np.where(where < 0, 0, np.take_along_axis(planes, np.maximum(where, 0), -1))
    return found.reshape(index.shape)


class AvgPool(Function):
    """y = the mean of each window."""

    backward_allocates = True
    bends_in = (0,)  # it does not jump; as in PyTorch

    @staticmethod
    def forward(ctx: Any, x: Array, g: geometry.Pool, dims: int, divisor: int | None) -> Array:
        """Run the chosen kernel."""
        ctx.geometry, ctx.divisor, ctx.shape = g, divisor, x.shape
        y: Array = kernels.AVG_POOL(x.reshape(g.x_shape), g, divisor, **backend_for(x))  # -> (N, C, H, W)
        return y.reshape(pooled_shape(x, g, dims))

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> Array:
        """The mean of each window."""
        y: Array = kernels.AVG_POOL(v.reshape(ctx.geometry.x_shape), ctx.geometry, ctx.divisor, **backend_for(v))
        return y

    @staticmethod
    def infer(x: Array, g: geometry.Pool, dims: int, divisor: int | None) -> Array:
        """Return (N, C, OH, OW), without N or OH if the input has none."""
        return meta(pooled_shape(x, g, dims), x.dtype)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Any, ...]:
        """Spread each gradient evenly over its window."""
        g = ctx.geometry
        gx = kernels.AVG_POOL_BACKWARD(gy.reshape(g.y_shape), g, ctx.divisor, **backend_for(gy))
        return gx.reshape(ctx.shape), None, None, None


def check(op: str, input: Tensor, kinds: str = "") -> None:
    """Check that the input is a tensor of floating-point numbers, or of one of the other types `kinds`."""
    if not isinstance(input, Tensor):
        raise no_tensor(op, "input", input)
    if input.dtype.kind != "f" and input.dtype.name not in kinds.split():
        raise DtypeError(
            f"{op}: input must be floating point{' or ' + kinds.replace(' ', ', ') if kinds else ''}, "
            f"got {input.dtype}, for which it is not implemented; convert it with .float()"
        )


# ---------------------------------------------------------------------------------------------------------------------
# Max pooling
# ---------------------------------------------------------------------------------------------------------------------


def _max_pool(op: str, input: Tensor, *window: Any, return_indices: bool, fit: str | None = None) -> Pooled:
    dims = int(op[-2])  # the 2 of max_pool2d
    check(op, input, "uint8 int8 int16 int32 int64")
    kernel_size, stride, padding, dilation, ceil_mode = window
    shape = input.array.shape
    g = geometry.pool2d(shape, kernel_size, stride, padding, dilation, bool(ceil_mode), op=op, fit=fit, dims=dims)
    return MaxPool.apply(input, g, dims, bool(return_indices))


def max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    fit: str | None = None,
) -> Pooled:
    """The largest value of each window of (N, C, H, W), or (C, H, W); padding counts as -Inf, NaN as the largest.

    Args:
        input: images.
        kernel_size, stride, padding, dilation: an int or (vertical, horizontal); a stride of None means kernel_size.
        ceil_mode: let the last windows extend over the edge instead of dropping the remaining rows and columns.
        return_indices: also return the position p*W + q of each maximum, as int64, for `max_unpool2d`.
        fit: "strict" raises if the windows do not fit exactly.

    Returns:
        (N, C, OH, OW), or with return_indices a pair of tensors of this shape; sizes as in `conv2d`.

    Raises:
        ShapeError: a window does not fit, or the padding is more than half of it.

    >>> x = minicnn.arange(16.0).reshape(1, 4, 4)
    >>> F.max_pool2d(x, 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    >>> y, where = F.max_pool2d(x, 2, return_indices=True)
    >>> where  # p*W + q
    tensor([[[ 5,  7],
             [13, 15]]])
    """
    window = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool("max_pool2d", input, *window, return_indices=return_indices, fit=fit)


def max_pool1d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pooled:
    """The largest value of each window of (N, C, L), or (C, L): `max_pool2d` in one dimension.

    >>> F.max_pool1d(minicnn.tensor([[1.0, 3.0, 2.0, 0.0]]), 2, stride=1)
    tensor([[3., 3., 2.]])
    """
    window = kernel_size, stride, padding, dilation, ceil_mode
    return _max_pool("max_pool1d", input, *window, return_indices=return_indices)


def with_indices(pool: Callable[..., Pooled], positional: int) -> Callable[..., tuple[Tensor, Tensor]]:
    """Make a pooling that always returns the indices; PyTorch has both forms of each max pooling.

    `positional` is the number of arguments of `pool` before `return_indices`, whose value is ignored.
    """

    @functools.wraps(pool)
    def both(*args: Any, **options: Any) -> tuple[Tensor, Tensor]:
        if len(args) > positional:
            args = (*args[:positional], True, *args[positional + 1 :])
        else:
            options["return_indices"] = True
        found: tuple[Tensor, Tensor] = pool(*args, **options)
        return found

    both.__name__ = both.__qualname__ = f"{pool.__name__}_with_indices"
    both.__doc__ = f"`{pool.__name__}` with `return_indices=True`; a given value is ignored."
    return both


max_pool1d_with_indices = with_indices(max_pool1d, 6)
max_pool2d_with_indices = with_indices(max_pool2d, 6)

# ---------------------------------------------------------------------------------------------------------------------
# Average pooling
# ---------------------------------------------------------------------------------------------------------------------


def avg_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    fit: str | None = None,
) -> Tensor:
    """The mean of each window of (N, C, H, W), or (C, H, W).

    Args:
        input: images; also of int64, where the mean is cut to a whole number.
        kernel_size, stride, padding: an int or (vertical, horizontal); a stride of None means kernel_size.
        ceil_mode: let the last windows extend over the edge instead of dropping the remaining rows and columns.
        count_include_pad: whether the zeros of the padding count in the mean.
        divisor_override: divide the sum by this number instead of the number of values.
        fit: "strict" raises if the windows do not fit exactly.

    Returns:
        (N, C, OH, OW); sizes as in `conv2d`.

    Raises:
        ShapeError: a window does not fit, or the padding is more than half of it.
        ValueError: the divisor is 0.

    >>> x = minicnn.ones(1, 2, 2)
    >>> F.avg_pool2d(x, 2, padding=1)  # a 1 and three zeros in each window
    tensor([[[0.2500, 0.2500],
             [0.2500, 0.2500]]])
    >>> F.avg_pool2d(x, 2, padding=1, count_include_pad=False)
    tensor([[[1., 1.],
             [1., 1.]]])
    """
    window = kernel_size, stride, padding, ceil_mode, count_include_pad
    return _avg_pool("avg_pool2d", input, *window, divisor=divisor_override, fit=fit)


def avg_pool1d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of (N, C, L), or (C, L): `avg_pool2d` in one dimension.

    >>> F.avg_pool1d(minicnn.tensor([[1.0, 3.0, 2.0, 0.0]]), 2, stride=1)
    tensor([[2.0000, 2.5000, 1.0000]])
    """
    return _avg_pool("avg_pool1d", input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def _avg_pool(op: str, input: Tensor, *window: Any, divisor: int | None = None, fit: str | None = None) -> Tensor:
    dims = int(op[-2])
    check(op, input, "int64")
    kernel_size, stride, padding, ceil_mode, count = window
    if divisor is not None:
        divisor = geometry.whole(divisor, op, "divisor_override")
        if not divisor:
            raise ValueError(f"{op}: divisor_override must be an int other than 0, or None, got 0")
    shape = input.shape
    g = geometry.pool2d(shape, kernel_size, stride, padding, 1, bool(ceil_mode), bool(count), op, fit, dims)
    found: Tensor = AvgPool.apply(input, g, dims, divisor)
    return found


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The p-norm of each window of (N, C, H, W), or (C, H, W), with p = `norm_type`: (sum x^p)^(1/p).

    As in PyTorch, x^p is not |x|^p. With an odd p, negative values reduce the sum, and the root of a negative sum is
    NaN unless p is 1. A window that extends over the edge (`ceil_mode`) counts as if it were full of its mean. For
    p = inf the result is the largest |x|, for -inf the smallest. Where the sum is 0, the gradient is 0.

    C. Gulcehre et al., "Learned-norm pooling for deep feedforward and recurrent neural networks", 2014,
    https://arxiv.org/abs/1311.1780.

    >>> F.lp_pool2d(minicnn.tensor([[[3.0, 4.0], [0.0, 0.0]]]), 2, 2)  # sqrt(9 + 16)
    tensor([[[5.]]])
    """
    return power_average("lp_pool2d", input, norm_type, kernel_size, stride, ceil_mode, max_pool2d, avg_pool2d)


def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The p-norm of each window of (N, C, L), or (C, L): `lp_pool2d` in one dimension.

    >>> F.lp_pool1d(minicnn.tensor([[3.0, 4.0, 0.0, 1.0]]), 2, 2)
    tensor([[5., 1.]])
    """
    return power_average("lp_pool1d", input, norm_type, kernel_size, stride, ceil_mode, max_pool1d, avg_pool1d)


def power_average(
    op: str, input: Tensor, norm_type: float, kernel_size: IntOrPair, stride: IntOrPair | None, ceil_mode: bool,
    largest: Callable[..., Pooled], mean_of: Callable[..., Tensor],
) -> Tensor:  # fmt: skip
    """The p-norm of each window, from the max pooling and the average pooling of the same number of axes."""
    dims = int(op[-2])
    check(op, input)
    norm_type = geometry.real(norm_type, op, "norm_type")
    if norm_type == 0:
        raise ZeroDivisionError(f"{op}: norm_type must not be 0: the 0-th root of a sum is undefined")
    if math.isinf(norm_type):
        sign = 1 if norm_type > 0 else -1
        return sign * largest(sign * input.abs(), kernel_size, stride, 0, 1, ceil_mode)
    mean = mean_of(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    sides = tuple(kernel_size) if isinstance(kernel_size, Sequence) else (kernel_size,)
    cells = math.prod(int(side) for side in (sides * dims if len(sides) == 1 else sides))
    return ((mean.sign() * relu(mean.abs())) * cells).pow(1.0 / norm_type)
