"""PReLU: a leaky ReLU whose slope is learned, one for all or one per channel.

    y[n, c, ...] = x[n, c, ...]               where x > 0, else w[c] x[n, c, ...]

    x, y, gx, gy   (N, C, ...), or any shape with one slope
    w, gw          (C,) or (1,)
    gx = gy where x > 0, else w[c] gy         gw[c] = sum of x gy where not x > 0

`forward(x, w)` gives y, `backward(gy, x, w, needs_grad)` gives (gx, gw). In memory, x consists of runs of one channel
each: of H*W values in NCHW memory, of one value in channels-last memory. Run r belongs to channel r mod C.

K. He et al., "Delving deep into rectifiers", 2015, https://arxiv.org/abs/1502.01852.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays import Array, contiguous
from ..cuda import launch, launch_each, scalar
from ..dispatch import Table
from ..layout import alike, dense, empty_beside, flat, is_channels_last
from ..runtime import FAST, njit, parallel, prange, threads, workspace
from ..sums import total

NeedsGrad = tuple[bool, bool]
Gradients = tuple[Array | None, Array | None]
_FILE = "activations/prelu.cu"
_MOST_THREADS = 1 << 18  # about as many as a large GPU runs at once; of a fixed number, so that a sum has the same bits


def forward_python(x: Array, w: Array) -> Array:
    """The definition, one value at a time."""
    y = np.empty(x.shape, x.dtype)
    for place in np.ndindex(x.shape):
        v = float(x[place])
        y[place] = v if v > 0 else float(w[place[1] if w.size > 1 else 0]) * v
    return y


def _spread(x: Array, w: Array) -> Array:
    """w in a shape that broadcasts along the channels of x."""
    return w.reshape(w.size if w.size > 1 else 1, *(1,) * (x.ndim - 2))  # (C,) -> (C, 1, ...)


def forward_numpy(x: Array, w: Array) -> Array:
    """Whole arrays."""
    return np.where(x > 0, x, _spread(x, w) * x).reshape(x.shape)  # (1,) -> () for a 0-d x


def _run_length(x: Array, w: Array) -> int:
    """How many neighbours in memory belong to one channel."""
    return 1 if w.size == 1 or is_channels_last(x) else math.prod(x.shape[2:])


def _numba_run(x: Array, w: Array) -> int:
    """The same for the loops below: with one slope, runs of any length, which is long enough for vectors."""
    return 4096 if w.size == 1 else _run_length(x, w)


@njit(error_model="numpy")
def _forward_share(t: Any, shares: int, run: int, x: Array, w: Array, y: Array) -> None:
    if run == 1:  # channels-last memory: a vector of slopes for each pixel
        pixels, channels = x.size // w.size, np.uintp(w.size)
        for p in range(t * pixels // shares, (t + 1) * pixels // shares):
            for c in range(channels):
                i = np.uintp(p) * channels + c  # unsigned, so that the loop becomes vectors
                y[i] = x[i] if x[i] > 0 else w[c] * x[i]
        return
    runs = -(-x.size // max(run, 1))
    for r in range(t * runs // shares, (t + 1) * runs // shares):
        slope = w[r % w.size]
        for k in range(r * run, min((r + 1) * run, x.size)):
            y[k] = x[k] if x[k] > 0 else slope * x[k]


@njit(parallel=True)
def _forward(shares: int, run: int, x: Array, w: Array, y: Array) -> None:
    for t in prange(shares):
        _forward_share(np.intp(t), shares, run, x, w, y)


def forward_numba(x: Array, w: Array) -> Array:
    """Parallel over runs."""
    x = dense(x)
    y = np.empty_like(x)
    with parallel():
        _forward(threads(), _numba_run(x, w), flat(x), np.ascontiguousarray(w), flat(y))
    return y


def forward_cuda(x: Array, w: Array) -> Array:
    """A thread for each few values: `prelu.cu`."""
    x = dense(x)
    y = empty_beside(x, x.shape, is_channels_last(x))
    sizes = x.size, _run_length(x, w), w.size
    launch_each(_FILE, f"forward<{scalar(x)}>", x.size, x, contiguous(w, x.dtype), y, *sizes)
    return y


# ----------------------------------------------------------------------------------------------------------- backward


def backward_python(gy: Array, x: Array, w: Array, needs_grad: NeedsGrad) -> Gradients:
    """The definition, one value at a time."""
    gx, gw = np.empty(x.shape, x.dtype), np.zeros(w.shape)
    for place in np.ndindex(x.shape):
        v, g, c = float(x[place]), float(gy[place]), place[1] if w.size > 1 else 0
        gx[place] = g if v > 0 else float(w[c]) * g
        gw[c] += 0.0 if v > 0 else v * g
    return gx if needs_grad[0] else None, gw.astype(w.dtype) if needs_grad[1] else None


def backward_numpy(gy: Array, x: Array, w: Array, needs_grad: NeedsGrad) -> Gradients:
    """Whole arrays; gw is a sum over all axes except that of the channels."""
    gx = gw = None
    if needs_grad[0]:
        gx = np.where(x > 0, gy, _spread(x, w) * gy).reshape(x.shape)
    if needs_grad[1]:
        axes = tuple(axis for axis in range(x.ndim) if axis != 1 or w.size == 1)
        gw = total(np.where(x > 0, 0, x * gy), axes).reshape(w.shape)  # () or (C,) -> (C,)
    return gx, gw


@njit(error_model="numpy", fastmath=FAST)
def _backward_share(t: Any, shares: int, run: int, gy: Array, x: Array, w: Array, gx: Array, sums: Array) -> None:
    sums = sums[t]
    sums[: w.size] = 0
    if run == 1:
        pixels, channels = x.size // w.size, np.uintp(w.size)
        for p in range(t * pixels // shares, (t + 1) * pixels // shares):
            for c in range(channels):
                i = np.uintp(p) * channels + c
                gx[i] = gy[i] if x[i] > 0 else w[c] * gy[i]
                sums[c] += 0 if x[i] > 0 else x[i] * gy[i]
        return
    runs = -(-x.size // max(run, 1))
    for r in range(t * runs // shares, (t + 1) * runs // shares):
        slope, total = w[r % w.size], np.float64(0)
        for k in range(r * run, min((r + 1) * run, x.size)):
            gx[k] = gy[k] if x[k] > 0 else slope * gy[k]
            total += 0 if x[k] > 0 else x[k] * gy[k]
        sums[r % w.size] += total


@njit(parallel=True)
def _backward(shares: int, run: int, gy: Array, x: Array, w: Array, gx: Array, sums: Array) -> None:
    for t in prange(shares):
        _backward_share(np.intp(t), shares, run, gy, x, w, gx, sums)


def backward_numba(gy: Array, x: Array, w: Array, needs_grad: NeedsGrad) -> Gradients:
    """Parallel over runs; each share has its own sums, which are then added in order."""
    x, gy = alike(x, gy)
    gx = np.empty_like(x)
    with parallel():
        sums = workspace("prelu", w.size, np.float64)
        _backward(threads(), _numba_run(x, w), flat(gy), flat(x), np.ascontiguousarray(w), flat(gx), sums)
        gw = sums[:, : w.size].sum(0).astype(w.dtype)
    return gx if needs_grad[0] else None, gw if needs_grad[1] else None


def backward_cuda(gy: Array, x: Array, w: Array, needs_grad: NeedsGrad) -> Gradients:
    """A warp or a thread for each part of a channel, then a warp for each channel: `prelu.cu`."""
    x, gy = alike(x, gy)
    channels, kind = max(w.size, 1), scalar(x)
    run = x.size if channels == 1 else _run_length(x, w)
    lanes, values = 32 if run > 1 else 1, x.size // channels
    length = max(32 * lanes, -(-x.size * lanes // _MOST_THREADS))  # of a part
    parts = -(-values // length)
    gx = empty_beside(x, x.shape, is_channels_last(x)) if needs_grad[0] else None
    sums = empty_beside(x, (channels, parts), dtype=np.float64) if needs_grad[1] else None
    gw = empty_beside(x, w.shape) if needs_grad[1] else None
    sizes = run, channels, values, length, parts, np.int32(lanes)
    launch(_FILE, f"backward<{kind}>", channels * parts * lanes, gy, x, contiguous(w, x.dtype), gx, sums, *sizes)
    if needs_grad[1]:
        launch(_FILE, f"add_parts<{kind}>", 32 * w.size, sums, gw, w.size, parts)
    return gx, gw


PRELU = Table(
    "prelu",
    {
        ("elementwise", "python"): forward_python,
        ("elementwise", "numpy"): forward_numpy,
        ("elementwise", "numba"): forward_numba,
        ("elementwise", "cuda"): forward_cuda,
    },
)
PRELU_BACKWARD = Table(
    "prelu backward",
    {
        ("elementwise", "python"): backward_python,
        ("elementwise", "numpy"): backward_numpy,
        ("elementwise", "numba"): backward_numba,
        ("elementwise", "cuda"): backward_cuda,
    },
)
