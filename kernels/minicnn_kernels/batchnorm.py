"""Batch normalisation: each channel is shifted and scaled to mean 0 and variance 1, then by beta and gamma.

    mean[c]      = sum x[n, c, s] / M                              M = N*S values per channel, in training
    var[c]       = sum (x[n, c, s] - mean[c])^2 / M
    invstd[c]    = 1 / sqrt(var[c] + eps)
    y[n, c, s]   = gamma[c] (x[n, c, s] - mean[c]) invstd[c] + beta[c]

    x, y, gx, gy               (N, C, ...): S stands for all axes after the second; none, or H and W of pictures
    gamma, beta                (C,) or None for 1 and 0
    mean, var, invstd, ggamma, gbeta   (C,)

    gbeta[c]     = sum gy
    ggamma[c]    = sum gy (x - mean[c]) invstd[c]
    gx           = gamma[c] invstd[c] (gy - gbeta[c]/M - (x - mean[c]) invstd[c] ggamma[c]/M)    training
    gx           = gamma[c] invstd[c] gy                                                         evaluation

In evaluation mean and var are given, and constants. Of the gradients those are computed that `need` asks for, the
others are None:

    TRAINING(x, gamma, beta, eps) -> (y, mean, var, invstd)
    TRAINING_BACKWARD(gy, x, gamma, mean, invstd, need) -> (gx, ggamma, gbeta)
    EVALUATION(x, gamma, beta, mean, var, eps) -> y
    EVALUATION_BACKWARD(gy, x, gamma, mean, var, eps, need) -> (gx, ggamma, gbeta)

The variance takes two passes over x: E[x^2] - E[x]^2 in one pass loses all digits where the mean is large. The mean is
x0[c] + sum (x - x0[c]) / M with x0 the first value of the channel, so that a constant channel gives exactly beta. Sums
are float64. An empty batch has mean 0, variance 0 and zero gradients.

S. Ioffe and C. Szegedy, "Batch normalization", 2015, https://arxiv.org/abs/1502.03167.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .dispatch import Table
from .layout import Array, alike, dense, flat, is_channels_last
from .runtime import FAST, njit, parallel, prange, threads, workspace

Vector = Array | None  # gamma or beta, (C,)
Gradients = tuple[Array | None, Array | None, Array | None]
View = tuple[int, int, int]  # dense memory as (rows, C, S)

# ------------------------------------------------------------------------------------------------------------ forward


def training_python(x: Array, gamma: Vector, beta: Vector, eps: float) -> tuple[Array, Array, Array, Array]:
    """The definition, channel by channel."""
    mean, var = np.zeros((2, x.shape[1]))
    for c, values in enumerate(_channels_python(x)):
        if values:
            shifted = [v - values[0] for v in values]
            mean[c] = values[0] + sum(shifted) / len(values)
            var[c] = sum((v - mean[c]) ** 2 for v in values) / len(values)
    y = evaluation_python(x, gamma, beta, mean, var, eps)
    return y, mean.astype(x.dtype), var.astype(x.dtype), _invstd(var, eps).astype(x.dtype)


def _channels_python(x: Array) -> list[list[float]]:
    return [[float(v) for v in x[:, c].ravel()] for c in range(x.shape[1])]


def _invstd(var: Array, eps: float) -> Array:
    with np.errstate(divide="ignore"):  # var = eps = 0: Inf, as 1/sqrt(0) is
        return 1 / np.sqrt(np.asarray(var, np.float64) + eps)


def evaluation_python(x: Array, gamma: Vector, beta: Vector, mean: Array, var: Array, eps: float) -> Array:
    """The definition, value by value."""
    y = np.empty(x.shape, x.dtype)
    invstd = _invstd(var, eps)
    for place in np.ndindex(*x.shape):
        c = place[1]
        xhat = (float(x[place]) - float(mean[c])) * float(invstd[c])
        y[place] = xhat * (1.0 if gamma is None else float(gamma[c])) + (0.0 if beta is None else float(beta[c]))
    return y


def training_numpy(x: Array, gamma: Vector, beta: Vector, eps: float) -> tuple[Array, Array, Array, Array]:
    """All channels at once; the second pass takes off what rounding left in the mean."""
    axes, count = _other_axes(x), max(1, x.size // max(1, x.shape[1]))
    first = _column(_first(x), x)
    with np.errstate(invalid="ignore"):  # Inf - Inf: the NaN is the result
        mean = first + (x - first).sum(axes, np.float64, keepdims=True) / count
        d = x - mean.astype(x.dtype)
    var = (d * d).sum(axes, np.float64) / count - (d.sum(axes, np.float64) / count) ** 2
    mean, var = mean.reshape(-1), np.maximum(var, 0)  # (1, C, 1, ...) -> (C,)
    y = evaluation_numpy(x, gamma, beta, mean, var, eps)
    return y, mean.astype(x.dtype), var.astype(x.dtype), _invstd(var, eps).astype(x.dtype)


def _first(x: Array) -> Array:
    """The first value of each channel, 0 where there is none: (C,)."""
    return x[0].reshape(x.shape[1], -1)[:, 0] if x.size else np.zeros(x.shape[1])  # (C, ...) -> (C, S) -> (C,)


def _other_axes(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _column(v: Array | float, x: Array) -> Array:
    """(C,) as (C, 1, ...) of x's type, which broadcasts along the channels of x."""
    return np.asarray(v, x.dtype).reshape(-1, *(1,) * (x.ndim - 2))


