"""The largest value of each window; equations and legend: `pooling/__init__.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..geometry import Pool
from ..layout import Array, alike, dense, empty, flat, is_channels_last
from ..runtime import njit, parallel, prange, threads

# --------------------------------------------------------------------------------------------------------- forward


def _new_index(g: Pool, channels_last: bool) -> Array:
    if g.h * g.w > np.iinfo(np.int32).max:
        raise ValueError(f"max_pool2d: int32 cannot number the pixels of a picture of {g.h} x {g.w}; pool parts of it")
    return empty(g.y_shape, np.int32, channels_last)


def window(g: Pool, i: int, j: int) -> Iterator[tuple[int, int]]:
    """The pixels (p, q) of window (i, j) that are in the picture, in reading order."""
    for a in range(g.kh):
        for b in range(g.kw):
            p, q = i * g.sh - g.ph + a * g.dh, j * g.sw - g.pw + b * g.dw
            if 0 <= p < g.h and 0 <= q < g.w:
                yield p, q


def forward_python(x: Array, g: Pool) -> tuple[Array, Array]:
    """The definition."""
    y, index = np.empty(g.y_shape, x.dtype), _new_index(g, False)
    for n, c, i, j in np.ndindex(*g.y_shape):
        best, where = -np.inf, -1
        for p, q in window(g, i, j):
            value = float(x[n, c, p, q])
            if value > best or value != value or where < 0:
                best, where = value, p * g.w + q
        y[n, c, i, j], index[n, c, i, j] = best, where
    return y, index


def forward_numpy(x: Array, g: Pool) -> tuple[Array, Array]:
    """One window cell (a, b) at a time, for all windows."""
    xp = pad(x, g)
    y, index = np.full(g.y_shape, -np.inf, x.dtype), _new_index(g, False)
    index[...] = -1
    for a in range(g.kh):
        for b in range(g.kw):
            p = (np.arange(g.oh) * g.sh - g.ph + a * g.dh)[:, None]  # (OH, 1)
            q = np.arange(g.ow) * g.sw - g.pw + b * g.dw  # (OW,)
            value, there = under(xp, g, a, b), (p >= 0) & (p < g.h) & (q >= 0) & (q < g.w)
            take = there & ((value > y) | (value != value) | (index < 0))
            np.copyto(y, value, where=take)
            np.copyto(index, (p * g.w + q).astype(np.int32), where=take)
    return y, index


def pad(x: Array, g: Pool) -> Array:
    """x with PH rows and PW columns of zeros on each side, more at the end where the last window hangs over."""
    below = max(0, (g.oh - 1) * g.sh + (g.kh - 1) * g.dh + 1 - g.h - g.ph)
    right = max(0, (g.ow - 1) * g.sw + (g.kw - 1) * g.dw + 1 - g.w - g.pw)
    return np.pad(x, ((0, 0), (0, 0), (g.ph, below), (g.pw, right)))


def under(xp: Array, g: Pool, a: int, b: int) -> Array:
    """The view (N, C, OH, OW) of the padded input that lies under window cell (a, b) as the window slides."""
    top, left = a * g.dh, b * g.dw
    return xp[:, :, top : top + g.sh * (g.oh - 1) + 1 : g.sh, left : left + g.sw * (g.ow - 1) + 1 : g.sw]


# Numba: over planes of (H, W, Q) values: N*C planes with Q = 1 in NCHW memory, N planes with Q = C in channels-last
# memory. A task is one output row of one plane. It goes through the cells of the window, and for each through the
# windows of the row: along the picture in NCHW, along the channels in channels-last memory.
#
# The 2x2 window with stride 2, wholly in the picture, is so common that it has a loop of its own, with the four pixels
# in registers and the steps known to the compiler.

U = np.uintp  # offsets into flat memory: see conv2d/columns.py


@njit()
def inside(first: int, step: int, count: int, size: int) -> tuple[int, int]:
    """The range of k, of 0 <= k < count, for which first + k*step is one of 0..size-1."""
    k0 = min(count, max(0, -(first // step)))
    return k0, max(k0, min(count, (size - 1 - first) // step + 1))


@njit()
def are_tiles(g: Pool) -> bool:
    """Whether the windows are 2x2 with stride 2, undilated, and all in the picture."""
    two = g.kh == 2 and g.kw == 2 and g.sh == 2 and g.sw == 2
    return two and g.dh == 1 and g.dw == 1 and g.ph == 0 and g.pw == 0 and 2 * g.oh <= g.h and 2 * g.ow <= g.w


@njit()
def _larger(x: Any, place: Any, best: Any, where: Any) -> tuple[Any, Any]:
    """The larger of a value and the best before it, and its place; a choice without a branch can be vectorised."""
    take = x > best or x != x
    return x if take else best, place if take else where


@njit()
def _of_tile(x: Array, at: Any, right: Any, below: Any, place: Any, g: Pool) -> tuple[Any, Any]:
    """The largest of the four pixels whose first is at `at`, and its place, where that of the first is `place`."""
    best, where = _larger(x[at + right], place + np.int32(1), x[at], place)
    best, where = _larger(x[at + below], place + np.int32(g.w), best, where)
    return _larger(x[at + below + right], place + np.int32(g.w + 1), best, where)


@njit()
def _forward_share(t: Any, chunks: int, x: Array, y: Array, index: Array, g: Pool, last: bool) -> None:
    channels = g.c if last else 1
    tasks, q, width = g.n * g.c // max(1, channels) * g.oh, U(channels), U(g.w * channels)
    for task in range(t * tasks // chunks, (t + 1) * tasks // chunks):
        plane, top, to = task // g.oh, task % g.oh * g.sh - g.ph, U(task * g.ow * channels)
        if are_tiles(g):
            at = U((plane * g.h + top) * g.w * channels)
            if last:
                for j in range(U(g.ow)):
                    place = np.int32(top * g.w) + np.int32(2) * np.int32(j)
                    for c in range(q):
                        e = to + j * q + c
                        y[e], index[e] = _of_tile(x, at + U(2) * j * q + c, q, width, place, g)
            else:
                for j in range(U(g.ow)):
                    place = np.int32(top * g.w) + np.int32(2) * np.int32(j)
                    y[to + j], index[to + j] = _of_tile(x, at + U(2) * j, q, width, place, g)
            continue
        for j in range(U(g.ow * channels)):
            y[to + j], index[to + j] = -np.inf, -1
        a0, a1 = inside(top, g.dh, g.kh, g.h)
        for a in range(a0, a1):
            for b in range(g.kw):
                left = b * g.dw - g.pw
                j0, j1 = inside(left, g.sw, g.ow, g.w)
                pixel = (top + a * g.dh) * g.w + left + j0 * g.sw
                _row(x, y, index, U((plane * g.h * g.w + pixel) * channels), to + U(j0) * q, U(j1 - j0), pixel, q, g)


@njit()
def _row(x: Array, y: Array, index: Array, at: Any, to: Any, count: Any, pixel: int, q: Any, g: Pool) -> None:
    """One cell of `count` windows side by side: the first one's is `pixel`, `at` in x, with its result `to` in y."""
    if q > U(1):
        for j in range(count):
            for c in range(q):
                _keep(x[at + j * U(g.sw) * q + c], np.int32(pixel + j * g.sw), y, index, to + j * q + c)
    elif g.sw == 1:  # a step of one or two, known as such, is what makes it a vector loop
        for j in range(count):
            _keep(x[at + j], np.int32(pixel) + np.int32(j), y, index, to + j)
    elif g.sw == 2:
        for j in range(count):
            _keep(x[at + U(2) * j], np.int32(pixel) + np.int32(2) * np.int32(j), y, index, to + j)
    else:
        for j in range(count):
            _keep(x[at + j * U(g.sw)], np.int32(pixel + j * g.sw), y, index, to + j)


