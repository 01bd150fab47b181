"""Reductions, many values to one along axes: the mechanism, and sums, means, products and truth values.

A row has a NumPy function, which keeps the reduced axes with size 1, and its gradient. The argument names of the
gradient say which values it needs: `a` is the input, `y` the result, `gy` its gradient (both with the axes kept),
`axes` the reduced axes, `shape` the shape of the input; other names are options of the call.

In all functions `dim` is an axis, a tuple of axes, or None or () for all axes; `keepdim` keeps the reduced axes with
size 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import LIKE_ARRAYS, as_array
from minicnn_kernels.geometry import wholes
from minicnn_kernels.sums import total

from ...autograd.engine import Function
from ...device import Meta, meta
from ...dtypes import default_type
from ...tensor import Array, Tensor, tensor_method
from .arguments import numpy_names
from .arithmetic import true_divide
from .comparison import isnan, logical_not
from .elementwise import recorded, saved

__all__ = ["all", "any", "count_nonzero", "logsumexp", "mean", "nanmean", "nansum", "prod", "sum"]

Axes = int | tuple[int, ...] | list[int] | None
BOOL, INT64 = np.dtype(np.bool_), np.dtype(np.int64)
HALF, FLOAT32 = np.dtype(np.float16), np.dtype(np.float32)


class Reducer(NamedTuple):
    """A reduction and its gradient.

    Attributes:
        name: the name of the operation, for errors and `grad_fn`.
        function: `function(a, axes, **options)`, with the reduced axes kept.
        gradient: from the gradient of the result to that of the input; None if there is none.
        needs: the argument names of the gradient.
        kind: of the result: "same" as the input; "sum": integers are summed as int64; "float": integers are refused;
            "exp": integers are converted; "bool" and "index": a truth value or an integer, the input is not converted.
    """

    name: str
    function: Callable[..., Any]
    gradient: Callable[..., Array] | None
    needs: tuple[str, ...]
    kind: str
    title: str


def row(
    name: str, function: Callable[..., Any], gradient: Callable[..., Array] | None = None, kind: str = "same"
) -> Reducer:
    """Make a row; the needs of its gradient are read from its signature."""
    code = gradient.__code__ if gradient else None
    return Reducer(
        name, function, gradient, code.co_varnames[: code.co_argcount] if code else (), kind, name.capitalize()
    )


class Reduction(Function):
    """y = f(x) along axes; gx = the row's gradient, repeated along the axes."""

    @staticmethod
    def public(node: Any) -> tuple[str, type[Any]]:
        """PyTorch has two sums: of all elements, SumBackward0, and along axes, SumBackward1."""
        name, base = Function.public(node)
        whole = len(node.axes) == len(node.shape)
        number = whole if node.title in ("Max", "Min") else not whole and node.title in ("Sum", "Mean", "Prod")
        return f"{name[:-1]}{int(number)}", base

    @staticmethod
    def forward(
        ctx: Any,
        x: Array,
        *,
        row: Reducer,
        axes: tuple[int, ...],
        keepdim: bool,
        dtype: np.dtype[Any],
        **options: Any,
    ) -> Array:
        """Convert to `dtype` and run the row."""
        # float16 is added up in float32
        within = FLOAT32 if dtype == HALF and row.kind not in ("bool", "index") else dtype
        a = x if x.dtype is within else x.astype(within, copy=False)
        with np.errstate(all="ignore"):
            y = row.function(a, axes, **options)
            y = np.asarray(y) if ctx.gpu is None else y
            if y.dtype is not dtype and y.dtype != dtype and row.kind not in ("bool", "index"):
                y = y.astype(dtype)
        result = y if keepdim else y.reshape(reduced(x.shape, axes, False))
        ctx.title = row.title
        if row.gradient and ctx.needs_input_grad[0]:
            ctx.row, ctx.axes, ctx.shape, ctx.dtype = row, axes, x.shape, x.dtype
            ctx.names = [name for name in row.needs if name in ("a", "y")]
            ctx.options = options
            ctx.save_for_backward(*[a if name == "a" else result for name in ctx.names])
        return result

    @staticmethod
    def backward(ctx: Any, gy: Array) -> Array:
        """Compute the row's gradient."""
        kept = reduced(ctx.shape, ctx.axes, True)
        have = {"gy": gy.reshape(kept), "shape": ctx.shape, "axes": ctx.axes, **ctx.options, **saved(ctx)}
        if "y" in have:
            have["y"] = have["y"].reshape(kept)
        with np.errstate(all="ignore"):
            gx = ctx.row.gradient(*(have[name] for name in ctx.row.needs)).astype(ctx.dtype, copy=False)
        return gx if gx.shape == ctx.shape else np.broadcast_to(gx, ctx.shape)

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> Tensor:
        """Run the row's gradient on tensors."""
        gradient, sum_to = recorded()
        kept = reduced(ctx.shape, ctx.axes, True)
        have: dict[str, Any] = {"gy": gy.reshape(kept), "shape": ctx.shape, "axes": ctx.axes, **ctx.options}
        for name, value in saved(ctx).items():
            if name == "y":
                have[name] = ctx.at_output(0, value).reshape(kept)
            else:
                have[name] = ctx.at_input(0, value.astype(ctx.dtype, copy=False)).to(value.dtype)
        gx = gradient(ctx.row.gradient, [have[name] for name in ctx.row.needs], gy)
        return sum_to(gx, ctx.shape, ctx.shape, ctx.dtype)

    @staticmethod
    def infer(x: Array, *, row: Reducer, axes: tuple[int, ...], keepdim: bool, dtype: np.dtype[Any], **_: Any) -> Meta:
        """Return the shape without the axes."""
        kind = {"bool": np.uint8 if x.dtype == np.uint8 else BOOL, "index": INT64}.get(row.kind, dtype)
        return meta(reduced(x.shape, axes, keepdim), kind)


