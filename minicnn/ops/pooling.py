"""Max and average pooling as tensor operations."""

from __future__ import annotations

from typing import Any

from minicnn_kernels import geometry
from minicnn_kernels import pooling as kernels

from ..autograd.engine import Function
from ..tensor import Array, Tensor
from .operands import floating


class MaxPool2d(Function):
    """y = the largest value of each window; keeps where it was, not x."""

    @staticmethod
    def forward(ctx: Any, x: Array, g: geometry.Pool) -> Array:
        """Run the chosen kernel."""
        y, index = kernels.MAX_POOL(x, g)
        ctx.save_for_backward(index)
        ctx.geometry = g
        return y

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, None]:
        """Each gradient goes back to the one value that was the largest."""
        (index,) = ctx.saved
        return kernels.MAX_POOL_BACKWARD(gy, index, ctx.geometry), None


class AvgPool2d(Function):
    """y = the mean of each window."""

    @staticmethod
    def forward(ctx: Any, x: Array, g: geometry.Pool, divisor: int | None) -> Array:
        """Run the chosen kernel."""
        ctx.geometry, ctx.divisor = g, divisor
        return kernels.AVG_POOL(x, g, divisor)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, None, None]:
        """Each gradient is shared out equally over its window."""
        return kernels.AVG_POOL_BACKWARD(gy, ctx.geometry, ctx.divisor), None, None


def max_pool2d(
    input: Tensor,
    kernel_size: geometry.IntOrPair,
    stride: geometry.IntOrPair | None = None,
    padding: geometry.IntOrPair = 0,
    dilation: geometry.IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    fit: str | None = None,
) -> Tensor:
    """The largest value of each window of (N, C, H, W), or (C, H, W); padding counts as -Inf.

    Args:
        input: pictures.
        kernel_size, stride, padding, dilation: an int or (vertical, horizontal); the stride is kernel_size if None.
        ceil_mode: let the last windows hang over the edge instead of dropping the rest.
        return_indices: not supported.
        fit: "strict" raises where windows do not fit.

    Returns:
        (N, C, OH, OW); sizes as of `conv2d`.

    Raises:
        ShapeError: a window that does not fit, or padding over half of it.
    """
    floating("max_pool2d", input=input)
    if return_indices:
        raise NotImplementedError(
            "max_pool2d: return_indices=True is not supported; minicnn_kernels.pooling gives the indices"
        )
    if input.ndim == 3:
        batch = max_pool2d(input.reshape(1, *input.shape), kernel_size, stride, padding, dilation, ceil_mode, fit=fit)
        return batch.reshape(*batch.shape[1:])
    g = geometry.pool2d(input.shape, kernel_size, stride, padding, dilation, ceil_mode, op="max_pool2d", fit=fit)
    return MaxPool2d.apply(input, g)


def avg_pool2d(
    input: Tensor,
    kernel_size: geometry.IntOrPair,
    stride: geometry.IntOrPair | None = None,
    padding: geometry.IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    fit: str | None = None,
) -> Tensor:
    """The mean of each window of (N, C, H, W), or (C, H, W).

    Args:
        input: pictures.
        kernel_size, stride, padding: an int or (vertical, horizontal); the stride is kernel_size if None.
        ceil_mode: let the last windows hang over the edge instead of dropping the rest.
        count_include_pad: whether the zeros of the padding count in the mean.
        divisor_override: divide the sum by this instead of by the number of values.
        fit: "strict" raises where windows do not fit.

    Returns:
        (N, C, OH, OW); sizes as of `conv2d`.

    Raises:
        ShapeError: a window that does not fit, or padding over half of it.
        ValueError: a divisor of 0.
    """
    floating("avg_pool2d", input=input)
    if divisor_override == 0:
        raise ValueError("avg_pool2d: divisor_override must not be 0")
    if input.ndim == 3:
        batch = avg_pool2d(
            input.reshape(1, *input.shape),
            kernel_size,
            stride,
            padding,
            ceil_mode,
            count_include_pad,
            divisor_override,
            fit=fit,
        )
        return batch.reshape(*batch.shape[1:])
    g = geometry.pool2d(
        input.shape, kernel_size, stride, padding, 1, ceil_mode, count_include_pad, op="avg_pool2d", fit=fit
    )
    return AvgPool2d.apply(input, g, divisor_override)
