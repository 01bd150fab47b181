"""Resampling along one axis: every output is a weighted sum of a few inputs, a product with a sparse matrix.

    y[a, o, b] = sum_k weight[k] * x[a, column[k], b],   k = start[o] .. start[o+1] - 1

    x   (..., IN, ...)     a stands for the axes before, b for those after it
    y   (..., OUT, ...)

Interpolation of images is such a map along the height, then along the width. Padding by reflected, repeated or wrapped
pixels is such a map too, with one weight of 1 for each output. The rows (start, column, weight) are a `Taps`
(`sparse_rows.py`). The gradient is the map of the transposed matrix, so it uses the same kernel:
`RESAMPLE(gy, axis, taps.transposed())`.

R. G. Keys, "Cubic convolution interpolation for digital image processing", 1981, gives the separable form.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arrays import Array, U, constant, contiguous, xp
from .cuda import able, launch, scalar
from .dispatch import Table
from .layout import dense, empty, empty_beside, flat, is_channels_last
from .runtime import FAST, njit, parallel, prange, threads
from .sparse_rows import Taps

MANY = 64  # taps up to which a sum is in the type of x; an image scaled down to one pixel has a tap for every pixel


def resample_python(x: Array, axis: int, taps: Taps) -> Array:
    """The definition."""
    shape = (*x.shape[:axis], taps.out, *x.shape[axis + 1 :])
    y = np.empty(shape, x.dtype)
    for at in np.ndindex(*shape):
        before, o, after = at[:axis], at[axis], at[axis + 1 :]
        row = range(taps.start[o], taps.start[o + 1])
        y[at] = sum(float(taps.weight[k]) * float(x[(*before, taps.column[k], *after)]) for k in row)
    return y


def resample_numpy(x: Array, axis: int, taps: Taps) -> Array:
    """One tap at a time: tap k of all outputs that have more than k taps."""
    x = np.moveaxis(x, axis, 0)  # (..., IN, ...) -> (IN, ...)
    counts = np.diff(taps.start)
    y = xp(x).zeros((taps.out, *x.shape[1:]), np.float64 if counts.max(initial=0) > MANY else x.dtype)
    rows, column, weight = constant(_by_tap, x, taps, x.dtype)
    end = 0
    for tap in range(counts.max(initial=0)):
        start, end = end, end + int(np.count_nonzero(counts > tap))
        part = weight[start:end].reshape(-1, *(1,) * (x.ndim - 1)) * x[column[start:end]]
        if end - start == taps.out:
            y += part
        else:
            y[rows[start:end]] += part
    return contiguous(np.moveaxis(y, 0, axis), x.dtype)


def _by_tap(taps: Taps, dtype: Any) -> tuple[Array, Array, Array]:
    """Output, input and weight of the first tap of all outputs, then of the second tap of those that have two ..."""
    rows = np.repeat(np.arange(taps.out), np.diff(taps.start))
    order = np.argsort(np.arange(rows.size) - taps.start[rows], kind="stable")  # by the number of the tap
    return rows[order], taps.column[order], taps.weight[order].astype(dtype)


# Numba: a task is one (a, o). If there are axes after the resampled one, whole runs of b are added; else it is one sum.


@njit(fastmath=FAST)
def _share(
    t: Any, shares: int, x: Array, start: Array, column: Array, weight: Array, y: Array, size: int, inner: int
) -> None:
    out, totals = start.size - 1, np.empty(MANY)
    tasks = y.size // inner
    low, high = t * tasks // shares, (t + 1) * tasks // shares
    for a in range(low // out, (high + out - 1) // out):
        for o in range(max(low - a * out, 0), min(high - a * out, out)):
            to, run = U((a * out + o) * inner), U(inner)
            if inner == 1:
                total = np.float64(0)
                for k in range(start[o], start[o + 1]):
                    total += weight[k] * x[U(a * size + column[k])]
                y[to] = total
                continue
            if start[o + 1] - start[o] > MANY:
                for b0 in range(U(0), run, U(MANY)):
                    wide = min(U(MANY), run - b0)
                    totals[:] = 0
                    for k in range(start[o], start[o + 1]):
                        at, w = U((a * size + column[k]) * inner) + b0, weight[k]
                        for b in range(wide):
                            totals[b] += w * x[at + b]
                    for b in range(wide):
                        y[to + b0 + b] = totals[b]
                continue
            for b in range(run):
                y[to + b] = 0
            for k in range(start[o], start[o + 1]):
                at, w = U((a * size + column[k]) * inner), weight[k]
                for b in range(run):
                    y[to + b] += w * x[at + b]


@njit(parallel=True)
def _resample(
    shares: int, x: Array, start: Array, column: Array, weight: Array, y: Array, size: int, inner: int
) -> None:
    for t in prange(shares):
        _share(np.intp(t), shares, x, start, column, weight, y, size, inner)


def resample_numba(x: Array, axis: int, taps: Taps) -> Array:
    """Parallel over the outputs; y in the memory order of x."""
    x = dense(x)
    channels_last = is_channels_last(x)
    shape = (*x.shape[:axis], taps.out, *x.shape[axis + 1 :])
    y = empty(shape, x.dtype, channels_last) if channels_last else np.empty(shape, x.dtype)
    if y.size:
        inner = _inner(x, axis, channels_last)
        rows = taps.start, taps.column, taps.weight.astype(x.dtype)
        with parallel():
            _resample(threads(), flat(x), *rows, flat(y), taps.size, inner)
    return y


def _inner(x: Array, axis: int, channels_last: bool) -> int:
    """How many elements of memory an element of the axis has: the product of the axes behind it in memory."""
    order = (0, 2, 3, 1) if channels_last else tuple(range(x.ndim))
    return math.prod(x.shape[i] for i in order[order.index(axis) + 1 :])


def resample_cuda(x: Array, axis: int, taps: Taps) -> Array:
    """A thread for each output: `resample.cu`; y in the memory order of x."""
    if not able(x):
        return resample_numpy(x, axis, taps)
    x, axis = dense(x), axis % x.ndim
    channels_last = is_channels_last(x)
    y = empty_beside(x, (*x.shape[:axis], taps.out, *x.shape[axis + 1 :]), channels_last)
    start, column, weight = constant(_by_output, x, taps, x.dtype)
    sizes = y.size, taps.size, taps.out, _inner(x, axis, channels_last)
    launch("resample.cu", f"resample<{scalar(x)}>", y.size, x, start, column, weight, y, *sizes)
    return y


def _by_output(taps: Taps, dtype: Any) -> tuple[Array, Array, Array]:
    """Start, input and weight of the taps as a kernel reads them."""
    return taps.start.astype(np.int64), taps.column.astype(np.int64), taps.weight.astype(dtype)


RESAMPLE = Table(
    "resample",
    {
        ("taps", "python"): resample_python,
        ("taps", "numpy"): resample_numpy,
        ("taps", "numba"): resample_numba,
        ("taps", "cuda"): resample_cuda,
    },
)
