"""The largest, the smallest, the middle, the most frequent element: reductions that choose one of the elements.

If a choice is among all elements, or along several axes at once (`amax`), the elements that tie share its gradient
equally. If it is along one axis, there is an index, and the gradient goes to the element at that index.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import as_array, xp

from ...autograd.engine import Function
from ...compat import return_types
from ...device import Meta, meta
from ...tensor import Array, Tensor, tensor_method
from .arguments import numpy_names
from .clamp import maximum, minimum
from .reduction import INT64, Axes, axes_of, nonempty, reduce, reduced, row

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "median", "min", "mode", "nanmedian"]


def _shared(gy: Array, a: Array, y: Array, axes: tuple[int, ...]) -> Array:
    """Return an equal share of gy for each element that equals the result (for each NaN, if the result is NaN)."""
    ties = (a == y) | (np.isnan(a) & np.isnan(y))
    return ties * (gy / ties.sum(axes, keepdims=True))


_amax = row("amax", lambda a, axes: a.max(axes, keepdims=True), _shared)
_amin = row("amin", lambda a, axes: a.min(axes, keepdims=True), _shared)


@tensor_method("amax")
@numpy_names
def amax(input: Tensor, dim: Axes = (), keepdim: bool = False) -> Tensor:
    """The largest element along the axes `dim`; NaN if one of them is NaN. Ties share the gradient equally.

    Raises:
        IndexError: there are no elements along `dim`.

    >>> minicnn.amax(minicnn.tensor([[1., 5.], [7., 3.]]), 1)
    tensor([5., 7.])
    """
    nonempty("amax", input, axes_of("amax", input, dim))
    return reduce(_amax, input, dim, keepdim)


@tensor_method("amin")
@numpy_names
def amin(input: Tensor, dim: Axes = (), keepdim: bool = False) -> Tensor:
    """The smallest element along the axes `dim`; otherwise as `amax`.

    >>> minicnn.amin(minicnn.tensor([[1., 5.], [7., 3.]]), 1)
    tensor([1., 3.])
    """
    nonempty("amin", input, axes_of("amin", input, dim))
    return reduce(_amin, input, dim, keepdim)


@tensor_method("aminmax")
@numpy_names
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The named tuple (min, max) of `amin` and `amax`.

    >>> minicnn.tensor([4, 1, 3]).aminmax()
    minicnn.return_types.aminmax(
    min=tensor(1),
    max=tensor(4))
    """
    return return_types.aminmax(
        amin(input, () if dim is None else dim, keepdim), amax(input, () if dim is None else dim, keepdim)
    )


# ------------------------------------------------------------------------------------------------------ with an index


class Pick(Function):
    """(values, indices) of the elements that `choose(a, axis)` selects along one axis; gy goes back to them."""

    @staticmethod
    def forward(
        ctx: Any, x: Array, choose: Callable[[Array, int], Array], axis: int, keepdim: bool
    ) -> tuple[Array, Array]:
        """Find the indices, (..., 1, ...), and take the values there."""
        ctx.title = choose.__name__.strip("_").capitalize()
        a = x.reshape(1) if not x.ndim else x
        kept = choose(a, axis)
        ctx.axis, ctx.shape, ctx.kept = axis, x.shape, kept
        shape = reduced(x.shape, (axis,) if x.ndim else (), keepdim)
        values, indices = np.take_along_axis(a, kept, axis).reshape(shape), kept.reshape(shape)
        ctx.mark_non_differentiable(indices)
        return values, indices

    @staticmethod
    def backward(ctx: Any, gy: Array, _: Any) -> tuple[Array | None, ...]:
        """Return gy at the indices and zeros elsewhere."""
        gx = xp(gy).zeros(ctx.shape or 1, gy.dtype)
        np.put_along_axis(gx, ctx.kept, gy.reshape(ctx.kept.shape), ctx.axis)
        return gx.reshape(ctx.shape), None, None, None

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> tuple[Array, None]:
        """Take v at the indices."""
        return np.take_along_axis(v.reshape(1) if not v.ndim else v, ctx.kept, ctx.axis), None

    @staticmethod
    def infer(x: Array, choose: Any, axis: int, keepdim: bool) -> tuple[Meta, Meta]:
        """Return the shape without the axis."""
        shape = reduced(x.shape, (axis,) if x.ndim else (), keepdim)
        return meta(shape, x.dtype), meta(shape, INT64)


