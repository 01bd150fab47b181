"""Finding elements and counting them: nonzero, searchsorted, unique, counts, histograms; without gradients."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from minicnn_kernels.arrays import as_array, beside, host, on_device_of, xp
from minicnn_kernels.geometry import ShapeError, fits, real, whole

from ...autograd.engine import Function
from ...device import Meta, meta
from ...tensor import Array, Tensor, tensor_method
from .arguments import axis, check_tensor, numpy_names

__all__ = [
    "argwhere", "bincount", "bucketize", "histc", "isin", "nonzero", "searchsorted", "unique", "unique_consecutive",
]  # fmt: skip


def _values(op: str, x: Any) -> Array:
    """Return the array of a tensor whose values decide the shape of the result."""
    check_tensor(op, input=x)
    return x._values(op)


def _back(found: Array, input: Tensor) -> Tensor:
    """Return what was found on the CPU as a tensor on the device of the input."""
    return Tensor(beside(found, input.array))


@tensor_method("nonzero")
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the elements other than 0: (count, axes), or a tuple of one 1-d tensor for each axis.

    >>> minicnn.tensor([[1, 0], [0, 2]]).nonzero()
    tensor([[0, 0],
            [1, 1]])
    """
    x = _values("nonzero", input)
    with on_device_of(x):
        places = (x if x.ndim else x.reshape(1)).nonzero()
        if as_tuple:
            return tuple(map(Tensor, places))
        return Tensor(np.stack(places, 1) if x.ndim else xp(x).zeros((len(places[0]), 0), np.int64))


@tensor_method("argwhere")
def argwhere(input: Tensor) -> Tensor:
    """The indices of the elements other than 0: (count, axes).

    >>> minicnn.argwhere(minicnn.tensor([0, 5, 6]))
    tensor([[1],
            [2]])
    """
    return nonzero(input)


class SearchSorted(Function):
    """For each value, the number of elements of a sorted row that lie below it."""

    @staticmethod
    def forward(ctx: Any, rows: Array, values: Array, right: bool, kind: Any) -> Array:
        """Search each row by bisection."""
        side: Literal["left", "right"] = "right" if right else "left"
        if rows.ndim == 1:
            return as_array(np.searchsorted(rows, values, side)).astype(kind, copy=False)
        found = np.empty(values.shape, kind)
        for at in np.ndindex(*rows.shape[:-1]):
            found[at] = np.searchsorted(rows[at], values[at], side)
        return found

    @staticmethod
    def infer(rows: Meta, values: Meta, right: bool, kind: Any) -> Meta:
        """Return the shape of the values."""
        return meta(values.shape, kind)


class SearchSortedRows(SearchSorted):
    """`SearchSorted` in several rows, which CuPy cannot do at once."""

    on_cpu = True


