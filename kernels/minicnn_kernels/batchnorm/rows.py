"""Batch normalisation 2 of 4, rows: compiled, with the variance in one pass over memory, where 1 takes two passes.

For channels-last memory and for x (N, C): each row of memory has all channels. A channel is not one run of memory here,
so a share is some rows. First all shares compute their statistics, these are merged, and then all shares normalise. The
first pass goes from the end to the beginning: the convolution before has just written the end, and the second pass
finds the beginning in the cache.

Mean and variance take one pass over memory. The sums of d = x - shift and of d^2 are made for one block at a time, in
the type of x, where shift is the mean of the blocks before. Then the block's mean and sum of squared deviations M2 are
merged in float64 (Chan):

    mean_b = shift + sum d / n_b                       M2_b = sum d^2 - (sum d)^2 / n_b
    mean'  = mean + (mean_b - mean) n_b/(n + n_b)      M2'  = M2 + M2_b + (mean_b - mean)^2 n n_b/(n + n_b)

The rounding error of the subtraction in M2_b is small beside the last term, so this is as exact as two passes, even if
the mean is much larger than the standard deviation. The first shift is the mean of a few values of the channel, where
one that is far from all others does little harm; where all are equal it is exact, and the variance is 0.

A row of few channels is too short for a vectorised loop. So several rows are taken together as a *wide* row of about
256 values, with the coefficients repeated. ReLU is `low if v <= low else v` with low = 0. With low = NaN the comparison
is always false, and the expression is the identity, so one loop serves for both.

T. Chan, G. Golub and R. LeVeque, "Algorithms for computing the sample variance", The American Statistician 37, 1983.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays import Array
from ..runtime import njit, prange

EXACT: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy"}  # multiply-add, but no reordering
View = tuple[int, int, int]  # dense memory as (rows, C, S)

WIDTH = 256  # values in a wide row, about
_ROWS = 64  # wide rows in a block
_FEW = 16  # rows whose mean is the first shift

# --------------------------------------------------------------------------------------------------------- statistics


@njit(**EXACT)
def merge(first: Array, second: Array, shift: Array, new: int, count: int, mean: Array, m2: Array) -> None:
    """Chan's formula for each channel; `first` and `second` have the sums of wide rows, or one sum for each channel."""
    channels = mean.size
    for c in range(channels):
        sum1 = sum2 = 0.0
        for i in range(c, first.size, channels):
            sum1 += first[i]
            sum2 += second[i]
        delta = shift[c] + sum1 / new - mean[c]
        m2[c] += sum2 - sum1 * (sum1 / new) + delta * delta * (count * (new / (count + new)))
        mean[c] += delta * (new / (count + new))


