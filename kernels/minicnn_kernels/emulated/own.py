"""Functions that CuPy computes, or lays out in memory, in another way than NumPy does."""

from __future__ import annotations

from typing import Any

import numpy as np

from .api import EmulationError, supported
from .array import fresh, host, ndarray, raw, result, to_write, view
from .indexing import out_of_range
from .traffic import wait
from .values import cast, quiet


def take(a: ndarray, indices: Any, axis: int | None = None, out: Any = None) -> ndarray:
    """Elements along an axis."""
    if not isinstance(indices, (ndarray, int, np.integer)):
        raise EmulationError("take: an index from the CPU; CuPy would copy it to the GPU at each use; use asarray")
    try:
        y = np.asarray(np.take(raw(a), host(indices), axis))
    except IndexError as error:
        raise out_of_range(error) from None
    if out is not None and (out.dtype != a.dtype or out.shape != y.shape):
        raise TypeError("Output dtype or shape mismatch")
    return result(y) if out is None else _into(out, y)


def _into(out: ndarray, y: Any) -> ndarray:
    """Write a result to an array of the caller."""
    to_write(out)[...] = cast(y, out.dtype)
    return out


# ------------------------------------------------------------------------------------------------------------- sorting


def sort(a: ndarray, axis: int | None = -1, kind: Any = None) -> ndarray:
    """A sorted copy; equal elements keep their order."""
    _check_kind(kind)
    return fresh(np.sort(raw(a), axis, kind="stable"))


def sort_in_place(a: ndarray, axis: int = -1, kind: Any = None) -> None:
    """Sort along an axis; equal elements keep their order."""
    _check_kind(kind)
    _check_sorted(a)
    to_write(a).sort(axis, kind="stable")


def partition(a: ndarray, kth: Any, axis: int | None = -1) -> ndarray:
    """A copy in which the k-th elements are where sorting would put them."""
    return fresh(np.partition(raw(a), kth, axis))


def partition_in_place(a: ndarray, kth: Any, axis: int = -1) -> None:
    """Put the k-th elements where sorting would put them."""
    _check_sorted(a)
    to_write(a).partition(kth, axis)


def argsort(a: ndarray, axis: int | None = -1, kind: Any = None) -> ndarray:
    """The indices that sort; those of equal elements keep their order."""
    _check_kind(kind)
    x = np.atleast_1d(raw(a))
    return _with_axis_last(np.argsort(x, axis, kind="stable"), -1 if axis is None else axis)


def argpartition(a: ndarray, kth: Any, axis: int | None = -1) -> ndarray:
    """The indices with which the k-th elements are where sorting would put them."""
    return _with_axis_last(np.argpartition(raw(a), kth, axis), -1 if axis is None else axis)


def _check_kind(kind: Any) -> None:
    if kind not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")


def _check_sorted(a: ndarray) -> None:
    """What CuPy sorts in place."""
    if not a.ndim:
        raise np.exceptions.AxisError("Sorting arrays with the rank of zero is not supported")
    if not a._a.flags.c_contiguous:
        raise NotImplementedError("Sorting non-contiguous array is not supported.")


def _with_axis_last(y: Any, axis: int) -> ndarray:
    """As CuPy lays out what it computed with an axis put last: a view in which it is back at its place."""
    if axis in (-1, y.ndim - 1):
        return fresh(np.asarray(y, order="C"))
    last = np.array(np.moveaxis(y, axis, -1), order="C")
    return view(np.moveaxis(last, -1, axis), fresh(last))


# ---------------------------------------------------------------------------------------------------------------- sums


def cumsum(a: ndarray, axis: int | None = None, dtype: Any = None, out: Any = None) -> ndarray:
    """Running sums along an axis, or of all elements in a row."""
    return _scan(np.cumsum, a, axis, dtype, out)


def cumprod(a: ndarray, axis: int | None = None, dtype: Any = None, out: Any = None) -> ndarray:
    """Running products along an axis, or of all elements in a row."""
    return _scan(np.cumprod, a, axis, dtype, out)


def _scan(scan: Any, a: ndarray, axis: int | None, dtype: Any, out: Any) -> ndarray:
    y = quiet(scan, raw(a), axis, None if dtype is None else supported(dtype))
    return _with_axis_last(y, -1 if axis is None else axis) if out is None else _into(out, y)


def argmax(a: ndarray, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
    """The index of the largest element."""
    return _extreme(np.argmax, a, axis, dtype, out, keepdims)


def argmin(a: ndarray, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
    """The index of the smallest element."""
    return _extreme(np.argmin, a, axis, dtype, out, keepdims)


def _extreme(extreme: Any, a: ndarray, axis: Any, dtype: Any, out: Any, keepdims: bool) -> ndarray:
    y = np.asarray(extreme(raw(a), axis, keepdims=keepdims), np.int64 if dtype is None else supported(dtype), order="C")
    return fresh(y) if out is None else _into(out, y)


# ------------------------------------------------------------------------------------------------------------- others


def nonzero(a: ndarray) -> tuple[ndarray, ...]:
    """The indices of the elements that are not 0: columns of one array, so with gaps in memory."""
    if not a.ndim:
        raise ValueError("Calling nonzero on 0d arrays is not allowed. Use cp.atleast_1d(scalar).nonzero() instead.")
    wait("nonzero")
    where = fresh(np.array(np.argwhere(raw(a)), order="C"))
    return tuple(view(where._a[:, i], where) for i in range(a.ndim))


def clip(a: ndarray, a_min: Any, a_max: Any, out: Any = None) -> ndarray:
    """Values not below a_min nor above a_max; a bound that is NaN does not count."""
    x, low, high = raw(a), host(a_min), host(a_max)
    dtype = np.result_type(*(v for v in (x.dtype, low, high) if v is not None))
    x = x.astype(dtype, copy=False)
    if low is not None and high is not None:
        y = np.where(np.greater(low, high), high, np.where(x < low, low, np.where(x > high, high, x)))
    elif low is not None:
        y = np.where(x < low, low, x)
    else:
        y = x if high is None else np.where(x > high, high, x)
    y = np.array(y, dtype, order="C")
    return fresh(y) if out is None else _into(out, y)


def diagonal(a: ndarray, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
    """A view of the diagonal, which may be written to."""
    return result(a._a.diagonal(offset, axis1, axis2), (a,))


def real(val: ndarray) -> ndarray:
    """The real part; an array of real numbers itself."""
    return val.real


def imag(val: ndarray) -> ndarray:
    """The imaginary part."""
    return val.imag


def conjugate(a: ndarray) -> ndarray:
    """The complex conjugate; an array of real numbers itself."""
    return fresh(np.conj(raw(a), order="C")) if a.dtype.kind == "c" else a
