"""Batch normalisation 3 of 4, planes: as 2, but a thread has whole channels and does not wait for the sums of others.

For NCHW memory, where the H*W values of a channel of an image lie in one run. A share is some whole channels. It goes
over a few channels for the statistics and then once more to normalise them, while they are still in the cache. The
statistics are computed as in `rows.py`, with Chan's formula.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays import Array
from ..runtime import FAST, njit, prange
from .rows import EXACT, View, finish, merge

_FEW = 256  # values of a channel whose mean is the first shift
_FAST: dict[str, Any] = {"fastmath": FAST, "error_model": "numpy"}


@njit(**_FAST)
def _mean_of_few(x: Array) -> Any:
    # the first shift, from values at the beginning of a run
    values = x[: min(x.size, _FEW)]
    first, total = np.float64(x[0]), 0.0
    for i in range(values.size):
        total += values[i] - first
    return first + total / values.size


@njit(**_FAST)
def _sums_of_run(x: Array, shift: Any) -> Any:
    # sum d and sum d^2 of a run, in blocks that are short enough for sums in the type of x not to lose digits
    first = second = 0.0
    for at in range(0, x.size, 4096):
        values = x[at : at + 4096]
        sum1 = sum2 = x.dtype.type(0)
        for i in range(values.size):
            d = values[i] - shift
            sum1 += d
            sum2 += d * d
        first += sum1
        second += sum2
    return first, second


@njit(**EXACT)
def _scale_run(x: Array, mean: Any, scale: Any, beta: Any, low: Any, y: Array) -> None:
    # y of a run of one channel
    for i in range(x.size):
        v = (x[i] - mean) * scale + beta
        y[i] = low if v <= low else v


@njit(**EXACT)
def training_share(
    t: Any, shares: int, x: Array, gamma: Array, beta: Array, eps: float, low: Any, y: Array, mean: Array, var: Array,
    invstd: Array, view: View,
) -> None:  # fmt: skip
    """Statistics and y of the channels of share t; several at a time, so that runs of memory have 8 KB or more."""
    rows, channels, size = view
    end, images = (t + 1) * channels // shares, max(1, 1024 // size)
    step = max(1, 2048 // size)
    work = np.empty((4, step))
    shift = np.empty(step, x.dtype)
    for c0 in range(t * channels // shares, end, step):
        many = min(step, end - c0)
        average, m2, first, second = work[0, :many], work[1, :many], work[2, :many], work[3, :many]
        for c in range(many):
            average[c], m2[c] = _mean_of_few(x[(c0 + c) * size : (c0 + c + 1) * size]), 0
        for n0 in range(0, rows, images):
            n1 = min(n0 + images, rows)
            for c in range(many):
                first[c], second[c], shift[c] = 0, 0, average[c]
            for n in range(n0, n1):
                for c in range(many):
                    run = n * channels + c0 + c
                    sum1, sum2 = _sums_of_run(x[run * size : (run + 1) * size], shift[c])
                    first[c] += sum1
                    second[c] += sum2
            merge(first, second, shift, (n1 - n0) * size, n0 * size, average, m2)
        for c in range(many):
            spread = m2[c] / (rows * size)
            spread = 0.0 if spread < 0 else spread  # NaN stays
            mean[c0 + c], var[c0 + c], invstd[c0 + c] = average[c], spread, 1 / math.sqrt(spread + eps)
        for n in range(rows):
            for c in range(c0, c0 + many):
                i0, i1 = (n * channels + c) * size, (n * channels + c + 1) * size
                _scale_run(x[i0:i1], mean[c], gamma[c] * invstd[c], beta[c], low, y[i0:i1])


@njit(parallel=True)
def training(
    shares: int, x: Array, gamma: Array, beta: Array, eps: float, low: Any, y: Array, mean: Array, var: Array,
    invstd: Array, view: View,
) -> None:  # fmt: skip
    """All shares."""
    for t in prange(shares):
        training_share(np.intp(t), shares, x, gamma, beta, eps, low, y, mean, var, invstd, view)


@njit(**EXACT)
def evaluation_share(t: Any, shares: int, x: Array, wide: Array, low: Any, y: Array, view: View) -> None:
    """y = (x - mean) scale + beta, run by run."""
    rows, channels, size = view
    for run in range(t * rows * channels // shares, (t + 1) * rows * channels // shares):
        c, i0, i1 = run % channels, run * size, (run + 1) * size
        _scale_run(x[i0:i1], wide[0, c], wide[1, c], wide[2, c], low, y[i0:i1])


@njit(parallel=True)
def evaluation(shares: int, x: Array, wide: Array, low: Any, y: Array, view: View) -> None:
    """All shares."""
    for t in prange(shares):
        evaluation_share(np.intp(t), shares, x, wide, low, y, view)


@njit(**_FAST)
def _products_of_run(gy: Array, x: Array, mean: Any, scale: Any, beta: Any, low: Any) -> Any:
    # sum g and sum g (x - mean) of a run
    first = second = 0.0
    for at in range(0, x.size, 4096):
        values, ups = x[at : at + 4096], gy[at : at + 4096]
        sum1 = sum2 = x.dtype.type(0)
        for i in range(values.size):
            d = values[i] - mean
            g = x.dtype.type(0) if d * scale + beta <= low else ups[i]
            sum1 += g
            sum2 += g * d
        first += sum1
        second += sum2
    return first, second


@njit(**EXACT)
def _gradient_run(
    gy: Array, x: Array, mean: Any, scale: Any, beta: Any, b: Any, k: Any, low: Any, training: bool, gx: Array
) -> None:  # fmt: skip
    # gx of a run of one channel; in evaluation b = k = 0, and the term is left out, since 0 (x - mean) could be NaN
    if training:
        for i in range(x.size):
            d = x[i] - mean
            g = x.dtype.type(0) if d * scale + beta <= low else gy[i]
            gx[i] = scale * g + (b * d + k)
    else:
        for i in range(x.size):
            g = x.dtype.type(0) if (x[i] - mean) * scale + beta <= low else gy[i]
            gx[i] = scale * g


@njit(**EXACT)
def backward_share(
    t: Any, shares: int, gy: Array, x: Array, invstd: Array, wide: Array, low: Any, training: bool, sums: bool,
    gx: Array, ggamma: Array, gbeta: Array, view: View,
) -> None:  # fmt: skip
    """The gradients of the channels of share t, a few at a time; without `sums` only gx; no gx if it is empty."""
    rows, channels, size = view
    step, end = max(1, 2048 // size), (t + 1) * channels // shares
    work = np.empty((1, 2 * step))
    for c0 in range(t * channels // shares, end, step):
        many = min(step, end - c0)
        if sums:
            work[:] = 0
            for n in range(rows):
                for c in range(many):
                    m, s, o = wide[0, c0 + c], wide[1, c0 + c], wide[2, c0 + c]
                    i0, i1 = (n * channels + c0 + c) * size, (n * channels + c0 + c + 1) * size
                    sum1, sum2 = _products_of_run(gy[i0:i1], x[i0:i1], m, s, o, low)
                    work[0, c] += sum1
                    work[0, many + c] += sum2
            here = slice(c0, c0 + many)
            finish(1, rows * size, work, invstd[here], wide[:, here], ggamma[here], gbeta[here])
        if gx.size:
            for n in range(rows):
                for c in range(c0, c0 + many):
                    m, s, o, b, k = wide[0, c], wide[1, c], wide[2, c], wide[3, c], wide[4, c]
                    i0, i1 = (n * channels + c) * size, (n * channels + c + 1) * size
                    _gradient_run(gy[i0:i1], x[i0:i1], m, s, o, b, k, low, training, gx[i0:i1])


@njit(parallel=True)
def backward(
    shares: int, gy: Array, x: Array, invstd: Array, wide: Array, low: Any, training: bool, sums: bool,
    gx: Array, ggamma: Array, gbeta: Array, view: View,
) -> None:  # fmt: skip
    """All shares."""
    for t in prange(shares):
        backward_share(
            np.intp(t), shares, gy, x, invstd, wide, low, training, sums, gx, ggamma, gbeta, view
        )  # fmt: skip
