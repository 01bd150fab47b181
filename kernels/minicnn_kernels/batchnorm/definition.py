"""Batch normalisation 1 of 4, the definition: the formulas of `batchnorm/__init__.py` in plain Python and in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import Array, xp

Vector = Array | None  # gamma or beta, (C,)
Gradients = tuple[Array | None, Array | None, Array | None]

SMALL = 1e-12  # an invstd below this has a cube, a factor of gx, that is too small for float32

# ------------------------------------------------------------------------------------------------------------ forward


def training_python(x: Array, gamma: Vector, beta: Vector, eps: float, relu: bool = False) -> tuple[Array, ...]:
    """The definition, channel by channel."""
    mean, var = np.zeros((2, x.shape[1]))
    for c, values in enumerate(_channels_python(x)):
        if values:
            shifted = [v - values[0] for v in values]
            mean[c] = values[0] + sum(shifted) / len(values)
            var[c] = sum((v - mean[c]) ** 2 for v in values) / len(values)
    y = evaluation_python(x, gamma, beta, mean, var, eps, relu)
    return y, mean.astype(x.dtype), in_type(x, var), in_type(x, inverse_std(var, eps))


def in_type(x: Array, v: Array) -> Array:
    """A vector in the type of x; in float32 the variance of values of 1e20 overflows to Inf."""
    with np.errstate(over="ignore"):
        return v.astype(x.dtype)


def inverse_std(var: Array, eps: float) -> Array:
    """1 / sqrt(var + eps) in float64."""
    with np.errstate(divide="ignore"):  # var = eps = 0: Inf, as 1/sqrt(0) is
        return 1 / np.sqrt(var.astype(np.float64, copy=False) + eps)


def _channels_python(x: Array) -> list[list[float]]:
    return [[float(v) for v in x[:, c].ravel()] for c in range(x.shape[1])]


def evaluation_python(
    x: Array, gamma: Vector, beta: Vector, mean: Array, var: Array, eps: float, relu: bool = False
) -> Array:  # fmt: skip
    """The definition, value by value."""
    y = np.empty(x.shape, x.dtype)
    invstd = inverse_std(var, eps)
    for place in np.ndindex(*x.shape):
        v = _value(x, place, gamma, beta, mean, invstd)
        y[place] = 0.0 if relu and v <= 0 else v
    return y


def _value(x: Array, place: Any, gamma: Vector, beta: Vector, mean: Array, invstd: Array) -> float:
    """y before ReLU at one place."""
    c = place[1]
    xhat = (float(x[place]) - float(mean[c])) * float(invstd[c])
    return xhat * (1.0 if gamma is None else float(gamma[c])) + (0.0 if beta is None else float(beta[c]))


def training_numpy(x: Array, gamma: Vector, beta: Vector, eps: float, relu: bool = False) -> tuple[Array, ...]:
    """All channels at once; the second pass also corrects the rounding error of the mean."""
    axes, count = _other_axes(x), max(1, x.size // max(1, x.shape[1]))
    first = _column(_first(x), x)
    with np.errstate(invalid="ignore"):  # Inf - Inf: the NaN is the result
        mean = first + (x - first).sum(axes, np.float64, keepdims=True) / count
        d = x - mean.astype(x.dtype)
    var = np.multiply(d, d, dtype=np.float64).sum(axes) / count - (d.sum(axes, np.float64) / count) ** 2
    mean, var = mean.reshape(-1), np.maximum(var, 0)  # (1, C, 1, ...) -> (C,)
    y = evaluation_numpy(x, gamma, beta, mean, var, eps, relu)
    return y, mean.astype(x.dtype), in_type(x, var), in_type(x, inverse_std(var, eps))


def _first(x: Array) -> Array:
    """The first value of each channel, (C,); 0 in an empty batch."""
    return x[0].reshape(x.shape[1], -1)[:, 0] if x.size else xp(x).zeros(x.shape[1])  # (C, ...) -> (C, S) -> (C,)


def _other_axes(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _column(v: Array, x: Array) -> Array:
    """(C,) as (C, 1, ...) of x's type, which broadcasts along the channels of x."""
    return v.astype(x.dtype, copy=False).reshape(-1, *(1,) * (x.ndim - 2))


def evaluation_numpy(
    x: Array, gamma: Vector, beta: Vector, mean: Array, var: Array, eps: float, relu: bool = False
) -> Array:  # fmt: skip
    """A shift and a scale per channel."""
    y = x - _column(mean, x)
    y *= _column(_scale(gamma, inverse_std(var, eps)), x)
    if beta is not None:
        y += _column(beta, x)
    return np.maximum(y, 0, out=y) if relu else y


