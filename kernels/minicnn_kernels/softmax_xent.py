"""Softmax and cross-entropy in one kernel: the loss of logits against the index of the true class, row by row.

    p[n, k] = e^(x[n, k] - m[n]) / s[n]       m[n] = max_k x[n, k],  s[n] = sum_k e^(x[n, k] - m[n])
    loss[n] = -w[t[n]] log p[n, t[n]]         -log p[n, k]  =  m[n] + log s[n] - x[n, k]

    x     (N, K)    logits
    t     (N,)      true classes, int64, 0..K-1, or `ignore`: such a row has loss and gradient 0
    w     (K,)      weight of each class; None: 1
    loss  (N,)
    p     (N, K)    probabilities
    g     (N,)      upstream gradient of each loss
    gx    (N, K)    gx[n, k] = g[n] w[t[n]] (p[n, k] - [k = t[n]])

With label smoothing e the true class counts 1 - e, and e is divided equally among all K classes:

    loss[n] = -sum_k q[n, k] log p[n, k]      q[n, k] = w[k] ((1 - e) [k = t[n]] + e/K)
    gx[n, k] = g[n] (Q[n] p[n, k] - q[n, k])  Q[n] = sum_k q[n, k]

If the largest logit m were not subtracted, e^x would overflow from x = 89 on in float32. With it, every exponent is at
most 0 and s is at least 1. A row with a NaN or +Inf has a NaN as its loss; a logit of -Inf has probability 0.

The classes of the rows that count must be in 0..K-1, which the caller checks. On a GPU the caller does not check it,
since the program would have to wait for the answer: there, a row with another class has NaN as its loss and gradient.

`forward(x, t, w, ignore, e)` gives (loss, p) and `backward(g, p, t, w, ignore, e)` gives gx; the arguments from w on
are optional. The caller takes the mean or the sum over the rows.

J. S. Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990. Smoothing: C. Szegedy
et al., "Rethinking the Inception architecture", 2015, https://arxiv.org/abs/1512.00567.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arrays import Array, contiguous, on_gpu, xp
from .cuda import BLOCK, FULL, SHORT, cut, launch, launch_blocks, scalar
from .dispatch import Table
from .layout import empty_beside
from .runtime import njit, parallel, prange, threads
from .softmax import largest

IGNORE = -100  # PyTorch's
_FILE = "softmax_xent.cu"

# ------------------------------------------------------------------------------------------------------------ forward


def _weights_python(k: int, t: int, w: Array | None, e: float) -> list[float]:
    """The weights q of one row."""
    return [(1.0 if w is None else float(w[i])) * ((1 - e if i == t else 0.0) + e / k) for i in range(k)]


def forward_python(
    x: Array, t: Array, w: Array | None = None, ignore: int = IGNORE, e: float = 0.0
) -> tuple[Array, Array]:
    """The definition, row by row."""
    loss, p = np.zeros(x.shape[0], x.dtype), np.empty(x.shape, x.dtype)
    for n in range(x.shape[0]):
        row = [float(v) for v in x[n]]
        largest = max(row)
        powers = [math.exp(v - largest) for v in row]
        total = sum(powers)
        p[n] = [power / total for power in powers]
        if t[n] != ignore:
            q = _weights_python(len(row), int(t[n]), w, e)
            loss[n] = sum(q[k] * (largest - row[k] + math.log(total)) for k in range(len(row)) if k == t[n] or e)
    return loss, p


def forward_numpy(
    x: Array, t: Array, w: Array | None = None, ignore: int = IGNORE, e: float = 0.0
) -> tuple[Array, Array]:
    """All rows at once."""
    with np.errstate(invalid="ignore"):  # Inf - Inf: the NaN is the result
        shifted = x - largest(x, 1)
    p = np.exp(shifted)
    total = p.sum(1, keepdims=True)  # (N, 1)
    p /= total
    log = np.log(total)  # (N, 1)
    kept, true, there = _true(t, ignore, x.shape[1])
    with np.errstate(invalid="ignore"):
        loss = log[:, 0] - shifted[xp(x).arange(x.shape[0]), true]
        loss = loss if w is None else loss * w[true]
        if e:
            spread = (log - shifted) if w is None else (log - shifted) * w
            loss = (1 - e) * loss + e / x.shape[1] * spread.sum(1)
    if there is not None:
        loss = np.where(there, loss, np.nan)
    return np.where(kept, loss, x.dtype.type(0)), p


def _true(t: Array, ignore: int, classes: int) -> tuple[Array, Array, Array | None]:
    """Which rows count, the true classes of these rows (0 for others), and on a GPU whether there are such classes."""
    kept = t != ignore
    true = np.where(kept, t, 0)
    if not on_gpu(t):
        return kept, true, None
    there = (true >= 0) & (true < classes)
    return kept, np.where(there, true, 0), there


@njit(error_model="numpy")
def _forward_share(
    share: Any, shares: int, x: Array, t: Array, w: Array, ignore: int, e: float, loss: Array, p: Array
) -> None:
    rows, classes = x.shape
    for n in range(share * rows // shares, (share + 1) * rows // shares):
        largest = x[n, 0]
        for k in range(1, classes):
            largest = max(largest, x[n, k])
        total = np.float64(0)
        for k in range(classes):
            p[n, k] = math.exp(x[n, k] - largest)
            total += p[n, k]
        for k in range(classes):
            p[n, k] = p[n, k] / total
        log = math.log(total)
        if t[n] == ignore:
            loss[n] = 0
        else:
            found = (1 - e) * w[t[n]] * (largest - x[n, t[n]] + log)
            if e != 0:
                for k in range(classes):
                    found += e / classes * w[k] * (largest - x[n, k] + log)
            loss[n] = found


@njit(parallel=True)
def _forward(shares: int, x: Array, t: Array, w: Array, ignore: int, e: float, loss: Array, p: Array) -> None:
    for share in prange(shares):
        _forward_share(np.intp(share), shares, x, t, w, ignore, e, loss, p)


def _plain(x: Array, t: Array, w: Array | None) -> tuple[Array, Array, Array]:
    w = np.ones(x.shape[1], x.dtype) if w is None else w
    return np.asarray(x, order="C"), np.asarray(t, order="C"), np.asarray(w, order="C")


def forward_numba(
    x: Array, t: Array, w: Array | None = None, ignore: int = IGNORE, e: float = 0.0
) -> tuple[Array, Array]:
    """The loops of the python row, parallel over rows; sums in float64."""
    loss, p = np.empty(x.shape[0], x.dtype), np.empty(x.shape, x.dtype)
    with parallel():
        _forward(threads(), *_plain(x, t, w), int(ignore), float(e), loss, p)
    return loss, p


def forward_cuda(
    x: Array, t: Array, w: Array | None = None, ignore: int = IGNORE, e: float = 0.0
) -> tuple[Array, Array]:
    """A warp for each row, or blocks for a few long ones: `softmax_xent.cu`.

    A class out of range has NaN, as on a GPU in NumPy.
    """
    x, (rows, classes) = contiguous(x), x.shape
    loss, p = empty_beside(x, (rows,)), empty_beside(x, x.shape)
    given = x, contiguous(t, np.int64), None if w is None else contiguous(w, x.dtype)
    last, kind, shared = (classes, int(ignore), float(e)), scalar(x), cut(rows, classes, 1)
    if shared is None:
        launch(_FILE, f"forward<{kind}>", 32 * rows, *given, loss, p, rows, *last)
    elif shared.parts == 1:
        launch_blocks(_FILE, f"forward_together<{kind}>", shared[1:], (BLOCK,), *given, loss, p, *last)
    else:
        partial = empty_beside(x, (rows, shared.parts, 4), dtype=np.float64)
        launch_blocks(_FILE, f"forward_parts<{kind}>", shared[1:], (BLOCK,), *given, partial, classes, float(e))
        launch_blocks(_FILE, f"forward_rest<{kind}>", shared[1:], (BLOCK,), *given, partial, loss, p, *last)
    return loss, p


# ----------------------------------------------------------------------------------------------------------- backward


def backward_python(
    g: Array, p: Array, t: Array, w: Array | None = None, ignore: int = IGNORE, e: float = 0.0
) -> Array:
    """The definition, row by row."""
    gx = np.zeros(p.shape, p.dtype)
    for n in range(p.shape[0]):
        if t[n] != ignore:
            q = _weights_python(p.shape[1], int(t[n]), w, e)
            gx[n] = [float(g[n]) * (sum(q) * float(p[n, k]) - q[k]) for k in range(p.shape[1])]
    return gx


def backward_numpy(g: Array, p: Array, t: Array, w: Array | None = None, ignore: int = IGNORE, e: float = 0.0) -> Array:
    """All rows at once: gx = g (Q p - q)."""
    kept, true, there = _true(t, ignore, p.shape[1])
    w = xp(p).ones(p.shape[1], p.dtype) if w is None else w
    share = w * (e / max(p.shape[1], 1))  # (K,)
    own = (1 - e) * w[true]  # (N,)
    if there is not None:
        own = np.where(there, own, np.nan)
    gx = contiguous((own + share.sum())[:, None] * p - share, p.dtype)  # (N, 1) (N, K) - (K,) -> (N, K)
    gx[xp(p).arange(p.shape[0]), true] -= own
    gx *= g[:, None]
    return np.where(kept[:, None], gx, p.dtype.type(0))


@njit()
def _backward_share(
    share: Any, shares: int, p: Array, t: Array, w: Array, ignore: int, e: float, g: Array, gx: Array
) -> None:
    rows, classes = p.shape
    spread = np.float64(0)
    for k in range(classes):
        spread += e / classes * w[k]
    for n in range(share * rows // shares, (share + 1) * rows // shares):
        if t[n] == ignore:
            for k in range(classes):
                gx[n, k] = 0
        else:
            own, up = (1 - e) * w[t[n]], np.float64(g[n])
            for k in range(classes):
                gx[n, k] = up * ((own + spread) * p[n, k] - e / classes * w[k])
            gx[n, t[n]] = up * ((own + spread) * p[n, t[n]] - own - e / classes * w[t[n]])


@njit(parallel=True)
def _backward(shares: int, p: Array, t: Array, w: Array, ignore: int, e: float, g: Array, gx: Array) -> None:
    for share in prange(shares):
        _backward_share(np.intp(share), shares, p, t, w, ignore, e, g, gx)


def backward_numba(g: Array, p: Array, t: Array, w: Array | None = None, ignore: int = IGNORE, e: float = 0.0) -> Array:
    """Parallel over rows."""
    gx = np.empty(p.shape, p.dtype)
    with parallel():
        _backward(threads(), *_plain(p, t, w), int(ignore), float(e), np.asarray(g, order="C"), gx)
    return gx


def backward_cuda(g: Array, p: Array, t: Array, w: Array | None = None, ignore: int = IGNORE, e: float = 0.0) -> Array:
    """A warp for each row, or blocks for a few long ones: `softmax_xent.cu`."""
    p, (rows, classes) = contiguous(p), p.shape
    gx = empty_beside(p, p.shape)
    given = contiguous(g, p.dtype), p, contiguous(t, np.int64), None if w is None else contiguous(w, p.dtype)
    last, kind, shared = (classes, int(ignore), float(e)), scalar(p), cut(rows, classes, 1)
    if shared is None:
        launch(_FILE, f"backward<{kind}>", 32 * rows, *given, gx, rows, *last)
        return gx
    sums, parts = None, 0
    if w is not None and e:
        parts = min(FULL // BLOCK, -(-classes // (SHORT * BLOCK)))
        sums = empty_beside(p, (parts,), dtype=np.float64)
        launch_blocks(_FILE, f"sums_of_weights<{kind}>", (1, parts), (BLOCK,), given[3], sums, classes)
    launch_blocks(_FILE, f"backward_together<{kind}>", shared[1:], (BLOCK,), *given, sums, parts, gx, *last)
    return gx


SOFTMAX_XENT = Table(
    "softmax_xent",
    {
        ("rows", "python"): forward_python,
        ("rows", "numpy"): forward_numpy,
        ("rows", "numba"): forward_numba,
        ("rows", "cuda"): forward_cuda,
    },
)
SOFTMAX_XENT_BACKWARD = Table(
    "softmax_xent backward",
    {
        ("rows", "python"): backward_python,
        ("rows", "numpy"): backward_numpy,
        ("rows", "numba"): backward_numba,
        ("rows", "cuda"): backward_cuda,
    },
)
