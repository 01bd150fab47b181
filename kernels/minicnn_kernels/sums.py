"""Sums of many numbers: how to add them up wherever a kernel has no loop of its own for it.

    total(a, axes)                  sum of a along the axes, which are kept with size 1
    add_rows(y, rows, values)       y[rows[k]] += values[k]
    matmul(a, b)                    a b, of matrices or stacks of them; for products with `long_product(a, b)`

Added term by term in float32, two million numbers of similar size lose two digits: each partial sum is rounded to its
own last digit, and the terms have digits below that. NumPy adds in pairs, with an error that grows as log n, but only
along the innermost axis of the memory. So here

- NumPy adds runs along the innermost axis;
- BLAS adds rows to one another, `_ROWS` of them at a time (a row of ones times a matrix, which is 30 times as fast as
  NumPy where the rows are short), and the few sums are then added in float64;
- all other long sums are added in float64;
- a number that is broadcast in memory (stride 0), as in the gradient of a mean, is multiplied by how often it occurs.

float16 is added in float32 or float64. NumPy adds short sums, integers and float64.

On a GPU, CuPy adds all long sums in float64: each of its threads adds term by term. An addition in float64 is slow on
most GPUs, but reading the number from memory takes as long. `add_rows` adds in float64, too, in an order that differs
from run to run; rounded to float32 the sums are then hardly ever different.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arrays import Array, on_gpu

_LONG = 4096  # up to this many elements NumPy adds everything in one call
_STEPS = 128  # this many terms may be added one by one
_ROWS = 256  # rows that BLAS adds up at a time: an error of 1e-6; with a thousand rows it would be 4e-6
_HALF = np.dtype(np.float16)


def total(a: Array, axes: tuple[int, ...]) -> Array:
    """The sum of `a` along `axes`, kept with size 1, in the type of `a`."""
    kind = a.dtype
    if a.size <= _LONG or kind.kind != "f":
        if kind == _HALF:
            return np.add.reduce(a, axes, np.float32, keepdims=True).astype(kind)
        return np.add.reduce(a, axes, kind, keepdims=True)
    if on_gpu(a):
        return a.sum(axes, np.float64, keepdims=True).astype(kind, copy=False)
    if kind != _HALF and a.flags.c_contiguous and axes == tuple(range(a.ndim - len(axes), a.ndim)):  # one run each
        return np.add.reduce(a, axes, keepdims=True)
    with np.errstate(all="ignore"):  # a sum beyond float32 is Inf
        return _long(a, axes)


def _long(a: Array, axes: tuple[int, ...]) -> Array:
    copies = math.prod([a.shape[i] for i in axes if a.strides[i] == 0])
    if copies > 1:
        one = a[tuple([slice(1 if i in axes and step == 0 else None) for i, step in enumerate(a.strides)])]
        return np.multiply(total(one, axes), copies, dtype=np.float64).astype(a.dtype)
    if a.itemsize >= 8:
        return np.add.reduce(a, axes, keepdims=True)
    inner, run = _run(a, axes)
    left = math.prod([a.shape[i] for i in axes]) // max(1, run)
    if a.dtype == _HALF:
        return np.add.reduce(a, axes, np.float32 if left <= _STEPS else np.float64, keepdims=True).astype(a.dtype)
    if left <= _STEPS:
        return np.add.reduce(a, axes, keepdims=True)
    if run >= _STEPS:
        return total(np.add.reduce(a, inner, keepdims=True), axes)
    rows = _rows(a, axes)
    if rows is None:
        return np.add.reduce(a, axes, np.float64, keepdims=True).astype(a.dtype)
    kept = [1 if i in axes else n for i, n in enumerate(a.shape)]
    order = sorted(range(a.ndim), key=lambda i: -abs(a.strides[i]))
    sums = _sum_of_rows(rows).astype(a.dtype).reshape([kept[i] for i in order])  # (L,) -> (kept, as they lie in memory)
    return sums.transpose(np.argsort(order))


def _run(a: Array, axes: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """The summed axes that form one innermost run of memory, and how many numbers the run has."""
    inner: list[int] = []
    run, step = 1, 0
    for i in sorted((i for i in range(a.ndim) if a.shape[i] > 1), key=lambda i: abs(a.strides[i])):
        if i not in axes or (inner and a.strides[i] != step * run):
            break
        inner, run, step = [*inner, i], run * a.shape[i], step or a.strides[i]
    return tuple(inner), run


def _rows(a: Array, axes: tuple[int, ...]) -> Array | None:
    """The array as (n, L) without a copy, n for the summed axes and L for the others; None if memory does not allow."""
    order = sorted(range(a.ndim), key=lambda i: (-abs(a.strides[i]), a.shape[i] == 1))
    lying, long = a.transpose(order), [i in axes for i in order if a.shape[i] > 1]
    if not lying.flags.c_contiguous or long != sorted(long, reverse=True):
        return None
    return lying.reshape(math.prod([a.shape[i] for i in axes]), -1)


def _sum_of_rows(a: Array) -> Array:
    """The sum of a (n, L) along n in float64: first sums of blocks of rows, (B, 1, R) @ (B, R, L), then their sum."""
    n, length = a.shape
    rows = max(16, min(_ROWS, (1 << 16) // length))
    blocks = n // rows
    ones = np.ones((1, rows), a.dtype)
    sums = np.matmul(ones, a[: blocks * rows].reshape(blocks, rows, length))  # (B R, L) -> (B, R, L)
    y = np.add.reduce(sums, (0, 1), np.float64)
    rest: Any = a[blocks * rows :]
    return y + np.add.reduce(rest, 0, np.float64) if rest.size else y


def add_rows(y: Array, rows: Array, values: Array) -> None:
    """y[rows[k]] += values[k] for every k; a row may occur several times.

    y (R, L) is contiguous, rows (K,), values (K, L). Many values for one row are added in float64.
    """
    if not values.size:
        return
    with np.errstate(all="ignore"):  # a sum beyond the type of y is Inf
        _add_rows(y, rows, values)


def _add_rows(y: Array, rows: Array, values: Array) -> None:
    if on_gpu(y):
        return _add_rows_on_gpu(y, rows, values)
    plain = y.dtype.kind != "f" or y.itemsize >= 8 or rows.size <= _STEPS
    if y.shape[1] == 1 and (plain or y.shape[0] <= 8 * rows.size):
        if plain:
            np.add.at(y[:, 0], rows, values[:, 0])
        else:
            y += np.bincount(rows, values[:, 0], y.shape[0])[:, None]
        return
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    first = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
    if plain or np.diff(first, append=rows.size).max() <= _STEPS:
        y[rows[first]] += np.add.reduceat(
            values[order], first, axis=0, dtype=y.dtype
        )  # the values of a row are neighbours
    else:
        y[rows[first]] = y[rows[first]] + np.add.reduceat(values[order], first, axis=0, dtype=np.float64)


def _add_rows_on_gpu(y: Array, rows: Array, values: Array) -> None:
    kind = np.dtype(np.float64 if y.dtype.kind == "f" else np.int64)
    sums = y.astype(kind, copy=False)
    np.add.at(sums, rows, values.astype(kind, copy=False))
    if sums is not y:
        y[...] = sums


LONG_PRODUCT = 4096  # sums of products with up to this many terms go to BLAS directly
_PIECE = 256


def long_product(a: Array, b: Array) -> bool:
    """Whether a b, (..., N, K) @ (..., K, M), should go to `matmul` below: BLAS adds long sums in one block if N and M
    are small, and in several blocks if they are not.
    """
    return a.shape[-1] > LONG_PRODUCT and a.shape[-2] * b.shape[-1] <= 256 and a.dtype.kind == "f" and a.itemsize < 8


def matmul(a: Array, b: Array) -> Array:
    """a b, in blocks of K: BLAS multiplies each block, and the products are added in float64."""
    k = a.shape[-1] - a.shape[-1] % _PIECE
    outputs = math.prod(np.broadcast_shapes(a.shape[:-2], b.shape[:-2])) * a.shape[-2] * b.shape[-1]
    step = max(1, (1 << 18) // max(1, outputs)) * _PIECE  # as many at once as fit a megabyte
    with np.errstate(all="ignore"):  # a result beyond the type of a is Inf
        y: Any = np.matmul(a[..., k:], b[..., k:, :]).astype(np.float64)
        for at in range(0, k, step):
            end = min(at + step, k)
            left = a[..., at:end].reshape(*a.shape[:-1], -1, _PIECE).swapaxes(-3, -2)  # (..., N, K) -> (..., K/P, N, P)
            right = b[..., at:end, :].reshape(*b.shape[:-2], -1, _PIECE, b.shape[-1])  # (..., K, M) -> (..., K/P, P, M)
            y += np.add.reduce(np.matmul(left, right), -3, np.float64)
        return y.astype(a.dtype)