def reduced(shape: tuple[int, ...], axes: tuple[int, ...], keepdim: bool) -> tuple[int, ...]:
    """Return the shape after a reduction along `axes`."""
    if keepdim:
        return tuple([1 if i in axes else n for i, n in enumerate(shape)])
    return () if len(axes) == len(shape) else tuple([n for i, n in enumerate(shape) if i not in axes])


def axes_of(op: str, x: Tensor, dim: Axes) -> tuple[int, ...]:
    """Return the axes as a tuple of non-negative numbers; None and () mean all axes.

    Raises:
        TypeError: x is not a tensor, or an axis is not an int.
        IndexError: the tensor has no such axis.
        RuntimeError: an axis is named twice.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{op}: expected a tensor, got {type(x).__name__}; use minicnn.tensor(...)")
    rank = x.array.ndim
    if dim is None:
        return tuple(range(rank))
    axes = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if not axes:
        return tuple(range(rank))
    for axis in axes:
        if type(axis) is not int:
            axes = tuple(wholes(axes, op, "dim", "an int or a tuple of ints"))
            break
    for axis in axes:
        if not -max(rank, 1) <= axis < max(rank, 1):
            raise IndexError(f"{op}: dim {axis} is out of range for a tensor of {rank} axes, shape {x.shape}")
    axes = tuple(axis % max(rank, 1) for axis in axes)
    if len(set(axes)) < len(axes):
        raise RuntimeError(f"{op}: dim {dim} names an axis twice")
    return axes if rank else ()


def reduce(row: Reducer, x: Tensor, dim: Axes = None, keepdim: bool = False, dtype: Any = None, **options: Any) -> Any:
    """Check the arguments of a reduction and run it."""
    axes = axes_of(row.name, x, dim)
    return Reduction.apply(x, row=row, axes=axes, keepdim=keepdim, dtype=type_of(row, x, dtype), **options)


def type_of(row: Reducer, x: Tensor, dtype: Any = None) -> np.dtype[Any]:
    """Return the type that a reduction computes in."""
    kind = x.array.dtype if dtype is None else np.dtype(dtype)
    if row.kind == "sum" and kind.kind != "f" and dtype is None:
        return INT64
    if row.kind == "float" and kind.kind != "f":
        raise RuntimeError(f"{row.name}: the tensor must be floating point, got {kind}; convert it with .float()")
    if row.kind == "exp" and kind.kind != "f":
        return default_type()
    return kind


def nonempty(op: str, x: Tensor, axes: tuple[int, ...]) -> None:
    """Check that there are elements to choose from along the axes."""
    if 0 in [x.array.shape[axis] for axis in axes]:
        raise IndexError(f"{op}: nothing to choose from: a tensor of shape {x.shape} is empty along axes {axes}")


# ------------------------------------------------------------------------------------------------- sums and products


def count(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    """Return the number of elements that are reduced to one."""
    return math.prod([shape[axis] for axis in axes])


def _product(a: Array, axes: tuple[int, ...]) -> Array:
    """Compute in float64 if there are many factors, because the rounding errors add up."""
    many = a.dtype.kind == "f" and count(a.shape, axes) > 64
    return as_array(np.multiply.reduce(a, axes, np.float64 if many else a.dtype, keepdims=True))


def _product_gradient(gy: Any, a: Any, axes: tuple[int, ...]) -> Array:
    """Return the product of the other elements, which is not y / a if some elements are 0."""
    if type(a) in LIKE_ARRAYS:
        return gy * a.of_others(axes)
    zeros = (a == 0).sum(axes, keepdims=True)
    others = np.where(a == 0, 1, a)
    y = _product(others, axes)
    return gy * np.where(zeros == 0, y / others, np.where((zeros == 1) & (a == 0), y, 0))


_sum = row("sum", total, lambda gy: gy, "sum")
_nansum = row(
    "nansum", lambda a, axes: total(np.where(np.isnan(a), 0, a), axes), lambda gy, a: gy * ~np.isnan(a), "sum"
)
_mean = row(
    "mean", lambda a, axes: np.true_divide(total(a, axes), count(a.shape, axes)),
    lambda gy, axes, shape: np.true_divide(gy, count(shape, axes)), "float",
)  # fmt: skip
_prod = row("prod", _product, _product_gradient, "sum")


@tensor_method("sum")
@numpy_names
def sum(input: Tensor, dim: Axes = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum along `dim`; integers and bools give int64 unless `dtype` is given.

    >>> x = minicnn.tensor([[1., 2.], [3., 4.]])
    >>> x.sum(), x.sum(0), x.sum(1, keepdim=True)
    (tensor(10.), tensor([4., 6.]), tensor([[3.],
            [7.]]))
    """
    return reduce(_sum, input, dim, keepdim, dtype)


