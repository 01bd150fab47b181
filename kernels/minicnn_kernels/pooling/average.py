"""The mean of each window; equations and legend: `pooling/__init__.py`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..geometry import Pool
from ..layout import Array, dense, empty, flat, is_channels_last
from ..runtime import FAST, njit, parallel, prange, threads, workspace
from .largest import U, are_tiles, inside, pad, under, window

# --------------------------------------------------------------------------------------------------------- forward


def _divisor_python(g: Pool, i: int, j: int, divisor: int | None) -> int:
    """D[i, j], by counting."""
    if divisor is not None:
        return divisor
    if not g.count_include_pad:
        return max(1, sum(1 for _ in window(g, i, j)))
    rows = sum(1 for a in range(g.kh) if i * g.sh - g.ph + a < g.h + g.ph)
    return rows * sum(1 for b in range(g.kw) if j * g.sw - g.pw + b < g.w + g.pw)


@functools.lru_cache(256)
def _weights(g: Pool, divisor: int | None, dtype: Any) -> Array:
    """1/D, (OH, OW)."""
    counts = []
    for out, k, s, padding, size in ((g.oh, g.kh, g.sh, g.ph, g.h), (g.ow, g.kw, g.sw, g.pw, g.w)):
        first = np.arange(out) * s - padding
        end = np.minimum(first + k, size + padding)
        counts.append(end - first if g.count_include_pad else np.minimum(end, size) - np.maximum(first, 0))
    cells = np.outer(*counts) if divisor is None else np.full((g.oh, g.ow), divisor)
    if divisor is None:
        cells = np.maximum(cells, 1)  # nothing in the picture: the sum is 0, and so the mean
    return (1 / cells).astype(dtype)


def forward_python(x: Array, g: Pool, divisor: int | None = None) -> Array:
    """The definition."""
    y = np.empty(g.y_shape, x.dtype)
    for n, c, i, j in np.ndindex(*g.y_shape):
        y[n, c, i, j] = sum(float(x[n, c, p, q]) for p, q in window(g, i, j)) / _divisor_python(g, i, j, divisor)
    return y


def forward_numpy(x: Array, g: Pool, divisor: int | None = None) -> Array:
    """One window cell at a time, for all windows."""
    xp, y = pad(x, g), np.zeros(g.y_shape)
    for a in range(g.kh):
        for b in range(g.kw):
            y += under(xp, g, a, b)
    return (y * _weights(g, divisor, np.float64)).astype(x.dtype)


# Numba: tasks as in `largest.py`, but each window is summed up by itself, in float64: large windows need that.


@njit(fastmath=FAST)
def _forward_share(
    t: Any, chunks: int, x: Array, y: Array, weights: Array, sums: Array, g: Pool, last: bool
) -> None:  # fmt: skip
    channels, total = g.c if last else 1, sums[t]
    tasks, q, width = g.n * g.c // max(1, channels) * g.oh, U(channels), U(g.w * channels)
    for task in range(t * tasks // chunks, (t + 1) * tasks // chunks):
        plane, i, to = task // g.oh, task % g.oh, U(task * g.ow * channels)
        top = i * g.sh - g.ph
        if are_tiles(g):
            at = U((plane * g.h + top) * g.w * channels)
            if last:
                for j in range(U(g.ow)):
                    for c in range(q):
                        y[to + j * q + c] = _of_tile(x, at + U(2) * j * q + c, q, width) * weights[0, 0]
            else:
                for j in range(U(g.ow)):
                    y[to + j] = _of_tile(x, at + U(2) * j, q, width) * weights[0, 0]
            continue
        a0, a1 = inside(top, 1, g.kh, g.h)
        for j in range(g.ow):
            left = j * g.sw - g.pw
            b0, b1 = inside(left, 1, g.kw, g.w)
            pixel = (plane * g.h + top) * g.w + left + b0
            if last:
                total[:channels] = 0
                for a in range(a0, a1):
                    run = U((pixel + a * g.w) * channels)
                    for b in range(U(b1 - b0)):
                        for c in range(q):
                            total[c] += x[run + b * q + c]
                for c in range(q):
                    y[to + U(j) * q + c] = total[c] * weights[i, j]
            else:
                value = np.float64(0)
                for a in range(a0, a1):
                    run = U(pixel + a * g.w)
                    for b in range(U(b1 - b0)):
                        value += x[run + b]
                y[to + U(j)] = value * weights[i, j]


@njit(fastmath=FAST)
def _of_tile(x: Array, at: Any, right: Any, below: Any) -> Any:
    """The sum of the four pixels whose first is at `at`."""
    return (x[at] + x[at + right]) + (x[at + below] + x[at + below + right])


@njit(parallel=True)
def _forward(
    chunks: int, x: Array, y: Array, weights: Array, sums: Array, g: Pool, last: bool
) -> None:  # fmt: skip
    for t in prange(chunks):
        _forward_share(np.intp(t), chunks, x, y, weights, sums, g, last)


def forward_numba(x: Array, g: Pool, divisor: int | None = None) -> Array:
    """Parallel over output rows; y in the memory order of x."""
    x = dense(x)
    last = is_channels_last(x)
    y = empty(g.y_shape, x.dtype, last)
    with parallel():
        sums = workspace("avg_pool2d", max(1, g.c), np.float64)
        _forward(threads(), flat(x), flat(y), _weights(g, divisor, x.dtype), sums, g, last)
    return y


# -------------------------------------------------------------------------------------------------------- backward


def backward_python(gy: Array, g: Pool, divisor: int | None = None) -> Array:
    """Each pixel of a window gets the same part of its gradient."""
    gx = np.zeros(g.x_shape)
    for n, c, i, j in np.ndindex(*g.y_shape):
        for p, q in window(g, i, j):
            gx[n, c, p, q] += float(gy[n, c, i, j]) / _divisor_python(g, i, j, divisor)
    return gx.astype(gy.dtype)


def backward_numpy(gy: Array, g: Pool, divisor: int | None = None) -> Array:
    """One window cell at a time; within a cell no two windows meet, so += adds each value once."""
    gxp = pad(np.zeros(g.x_shape), g)
    part = gy * _weights(g, divisor, np.float64)
    for a in range(g.kh):
        for b in range(g.kw):
            under(gxp, g, a, b)[...] += part
    return gxp[:, :, g.ph : g.ph + g.h, g.pw : g.pw + g.w].astype(gy.dtype)


@njit()
def _backward_share(t: Any, chunks: int, gy: Array, gx: Array, weights: Array, g: Pool, last: bool) -> None:
    # A task is a whole plane, in which windows may overlap.
    channels = g.c if last else 1
    planes, q, pixels = g.n * g.c // max(1, channels), U(channels), U(g.h * g.w * channels)
    for plane in range(t * planes // chunks, (t + 1) * planes // chunks):
        for e in range(U(plane) * pixels, U(plane + 1) * pixels):
            gx[e] = 0
        for i in range(g.oh):
            run = U((plane * g.oh + i) * g.ow * channels)
            if are_tiles(g) and not last:
                _tiles_backward(gy, gx, run, U((plane * g.h + 2 * i) * g.w), weights[0, 0], g)
                continue
            a0, a1 = inside(i * g.sh - g.ph, 1, g.kh, g.h)
            for j in range(g.ow):
                left = j * g.sw - g.pw
                b0, b1 = inside(left, 1, g.kw, g.w)
                out, weight = run + U(j) * q, weights[i, j]
                for a in range(a0, a1):
                    to = U(((plane * g.h + i * g.sh - g.ph + a) * g.w + left + b0) * channels)
                    if last:
                        for b in range(U(b1 - b0)):
                            for c in range(q):
                                gx[to + b * q + c] += gy[out + c] * weight
                    else:
                        value = gy[out] * weight
                        for b in range(U(b1 - b0)):
                            gx[to + b] += value


@njit()
def _tiles_backward(gy: Array, gx: Array, run: Any, to: Any, weight: Any, g: Pool) -> None:
    """One row of 2x2 windows in NCHW memory."""
    for j in range(U(g.ow)):
        value, at = gy[run + j] * weight, to + U(2) * j
        gx[at] = value
        gx[at + U(1)] = value
        gx[at + U(g.w)] = value
        gx[at + U(g.w + 1)] = value


@njit(parallel=True)
def _backward(chunks: int, gy: Array, gx: Array, weights: Array, g: Pool, last: bool) -> None:
    for t in prange(chunks):
        _backward_share(np.intp(t), chunks, gy, gx, weights, g, last)


def backward_numba(gy: Array, g: Pool, divisor: int | None = None) -> Array:
    """Parallel over planes; gx in the memory order of gy."""
    gy = dense(gy)
    last = is_channels_last(gy)
    gx = empty(g.x_shape, gy.dtype, last)
    with parallel():
        _backward(threads(), flat(gy), flat(gx), _weights(g, divisor, gy.dtype), g, last)
    return gx
