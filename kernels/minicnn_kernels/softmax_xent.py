"""Softmax and cross-entropy in one: the loss of logits against the index of the true class, row by row.

    p[n, k] = e^(x[n, k] - m[n]) / s[n]       m[n] = max_k x[n, k],  s[n] = sum_k e^(x[n, k] - m[n])
    loss[n] = -log p[n, t[n]]  =  m[n] + log s[n] - x[n, t[n]]

    x     (N, K)    logits
    t     (N,)      true classes, int64, 0..K-1
    loss  (N,)
    p     (N, K)    probabilities
    g     (N,)      upstream gradient of each loss
    gx    (N, K)    gx[n, k] = g[n] (p[n, k] - [k = t[n]])

Without subtracting the largest logit m, e^x overflows from x = 89 on in float32; with it, every exponent is at most 0
and s is at least 1. A row with a NaN or +Inf has a NaN as its loss; a logit of -Inf has probability 0.

`forward(x, t)` gives (loss, p) and `backward(g, p, t)` gives gx. Mean and sum over the rows are left to the caller.

J. S. Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .dispatch import Table
from .layout import Array
from .runtime import njit, parallel, prange, threads

# ------------------------------------------------------------------------------------------------------------ forward


def forward_python(x: Array, t: Array) -> tuple[Array, Array]:
    """The definition, row by row."""
    loss, p = np.empty(x.shape[0], x.dtype), np.empty(x.shape, x.dtype)
    for n in range(x.shape[0]):
        row = [float(v) for v in x[n]]
        largest = max(row)
        powers = [math.exp(v - largest) for v in row]
        total = sum(powers)
        loss[n] = largest - row[t[n]] + math.log(total)
        p[n] = [power / total for power in powers]
    return loss, p


def forward_numpy(x: Array, t: Array) -> tuple[Array, Array]:
    """All rows at once."""
    with np.errstate(invalid="ignore"):  # Inf - Inf: the NaN is the result
        shifted = x - x.max(1, keepdims=True, initial=-np.inf)
    p = np.exp(shifted)
    total = p.sum(1, keepdims=True)  # (N, 1)
    p /= total
    return np.log(total[:, 0]) - shifted[np.arange(x.shape[0]), t], p


@njit(error_model="numpy")
def _forward_share(share: Any, chunks: int, x: Array, t: Array, loss: Array, p: Array) -> None:
    rows, classes = x.shape
    for n in range(share * rows // chunks, (share + 1) * rows // chunks):
        largest = x[n, 0]
        for k in range(1, classes):
            largest = max(largest, x[n, k])
        total = np.float64(0)
        for k in range(classes):
            p[n, k] = math.exp(x[n, k] - largest)
            total += p[n, k]
        for k in range(classes):
            p[n, k] = p[n, k] / total
        loss[n] = largest - x[n, t[n]] + math.log(total)


@njit(parallel=True)
def _forward(chunks: int, x: Array, t: Array, loss: Array, p: Array) -> None:
    for share in prange(chunks):
        _forward_share(np.intp(share), chunks, x, t, loss, p)


def forward_numba(x: Array, t: Array) -> tuple[Array, Array]:
    """The loops of the python row, parallel over rows; sums in float64."""
    loss, p = np.empty(x.shape[0], x.dtype), np.empty(x.shape, x.dtype)
    with parallel():
        _forward(threads(), np.asarray(x, order="C"), np.asarray(t, order="C"), loss, p)
    return loss, p


# ----------------------------------------------------------------------------------------------------------- backward


def backward_python(g: Array, p: Array, t: Array) -> Array:
    """The definition, row by row."""
    gx = np.empty(p.shape, p.dtype)
    for n, k in np.ndindex(*p.shape):
        gx[n, k] = float(g[n]) * (float(p[n, k]) - (1.0 if k == t[n] else 0.0))
    return gx


def backward_numpy(g: Array, p: Array, t: Array) -> Array:
    """All rows at once: p, less 1 at the true class, times g."""
    gx = np.array(p, order="C")
    gx[np.arange(p.shape[0]), t] -= 1
    gx *= g[:, None]
    return gx


@njit()
def _backward_share(share: Any, chunks: int, g: Array, p: Array, t: Array, gx: Array) -> None:
    rows, classes = p.shape
    for n in range(share * rows // chunks, (share + 1) * rows // chunks):
        for k in range(classes):
            gx[n, k] = g[n] * p[n, k]
        gx[n, t[n]] = g[n] * (p[n, t[n]] - 1)


@njit(parallel=True)
def _backward(chunks: int, g: Array, p: Array, t: Array, gx: Array) -> None:
    for share in prange(chunks):
        _backward_share(np.intp(share), chunks, g, p, t, gx)


def backward_numba(g: Array, p: Array, t: Array) -> Array:
    """Parallel over rows."""
    gx = np.empty(p.shape, p.dtype)
    with parallel():
        _backward(threads(), np.asarray(g, order="C"), np.asarray(p, order="C"), np.asarray(t, order="C"), gx)
    return gx


SOFTMAX_XENT = Table(
    "softmax_xent",
    {
        ("rows", "python"): forward_python,
        ("rows", "numpy"): forward_numpy,
        ("rows", "numba"): forward_numba,
    },
)
SOFTMAX_XENT_BACKWARD = Table(
    "softmax_xent backward",
    {
        ("rows", "python"): backward_python,
        ("rows", "numpy"): backward_numpy,
        ("rows", "numba"): backward_numba,
    },
)
