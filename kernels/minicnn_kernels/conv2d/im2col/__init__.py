"""Convolution as one matrix product: lay every window out as a column (`columns.py`), multiply, done.

    col   = im2col(x[n])                          K = C/G*KH*KW rows, OH*OW columns
    y[n]  = w col + b              (O, K) @ (K, OH*OW)
    gw    = sum_n gy[n] col^T      (O, OH*OW) @ (OH*OW, K)
    gx[n] = col2im(w^T gy[n])      (K, O) @ (O, OH*OW)

With G groups each line holds per group, on its own channels. BLAS does the arithmetic; the price is the memory of col,
KH*KW/(SH*SW) times the input's. Equations and legend: `conv2d/__init__.py`.

K. Chellapilla, S. Puri, P. Simard, "High performance convolutional neural networks for document processing", 2006.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...gemm import SMALL_FACTOR, gemm
from ...geometry import Conv
from ...layout import Array, as_order, dense, empty, flat, is_channels_last, nhwc
from ...runtime import njit, parallel, prange, single_blas, threads, workspace
from ...sums import total
from ..bias import add_bias, fill_bias, sum_of_pixels
from ..direct import Gradients, Need
from ..direct import multiplications as multiplications  # the products are those of the definition
from ..weights import add_up, channels_inside
from .columns import cells_python, col2im, col2im_nchw, col2im_nhwc, im2col, im2col_nchw, im2col_nhwc, length

# ------------------------------------------------------------------------------------------------------------ forward


def forward_python(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Plain loops: copy the windows of one picture and group into col, then multiply row by column."""
    y = np.empty((g.n, g.o, g.oh * g.ow), x.dtype)
    og, k_all, windows = g.o // g.groups, range(length(g)), range(g.oh * g.ow)
    for n, group in np.ndindex(g.n, g.groups):
        col = [[0.0 for _ in windows] for _ in k_all]
        for k, window, c, p, q in cells_python(group, g):
            col[k][window] = float(x[n, c, p, q])
        for o in range(group * og, (group + 1) * og):
            row = [float(v) for v in w[o].ravel()]  # (C/G, KH, KW) -> (K,)
            for window in windows:
                y[n, o, window] = sum(row[k] * col[k][window] for k in k_all) + (0.0 if b is None else float(b[o]))
    return y.reshape(g.y_shape)  # (N, O, OH*OW) -> (N, O, OH, OW)