class PickOnCpu(Pick):
    """`Pick` by a `choose` that CuPy lacks."""

    on_cpu = True


def _pick(
    result: Any,
    choose: Callable[[Array, int], Array],
    x: Tensor,
    dim: int,
    keepdim: bool,
    function: type[Function] = Pick,
) -> Any:
    op = result.__name__
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"{op}: dim must be one axis, an int, got {dim}; amax and amin take several")
    axes = axes_of(op, x, dim)
    nonempty(op, x, axes)
    return result(*function.apply(x, choose, axes[0] if axes else 0, bool(keepdim)))


def _argmax(a: Array, axis: int) -> Array:
    return a.argmax(axis, keepdims=True)


def _argmin(a: Array, axis: int) -> Array:
    return a.argmin(axis, keepdims=True)


def _rank_nan(a: Array, axis: int) -> Array:
    """Return the index of the lower median, or of a NaN if there is one (NaN sorts last)."""
    order = a.argsort(axis, kind="stable")
    k = (a.shape[axis] - 1) // 2
    middle = order[(slice(None),) * axis + (slice(k, k + 1),)]
    return np.where(np.isnan(a).any(axis, keepdims=True), np.isnan(a).argmax(axis, keepdims=True), middle)


def _rank_no_nan(a: Array, axis: int) -> Array:
    """Return the index of the lower median of the elements that are not NaN."""
    present = (~np.isnan(a)).sum(axis, keepdims=True)
    return np.take_along_axis(a.argsort(axis, kind="stable"), np.maximum(present - 1, 0) // 2, axis)


def _most_frequent(a: Array, axis: int) -> Array:
    """Return the last index of the most frequent value; of ties, the smallest value."""
    order = a.argsort(axis, kind="stable")
    lines = np.moveaxis(np.take_along_axis(a, order, axis), axis, -1)
    places = np.arange(lines.shape[-1])
    new = np.concatenate([np.ones_like(lines[..., :1], bool), lines[..., 1:] != lines[..., :-1]], -1)
    length = places - np.maximum.accumulate(np.where(new, places, 0), -1)  # the length of the run so far
    last = length.argmax(-1, keepdims=True)
    return np.take_along_axis(order, np.moveaxis(last, -1, axis), axis)


_largest = row("max", lambda a, axes: a.max(axes, keepdims=True), _shared)
_smallest = row("min", lambda a, axes: a.min(axes, keepdims=True), _shared)


def _extremum(
    op: str, result: Any, whole: Any, choose: Any, pair: Any, input: Tensor, dim: Any, keepdim: bool, other: Any
) -> Any:
    if isinstance(dim, Tensor) or other is not None:
        return pair(input, dim if other is None else other)
    if dim is not None:
        return _pick(result, choose, input, dim, keepdim)
    if not input.numel():
        raise RuntimeError(f"{op}: a tensor of shape {input.shape} has no elements to choose from; name a dim")
    return reduce(whole, input)


@tensor_method("max")
@numpy_names
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The largest of all elements; along `dim`, the named tuple (values, indices); with another tensor, `maximum`.

    NaN counts as the largest. If all elements are compared, ties share the gradient; along `dim` the first one gets it.

    Raises:
        RuntimeError, IndexError: there are no elements.

    >>> x = minicnn.tensor([[1., 5.], [7., 3.]])
    >>> x.max(), x.max(1).indices
    (tensor(7.), tensor([1, 0]))
    """
    return _extremum("max", return_types.max, _largest, _argmax, maximum, input, dim, keepdim, other)


@tensor_method("min")
@numpy_names
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The smallest element; otherwise as `max`, with NaN as the smallest.

    >>> minicnn.tensor([[1., 5.], [7., 3.]]).min(0).values
    tensor([1., 3.])
    """
    return _extremum("min", return_types.min, _smallest, _argmin, minimum, input, dim, keepdim, other)


def _index(function: Callable[..., Array]) -> Callable[..., Array]:
    """Return the index along one axis, or in the flattened tensor if all axes are reduced."""

    def find(a: Array, axes: tuple[int, ...]) -> Array:
        if len(axes) == 1 and a.ndim > 1:
            return as_array(function(a, axis=axes[0], keepdims=True))
        return as_array(function(a)).reshape((1,) * a.ndim)

    return find


_argmax_row = row("argmax", _index(np.argmax), kind="index")
_argmin_row = row("argmin", _index(np.argmin), kind="index")


def _not_bool(op: str, x: Tensor) -> None:
    if x.array.dtype.kind == "b":
        raise NotImplementedError(f"{op}: not defined for bool tensors; convert them, e.g. with .int()")


def _position(row: Any, x: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"{row.name}: dim must be one axis, an int, got {dim}")
    _not_bool(row.name, x)
    nonempty(row.name, x, axes_of(row.name, x, dim))
    return reduce(row, x, dim, keepdim)


@tensor_method("argmax")
@numpy_names
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the first largest element along `dim`, or in the flattened tensor; it has no gradient.

    Raises:
        IndexError: there are no elements.

    >>> scores = minicnn.tensor([[0.1, 2.0, 0.3], [1.5, 0.2, 0.1]])
    >>> scores.argmax(1), scores.argmax()
    (tensor([1, 0]), tensor(1))
    """
    return _position(_argmax_row, input, dim, keepdim)


@tensor_method("argmin")
@numpy_names
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the first smallest element along `dim`, or in the flattened tensor; it has no gradient.

    >>> minicnn.argmin(minicnn.tensor([3, 1, 2]))
    tensor(1)
    """
    return _position(_argmin_row, input, dim, keepdim)


# ---------------------------------------------------------------------------------------------------------- the middle


def _middle(choose: Callable[[Array, int], Array]) -> Callable[..., Array]:
    def find(a: Array, axes: tuple[int, ...]) -> Array:
        if not a.size:
            return xp(a).full((1,) * a.ndim, np.nan, a.dtype)
        flat = a.reshape(-1)  # (all axes)
        return flat[choose(flat, 0)].reshape((1,) * a.ndim)

    return find


_median, _nanmedian = row("median", _middle(_rank_nan), _shared), row("nanmedian", _middle(_rank_no_nan), _shared)


@tensor_method("median")
@numpy_names
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of all elements, NaN if one is NaN; along `dim`, the named tuple (values, indices).

    >>> minicnn.median(minicnn.tensor([1., 8., 3., 5.]))
    tensor(3.)
    """
    _not_bool("median", input)
    return reduce(_median, input) if dim is None else _pick(return_types.median, _rank_nan, input, dim, keepdim)


@tensor_method("nanmedian")
@numpy_names
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The median of the elements that are not NaN.

    >>> minicnn.nanmedian(minicnn.tensor([1., minicnn.nan, 3., 5.]))
    tensor(3.)
    """
    _not_bool("nanmedian", input)
    return (
        reduce(_nanmedian, input) if dim is None else _pick(return_types.nanmedian, _rank_no_nan, input, dim, keepdim)
    )


@tensor_method("mode")
@numpy_names
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent value along `dim` (of ties, the smallest), and an index of it: (values, indices).

    >>> minicnn.mode(minicnn.tensor([2, 1, 2, 3])).values
    tensor(2)
    """
    return _pick(return_types.mode, _most_frequent, input, dim, keepdim, PickOnCpu)