def evaluation_numpy(x: Array, gamma: Vector, beta: Vector, mean: Array, var: Array, eps: float) -> Array:
    """A shift and a scale per channel."""
    y = x - _column(mean, x)
    y *= _column(_scale(gamma, _invstd(var, eps)), x)
    if beta is not None:
        y += _column(beta, x)
    return y


def _scale(gamma: Vector, invstd: Array) -> Array:
    return invstd if gamma is None else gamma * invstd


# Numba: dense memory of shape (rows, C, S). In NCHW memory S = H*W, the loop in a run of one channel; in channels-last
# memory and for x (N, C), S = 1 and the rows are pixels, the loop over the channels, each with a sum of its own.
# A share is a stretch of memory: some runs, or some rows. Partial sums are added up in the order of the shares.

# Fused multiply-add, but no reordering: (x - mean) is 0 for a constant channel and has to stay so.
_EXACT: dict[str, Any] = {"fastmath": {"contract"}}


def _view(x: Array) -> View:
    """(rows, C, S) of dense memory."""
    if is_channels_last(x):
        return x.shape[0] * x.shape[2] * x.shape[3], x.shape[1], 1
    return x.shape[0], x.shape[1], math.prod(x.shape[2:])


@njit(fastmath=FAST)
def sums_share(t: Any, chunks: int, x: Array, shift: Array, sums: Array, view: View) -> None:
    """sums[t] = sum d, then sum d^2, with d = x - shift[c]."""
    rows, channels, size = view
    first, second = sums[t, :channels], sums[t, channels : 2 * channels]
    first[:], second[:] = 0, 0
    if size == 1:
        for row in range(t * rows // chunks, (t + 1) * rows // chunks):
            values = x[row * channels : (row + 1) * channels]
            for c in range(channels):
                d = values[c] - shift[c]
                first[c] += d
                second[c] += d * d
        return
    for run in range(t * rows * channels // chunks, (t + 1) * rows * channels // chunks):
        values, c = x[run * size : (run + 1) * size], run % channels
        sum1 = sum2 = np.float64(0)
        for i in range(size):
            d = values[i] - shift[c]
            sum1 += d
            sum2 += d * d
        first[c] += sum1
        second[c] += sum2


@njit(parallel=True)
def _sums(chunks: int, x: Array, shift: Array, sums: Array, view: View) -> None:
    for t in prange(chunks):
        sums_share(np.intp(t), chunks, x, shift, sums, view)


@njit(**_EXACT)
def scale_share(t: Any, chunks: int, x: Array, mean: Array, scale: Array, beta: Array, y: Array, view: View) -> None:
    """y = (x - mean) scale + beta."""
    rows, channels, size = view
    if size == 1:
        for row in range(t * rows // chunks, (t + 1) * rows // chunks):
            values, to = x[row * channels : (row + 1) * channels], y[row * channels : (row + 1) * channels]
            for c in range(channels):
                to[c] = (values[c] - mean[c]) * scale[c] + beta[c]
        return
    for run in range(t * rows * channels // chunks, (t + 1) * rows * channels // chunks):
        values, to, c = x[run * size : (run + 1) * size], y[run * size : (run + 1) * size], run % channels
        for i in range(size):
            to[i] = (values[i] - mean[c]) * scale[c] + beta[c]


@njit(parallel=True)
def _apply_scale(chunks: int, x: Array, mean: Array, scale: Array, beta: Array, y: Array, view: View) -> None:
    for t in prange(chunks):
        scale_share(np.intp(t), chunks, x, mean, scale, beta, y, view)


def training_numba(x: Array, gamma: Vector, beta: Vector, eps: float) -> tuple[Array, Array, Array, Array]:
    """Three passes, each parallel over stretches of memory."""
    x = dense(x)
    view, memory = _view(x), flat(x)
    rows, channels, size = view
    count = max(1, rows * size)
    mean = (
        memory[: channels * size : size].astype(np.float64) if x.size else np.zeros(channels)
    )  # first of each channel
    with parallel():
        sums = workspace("batch_norm", 2 * channels, np.float64)
        _sums(threads(), memory, mean, sums, view)
        mean += sums[:, :channels].sum(0) / count
        _sums(threads(), memory, mean, sums, view)
        first, second = sums[:, :channels].sum(0), sums[:, channels : 2 * channels].sum(0)
    var = np.maximum(second - first * first / count, 0) / count
    y = evaluation_numba(x, gamma, beta, mean, var, eps)
    return y, mean.astype(x.dtype), var.astype(x.dtype), _invstd(var, eps).astype(x.dtype)


def evaluation_numba(x: Array, gamma: Vector, beta: Vector, mean: Array, var: Array, eps: float) -> Array:
    """One pass, parallel over stretches of memory; y in the memory order of x."""
    x = dense(x)
    y = np.empty_like(x)
    shift, scale = _vector(mean, x), _vector(_scale(gamma, _invstd(var, eps)), x)
    last = np.zeros(x.shape[1], x.dtype) if beta is None else _vector(beta, x)
    with parallel():
        _apply_scale(threads(), flat(x), shift, scale, last, flat(y), _view(x))
    return y


def _vector(v: Array, x: Array) -> Array:
    """v (C,), contiguous and of x's type, as compiled code takes it."""
    return np.ascontiguousarray(v, x.dtype)


# ----------------------------------------------------------------------------------------------------------- backward


def training_backward_python(
    gy: Array, x: Array, gamma: Vector, mean: Array, invstd: Array, need: Sequence[bool]
) -> Gradients:  # fmt: skip
    """The definition; every x has a part in its channel's mean and variance, whence the two sums in gx."""
    gx, ggamma, gbeta = np.zeros(x.shape), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for place in np.ndindex(*x.shape):
        c = place[1]
        gbeta[c] += float(gy[place])
        ggamma[c] += float(gy[place]) * (float(x[place]) - float(mean[c])) * float(invstd[c])
    count = x.size // max(1, x.shape[1])
    for place in np.ndindex(*x.shape):
        c = place[1]
        xhat = (float(x[place]) - float(mean[c])) * float(invstd[c])
        inner = float(gy[place]) - gbeta[c] / count - xhat * ggamma[c] / count
        gx[place] = (1.0 if gamma is None else float(gamma[c])) * float(invstd[c]) * inner
    return _wanted(need, gx, ggamma, gbeta, x.dtype)


def _wanted(need: Sequence[bool], gx: Array | None, ggamma: Array, gbeta: Array, dtype: Any) -> Gradients:
    """The gradients that are needed, in the type of x."""
    gradients = zip((gx, ggamma, gbeta), need, strict=True)
    return tuple(np.asarray(a, dtype) if wanted else None for a, wanted in gradients)  # type: ignore[return-value]


def evaluation_backward_python(
    gy: Array, x: Array, gamma: Vector, mean: Array, var: Array, eps: float, need: Sequence[bool]
) -> Gradients:  # fmt: skip
    """The definition."""
    gx, ggamma, gbeta = np.zeros(x.shape), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    invstd = _invstd(var, eps)
    for place in np.ndindex(*x.shape):
        c = place[1]
        gbeta[c] += float(gy[place])
        ggamma[c] += float(gy[place]) * (float(x[place]) - float(mean[c])) * invstd[c]
        gx[place] = float(gy[place]) * (1.0 if gamma is None else float(gamma[c])) * invstd[c]
    return _wanted(need, gx, ggamma, gbeta, x.dtype)


def training_backward_numpy(
    gy: Array, x: Array, gamma: Vector, mean: Array, invstd: Array, need: Sequence[bool]
) -> Gradients:  # fmt: skip
    """Whole arrays."""
    count = max(1, x.size // max(1, x.shape[1]))
    xhat = (x - _column(mean, x)) * _column(invstd, x)
    gbeta, ggamma = gy.sum(_other_axes(x), np.float64), (gy * xhat).sum(_other_axes(x), np.float64)
    gx = gy - _column(gbeta / count, x) - xhat * _column(ggamma / count, x)
    return _wanted(need, gx * _column(_scale(gamma, invstd), x), ggamma, gbeta, x.dtype)


def evaluation_backward_numpy(
    gy: Array, x: Array, gamma: Vector, mean: Array, var: Array, eps: float, need: Sequence[bool]
) -> Gradients:  # fmt: skip
    """Whole arrays."""
    invstd = _invstd(var, eps)
    ggamma = (gy * (x - _column(mean, x))).sum(_other_axes(x), np.float64) * invstd
    return _wanted(need, gy * _column(_scale(gamma, invstd), x), ggamma, gy.sum(_other_axes(x), np.float64), x.dtype)


@njit(fastmath=FAST)
def backward_sums_share(t: Any, chunks: int, gy: Array, x: Array, mean: Array, sums: Array, view: View) -> None:
    """sums[t] = sum gy, then sum gy (x - mean[c])."""
    rows, channels, size = view
    first, second = sums[t, :channels], sums[t, channels : 2 * channels]
    first[:], second[:] = 0, 0
    if size == 1:
        for row in range(t * rows // chunks, (t + 1) * rows // chunks):
            values, ups = x[row * channels : (row + 1) * channels], gy[row * channels : (row + 1) * channels]
            for c in range(channels):
                first[c] += ups[c]
                second[c] += ups[c] * (values[c] - mean[c])
        return
    for run in range(t * rows * channels // chunks, (t + 1) * rows * channels // chunks):
        values, ups, c = x[run * size : (run + 1) * size], gy[run * size : (run + 1) * size], run % channels
        sum1 = sum2 = np.float64(0)
        for i in range(size):
            sum1 += ups[i]
            sum2 += ups[i] * (values[i] - mean[c])
        first[c] += sum1
        second[c] += sum2


@njit(parallel=True)
def _backward_sums(chunks: int, gy: Array, x: Array, mean: Array, sums: Array, view: View) -> None:
    for t in prange(chunks):
        backward_sums_share(np.intp(t), chunks, gy, x, mean, sums, view)


@njit(**_EXACT)
def backward_x_share(
    t: Any, chunks: int, gy: Array, x: Array, mean: Array, abk: Array, gx: Array, view: View
) -> None:  # fmt: skip
    """gx = a gy + b (x - mean) + k, a number of each per channel."""
    rows, channels, size = view
    a, b, k = abk[0], abk[1], abk[2]  # `a, b, k = abk` would forget that they are contiguous
    if size == 1:
        for row in range(t * rows // chunks, (t + 1) * rows // chunks):
            i0, i1 = row * channels, (row + 1) * channels
            values, ups, to = x[i0:i1], gy[i0:i1], gx[i0:i1]
            for c in range(channels):
                to[c] = a[c] * ups[c] + b[c] * (values[c] - mean[c]) + k[c]
        return
    for run in range(t * rows * channels // chunks, (t + 1) * rows * channels // chunks):
        i0, i1, c = run * size, (run + 1) * size, run % channels
        values, ups, to = x[i0:i1], gy[i0:i1], gx[i0:i1]
        for i in range(size):
            to[i] = a[c] * ups[i] + b[c] * (values[i] - mean[c]) + k[c]


@njit(parallel=True)
def _backward_x(chunks: int, gy: Array, x: Array, mean: Array, abk: Array, gx: Array, view: View) -> None:
    for t in prange(chunks):
        backward_x_share(np.intp(t), chunks, gy, x, mean, abk, gx, view)


def training_backward_numba(
    gy: Array, x: Array, gamma: Vector, mean: Array, invstd: Array, need: Sequence[bool]
) -> Gradients:  # fmt: skip
    """One pass for the sums and one for gx, which is a gy + b (x - mean) + k with three numbers per channel."""
    x, gy = alike(x, gy)
    count = max(1, x.size // max(1, x.shape[1]))
    gbeta, products = _sums_numba(gy, x, mean)
    gx = None
    if need[0]:
        gx, a = np.empty_like(x), _scale(gamma, invstd).astype(np.float64)
        b, k = -a * invstd.astype(np.float64) ** 2 * products / count, -a * gbeta / count
        with parallel():
            _backward_x(
                threads(), flat(gy), flat(x), _vector(mean, x), np.stack((a, b, k)).astype(x.dtype), flat(gx), _view(x)
            )
    return _wanted(need, gx, products * invstd, gbeta, x.dtype)


def _sums_numba(gy: Array, x: Array, mean: Array) -> tuple[Array, Array]:
    """Per channel, in float64: sum gy and sum gy (x - mean)."""
    channels = x.shape[1]
    with parallel():
        sums = workspace("batch_norm", 2 * channels, np.float64)
        _backward_sums(threads(), flat(gy), flat(x), _vector(mean, x), sums, _view(x))
        return sums[:, :channels].sum(0), sums[:, channels : 2 * channels].sum(0)


def evaluation_backward_numba(
    gy: Array, x: Array, gamma: Vector, mean: Array, var: Array, eps: float, need: Sequence[bool]
) -> Gradients:  # fmt: skip
    """The pass for the sums where they are wanted; gx is the forward pass of gy with mean and beta 0."""
    x, gy = alike(x, gy)
    gx = evaluation_numba(gy, gamma, None, np.zeros(x.shape[1]), var, eps) if need[0] else None
    gbeta, products = _sums_numba(gy, x, mean) if need[1] or need[2] else (mean, mean)
    return _wanted(need, gx, products * _invstd(var, eps), gbeta, x.dtype)


# ------------------------------------------------------------------------------------------------------------- tables


def _table(op: str, algorithm: str, python: Any, numpy: Any, numba: Any) -> Table:
    return Table(op, {(algorithm, "python"): python, (algorithm, "numpy"): numpy, (algorithm, "numba"): numba})


TRAINING = _table("batch_norm", "two-pass", training_python, training_numpy, training_numba)
TRAINING_BACKWARD = _table(
    "batch_norm backward", "two-pass", training_backward_python, training_backward_numpy, training_backward_numba
)
EVALUATION = _table("batch_norm evaluation", "given", evaluation_python, evaluation_numpy, evaluation_numba)
EVALUATION_BACKWARD = _table(
    "batch_norm evaluation backward",
    "given",
    evaluation_backward_python,
    evaluation_backward_numpy,
    evaluation_backward_numba,
)