def _scale(gamma: Vector, invstd: Array) -> Array:
    return invstd if gamma is None else gamma * invstd


# ----------------------------------------------------------------------------------------------------------- backward


def training_backward_python(
    gy: Array, x: Array, gamma: Vector, beta: Vector, mean: Array, invstd: Array, needs_grad: Sequence[bool],
    relu: bool = False,
) -> Gradients:  # fmt: skip
    """The definition; each x contributes to its channel's mean and variance, which gives the two sums in gx."""
    gy = _through_relu_python(gy, x, gamma, beta, mean, invstd) if relu else gy
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
    return needed(needs_grad, gx, ggamma, gbeta, x.dtype)


def _through_relu_python(gy: Array, x: Array, gamma: Vector, beta: Vector, mean: Array, invstd: Array) -> Array:
    """gy, but 0 where ReLU gave 0."""
    g = np.empty(gy.shape, gy.dtype)
    for place in np.ndindex(*x.shape):
        g[place] = 0.0 if _value(x, place, gamma, beta, mean, invstd) <= 0 else gy[place]
    return g


def needed(needs_grad: Sequence[bool], gx: Array | None, ggamma: Array, gbeta: Array, dtype: Any) -> Gradients:
    """The gradients that `needs_grad` asks for, in the type of x; the others are None."""
    gradients = zip((gx, ggamma, gbeta), needs_grad, strict=True)
    return tuple(a.astype(dtype, copy=False) if a is not None and wanted else None for a, wanted in gradients)  # type: ignore[return-value]


def evaluation_backward_python(
    gy: Array, x: Array, gamma: Vector, beta: Vector, mean: Array, var: Array, eps: float, needs_grad: Sequence[bool],
    relu: bool = False,
) -> Gradients:  # fmt: skip
    """The definition."""
    gx, ggamma, gbeta = np.zeros(x.shape), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    invstd = inverse_std(var, eps)
    gy = _through_relu_python(gy, x, gamma, beta, mean, invstd) if relu else gy
    for place in np.ndindex(*x.shape):
        c = place[1]
        gbeta[c] += float(gy[place])
        ggamma[c] += float(gy[place]) * (float(x[place]) - float(mean[c])) * invstd[c]
        gx[place] = float(gy[place]) * (1.0 if gamma is None else float(gamma[c])) * invstd[c]
    return needed(needs_grad, gx, ggamma, gbeta, x.dtype)


def training_backward_numpy(
    gy: Array, x: Array, gamma: Vector, beta: Vector, mean: Array, invstd: Array, needs_grad: Sequence[bool],
    relu: bool = False,
) -> Gradients:  # fmt: skip
    """Whole arrays."""
    gy = _through_relu_numpy(gy, x, gamma, beta, mean, invstd) if relu else gy
    count = max(1, x.size // max(1, x.shape[1]))
    xhat = (x - _column(mean, x)) * _column(invstd, x)
    gbeta, ggamma = gy.sum(_other_axes(x), np.float64), (gy * xhat).sum(_other_axes(x), np.float64)
    gx = gy - _column(gbeta / count, x) - xhat * _column(ggamma / count, x)
    return needed(needs_grad, gx * _column(_scale(gamma, invstd), x), ggamma, gbeta, x.dtype)


def _through_relu_numpy(gy: Array, x: Array, gamma: Vector, beta: Vector, mean: Array, invstd: Array) -> Array:
    """gy, but 0 where ReLU gave 0."""
    y = (x - _column(mean, x)) * _column(_scale(gamma, invstd), x)
    if beta is not None:
        y += _column(beta, x)
    return np.where(y <= 0, gy.dtype.type(0), gy)


def evaluation_backward_numpy(
    gy: Array, x: Array, gamma: Vector, beta: Vector, mean: Array, var: Array, eps: float, needs_grad: Sequence[bool],
    relu: bool = False,
) -> Gradients:  # fmt: skip
    """Whole arrays."""
    invstd = inverse_std(var, eps)
    gy = _through_relu_numpy(gy, x, gamma, beta, mean, invstd) if relu else gy
    ggamma = (gy * (x - _column(mean, x))).sum(_other_axes(x), np.float64) * invstd
    return needed(
        needs_grad, gy * _column(_scale(gamma, invstd), x), ggamma, gy.sum(_other_axes(x), np.float64), x.dtype
    )