@njit(**EXACT)
def moments_share(t: Any, shares: int, x: Array, width: int, work: Array, view: View) -> None:
    """work[t] = mean and M2 of each channel over the rows of share t, from the last to the first."""
    rows, channels, _ = view
    begin, end = t * rows // shares * channels, (t + 1) * rows // shares * channels
    mean, m2 = work[t, :channels], work[t, channels : 2 * channels]
    shift, first, second = np.empty(width, x.dtype), np.empty(width, x.dtype), np.empty(width, x.dtype)
    mean[:], m2[:] = 0, 0
    for row in range(min(_FEW, (end - begin) // max(1, channels))):
        for c in range(channels):
            mean[c] += (x[end - (row + 1) * channels + c] - mean[c]) / (row + 1)
    count = 0
    while end > begin:
        start = max(begin, end - width * _ROWS)
        for at in range(0, width, channels):
            for c in range(channels):
                shift[at + c] = mean[c]
        first[:] = 0
        second[:] = 0
        for at in range(start, end, width):
            values = x[at : min(at + width, end)]
            for i in range(values.size):
                d = values[i] - shift[i]
                first[i] += d
                second[i] += d * d
        new = (end - start) // channels
        merge(first, second, shift, new, count, mean, m2)
        count += new
        end = start


@njit(parallel=True)
def moments(shares: int, x: Array, width: int, work: Array, view: View) -> None:
    """All shares."""
    for t in prange(shares):
        moments_share(np.intp(t), shares, x, width, work, view)


@njit(**EXACT)
def total(shares: int, rows: int, work: Array, eps: float, mean: Array, var: Array, invstd: Array) -> None:
    """Merge the statistics of the shares, in their order."""
    channels = mean.size
    for c in range(channels):
        count, average, m2 = 0, 0.0, 0.0
        for t in range(shares):
            new = (t + 1) * rows // shares - t * rows // shares
            if new:
                delta = work[t, c] - average
                m2 += work[t, channels + c] + delta * delta * (count * (new / (count + new)))
                average += delta * (new / (count + new))
                count += new
        spread = m2 / max(1, count)
        spread = 0.0 if spread < 0 else spread  # NaN stays
        mean[c], var[c], invstd[c] = average, spread, 1 / math.sqrt(spread + eps)


# -------------------------------------------------------------------------------------------------------------- scale


@njit(**EXACT)
def coefficients(mean: Array, invstd: Array, gamma: Array, beta: Array, to: Array) -> None:
    """mean, scale and beta of each channel, repeated along wide rows; the same bits in forward and backward."""
    channels = mean.size
    for at in range(0, to.shape[1], max(1, channels)):
        for c in range(channels):
            to[0, at + c], to[1, at + c], to[2, at + c] = mean[c], gamma[c] * invstd[c], beta[c]


@njit(**EXACT)
def scale_share(t: Any, shares: int, x: Array, wide: Array, low: Any, y: Array, view: View) -> None:
    """y = (x - mean) scale + beta."""
    rows, channels, _ = view
    mean, scale, beta = wide[0], wide[1], wide[2]  # unpacked by `= wide` they would not count as contiguous
    end = (t + 1) * rows // shares * channels
    for at in range(t * rows // shares * channels, end, wide.shape[1]):
        i1 = min(at + wide.shape[1], end)
        values, to = x[at:i1], y[at:i1]
        for i in range(values.size):
            v = (values[i] - mean[i]) * scale[i] + beta[i]
            to[i] = low if v <= low else v


@njit(parallel=True)
def scale(shares: int, x: Array, wide: Array, low: Any, y: Array, view: View) -> None:
    """All shares."""
    for t in prange(shares):
        scale_share(np.intp(t), shares, x, wide, low, y, view)


# ----------------------------------------------------------------------------------------------------------- backward


@njit(**EXACT)
def sums_share(t: Any, shares: int, gy: Array, x: Array, wide: Array, low: Any, work: Array, view: View) -> None:
    """work[t] = sum g and sum g (x - mean) over the rows of share t, from the last to the first; g is gy after ReLU."""
    rows, channels, _ = view
    begin, end = t * rows // shares * channels, (t + 1) * rows // shares * channels
    width = wide.shape[1]
    mean, scale, beta = wide[0], wide[1], wide[2]
    totals = work[t, : 2 * channels]
    totals[:] = 0
    first, second = np.empty(width, x.dtype), np.empty(width, x.dtype)
    while end > begin:
        start = max(begin, end - width * _ROWS)
        first[:] = 0
        second[:] = 0
        for at in range(start, end, width):
            i1 = min(at + width, end)
            values, ups = x[at:i1], gy[at:i1]
            for i in range(values.size):
                d = values[i] - mean[i]
                g = first.dtype.type(0) if d * scale[i] + beta[i] <= low else ups[i]
                first[i] += g
                second[i] += g * d
        for at in range(0, width, channels):
            for c in range(channels):
                totals[c] += first[at + c]
                totals[channels + c] += second[at + c]
        end = start


@njit(parallel=True)
def sums(shares: int, gy: Array, x: Array, wide: Array, low: Any, work: Array, view: View) -> None:
    """All shares."""
    for t in prange(shares):
        sums_share(np.intp(t), shares, gy, x, wide, low, work, view)


@njit(**EXACT)
def finish(shares: int, count: int, work: Array, invstd: Array, wide: Array, ggamma: Array, gbeta: Array) -> None:
    """The gradients of gamma and beta; writes b and k of gx = scale g + b (x - mean) + k to `wide`."""
    channels = invstd.size
    for c in range(channels):
        first = second = 0.0
        for t in range(shares):
            first += work[t, c]
            second += work[t, channels + c]
        gbeta[c], ggamma[c] = first, second * invstd[c]
        b, k = -wide[1, c] * second * invstd[c] * invstd[c] / count, -wide[1, c] * first / count
        for i in range(c, wide.shape[1], channels):
            wide[3, i], wide[4, i] = b, k


@njit(**EXACT)
def gradient_share(
    t: Any, shares: int, gy: Array, x: Array, wide: Array, low: Any, training: bool, gx: Array, view: View
) -> None:  # fmt: skip
    """gx = scale g + b (x - mean) + k, in evaluation gx = scale g; g is gy after ReLU."""
    rows, channels, _ = view
    mean, scale, beta, b, k = wide[0], wide[1], wide[2], wide[3], wide[4]
    end = (t + 1) * rows // shares * channels
    for at in range(t * rows // shares * channels, end, wide.shape[1]):
        i1 = min(at + wide.shape[1], end)
        ups, values, to = gy[at:i1], x[at:i1], gx[at:i1]
        if training:
            for i in range(values.size):
                d = values[i] - mean[i]
                g = x.dtype.type(0) if d * scale[i] + beta[i] <= low else ups[i]
                to[i] = scale[i] * g + (b[i] * d + k[i])
        else:
            for i in range(values.size):
                g = x.dtype.type(0) if (values[i] - mean[i]) * scale[i] + beta[i] <= low else ups[i]
                to[i] = scale[i] * g


@njit(parallel=True)
def gradient(
    shares: int, gy: Array, x: Array, wide: Array, low: Any, training: bool, gx: Array, view: View
) -> None:  # fmt: skip
    """All shares."""
    for t in prange(shares):
        gradient_share(np.intp(t), shares, gy, x, wide, low, training, gx, view)
