"""Write values to, and read them from, the places of an image in `index`. Equations: `pooling/__init__.py`.

Three kernels that differ in one line: the backward pass of max pooling *adds* gradients at their places, unpooling
*puts* values there, and the backward pass of unpooling *takes* gradients from there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays import Array, U, xp
from ..cuda import able, launch, scalar, strides
from ..geometry import Pool
from ..layout import alike, as_order, dense, empty, empty_beside, flat, is_channels_last, writable
from ..runtime import njit, parallel, prange, threads
from .largest import FILE as LARGEST
from .largest import are_tiles, numbered
from .tiles import LEAST, spread_rows

_FILE = "pooling/places.cu"


def add_python(gy: Array, index: Array, g: Pool) -> Array:
    """Add each gradient to the pixel that the maximum came from."""
    gx = np.zeros(g.x_shape)
    for n, c, i, j in np.ndindex(*g.y_shape):
        if index[n, c, i, j] >= 0:
            gx[n, c, index[n, c, i, j] // g.w, index[n, c, i, j] % g.w] += float(gy[n, c, i, j])
    return gx.astype(gy.dtype)


def put_python(x: Array, index: Array, g: Pool) -> Array:
    """Write each value to its place; 0 elsewhere."""
    y = np.zeros(g.x_shape, x.dtype)
    for n, c, i, j in np.ndindex(*g.y_shape):
        y[n, c, index[n, c, i, j] // g.w, index[n, c, i, j] % g.w] = x[n, c, i, j]
    return y


def take_python(gy: Array, index: Array, g: Pool) -> Array:
    """Read the gradient at each value's place."""
    gx = np.empty(g.y_shape, gy.dtype)
    for n, c, i, j in np.ndindex(*g.y_shape):
        gx[n, c, i, j] = gy[n, c, index[n, c, i, j] // g.w, index[n, c, i, j] % g.w]
    return gx


def _numbers(index: Array, g: Pool) -> Array:
    """The indices (N, C, OH, OW), counted through the pixels of the whole batch."""
    plane = xp(index).arange(g.n * g.c).reshape(g.n, g.c, 1, 1)  # (N*C,) -> (N, C, 1, 1)
    return plane * (g.h * g.w) + index


def add_numpy(gy: Array, index: Array, g: Pool) -> Array:
    """All gradients at once, in float64: a GPU adds in any order, which then changes float32 hardly ever."""
    gx = xp(gy).zeros(g.n * g.c * g.h * g.w)
    there = index >= 0
    values = np.where(there, gy, 0).astype(gx.dtype)
    np.add.at(gx, np.where(there, _numbers(index, g), 0).reshape(-1), values.reshape(-1))
    return gx.reshape(g.x_shape).astype(gy.dtype)  # (N*C*H*W,) -> (N, C, H, W)


def put_numpy(x: Array, index: Array, g: Pool) -> Array:
    """First the number of the last value that has each place, -1 if none has: a GPU writes in any order."""
    if not x.size:
        return xp(x).zeros(g.x_shape, x.dtype)
    last = xp(x).full(g.n * g.c * g.h * g.w, -1)
    np.maximum.at(last, _numbers(index, g).reshape(-1), xp(x).arange(x.size))
    y = np.where(last < 0, x.dtype.type(0), x.reshape(-1)[last])
    return y.reshape(g.x_shape)  # (N*C*H*W,) -> (N, C, H, W)


def take_numpy(gy: Array, index: Array, g: Pool) -> Array:
    """One indexing operation for the whole batch."""
    taken: Array = gy.reshape(-1)[_numbers(index, g)]
    return taken


# Numba: planes of (OH*OW, Q) values and of (H*W, Q) places, with Q as in `largest.py`. A task is a whole plane, since
# several values may have the same place. One driver does all three kernels, since Numba's parallel compiler takes a
# second for each driver.

_ADD, _PUT, _TAKE = range(3)


@njit()
def _share(
    t: Any, shares: int, op: int, values: Array, index: Array, places: Array, g: Pool, channels_last: bool
) -> None:
    channels = g.c if channels_last else 1
    planes, q, outputs, pixels = g.n * g.c // max(1, channels), U(channels), U(g.oh * g.ow), U(g.h * g.w * channels)
    first, end, done = t * planes // shares, (t + 1) * planes // shares, 0
    if op == _ADD and not channels_last and are_tiles(g) and g.ow >= LEAST:
        row = spread_rows(first * g.oh, end * g.oh, values, index, places, g)
        first, done = row // g.oh, row % g.oh  # in the last plane only the rows of windows that are done
    for plane in range(U(first), U(end)):
        to, start = plane * pixels, U(done)
        done = 0
        if op != _TAKE:
            for e in range(to + start * U(2 * g.w), to + pixels):
                places[e] = 0
        for w in range(plane * outputs + start * U(g.ow), (plane + U(1)) * outputs):
            for e in range(w * q, w * q + q):
                if index[e] >= 0:
                    place = to + U(index[e]) * q + (e - w * q)
                    if op == _ADD:
                        places[place] += values[e]
                    elif op == _PUT:
                        places[place] = values[e]
                    else:
                        values[e] = places[place]


@njit(parallel=True)
def _all(shares: int, op: int, values: Array, index: Array, places: Array, g: Pool, channels_last: bool) -> None:
    for t in prange(shares):
        _share(np.intp(t), shares, op, values, index, places, g, channels_last)


def add_numba(gy: Array, index: Array, g: Pool) -> Array:
    """Parallel over planes; gx has the memory order of index, which is that of x."""
    return _spread(_ADD, gy, index, g)


def put_numba(x: Array, index: Array, g: Pool) -> Array:
    """Parallel over planes; y has the memory order of x."""
    x, index = alike(x, index)
    return _spread(_PUT, x, index, g)


def _spread(op: int, values: Array, index: Array, g: Pool) -> Array:
    """The image that `add` or `put` makes."""
    numbered(g)
    index, values = alike(index.astype(np.int32, copy=False), values)
    channels_last = is_channels_last(index)
    image = empty(g.x_shape, values.dtype, channels_last)
    with parallel():
        _all(threads(), op, flat(writable(values)), flat(index), flat(image), g, channels_last)
    return image


def take_numba(gy: Array, index: Array, g: Pool) -> Array:
    """Parallel over planes; gx has the memory order of index."""
    numbered(g)
    (index,) = alike(index.astype(np.int32, copy=False))
    channels_last = is_channels_last(index)
    gx = empty(g.y_shape, gy.dtype, channels_last)
    with parallel():
        _all(threads(), _TAKE, flat(gx), flat(index), flat(writable(as_order(gy, channels_last))), g, channels_last)
    return gx


def add_cuda(gy: Array, index: Array, g: Pool) -> Array:
    """A thread for each pixel, which looks for itself in the indices: `largest.cu`; in the memory order of index."""
    if not able(gy):  # integers
        return add_numpy(gy, index, g)
    numbered(g)
    index, gy = alike(index.astype(np.int32, copy=False), gy)
    channels_last = is_channels_last(index)
    gx = empty_beside(gy, g.x_shape, channels_last)
    launch(LARGEST, f"backward<{scalar(gy)}>", gx.size, gy, index, strides(gy), gx, channels_last, g)
    return gx


def put_cuda(x: Array, index: Array, g: Pool) -> Array:
    """First the number of the last value at each place, then the value: `places.cu`. y has the memory order of x."""
    if not able(x):
        return put_numpy(x, index, g)
    numbered(g)
    x, index = alike(x, index.astype(np.int32, copy=False))
    channels_last = is_channels_last(x)
    y, last = empty_beside(x, g.x_shape, channels_last), xp(x).full(math.prod(g.x_shape), -1, np.int32)
    launch(_FILE, "mark<int>", index.size, index, last, channels_last, g)
    launch(_FILE, f"put<{scalar(x)}>", y.size, x, strides(x), last, y, channels_last, g)
    return y


def take_cuda(gy: Array, index: Array, g: Pool) -> Array:
    """A thread for each value: `places.cu`. gx has the memory order of index."""
    if not able(gy):
        return take_numpy(gy, index, g)
    numbered(g)
    index = dense(index.astype(np.int32, copy=False))
    channels_last = is_channels_last(index)
    gx = empty_beside(gy, g.y_shape, channels_last)
    launch(_FILE, f"take<{scalar(gy)}>", gx.size, as_order(gy, channels_last), index, gx, channels_last, g)
    return gx