@njit()
def _keep(x: Any, place: Any, y: Array, index: Array, e: Any) -> None:
    """Make x result e if it is larger than what is there, or the first."""
    take = x > y[e] or x != x or index[e] < 0
    y[e] = x if take else y[e]
    index[e] = place if take else index[e]


@njit(parallel=True)
def _forward(chunks: int, x: Array, y: Array, index: Array, g: Pool, last: bool) -> None:
    for t in prange(chunks):
        _forward_share(np.intp(t), chunks, x, y, index, g, last)


def forward_numba(x: Array, g: Pool) -> tuple[Array, Array]:
    """Parallel over output rows; y and index in the memory order of x."""
    x = dense(x)
    last = is_channels_last(x)
    y, index = empty(g.y_shape, x.dtype, last), _new_index(g, last)
    with parallel():
        _forward(threads(), flat(x), flat(y), flat(index), g, last)
    return y, index


# ----------------------------------------------------------------------------------------------------------- backward


def backward_python(gy: Array, index: Array, g: Pool) -> Array:
    """Each gradient goes to where the maximum came from."""
    gx = np.zeros(g.x_shape)
    for n, c, i, j in np.ndindex(*g.y_shape):
        if index[n, c, i, j] >= 0:
            gx[n, c, index[n, c, i, j] // g.w, index[n, c, i, j] % g.w] += float(gy[n, c, i, j])
    return gx.astype(gy.dtype)


def backward_numpy(gy: Array, index: Array, g: Pool) -> Array:
    """A histogram of all places, weighted with the gradients."""
    plane = np.arange(g.n * g.c).reshape(g.n, g.c, 1, 1) * (g.h * g.w)  # (N*C,) -> (N, C, 1, 1)
    there = index >= 0
    gx = np.bincount((plane + index)[there], gy[there], minlength=g.n * g.c * g.h * g.w)
    return gx.reshape(g.x_shape).astype(gy.dtype)  # (N*C*H*W,) -> (N, C, H, W)


@njit()
def _backward_share(t: Any, chunks: int, gy: Array, index: Array, gx: Array, g: Pool, last: bool) -> None:
    # A task is a whole plane, in which windows may overlap.
    channels = g.c if last else 1
    planes, q, outputs, pixels = g.n * g.c // max(1, channels), U(channels), U(g.oh * g.ow), U(g.h * g.w * channels)
    for plane in range(U(t * planes // chunks), U((t + 1) * planes // chunks)):
        to = plane * pixels
        for e in range(to, to + pixels):
            gx[e] = 0
        for w in range(plane * outputs, (plane + U(1)) * outputs):
            for e in range(w * q, w * q + q):
                if index[e] >= 0:
                    gx[to + U(index[e]) * q + (e - w * q)] += gy[e]


@njit(parallel=True)
def _backward(chunks: int, gy: Array, index: Array, gx: Array, g: Pool, last: bool) -> None:
    for t in prange(chunks):
        _backward_share(np.intp(t), chunks, gy, index, gx, g, last)


def backward_numba(gy: Array, index: Array, g: Pool) -> Array:
    """Parallel over planes; gx in the memory order of index, which is that of x."""
    index, gy = alike(index, gy)
    last = is_channels_last(index)
    gx = empty(g.x_shape, gy.dtype, last)
    with parallel():
        _backward(threads(), flat(gy), flat(index), flat(gx), g, last)
    return gx
