"""Running sums, products and extrema along an axis, where y_i is computed from a_0 ... a_i."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import LIKE_ARRAYS, as_array, beside, on_gpu

from ...autograd.engine import Function
from ...compat import return_types
from ...device import Meta, meta
from ...memory_formats import tidy
from ...tensor import Array, Tensor, tensor_method
from .arguments import numpy_names
from .elementwise import recorded, saved
from .reduction import INT64, axes_of, row, type_of

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "logcumsumexp"]


def running(step: np.ufunc, a: Array, axis: int) -> Array:
    """y_0 = a_0, y_i = step(y_(i-1), a_i); floats are computed in float64, because rounding errors accumulate."""
    if a.dtype.kind != "f":
        return as_array(step.accumulate(a, axis, a.dtype))
    if a.size <= 256 * a.shape[axis] or on_gpu(a) or type(a) in LIKE_ARRAYS:
        return as_array(step.accumulate(a, axis, np.float64).astype(a.dtype, copy=False))
    y = np.empty_like(a)  # slice by slice: four times as fast as NumPy's accumulate, without a second array
    terms, sums = np.moveaxis(a, axis, 0), np.moveaxis(y, axis, 0)
    so_far = terms[0].astype(np.float64)
    sums[0] = so_far
    for i in range(1, len(terms)):
        step(so_far, terms[i], out=so_far)
        sums[i] = so_far
    return y


def from_behind(a: Array, axis: int) -> Array:
    """a_i + a_(i+1) + ... + a_(n-1): the adjoint of the running sum."""
    return np.flip(running(np.add, np.flip(a, axis), axis), axis)


def _wide(a: Array) -> Array:
    return a.astype(np.float64) if a.dtype.kind == "f" else a


def _running_product_gradient(gy: Any, a: Any, axis: int) -> Array:
    """Before the first 0: sum_(j>=i) gy_j y_j / a_i; at it: the same without the factor a_i; after it: 0."""
    if type(a) in LIKE_ARRAYS:
        return gy.times_of_others(a, axis)
    gy, a = _wide(gy), _wide(a)
    zeros = (a == 0).cumsum(axis)
    first = (a == 0) & (zeros == 1)
    others = np.where(first, 1, a)
    products = gy * running(np.multiply, others, axis)
    before = from_behind(np.where(zeros == 0, products, 0), axis) / np.where(a == 0, 1, a)
    at = from_behind(np.where(zeros > 0, products, 0), axis)
    return np.where(zeros == 0, before, np.where(first, at, 0))


def _running_logsumexp_gradient(gy: Any, a: Any, y: Any, axis: int) -> Array:
    """sum_(j>=i) gy_j e^(a_i - y_j), with logarithms, separately for the positive and the negative gy_j."""
    if type(a) in LIKE_ARRAYS:  # the logarithm of a gradient of 0 has no derivative
        return gy.sums_of_powers(a, y, axis)
    gy, a, y = _wide(gy), _wide(a), _wide(y)

    def one(part: Array) -> Array:
        logs = np.log(np.maximum(part, 0)) - y
        return np.exp(np.flip(running(np.logaddexp, np.flip(logs, axis), axis), axis) + a)

    return one(gy) - one(-gy)


ROWS = {
    "cumsum": row("cumsum", lambda a, axis: running(np.add, a, axis), lambda gy, axis: from_behind(gy, axis), "sum"),
    "cumprod": row("cumprod", lambda a, axis: running(np.multiply, a, axis), _running_product_gradient, "sum"),
    "logcumsumexp": row("logcumsumexp", lambda a, axis: running(np.logaddexp, a, axis), _running_logsumexp_gradient),
}


class Cumulative(Function):
    """A running reduction along one axis; its rows are as in `reduction.py`, with `axis` instead of `axes`."""

    @staticmethod
    def forward(ctx: Any, x: Array, op: str, axis: int, dtype: np.dtype[Any]) -> Array:
        """Convert to `dtype` and run the row."""
        ctx.title, ctx.row, ctx.axis, ctx.dtype = op.capitalize(), ROWS[op], axis, x.dtype
        a = x.astype(dtype, copy=False)
        with np.errstate(all="ignore"):
            y = tidy(ctx.row.function(a, axis)) if x.ndim else a.copy()
        have = {"a": a, "y": y}
        ctx.names = [name for name in ctx.row.needs if name in have]
        ctx.save_for_backward(*(have[name] for name in ctx.names))
        return y

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Compute the row's gradient."""
        have = {"gy": gy, "axis": ctx.axis, **saved(ctx)}
        with np.errstate(all="ignore"):
            gx = ctx.row.gradient(*(have[name] for name in ctx.row.needs)) if gy.ndim else gy
            return gx.astype(ctx.dtype, copy=False), None, None, None

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        """Run the row's gradient on tensors."""
        if not gy.ndim:
            return gy.to(ctx.dtype), None, None, None
        gradient, _ = recorded()
        have: dict[str, Any] = {"gy": gy, "axis": ctx.axis}
        for name, value in saved(ctx).items():
            value = value if on_gpu(value) else beside(value, gy._array)  # some rows keep it on the CPU
            have[name] = ctx.at_input(0, value.astype(ctx.dtype)) if name == "a" else ctx.at_output(0, value)
        gx = gradient(ctx.row.gradient, [have[name] for name in ctx.row.needs], gy)
        return gx.to(ctx.dtype), None, None, None

    @staticmethod
    def infer(x: Array, op: str, axis: int, dtype: np.dtype[Any]) -> Meta:
        """Return the same shape."""
        return meta(x.shape, dtype)


