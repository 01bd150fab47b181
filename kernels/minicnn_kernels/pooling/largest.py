"""Max pooling 1 of 2: the largest value of each window, for any geometry.

Equations and legend: `pooling/__init__.py`. The usual windows of 2x2 in NCHW memory are computed in `tiles.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arrays import Array, U, constant, xp
from ..cuda import BLOCK, SHORT, able, launch, launch_blocks, scalar, strides
from ..geometry import Pool
from ..layout import dense, empty, empty_beside, flat, is_channels_last, padded
from ..runtime import njit, parallel, prange, threads
from .tiles import largest_rows

FILE = "pooling/largest.cu"
MOST = 2**31 - 1  # the most pixels that an int32 can number


def _new_index(g: Pool, channels_last: bool) -> Array:
    numbered(g)
    return empty(g.y_shape, np.int32, channels_last)


def numbered(g: Pool) -> None:
    """Check that an int32 can number the pixels of an image."""
    if g.h * g.w > MOST:
        raise ValueError(
            f"max_pool2d: an image of {g.h} x {g.w} has more pixels than the int32 indices can number; pool parts of it"
        )


def window(g: Pool, i: int, j: int) -> Iterator[tuple[int, int]]:
    """The pixels (p, q) of window (i, j) that are in the image, in reading order."""
    for a in range(g.kh):
        for b in range(g.kw):
            if g.adaptive:
                p, q = i * g.h // g.oh + a, j * g.w // g.ow + b
                there = p < -(-(i + 1) * g.h // g.oh) and q < -(-(j + 1) * g.w // g.ow)
            else:
                p, q = i * g.sh - g.ph + a * g.dh, j * g.sw - g.pw + b * g.dw
                there = 0 <= p < g.h and 0 <= q < g.w
            if there:
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
    numbered(g)
    least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    y, index = xp(x).full(g.y_shape, least, x.dtype), xp(x).full(g.y_shape, -1, np.int32)
    pixels = x.reshape(g.n, g.c, g.h * g.w) if g.adaptive else pad(x, g)  # (N, C, H, W) -> (N, C, H*W)
    there, place = constant(_cells, x, g)
    for a in range(g.kh):
        for b in range(g.kw):
            value = pixels[:, :, place[a, b]] if g.adaptive else under(pixels, g, a, b)
            take = there[a, b] & ((value > y) | (value != value) | (index < 0))
            np.copyto(y, value, where=take)
            np.copyto(index, place[a, b], where=take)
    return y, index


def _cells(g: Pool) -> tuple[Array, Array]:
    """For each cell of the windows, (KH, KW, OH, OW): whether it is in the image, and the number of its pixel."""
    (top, below), (left, right) = ends(g)
    p = top + np.arange(g.kh)[:, None] * g.dh  # (KH, OH)
    q = left + np.arange(g.kw)[:, None] * g.dw  # (KW, OW)
    rows, columns = (p >= 0) & (p < below), (q >= 0) & (q < right)
    place = np.clip(p, 0, g.h - 1)[:, None, :, None] * g.w + np.clip(q, 0, g.w - 1)[:, None]
    return rows[:, None, :, None] & columns[:, None], place.astype(np.int32)


def ends(g: Pool) -> list[tuple[Array, Array]]:
    """For rows and for columns: where each window begins, maybe in the padding, and where it ends in the image."""
    found = []
    for out, k, s, padding, dilation, size in (
        (g.oh, g.kh, g.sh, g.ph, g.dh, g.h),
        (g.ow, g.kw, g.sw, g.pw, g.dw, g.w),
    ):
        i = np.arange(out)
        if g.adaptive:
            found.append((i * size // out, -(-(i + 1) * size // out)))
        else:
            first = i * s - padding
            found.append((first, np.minimum(first + dilation * (k - 1) + 1, size)))
    return found


def pad(x: Array, g: Pool) -> Array:
    """x with PH rows and PW columns of zeros on each side, and more at the end if the last window hangs over."""
    below = max(0, (g.oh - 1) * g.sh + (g.kh - 1) * g.dh + 1 - g.h - g.ph)
    right = max(0, (g.ow - 1) * g.sw + (g.kw - 1) * g.dw + 1 - g.w - g.pw)
    return padded(x, g.ph, below, g.pw, right)


def under(x: Array, g: Pool, a: int, b: int) -> Array:
    """The view (N, C, OH, OW) of the padded input that is under window cell (a, b) as the window slides."""
    top, left = a * g.dh, b * g.dw
    return x[:, :, top : top + g.sh * (g.oh - 1) + 1 : g.sh, left : left + g.sw * (g.ow - 1) + 1 : g.sw]


# Numba: memory is planes of (H, W, Q) values: N*C planes with Q = 1 in NCHW memory, N planes with Q = C in
# channels-last memory. A task is one output row of one plane. Its loop goes over the cells of the window, and for each
# cell over the windows of the row: along the image in NCHW memory, along the channels in channels-last memory.
#
# The 2x2 window with stride 2, inside the image, is so common that it has a loop of its own, with the four pixels in
# registers and with steps that the compiler knows. So has the 3x3 window in channels-last memory.


@njit()
def inside(first: int, step: int, count: int, size: int) -> tuple[int, int]:
    """The range of k in 0 <= k < count for which first + k*step is one of 0..size-1."""
    k0 = min(count, max(0, -(first // step)))
    return k0, max(k0, min(count, (size - 1 - first) // step + 1))


@njit()
def span(i: int, count: int, step: int, padding: int, size: int, outputs: int, adaptive: int) -> tuple[int, int]:
    """The rows (or columns) of window i that are in the image: the first one, and the one after the last."""
    if adaptive:
        return i * size // outputs, ((i + 1) * size + outputs - 1) // outputs
    k0, k1 = inside(i * step - padding, 1, count, size)
    return i * step - padding + k0, i * step - padding + k1


@njit()
def are_tiles(g: Pool) -> bool:
    """Whether the windows are 2x2 with stride 2, undilated, and all in the image."""
    two = g.kh == 2 and g.kw == 2 and g.sh == 2 and g.sw == 2
    return two and g.dh == 1 and g.dw == 1 and g.ph == 0 and g.pw == 0 and 2 * g.oh <= g.h and 2 * g.ow <= g.w


@njit()
def _larger(x: Any, place: Any, best: Any, where: Any) -> tuple[Any, Any]:
    """The larger of a value and the best so far, and its place; without a branch the loop can be vectorised."""
    take = x > best or x != x
    return x if take else best, place if take else where


@njit()
def _of_tile(x: Array, at: Any, right: Any, below: Any, place: Any, g: Pool) -> tuple[Any, Any]:
    """The largest of four pixels, the first of which is at `at` and has the place `place`; also its place."""
    best, where = _larger(x[at + right], place + np.int32(1), x[at], place)
    best, where = _larger(x[at + below], place + np.int32(g.w), best, where)
    return _larger(x[at + below + right], place + np.int32(g.w + 1), best, where)


@njit()
def are_nine(g: Pool) -> bool:
    """Whether the windows are 3x3 and undilated."""
    return g.kh == 3 and g.kw == 3 and g.dh == 1 and g.dw == 1


@njit()
def _of_nine(x: Array, at: Any, right: Any, below: Any, place: Any, g: Pool) -> tuple[Any, Any]:
    """As `_of_tile`, the largest of 3x3 pixels."""
    best, where = x[at], place
    for a in range(3):
        row, first = at + U(a) * below, place + np.int32(a) * np.int32(g.w)
        best, where = _larger(x[row], first, best, where)  # the first pixel of all once more, which changes nothing
        best, where = _larger(x[row + right], first + np.int32(1), best, where)
        best, where = _larger(x[row + U(2) * right], first + np.int32(2), best, where)
    return best, where


@njit()
def _forward_share(t: Any, shares: int, x: Array, y: Array, index: Array, g: Pool, channels_last: bool) -> None:
    channels = g.c if channels_last else 1
    tasks, q, width = g.n * g.c // max(1, channels) * g.oh, U(channels), U(g.w * channels)
    first, end = t * tasks // shares, (t + 1) * tasks // shares
    if are_tiles(g) and not channels_last:
        first = largest_rows(first, end, x, y, index, g)
    for task in range(first, end):
        plane, top, to = task // g.oh, task % g.oh * g.sh - g.ph, U(task * g.ow * channels)
        if are_tiles(g):
            at = U((plane * g.h + top) * g.w * channels)
            for j in range(U(g.ow)):
                place = np.int32(top * g.w) + np.int32(2) * np.int32(j)
                for c in range(q):
                    e = to + j * q + c
                    y[e], index[e] = _of_tile(x, at + U(2) * j * q + c, q, width, place, g)
            continue
        for j in range(U(g.ow * channels)):
            y[to + j], index[to + j] = -np.inf, -1
        few = are_nine(g) if channels_last else g.ow <= g.kw and g.dh == 1 and g.dw == 1
        if g.adaptive or few:
            _by_window(x, y, index, plane, task % g.oh, to, q, g)
            continue
        a0, a1 = inside(top, g.dh, g.kh, g.h)
        for a in range(a0, a1):
            for b in range(g.kw):
                left = b * g.dw - g.pw
                j0, j1 = inside(left, g.sw, g.ow, g.w)
                pixel = (top + a * g.dh) * g.w + left + j0 * g.sw
                _row(x, y, index, U((plane * g.h * g.w + pixel) * channels), to + U(j0) * q, U(j1 - j0), pixel, q, g)


@njit()
def _row(x: Array, y: Array, index: Array, at: Any, to: Any, count: Any, pixel: int, q: Any, g: Pool) -> None:
    """One cell of `count` neighbouring windows: for the first, pixel number `pixel`, at `at` in x and `to` in y."""
    if q > U(1):
        for j in range(count):
            for c in range(q):
                _keep(x[at + j * U(g.sw) * q + c], np.int32(pixel + j * g.sw), y, index, to + j * q + c)
    elif g.sw == 1:  # with a step of 1 or 2 in the source LLVM vectorises the loop
        for j in range(count):
            _keep(x[at + j], np.int32(pixel) + np.int32(j), y, index, to + j)
    elif g.sw == 2:
        for j in range(count):
            _keep(x[at + U(2) * j], np.int32(pixel) + np.int32(2) * np.int32(j), y, index, to + j)
    else:
        for j in range(count):
            _keep(x[at + j * U(g.sw)], np.int32(pixel + j * g.sw), y, index, to + j)


@njit()
def _by_window(x: Array, y: Array, index: Array, plane: int, i: int, to: Any, q: Any, g: Pool) -> None:
    """Row i of the output, one window after the other: if windows are few and wide, differ in size, or are 3x3."""
    p0, p1 = span(i, g.kh, g.sh, g.ph, g.h, g.oh, g.adaptive)
    for j in range(g.ow):
        q0, q1 = span(j, g.kw, g.sw, g.pw, g.w, g.ow, g.adaptive)
        best, where = x.dtype.type(-np.inf), np.int32(-1)
        if q > U(1) and p1 - p0 == 3 and q1 - q0 == 3:
            at, place, e = U((plane * g.h + p0) * g.w + q0) * q, np.int32(p0 * g.w + q0), to + U(j) * q
            for c in range(q):
                y[e + c], index[e + c] = _of_nine(x, at + c, q, U(g.w) * q, place, g)
            continue
        for p in range(p0, p1):
            at = U((plane * g.h + p) * g.w + q0) * q
            for k in range(U(q1 - q0)):
                place = np.int32(p * g.w + q0) + np.int32(k)
                if q == U(1):
                    best, where = _larger(x[at + k], place, best, where)
                else:
                    for c in range(q):
                        _keep(x[at + k * q + c], place, y, index, to + U(j) * q + c)
        if q == U(1) and q0 < q1 and p0 < p1:  # all pixels are -Inf, and none was larger: take the first
            y[to + U(j)], index[to + U(j)] = best, where if where >= 0 else np.int32(p0 * g.w + q0)


@njit()
def _keep(x: Any, place: Any, y: Array, index: Array, e: Any) -> None:
    """Make x result e, if it is the first value or larger than the present one."""
    take = x > y[e] or x != x or index[e] < 0
    y[e] = x if take else y[e]
    index[e] = place if take else index[e]


@njit(parallel=True)
def _forward(shares: int, x: Array, y: Array, index: Array, g: Pool, channels_last: bool) -> None:
    for t in prange(shares):
        _forward_share(np.intp(t), shares, x, y, index, g, channels_last)


def forward_numba(x: Array, g: Pool) -> tuple[Array, Array]:
    """Parallel over output rows; y and index have the memory order of x."""
    x = dense(x)
    channels_last = is_channels_last(x)
    y, index = empty(g.y_shape, x.dtype, channels_last), _new_index(g, channels_last)
    with parallel():
        _forward(threads(), flat(x), flat(y), flat(index), g, channels_last)
    return y, index


def forward_cuda(x: Array, g: Pool) -> tuple[Array, Array]:
    """A thread for each window, or several if it is large: `largest.cu`. y and index have the memory order of x."""
    if not able(x):  # integers
        return forward_numpy(x, g)
    numbered(g)
    x = dense(x)
    channels_last = is_channels_last(x)
    y, index = (empty_beside(x, g.y_shape, channels_last, dtype) for dtype in (x.dtype, np.int32))
    args, together = (x, strides(x), y, index, channels_last, g), helpers(g, channels_last)
    if together is None:
        launch(FILE, f"forward<{scalar(x)}>", y.size, *args)
    else:
        width, blocks = together
        launch_blocks(FILE, f"forward_together<{scalar(x)}>", (blocks,), (BLOCK,), *args, width)
    return y, index


def helpers(g: Pool, channels_last: bool) -> tuple[int, int] | None:
    """How many threads are side by side in memory, for one window or for channels of one pixel; and how many blocks.

    None for windows of few pixels, which a thread each looks at.
    """
    if g.kh * g.kw <= SHORT:
        return None
    if channels_last:
        tiles = max(1, -(-g.c // 64))
        return max(1, -(-g.c // tiles)), g.n * g.oh * g.ow * tiles
    width = 32 if g.kh * g.kw <= SHORT * BLOCK else BLOCK
    return width, -(-g.n * g.c * g.oh * g.ow * width // BLOCK)