@tensor_method("searchsorted")
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Find where values must be inserted into sorted rows (the last axis) to keep the rows sorted.

    Args:
        sorted_sequence: 1-d, or with the shape of the values in all axes but the last.
        input: the values, a tensor or a number.
        right: insert after equal elements; also as `side="right"`.
        sorter: the order that sorts the rows, if they are not sorted.

    >>> minicnn.searchsorted(minicnn.tensor([1, 3, 5]), minicnn.tensor([3, 4]))
    tensor([1, 2])
    """
    check_tensor("searchsorted", sorted_sequence=sorted_sequence)
    if side not in (None, "left", "right") or (side == "left" and right):
        raise RuntimeError(f"searchsorted: side must be 'left' or 'right' and agree with right={right}, got {side!r}")
    values = input if isinstance(input, Tensor) else sorted_sequence.new_tensor(input)
    if values.dtype != sorted_sequence.dtype:
        raise RuntimeError(
            f"searchsorted: the values are {values.dtype} but the rows are {sorted_sequence.dtype}; convert one"
        )
    rows = sorted_sequence
    if sorter is not None:
        if sorter.shape != rows.shape or sorter.dtype != np.int64:
            raise RuntimeError(
                f"searchsorted: sorter must be int64 {tuple(rows.shape)}, got {sorter.dtype} {tuple(sorter.shape)}"
            )
        rows = rows.gather(-1, sorter)
    if not rows.ndim or (rows.ndim > 1 and rows.shape[:-1] != values.shape[:-1]):
        raise ShapeError(
            f"searchsorted: rows {tuple(rows.shape)} must be 1-d, or have the shape of the values "
            f"{tuple(values.shape)} in all axes but the last"
        )
    kind = np.dtype(np.int32 if out_int32 else np.int64)
    function = SearchSorted if rows.ndim == 1 else SearchSortedRows
    return function.apply(rows.detach(), values.detach(), right or side == "right", kind)


@tensor_method("bucketize")
def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The bucket of each value: i where boundaries[i-1] < v <= boundaries[i]; with `right`, <= and <.

    >>> minicnn.bucketize(minicnn.tensor([0.5, 1., 7.]), minicnn.tensor([1., 5.]))
    tensor([0, 0, 2])
    """
    check_tensor("bucketize", boundaries=boundaries)
    if boundaries.ndim != 1:
        raise ShapeError(f"bucketize: boundaries must be 1-d, got shape {tuple(boundaries.shape)}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@tensor_method("bincount")
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """Count how often each of 0, 1, ... occurs in a 1-d tensor, or sum its weights.

    Raises:
        RuntimeError: a number is negative or fractional, or there is more than one axis.

    >>> minicnn.bincount(minicnn.tensor([0, 2, 2]), minlength=4)
    tensor([1, 0, 2, 0])
    """
    x, minlength = host(_values("bincount", input)), whole(minlength, "bincount", "minlength")
    if x.dtype.kind not in "iu" or x.ndim != 1 or (x.size and x.min() < 0) or minlength < 0:
        raise RuntimeError(
            f"bincount: expected 1-d non-negative integral input and minlength >= 0, got {x.dtype} {x.shape}"
        )
    fits("bincount", (max(int(x.max()) + 1 if x.size else 0, minlength),), 8)
    if weights is None:
        return _back(np.bincount(x, minlength=minlength), input)
    if weights.shape != input.shape:
        raise ShapeError(f"bincount: weights {tuple(weights.shape)} and input {tuple(input.shape)} differ in shape")
    kind = np.float32 if weights.dtype == np.float32 else np.float64
    return _back(np.bincount(x, host(weights.array), minlength).astype(kind), input)


@tensor_method("histc")
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """Count the elements in each of `bins` equal intervals of [min, max], by default the range of the elements.

    Raises:
        RuntimeError: `bins` is not positive, or the range is not finite.

    >>> minicnn.histc(minicnn.tensor([0.1, 0.2, 0.9]), bins=2, min=0, max=1)
    tensor([2., 1.])
    """
    x, bins = host(_values("histc", input)), whole(bins, "histc", "bins")
    fits("histc", (bins if bins > 0 else 0,), 8)
    if bins <= 0:
        raise RuntimeError(f"histc: bins must be > 0, got {bins}")
    if x.dtype.kind != "f":
        raise NotImplementedError(f"histc: not defined for {x.dtype}; convert the tensor with .float()")
    low, high = float(real(min, "histc", "min")), float(real(max, "histc", "max"))
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (np.isfinite(low) and np.isfinite(high)) or low > high:
        raise RuntimeError(f"histc: the range [{low}, {high}] must be finite, and max must be larger than min")
    inside = x[(x >= low) & (x <= high)]
    places = np.minimum(((inside - low) / (high - low) * bins).astype(np.int64), bins - 1)
    return _back(np.bincount(places, minlength=bins).astype(x.dtype), input)


# ----------------------------------------------------------------------------------------------------------------- sets


def _slices(x: Array, dim: int) -> Array:
    """Return the slices along an axis as comparable rows (n, length)."""
    return np.moveaxis(x, dim, 0).reshape(x.shape[dim], -1)  # (n, product of the rest)


def _results(
    input: Tensor, values: Array, inverse: Array, counts: Array, return_inverse: bool, return_counts: bool
) -> Any:
    """Return those of the three results that are asked for."""
    parts = [np.ascontiguousarray(values)]
    parts += [inverse.astype(np.int64)] if return_inverse else []
    parts += [counts.astype(np.int64)] if return_counts else []
    found = [_back(part, input) for part in parts]
    return tuple(found) if len(found) > 1 else found[0]


@tensor_method("unique")
@numpy_names
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements, or slices along `dim`, always sorted.

    Returns:
        values, then, if asked for, `inverse` (the index of each element among the values) and the `counts`.

    >>> minicnn.unique(minicnn.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    x = host(_values("unique", input))
    if dim is None:
        values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, equal_nan=False)
        return _results(input, values, inverse.reshape(x.shape), counts, return_inverse, return_counts)
    at = axis("unique", dim, x.ndim)
    _refuse_empty("unique", x, at)
    if not x.shape[at]:
        return _results(input, x, np.zeros(0), np.zeros(0), return_inverse, return_counts)
    rows = _slices(x, at)
    order = np.lexsort(rows.T[::-1])
    fresh = np.concatenate([[True], (rows[order][1:] != rows[order][:-1]).any(1)])
    inverse = np.empty(len(order), np.int64)
    inverse[order] = np.cumsum(fresh) - 1
    values = np.take(x, order[fresh], at)
    return _results(input, values, inverse, np.bincount(inverse), return_inverse, return_counts)


def _refuse_empty(op: str, x: Array, dim: int) -> None:
    if x.size == 0 and (x.shape[dim] or (x.ndim > 1 and 0 in x.shape[:dim] + x.shape[dim + 1 :])):
        raise RuntimeError(f"{op}: the slices of shape {x.shape} along {dim} have no elements to compare")


@tensor_method("unique_consecutive")
@numpy_names
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements, or slices along `dim`, that differ from the one before; otherwise as `unique`.

    >>> minicnn.unique_consecutive(minicnn.tensor([1, 1, 3, 1]))
    tensor([1, 3, 1])
    """
    x = host(_values("unique_consecutive", input))
    flat, at = (x.reshape(-1), 0) if dim is None else (x, axis("unique_consecutive", dim, x.ndim))
    _refuse_empty("unique_consecutive", flat, at)
    rows = _slices(flat, at) if flat.shape[at] else np.zeros((0, 1), x.dtype)
    fresh = np.concatenate([[True], (rows[1:] != rows[:-1]).any(1)])[: len(rows)]
    inverse = np.cumsum(fresh) - 1
    values = np.take(flat, np.flatnonzero(fresh), at)
    inverse = inverse.reshape(x.shape) if dim is None else inverse
    return _results(input, values, inverse, np.bincount(inverse.reshape(-1)), return_inverse, return_counts)


class IsIn(Function):
    """Whether each element is in a set of others."""

    @staticmethod
    def forward(ctx: Any, x: Array, among: Array, invert: bool) -> Array:
        """Look up."""
        return np.isin(x, among, invert=invert)

    @staticmethod
    def infer(x: Meta, among: Meta, invert: bool) -> Meta:
        """Return the shape of the elements."""
        return meta(x.shape, np.bool_)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is among the test elements (with `invert`, whether it is not).

    >>> minicnn.isin(minicnn.tensor([1, 2, 3]), minicnn.tensor([2, 5]))
    tensor([False,  True, False])
    """
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError("isin: expected a tensor as elements or test_elements, got two numbers")
    if not isinstance(elements, Tensor):
        elements = test_elements.new_tensor(elements)
    among = test_elements if isinstance(test_elements, Tensor) else elements.new_tensor(test_elements)
    return IsIn.apply(elements.detach(), among.detach(), invert)