def forward_numpy(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """All windows of all pictures at once, then one batched matrix product."""
    wg = w.reshape(g.groups, g.o // g.groups, length(g))  # (O, C/G, KH, KW) -> (G, O/G, K)
    y = (wg @ im2col(x, g)).reshape(g.y_shape)  # (G, O/G, K) @ (N, G, K, OH*OW) -> (N, O, OH, OW)
    if b is not None:
        y += b[:, None, None]
    return y


# Numba: the windows of a band, a few output rows, are copied, multiplied and forgotten while they are in the cache.
# Share t has a run of the N*OH output rows of the batch and walks through it band by band; in NHWC memory a band may
# reach over several small pictures.
#
# NCHW memory:  y band (O/G, P) = w (O/G, K) @ col (K, P)       a band of y is a part of each of its rows
# NHWC memory:  y band (P, O/G) = col (P, K) @ w^T (K, O/G)     K runs over kernel cells, then channels
#
# The products are written where they belong, onto the bias, which is put there first (`gemm.py`). BLAS vectorises along
# the last axis of the result: P in NCHW, which wins for the few channels of a first layer, O/G in NHWC.

_BAND = 1 << 19  # bytes of col in a band: half of a common second-level cache


def _rows(g: Conv, itemsize: int, last: bool) -> int:
    """Output rows in a band."""
    most = -(-g.n * g.oh // threads()) if last else g.oh
    return max(1, min(most, _BAND // (length(g) * g.ow * itemsize)))


@njit()
def _end(row: int, stop: int, rows: int, g: Conv, last: bool) -> int:
    """The row after the band that begins at `row`: NCHW bands end with their picture."""
    end = min(stop, row + rows)
    return end if last else min(end, (row // g.oh + 1) * g.oh)


@njit()
def _columns(x: Array, col: Array, group: int, row: int, end: int, g: Conv, last: bool) -> None:
    """The windows of rows row..end of the batch, of one group: (P, K) or (K, P)."""
    cg = g.c // g.groups
    k, size = cg * g.kh * g.kw, (end - row) * g.ow
    if last:
        im2col_nhwc(x, col[: size * k].reshape(size, k), group * cg, row, end, g)
    else:
        n = row // g.oh
        im2col_nchw(x[n], col[: size * k].reshape(k, size), group * cg, row - n * g.oh, end - n * g.oh, g)


@njit()
def _forward_share(
    t: Any, chunks: int, x: Array, w: Array, b: Array, y: Array, g: Conv, rows: int, last: bool, cols: Array
) -> None:
    # w (O, K); NHWC, where it is small: (G, K, O/G), which BLAS likes better
    og, k, pixels, beta = g.o // g.groups, g.c // g.groups * g.kh * g.kw, g.oh * g.ow, int(b.size > 0)
    stored, col = og * k > SMALL_FACTOR, cols[t]
    row, stop = t * g.n * g.oh // chunks, (t + 1) * g.n * g.oh // chunks
    while row < stop:
        end = _end(row, stop, rows, g, last)
        n, size = row // g.oh, (end - row) * g.ow
        p0 = row * g.ow if last else (row - n * g.oh) * g.ow
        if beta:
            fill_bias(y, b, n, p0, size, g, last)
        for group in range(g.groups):
            o = group * og
            _columns(x, col, group, row, end, g, last)
            if last:
                gemm(size, og, k, col, 0, k, False, w, o * k, k if stored else og, stored, y, p0 * g.o + o, g.o, beta)
            else:
                to = (n * g.o + o) * pixels + p0
                gemm(og, size, k, w, o * k, k, False, col, 0, size, False, y, to, pixels, beta)
        row = end


@njit(parallel=True)
def _forward(chunks: int, x: Array, w: Array, b: Array, y: Array, g: Conv, rows: int, last: bool, cols: Array) -> None:
    for t in prange(chunks):
        _forward_share(np.intp(t), chunks, x, w, b, y, g, rows, last, cols)


def forward_numba(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Parallel over bands of output rows; gives y in the memory order of x."""
    x, k, og = dense(x), length(g), g.o // g.groups
    last = is_channels_last(x)
    rows = _rows(g, x.itemsize, last)
    y = empty(g.y_shape, x.dtype, last)
    bias = np.empty(0, x.dtype) if b is None else np.ascontiguousarray(b)
    with parallel(), single_blas():
        cols = workspace("conv2d col", k * rows * g.ow, x.dtype)
        if last:
            w = channels_inside(w, g)
            if og * k <= SMALL_FACTOR:
                w = w.reshape(g.groups, og, k).transpose(0, 2, 1)
        w = np.ascontiguousarray(w).reshape(-1)
        _forward(threads(), nhwc(x) if last else x, w, bias, flat(y), g, rows, last, cols)
    return y


# ----------------------------------------------------------------------------------------------------------- backward


def backward_python(gy: Array, x: Array | None, w: Array | None, g: Conv, need: Need) -> Gradients:
    """Plain loops: gw[o, k] = sum gy[o, window] col[k, window], and gcol = w^T gy goes back to where col came from."""
    gx, gw, gb = (np.zeros(shape, np.float64) for shape in (g.x_shape, (g.o, length(g)), (g.o,)))
    w = None if w is None else w.reshape(g.o, length(g))  # (O, C/G, KH, KW) -> (O, K)
    up = gy.reshape(g.n, g.o, g.oh * g.ow)  # (N, O, OH, OW) -> (N, O, OH*OW)
    og = g.o // g.groups
    for n, group in np.ndindex(g.n, g.groups):
        outputs = range(group * og, (group + 1) * og)
        for k, window, c, p, q in cells_python(group, g):
            if x is not None:
                for o in outputs:
                    gw[o, k] += float(up[n, o, window]) * float(x[n, c, p, q])
            if w is not None:
                gx[n, c, p, q] += sum(float(w[o, k]) * float(up[n, o, window]) for o in outputs)
        for o in outputs:
            gb[o] += sum(float(v) for v in up[n, o])
    gradients = (gx, gw.reshape(g.w_shape), gb)
    return tuple(a.astype(gy.dtype) if wanted else None for a, wanted in zip(gradients, need, strict=True))  # type: ignore[return-value]


def backward_numpy(gy: Array, x: Array | None, w: Array | None, g: Conv, need: Need) -> Gradients:
    """Two batched matrix products; the windows are copied again rather than kept since the forward pass."""
    og, k = g.o // g.groups, length(g)
    up = gy.reshape(g.n, g.groups, og, g.oh * g.ow)  # (N, O, OH, OW) -> (N, G, O/G, OH*OW)
    gx = gw = None
    if need[0] and w is not None:
        wt = w.reshape(g.groups, og, k).transpose(0, 2, 1)  # (O, C/G, KH, KW) -> (G, K, O/G)
        gx = col2im(wt @ up, g)
    if need[1] and x is not None:
        gw = total(up @ im2col(x, g).transpose(0, 1, 3, 2), (0,)).reshape(g.w_shape)  # (G, O/G, K) -> (O, C/G, KH, KW)
    return gx, gw, sum_of_pixels(gy) if need[2] else None


@njit()
def _backward_w_share(
    t: Any, chunks: int, gy: Array, x: Array, sums: Array, g: Conv, rows: int, last: bool, whole: bool, cols: Array
) -> None:
    # sums[t]: gw (O, K), then gb (O,). Of this share's rows, all output channels; or, with `whole`, its output channels
    # (of each group) of all rows, and then all shares write to parts of the same sums.
    og, k, pixels = g.o // g.groups, g.c // g.groups * g.kh * g.kw, g.oh * g.ow
    row, stop, o0, o1 = t * g.n * g.oh // chunks, (t + 1) * g.n * g.oh // chunks, 0, og
    total = sums[0] if whole else sums[t]
    if whole:
        row, stop, o0, o1 = 0, g.n * g.oh, t * og // chunks, (t + 1) * og // chunks
    gw, gb, col = total[: g.o * k], total[g.o * k : g.o * k + g.o], cols[t]
    for o in range(0, g.o, og):
        gw[(o + o0) * k : (o + o1) * k] = 0
        gb[o + o0 : o + o1] = 0
    while row < stop:
        end = _end(row, stop, rows, g, last)
        n, size = row // g.oh, (end - row) * g.ow
        p0 = row * g.ow if last else (row - n * g.oh) * g.ow
        for group in range(g.groups):
            o = group * og + o0
            _columns(x, col, group, row, end, g, last)
            if last:
                gemm(o1 - o0, k, size, gy, p0 * g.o + o, g.o, True, col, 0, k, False, gw, o * k, k, 1)
            else:
                gemm(
                    o1 - o0,
                    k,
                    size,
                    gy,
                    (n * g.o + o) * pixels + p0,
                    pixels,
                    False,
                    col,
                    0,
                    size,
                    True,
                    gw,
                    o * k,
                    k,
                    1,
                )
            add_bias(gy, gb, n, p0, size, o, o + o1 - o0, g, last)
        row = end


@njit(parallel=True)
def _backward_w(
    chunks: int, gy: Array, x: Array, sums: Array, g: Conv, rows: int, last: bool, whole: bool, cols: Array
) -> None:
    for t in prange(chunks):
        _backward_w_share(np.intp(t), chunks, gy, x, sums, g, rows, last, whole, cols)


@njit()
def _backward_x_share(
    t: Any, chunks: int, gy: Array, w: Array, gx: Array, g: Conv, rows: int, last: bool, cols: Array
) -> None:
    # Whole pictures, since bands overlap in gx; it is cleared picture by picture, at the first band. w (O, K)
    og, cg, pixels = g.o // g.groups, g.c // g.groups, g.oh * g.ow
    k, col = cg * g.kh * g.kw, cols[t]
    row, stop = t * g.n // chunks * g.oh, (t + 1) * g.n // chunks * g.oh
    while row < stop:
        end = _end(row, stop, rows, g, last)
        n, size = row // g.oh, (end - row) * g.ow
        p0 = row * g.ow if last else (row - n * g.oh) * g.ow
        for picture in range((row + g.oh - 1) // g.oh, (end + g.oh - 1) // g.oh):
            gx[picture] = 0
        for group in range(g.groups):
            o = group * og
            if last:
                gemm(size, k, og, gy, p0 * g.o + o, g.o, False, w, o * k, k, False, col, 0, k, 0)
                col2im_nhwc(col[: size * k].reshape(size, k), gx, group * cg, row, end, g)
            else:
                gemm(k, size, og, w, o * k, k, True, gy, (n * g.o + o) * pixels + p0, pixels, False, col, 0, size, 0)
                part = col[: size * k].reshape(k, size)
                col2im_nchw(part, gx[n], group * cg, row - n * g.oh, end - n * g.oh, g)
        row = end


@njit(parallel=True)
def _backward_x(chunks: int, gy: Array, w: Array, gx: Array, g: Conv, rows: int, last: bool, cols: Array) -> None:
    for t in prange(chunks):
        _backward_x_share(np.intp(t), chunks, gy, w, gx, g, rows, last, cols)


def backward_numba(gy: Array, x: Array | None, w: Array | None, g: Conv, need: Need) -> Gradients:
    """Bands as in forward. gx: parallel over pictures. gw: over rows, a partial sum per share, but over output channels
    where rows are few.
    """
    like = dense(gy if x is None else x)
    k, last, dtype = length(g), is_channels_last(like), gy.dtype
    rows = _rows(g, gy.itemsize, last)
    gy = as_order(gy, last)
    gx = gw = gb = None
    with parallel(), single_blas():
        cols = workspace("conv2d col", k * rows * g.ow, dtype)
        if need[0] and w is not None:
            gx = empty(g.x_shape, dtype, last)
            w = channels_inside(w, g) if last else np.ascontiguousarray(w).reshape(-1)
            _backward_x(threads(), flat(gy), w, nhwc(gx) if last else gx, g, rows, last, cols)
        if need[2] and not need[1]:
            gb = sum_of_pixels(gy)
        if need[1] and x is not None:
            whole = g.n * g.oh * g.ow < 2 * g.o // g.groups
            size = g.o * (k + 1)
            sums = np.empty((1, size), dtype) if whole else workspace("conv2d gw", size, dtype)
            _backward_w(threads(), flat(gy), nhwc(like) if last else like, sums, g, rows, last, whole, cols)
            gw, gb = add_up(sums, g, g.c // g.groups if last else k)
    return gx, gw, gb if need[2] else None
