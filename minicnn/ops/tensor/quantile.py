"""Quantiles: the values below which a fraction of the elements lies."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.arrays import host, xp
from minicnn_kernels.sums import total

from ...autograd.engine import Function
from ...device import Meta, meta
from ...tensor import Array, Tensor, tensor_method
from .arguments import numpy_names
from .reduction import axes_of, reduced
from .types import to

__all__ = ["nanquantile", "quantile"]


class Quantile(Function):
    """y = the sorted values at position q (n - 1); between two values, `interpolation` decides."""

    @staticmethod
    def forward(ctx: Any, x: Array, q: Array, axis: int, interpolation: str, skip_nan: bool) -> Array:
        """Sort along the axis and interpolate; the result (Q, ..., 1, ...) has the quantiles as first axis."""
        order = x.argsort(axis, kind="stable")
        ctx.shape, ctx.axis, ctx.q = x.shape, axis, q.shape
        present = (~np.isnan(x)).sum(axis, keepdims=True)
        n = present if skip_nan else np.full_like(present, x.shape[axis])
        last = np.maximum(n - 1, 0)
        at = q.astype(np.float64).reshape(-1, *(1,) * x.ndim) * last  # (Q, ..., 1, ...)
        low = np.floor(at)
        share = {"linear": at - low, "lower": 0 * at, "higher": np.ceil(at) - low, "midpoint": (np.ceil(at) - low) / 2,
                 "nearest": np.rint(at) - low}[interpolation]  # fmt: skip
        ctx.weights = (1 - share).astype(x.dtype), share.astype(x.dtype)
        ranks = low.astype(np.intp), np.ceil(at).astype(np.intp)
        ctx.indices = [np.stack([np.take_along_axis(order, one, axis) for one in rank]) for rank in ranks]
        a, b = (np.stack([np.take_along_axis(x, one, axis) for one in index]) for index in ctx.indices)
        ctx.slope = (b - a) * last.astype(x.dtype) if interpolation == "linear" else None
        y = a + (b - a) * ctx.weights[1]
        return y if skip_nan else np.where(present == n, y, np.nan).astype(x.dtype)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Divide gy between the two values of each quantile; the gradient of q is the slope between them."""
        gx = xp(gy).zeros(ctx.shape, gy.dtype)
        for weight, index in zip(ctx.weights, ctx.indices, strict=True):
            for share, one in zip(gy * weight, index, strict=True):
                part = xp(gy).zeros(ctx.shape, gy.dtype)
                np.put_along_axis(part, one, share, ctx.axis)
                gx += part
        gq = xp(gy).zeros(ctx.q, gy.dtype)
        if ctx.slope is not None:
            gq = total(gy * ctx.slope, tuple(range(1, gy.ndim))).reshape(ctx.q)  # (Q, ..., 1, ...) -> (Q)
        return gx, gq, None, None, None

    @staticmethod
    def tangent(ctx: Any, v: Array, of_q: Array | None, *_: Any) -> Array:
        """The same shares of the changes; the slope between two values, which q's gradient uses, depends on x."""
        if of_q is not None or v is None:
            raise NotImplementedError("quantile: the gradient of q has no gradient; use a constant q")
        parts = zip(ctx.weights, ctx.indices, strict=True)
        return sum(w * np.stack([np.take_along_axis(v, one, ctx.axis) for one in index]) for w, index in parts)

    @staticmethod
    def infer(x: Array, q: Array, axis: int, interpolation: str, skip_nan: bool) -> Meta:
        """Return the shape with the quantiles as first axis, and the reduced axis with size 1."""
        return meta((q.size, *reduced(x.shape, (axis,), True)), x.dtype)


def _quantile(op: str, x: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip_nan: bool) -> Tensor:
    if x.dtype not in (np.float32, np.float64):
        raise RuntimeError(f"{op}: the tensor must be float32 or float64, got {x.dtype}; convert it with .float()")
    if isinstance(q, Tensor) and (q.ndim > 1 or q.dtype != x.dtype):
        raise RuntimeError(f"{op}: q must be a number or a 1-d tensor of {x.dtype}, got {q.dtype} of shape {q.shape}")
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(
            f"{op}: interpolation must be linear, lower, higher, midpoint or nearest, got {interpolation!r}"
        )
    wanted = q if isinstance(q, Tensor) else Tensor(np.asarray(q, np.float64))
    if not x.is_meta:
        values = host(wanted.array)
        if not ((values >= 0) & (values <= 1)).all():
            raise RuntimeError(f"{op}: q must be between 0 and 1, got {wanted.tolist()}")
        wanted = wanted if isinstance(q, Tensor) else to(wanted, x.device)
    (axis,) = axes_of(op, x, dim) if dim is not None and x.ndim else (0,)
    if not x.numel():
        raise RuntimeError(f"{op}: a tensor of shape {x.shape} has no elements")
    shape = reduced(x.shape, (axis,) if dim is not None else axes_of(op, x, None), keepdim) if x.ndim else ()
    y = Quantile.apply(x.reshape(-1) if dim is None or not x.ndim else x, wanted, axis, interpolation, skip_nan)
    return y.reshape((*wanted.shape, *shape))  # (Q, ..., 1, ...) -> (Q, ...)


@tensor_method("quantile")
@numpy_names
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The values below which the fractions `q` of the elements along `dim` lie; a 1-d q adds an axis in front.

    Args:
        interpolation: between two elements: "linear", "lower", "higher", "midpoint" or "nearest".

    Raises:
        RuntimeError: a `q` is outside [0, 1], the tensor has no elements, or is not float32 or float64.

    >>> minicnn.quantile(minicnn.tensor([1., 2., 3., 4.]), 0.5)
    tensor(2.5000)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@tensor_method("nanquantile")
@numpy_names
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The quantiles of the elements that are not NaN.

    >>> minicnn.nanquantile(minicnn.tensor([1., minicnn.nan, 3.]), 0.5)
    tensor(2.)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)
