"""Reductions: many values to one, along axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.engine import Function
from ..tensor import Array, Tensor, tensor_method

Axes = int | tuple[int, ...] | list[int] | None


class Sum(Function):
    """y = scale * sum of x along axes; gx = scale * gy, repeated along them."""

    @staticmethod
    def forward(ctx: Any, x: Array, axes: tuple[int, ...], keepdim: bool, scale: float) -> Array:
        """Sum along `axes`."""
        ctx.shape, ctx.axes, ctx.keepdim, ctx.scale = x.shape, axes, keepdim, scale
        y = np.asarray(x.sum(axes, keepdims=keepdim))
        return y if scale == 1 else np.asarray(y * x.dtype.type(scale))

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Repeat gy along the summed axes."""
        gy = gy if ctx.keepdim else np.expand_dims(gy, ctx.axes)
        gy = gy if ctx.scale == 1 else gy * gy.dtype.type(ctx.scale)
        return np.broadcast_to(gy, ctx.shape), None, None, None


def _axes(op: str, x: Tensor, dim: Axes) -> tuple[int, ...]:
    """The axes as a tuple of non-negative numbers; all of them for None."""
    if dim is None:
        return tuple(range(x.ndim))
    axes = (dim,) if isinstance(dim, int) else tuple(dim)
    for axis in axes:
        if not -x.ndim <= axis < max(x.ndim, 1):
            raise IndexError(f"{op}: dim {axis} is out of range for a tensor of {x.ndim} axes, shape {x.shape}")
    axes = tuple(axis % max(x.ndim, 1) for axis in axes)
    if len(set(axes)) < len(axes):
        raise ValueError(f"{op}: dim {dim} names an axis twice")
    return axes if x.ndim else ()


@tensor_method("sum")
def sum(x: Tensor, dim: Axes = None, keepdim: bool = False) -> Tensor:
    """The sum along `dim`, or of all elements."""
    return Sum.apply(x, _axes("sum", x, dim), keepdim, 1)


@tensor_method("mean")
def mean(x: Tensor, dim: Axes = None, keepdim: bool = False) -> Tensor:
    """The mean along `dim`, or of all elements; NaN where there are none."""
    if x.dtype.kind != "f":
        raise TypeError(f"mean: the tensor must be floating point, got {x.dtype}; convert it with .float()")
    axes = _axes("mean", x, dim)
    count = math.prod(x.shape[axis] for axis in axes)
    return Sum.apply(x, axes, keepdim, 1 / count if count else math.nan)


@tensor_method("argmax")
def argmax(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the first largest element along `dim`, or in the flattened tensor; it has no gradient."""
    if not x.numel():
        raise IndexError(f"argmax: a tensor of shape {x.shape} has no elements")
    if dim is None:
        return Tensor(np.asarray(x.array.argmax()))
    return Tensor(np.asarray(x.array.argmax(_axes("argmax", x, dim)[0], keepdims=keepdim)))
