"""Compiled loops over (rows, C, S) memory with a shift and a scale per channel: the parts of the normalisations.

In NCHW memory S = H*W, and the inner loop goes along the run of one channel. In channels-last memory S = 1: a row is a
pixel, and the inner loop goes over the channels, each with a sum of its own. A share is a stretch of memory: some runs,
or some rows. Partial sums are added up in the order of the shares.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Array
from .runtime import FAST, njit

View = tuple[int, int, int]  # dense memory as (rows, C, S)

# Fused multiply-add, but no reordering: for a constant channel (x - mean) is 0, and must stay 0.
_EXACT: dict[str, Any] = {"fastmath": {"contract"}}


@njit(fastmath=FAST)
def sums_share(t: Any, shares: int, x: Array, shift: Array, sums: Array, view: View) -> None:
    """sums[t] = sum d, then sum d^2, with d = x - shift[c]."""
    rows, channels, size = view
    first, second = sums[t, :channels], sums[t, channels : 2 * channels]
    first[:], second[:] = 0, 0
    if size == 1:
        for row in range(t * rows // shares, (t + 1) * rows // shares):
            values = x[row * channels : (row + 1) * channels]
            for c in range(channels):
                d = values[c] - shift[c]
                first[c] += d
                second[c] += d * d
        return
    for run in range(t * rows * channels // shares, (t + 1) * rows * channels // shares):
        values, c = x[run * size : (run + 1) * size], run % channels
        sum1 = sum2 = np.float64(0)
        for i in range(size):
            d = values[i] - shift[c]
            sum1 += d
            sum2 += d * d
        first[c] += sum1
        second[c] += sum2


@njit(**_EXACT)
def scale_share(t: Any, shares: int, x: Array, mean: Array, scale: Array, beta: Array, y: Array, view: View) -> None:
    """y = (x - mean) scale + beta."""
    rows, channels, size = view
    if size == 1:
        for row in range(t * rows // shares, (t + 1) * rows // shares):
            values, to = x[row * channels : (row + 1) * channels], y[row * channels : (row + 1) * channels]
            for c in range(channels):
                to[c] = (values[c] - mean[c]) * scale[c] + beta[c]
        return
    for run in range(t * rows * channels // shares, (t + 1) * rows * channels // shares):
        values, to, c = x[run * size : (run + 1) * size], y[run * size : (run + 1) * size], run % channels
        for i in range(size):
            to[i] = (values[i] - mean[c]) * scale[c] + beta[c]


@njit(fastmath=FAST)
def backward_sums_share(t: Any, shares: int, gy: Array, x: Array, mean: Array, sums: Array, view: View) -> None:
    """sums[t] = sum gy, then sum gy (x - mean[c])."""
    rows, channels, size = view
    first, second = sums[t, :channels], sums[t, channels : 2 * channels]
    first[:], second[:] = 0, 0
    if size == 1:
        for row in range(t * rows // shares, (t + 1) * rows // shares):
            values, ups = x[row * channels : (row + 1) * channels], gy[row * channels : (row + 1) * channels]
            for c in range(channels):
                first[c] += ups[c]
                second[c] += ups[c] * (values[c] - mean[c])
        return
    for run in range(t * rows * channels // shares, (t + 1) * rows * channels // shares):
        values, ups, c = x[run * size : (run + 1) * size], gy[run * size : (run + 1) * size], run % channels
        sum1 = sum2 = np.float64(0)
        for i in range(size):
            sum1 += ups[i]
            sum2 += ups[i] * (values[i] - mean[c])
        first[c] += sum1
        second[c] += sum2


@njit(**_EXACT)
def backward_x_share(
    t: Any, shares: int, gy: Array, x: Array, mean: Array, abk: Array, gx: Array, view: View
) -> None:  # fmt: skip
    """gx = a gy + b (x - mean) + k, where each channel has its own a, b and k."""
    rows, channels, size = view
    a, b, k = abk[0], abk[1], abk[2]  # with `a, b, k = abk` Numba would not know that the rows are contiguous
    if size == 1:
        for row in range(t * rows // shares, (t + 1) * rows // shares):
            i0, i1 = row * channels, (row + 1) * channels
            values, ups, to = x[i0:i1], gy[i0:i1], gx[i0:i1]
            for c in range(channels):
                to[c] = a[c] * ups[c] + b[c] * (values[c] - mean[c]) + k[c]
        return
    for run in range(t * rows * channels // shares, (t + 1) * rows * channels // shares):
        i0, i1, c = run * size, (run + 1) * size, run % channels
        values, ups, to = x[i0:i1], gy[i0:i1], gx[i0:i1]
        for i in range(size):
            to[i] = a[c] * ups[i] + b[c] * (values[i] - mean[c]) + k[c]