@tensor_method("nansum")
@numpy_names
def nansum(input: Tensor, dim: Axes = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum along `dim` of the elements that are not NaN.

    >>> minicnn.nansum(minicnn.tensor([1., minicnn.nan, 2.]))
    tensor(3.)
    """
    return reduce(_nansum, input, dim, keepdim, dtype)


@tensor_method("mean")
@numpy_names
def mean(input: Tensor, dim: Axes = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean along `dim`; NaN if there are no elements.

    Raises:
        RuntimeError: the tensor has integers, and no floating-point `dtype` is given.

    >>> x = minicnn.tensor([[1., 2.], [3., 6.]], requires_grad=True)
    >>> x.mean().backward()
    >>> x.mean(0), x.grad
    (tensor([2., 4.], grad_fn=<MeanBackward1>), tensor([[0.2500, 0.2500],
            [0.2500, 0.2500]]))
    """
    return reduce(_mean, input, dim, keepdim, dtype)


@tensor_method("nanmean")
@numpy_names
def nanmean(input: Tensor, dim: Axes = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean along `dim` of the elements that are not NaN.

    >>> minicnn.nanmean(minicnn.tensor([1., minicnn.nan, 2.]))
    tensor(1.5000)
    """
    if input.dtype.kind != "f":
        raise RuntimeError(f"nanmean: the tensor must be floating point, got {input.dtype}; convert it with .float()")
    return true_divide(nansum(input, dim, keepdim, dtype=dtype), sum(logical_not(isnan(input)), dim, keepdim))


@tensor_method("prod")
@numpy_names
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product along `dim`, one axis, or of all elements; integers and bools give int64.

    >>> minicnn.prod(minicnn.tensor([3, 32, 32]))
    tensor(3072)
    """
    return reduce(_prod, input, dim, keepdim, dtype)


def _logsumexp(a: Array, axes: tuple[int, ...]) -> Array:
    """Subtract the largest element first, so that no power overflows; an infinite one is not subtracted."""
    if 0 in a.shape:
        return np.log(total(np.exp(a), axes))
    largest = a.max(axes, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    return largest + np.log(total(np.exp(a - largest), axes))


def _logsumexp_gradient(gy: Array, a: Array, y: Array) -> Array:
    """e^(a - y); 0 if all are -Inf. If an a is +Inf, its gradient is NaN (Inf/Inf), and that of the others 0."""
    return gy * np.exp(a - np.where(y == -np.inf, 0, y))


_logsumexp_row = row("logsumexp", _logsumexp, _logsumexp_gradient, "exp")


@tensor_method("logsumexp")
@numpy_names
def logsumexp(input: Tensor, dim: Axes, keepdim: bool = False) -> Tensor:
    """log(sum e^a) along `dim`, without overflow.

    >>> minicnn.logsumexp(minicnn.tensor([100., 100.]), 0)
    tensor(100.6931)
    """
    return reduce(_logsumexp_row, input, dim, keepdim)


# ------------------------------------------------------------------------------------------------------- truth values


def _truth(function: Callable[..., Any]) -> Callable[..., Array]:
    return lambda a, axes: function(a, axis=axes, keepdims=True).astype(a.dtype if a.dtype == np.uint8 else BOOL)


_all, _any = row("all", _truth(np.all), kind="bool"), row("any", _truth(np.any), kind="bool")
_count = row("count_nonzero", lambda a, axes: as_array(a != 0).sum(axes, keepdims=True, dtype=INT64), kind="index")


def _truth_value(row: Reducer, x: Tensor, dim: Axes, keepdim: bool) -> Tensor:
    if isinstance(dim, (tuple, list)) and not dim:  # here () means no axes, not all
        return Reduction.apply(x, row=row, axes=(), keepdim=True, dtype=x.array.dtype)
    return reduce(row, x, dim, keepdim)


@tensor_method("all")
@numpy_names
def all(input: Tensor, dim: Axes = None, keepdim: bool = False) -> Tensor:
    """Whether all elements along `dim` are not 0; True for none. uint8 gives uint8; dim=() tests each element alone.

    >>> minicnn.tensor([[True, False], [True, True]]).all(1)
    tensor([False,  True])
    """
    return _truth_value(_all, input, dim, keepdim)


@tensor_method("any")
@numpy_names
def any(input: Tensor, dim: Axes = None, keepdim: bool = False) -> Tensor:
    """Whether an element along `dim` is not 0; False for none. uint8 gives uint8; dim=() tests each element alone.

    >>> minicnn.tensor([[True, False], [False, False]]).any(1)
    tensor([ True, False])
    """
    return _truth_value(_any, input, dim, keepdim)


@tensor_method("count_nonzero")
@numpy_names
def count_nonzero(input: Tensor, dim: Axes = None) -> Tensor:
    """The number of elements along `dim` that are not 0.

    >>> minicnn.count_nonzero(minicnn.tensor([[0, 1], [2, 3]]), 0)
    tensor([1, 2])
    """
    return reduce(_count, input, dim)
