"""Average pooling: the mean of each window. Equations and legend: `pooling/__init__.py`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..arrays import Array, U, constant, contiguous, xp
from ..cuda import BLOCK, able, launch, launch_blocks, scalar, strides
from ..geometry import Pool
from ..layout import dense, empty, empty_beside, flat, is_channels_last
from ..runtime import FAST, njit, parallel, prange, threads, workspace
from .largest import are_tiles, ends, helpers, pad, span, under, window

_FILE = "pooling/average.cu"

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
def _divisors(g: Pool, divisor: int | None) -> Array:
    """D, (OH, OW)."""
    if divisor is not None:
        return np.full((g.oh, g.ow), divisor)
    counts = []
    for (first, end), k, padding, size in zip(ends(g), (g.kh, g.kw), (g.ph, g.pw), (g.h, g.w), strict=True):
        with_padding = np.minimum(first + k, size + padding) - first
        counts.append(with_padding if g.count_include_pad else end - np.maximum(first, 0))
    return np.maximum(np.outer(*counts), 1)  # no cell in the image: the sum is 0, and so is the mean


@functools.lru_cache(256)
def _weights(g: Pool, divisor: int | None, dtype: Any) -> Array:
    """1/D, (OH, OW)."""
    return (1 / _divisors(g, divisor)).astype(dtype)


def forward_python(x: Array, g: Pool, divisor: int | None = None) -> Array:
    """The definition."""
    y = np.empty(g.y_shape, x.dtype)
    for n, c, i, j in np.ndindex(*g.y_shape):
        y[n, c, i, j] = sum(float(x[n, c, p, q]) for p, q in window(g, i, j)) / _divisor_python(g, i, j, divisor)
    return y


def forward_numpy(x: Array, g: Pool, divisor: int | None = None) -> Array:
    """One window cell at a time, for all windows; if windows differ in size, one axis at a time.

    This row also takes integers; they are divided as in C, which cuts the quotient and does not round it.
    """
    kind = np.int64 if x.dtype.kind in "iu" else np.float64
    if g.adaptive:
        y = x.astype(kind)
        for axis, (first, end) in zip((2, 3), ends(g), strict=True):
            y = np.moveaxis(y, axis, 0)  # sums of the rows of each window, then of the columns of each sum
            sums = [y[i:k].sum(0) for i, k in zip(first, end, strict=True)]
            y = np.stack(sums) if sums else y[:0]
            y = np.moveaxis(y, 0, axis)
    else:
        pixels, y = pad(x, g), xp(x).zeros(g.y_shape, kind)
        for a in range(g.kh):
            for b in range(g.kw):
                y += under(pixels, g, a, b)
    if kind is np.int64:
        d = constant(_divisors, x, g, divisor)
        return (np.sign(y) * np.sign(d) * (np.abs(y) // np.abs(d))).astype(x.dtype)
    return (y * constant(_weights, x, g, divisor, np.float64)).astype(x.dtype)


# Numba: tasks as in `largest.py`, but each window is summed by itself, in float64, which large windows need.


@njit(fastmath=FAST)
def _forward_share(
    t: Any, shares: int, x: Array, y: Array, weights: Array, sums: Array, g: Pool, channels_last: bool
) -> None:  # fmt: skip
    channels, total = g.c if channels_last else 1, sums[t]
    tasks, q, width = g.n * g.c // max(1, channels) * g.oh, U(channels), U(g.w * channels)
    for task in range(t * tasks // shares, (t + 1) * tasks // shares):
        plane, i, to = task // g.oh, task % g.oh, U(task * g.ow * channels)
        if are_tiles(g):
            at = U((plane * g.h + i * g.sh) * g.w * channels)
            if channels_last:
                for j in range(U(g.ow)):
                    for c in range(q):
                        y[to + j * q + c] = _of_tile(x, at + U(2) * j * q + c, q, width) * weights[0, 0]
            else:
                for j in range(U(g.ow)):
                    y[to + j] = _of_tile(x, at + U(2) * j, q, width) * weights[0, 0]
            continue
        p0, p1 = span(i, g.kh, g.sh, g.ph, g.h, g.oh, g.adaptive)
        for j in range(g.ow):
            q0, q1 = span(j, g.kw, g.sw, g.pw, g.w, g.ow, g.adaptive)
            if channels_last:
                total[:channels] = 0
                for p in range(p0, p1):
                    run = U(((plane * g.h + p) * g.w + q0) * channels)
                    for b in range(U(q1 - q0)):
                        for c in range(q):
                            total[c] += x[run + b * q + c]
                for c in range(q):
                    y[to + U(j) * q + c] = total[c] * weights[i, j]
            else:
                value = np.float64(0)
                for p in range(p0, p1):
                    run = U((plane * g.h + p) * g.w + q0)
                    for b in range(U(q1 - q0)):
                        value += x[run + b]
                y[to + U(j)] = value * weights[i, j]


@njit(fastmath=FAST)
def _of_tile(x: Array, at: Any, right: Any, below: Any) -> Any:
    """The sum of four pixels, the first of which is at `at`."""
    return (x[at] + x[at + right]) + (x[at + below] + x[at + below + right])


@njit(parallel=True)
def _forward(
    shares: int, x: Array, y: Array, weights: Array, sums: Array, g: Pool, channels_last: bool
) -> None:  # fmt: skip
    for t in prange(shares):
        _forward_share(np.intp(t), shares, x, y, weights, sums, g, channels_last)


def forward_numba(x: Array, g: Pool, divisor: int | None = None) -> Array:
    """Parallel over output rows; y has the memory order of x."""
    x = dense(x)
    channels_last = is_channels_last(x)
    y = empty(g.y_shape, x.dtype, channels_last)
    with parallel():
        sums = workspace("avg_pool2d", max(1, g.c), np.float64)
        _forward(threads(), flat(x), flat(y), _weights(g, divisor, x.dtype), sums, _in_a_row(g), channels_last)
    return y


def _in_a_row(g: Pool) -> Pool:
    """If one window is the whole image: the same pooling of an image of one long row, in the order of memory."""
    if (g.kh, g.kw, g.oh, g.ow) != (g.h, g.w, 1, 1) or g.ph or g.pw or g.adaptive:
        return g
    return g._replace(h=1, w=g.h * g.w, kh=1, kw=g.h * g.w)


def forward_cuda(x: Array, g: Pool, divisor: int | None = None) -> Array:
    """A thread for each window, or several if it is large: `average.cu`. y has the memory order of x."""
    if not able(x):  # integers
        return forward_numpy(x, g, divisor)
    x = dense(x)
    channels_last = is_channels_last(x)
    y = empty_beside(x, g.y_shape, channels_last)
    args = x, strides(x), y, channels_last, divisor or 0, g
    together = helpers(g, channels_last)
    if together is None:
        launch(_FILE, f"forward<{scalar(x)}>", y.size, *args)
    else:
        width, blocks = together
        launch_blocks(_FILE, f"forward_together<{scalar(x)}>", (blocks,), (BLOCK,), *args, width)
    return y


# -------------------------------------------------------------------------------------------------------- backward


def backward_python(gy: Array, g: Pool, divisor: int | None = None) -> Array:
    """Each pixel of a window gets gy / D, the same fraction of its gradient."""
    gx = np.zeros(g.x_shape)
    for n, c, i, j in np.ndindex(*g.y_shape):
        for p, q in window(g, i, j):
            gx[n, c, p, q] += float(gy[n, c, i, j]) / _divisor_python(g, i, j, divisor)
    return gx.astype(gy.dtype)


def backward_numpy(gy: Array, g: Pool, divisor: int | None = None) -> Array:
    """One window cell at a time; for one cell no pixel is in two windows, so += adds each value once.

    If windows differ in size, one axis at a time.
    """
    part = gy * constant(_weights, gy, g, divisor, np.float64)
    if g.adaptive:
        for axis, (first, end), size in zip((2, 3), ends(g), (g.h, g.w), strict=True):
            gx = xp(gy).zeros((size, *np.moveaxis(part, axis, 0).shape[1:]))
            for i, k, row in zip(first, end, np.moveaxis(part, axis, 0), strict=True):
                gx[i:k] += row
            part = np.moveaxis(gx, 0, axis)
        return contiguous(part, gy.dtype)
    whole = pad(xp(gy).zeros(g.x_shape), g)
    for a in range(g.kh):
        for b in range(g.kw):
            under(whole, g, a, b)[...] += part
    return whole[:, :, g.ph : g.ph + g.h, g.pw : g.pw + g.w].astype(gy.dtype)


@njit()
def _backward_share(t: Any, shares: int, gy: Array, gx: Array, weights: Array, g: Pool, channels_last: bool) -> None:
    # A task is a whole plane, since its windows may overlap.
    channels = g.c if channels_last else 1
    planes, q, pixels = g.n * g.c // max(1, channels), U(channels), U(g.h * g.w * channels)
    for plane in range(t * planes // shares, (t + 1) * planes // shares):
        for e in range(U(plane) * pixels, U(plane + 1) * pixels):
            gx[e] = 0
        for i in range(g.oh):
            run = U((plane * g.oh + i) * g.ow * channels)
            if are_tiles(g) and not channels_last:
                _tiles_backward(gy, gx, run, U((plane * g.h + 2 * i) * g.w), weights[0, 0], g)
                continue
            p0, p1 = span(i, g.kh, g.sh, g.ph, g.h, g.oh, g.adaptive)
            for j in range(g.ow):
                q0, q1 = span(j, g.kw, g.sw, g.pw, g.w, g.ow, g.adaptive)
                out, weight = run + U(j) * q, weights[i, j]
                for p in range(p0, p1):
                    to = U(((plane * g.h + p) * g.w + q0) * channels)
                    if channels_last:
                        for b in range(U(q1 - q0)):
                            for c in range(q):
                                gx[to + b * q + c] += gy[out + c] * weight
                    else:
                        value = gy[out] * weight
                        for b in range(U(q1 - q0)):
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
def _backward(shares: int, gy: Array, gx: Array, weights: Array, g: Pool, channels_last: bool) -> None:
    for t in prange(shares):
        _backward_share(np.intp(t), shares, gy, gx, weights, g, channels_last)


def backward_numba(gy: Array, g: Pool, divisor: int | None = None) -> Array:
    """Parallel over planes; gx has the memory order of gy."""
    gy = dense(gy)
    channels_last = is_channels_last(gy)
    gx = empty(g.x_shape, gy.dtype, channels_last)
    with parallel():
        _backward(threads(), flat(gy), flat(gx), _weights(g, divisor, gy.dtype), _in_a_row(g), channels_last)
    return gx


def backward_cuda(gy: Array, g: Pool, divisor: int | None = None) -> Array:
    """A thread for each pixel: `average.cu`. gx has the memory order of gy."""
    if not able(gy):
        return backward_numpy(gy, g, divisor)
    gy = dense(gy)
    channels_last = is_channels_last(gy)
    gx = empty_beside(gy, g.x_shape, channels_last)
    launch(_FILE, f"backward<{scalar(gy)}>", gx.size, gy, strides(gy), gx, channels_last, divisor or 0, g)
    return gx