class CumulativeOnCpu(Cumulative):
    """`Cumulative` with a step that CuPy cannot accumulate."""

    on_cpu = True


def _axis(op: str, x: Tensor, dim: int) -> int:
    if not isinstance(x, Tensor) or isinstance(dim, (tuple, list)) or dim is None:
        raise TypeError(f"{op}: expected a tensor and one axis, an int, got {type(x).__name__} and {dim!r}")
    return (axes_of(op, x, dim) or (0,))[0]


def _run(op: str, x: Tensor, dim: int, dtype: Any) -> Tensor:
    axis, kind = _axis(op, x, dim), type_of(ROWS[op], x, dtype)
    if kind.kind == "b":
        raise NotImplementedError(f"{op}: not defined for bool; give dtype=minicnn.int64")
    function = CumulativeOnCpu if op == "logcumsumexp" else Cumulative
    return function.apply(x, op, axis, kind)


@tensor_method("cumsum")
@numpy_names
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """y_i = a_0 + ... + a_i along `dim`; the result of integers and bools is int64.

    >>> minicnn.tensor([1, 2, 3]).cumsum(0)
    tensor([1, 3, 6])
    """
    return _run("cumsum", input, dim, dtype)


@tensor_method("cumprod")
@numpy_names
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """y_i = a_0 * ... * a_i along `dim`; the result of integers and bools is int64.

    >>> minicnn.tensor([1, 2, 3]).cumprod(0)
    tensor([1, 2, 6])
    """
    return _run("cumprod", input, dim, dtype)


@tensor_method("logcumsumexp")
@numpy_names
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """y_i = log(e^a_0 + ... + e^a_i) along `dim`, without overflow.

    >>> minicnn.logcumsumexp(minicnn.tensor([0., 0., 0.]), 0)
    tensor([0.0000, 0.6931, 1.0986])
    """
    if input.dtype.kind != "f":
        raise NotImplementedError(f"logcumsumexp: not defined for {input.dtype} tensors; convert them with .float()")
    return _run("logcumsumexp", input, dim, None)


class RunningExtremum(Function):
    """(values, indices) of the largest (smallest) element so far: the later one of ties; after a NaN always NaN."""

    on_cpu = True

    @staticmethod
    def forward(ctx: Any, x: Array, op: str, axis: int) -> tuple[Array, Array]:
        """Find the elements that equal the running extremum; their index counts from there on."""
        ctx.title, ctx.axis = op.capitalize(), axis
        a = x.reshape(1) if not x.ndim else x
        values = (np.maximum if op == "cummax" else np.minimum).accumulate(a, axis)
        places = np.arange(a.shape[axis]).reshape(-1, *(1,) * (a.ndim - axis - 1))  # (n, 1, ...)
        ctx.indices = np.maximum.accumulate(np.where((a == values) | np.isnan(a), places, 0), axis)
        indices = ctx.indices.reshape(x.shape)
        ctx.mark_non_differentiable(indices)
        return values.reshape(x.shape), indices

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> tuple[Array, None]:
        """Take v where the extremum was."""
        return np.take_along_axis(v.reshape(1) if not v.ndim else v, ctx.indices, ctx.axis), None

    @staticmethod
    def backward(ctx: Any, gy: Array, _: Any) -> tuple[Array | None, ...]:
        """Add each gy to the element that was the extremum."""
        lines = np.moveaxis(gy.reshape(ctx.indices.shape), ctx.axis, 0)
        gx = np.zeros(lines.shape, np.result_type(lines, np.float64))
        rest = tuple(np.indices(lines.shape[1:]))
        for index, line in zip(np.moveaxis(ctx.indices, ctx.axis, 0), lines, strict=True):
            gx[(index, *rest)] += line
        with np.errstate(all="ignore"):
            return np.moveaxis(gx, 0, ctx.axis).reshape(gy.shape).astype(gy.dtype), None, None

    @staticmethod
    def infer(x: Array, op: str, axis: int) -> tuple[Meta, Meta]:
        """Return the same shape twice."""
        return meta(x.shape, x.dtype), meta(x.shape, INT64)


def _extremum(result: Callable[..., Any], op: str, x: Tensor, dim: int) -> Any:
    return result(*RunningExtremum.apply(x, op, _axis(op, x, dim)))


@tensor_method("cummax")
@numpy_names
def cummax(input: Tensor, dim: int) -> Any:
    """The largest element so far along `dim`, a named tuple (values, indices); the last of ties gets the gradient.

    >>> minicnn.tensor([1, 3, 2]).cummax(0).values
    tensor([1, 3, 3])
    """
    return _extremum(return_types.cummax, "cummax", input, dim)


@tensor_method("cummin")
@numpy_names
def cummin(input: Tensor, dim: int) -> Any:
    """The smallest element so far along `dim`; otherwise as `cummax`.

    >>> minicnn.tensor([3, 1, 2]).cummin(0).indices
    tensor([0, 1, 1])
    """
    return _extremum(return_types.cummin, "cummin", input, dim)
