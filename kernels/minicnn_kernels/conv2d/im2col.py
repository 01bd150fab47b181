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

from ..geometry import Conv
from ..layout import Array, as_order, dense, empty, is_channels_last, nhwc
from ..runtime import njit, parallel, prange, threads, workspace
from .columns import cells_python, col2im, col2im_nchw, col2im_nhwc, im2col, im2col_nchw, im2col_nhwc, length
from .direct import Gradients, Need
from .direct import multiplications as multiplications  # the products are those of the definition

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


# Numba: the windows of a few output rows of one picture are copied, multiplied and forgotten while they are in the
# cache. A task is such a band of one group of one picture.
#
# NCHW memory:  y band (O/G, P) = w (O/G, K) @ col (K, P)      P = the band's rows * OW
# NHWC memory:  y band (P, O/G) = col (P, K) @ w^T (K, O/G)
#
# BLAS vectorises along the last axis of the result: P in NCHW, which wins for the few channels of a first layer, O/G in
# NHWC.

_BAND = 1 << 19  # bytes of col in a band: half of a common second-level cache


def _rows(g: Conv, itemsize: int) -> int:
    """Output rows in a band."""
    return max(1, min(g.oh, _BAND // (length(g) * g.ow * itemsize)))


@njit()
def _forward_share(
    t: Any,
    chunks: int,
    x: Array,
    w: Array,
    b: Array,
    y: Array,
    g: Conv,
    rows: int,
    last: bool,
    cols: Array,
    outs: Array,
) -> None:
    # NCHW: w (G, O/G, K). NHWC (`last`): x (N, H, W, C), w (G, K, O/G), y (N, OH, OW, O)
    og, k = g.o // g.groups, g.c // g.groups * g.kh * g.kw
    bands = (g.oh + rows - 1) // rows
    tasks = g.n * g.groups * bands
    for task in range(t * tasks // chunks, (t + 1) * tasks // chunks):
        n, group, i0 = task // bands // g.groups, task // bands % g.groups, task % bands * rows
        i1 = min(g.oh, i0 + rows)
        size, start = (i1 - i0) * g.ow, i0 * g.ow
        if last:
            col, out = cols[t, : size * k].reshape(size, k), outs[t, : size * og].reshape(size, og)
            im2col_nhwc(x[n], col, group * (g.c // g.groups), i0, i1, g)
            np.dot(col, w[group], out)
            to_last = y[n].reshape(g.oh * g.ow, g.o)  # (OH, OW, O) -> (OH*OW, O)
            for p in range(size):
                for o in range(og):
                    to_last[start + p, group * og + o] = out[p, o] + b[group * og + o]
        else:
            col, out = cols[t, : k * size].reshape(k, size), outs[t, : og * size].reshape(og, size)
            im2col_nchw(x[n], col, group * (g.c // g.groups), i0, i1, g)
            np.dot(w[group], col, out)
            to = y[n].reshape(g.o, g.oh * g.ow)  # (O, OH, OW) -> (O, OH*OW)
            for o in range(og):
                row, bias = to[group * og + o, start : start + size], b[group * og + o]
                for p in range(size):
                    row[p] = out[o, p] + bias


@njit(parallel=True)
def _forward(
    chunks: int, x: Array, w: Array, b: Array, y: Array, g: Conv, rows: int, last: bool, cols: Array, outs: Array
) -> None:
    for t in prange(chunks):
        _forward_share(np.intp(t), chunks, x, w, b, y, g, rows, last, cols, outs)


def forward_numba(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Parallel over bands of output rows; gives y in the memory order of x."""
    x, rows, k = dense(x), _rows(g, x.itemsize), length(g)
    last = is_channels_last(x)
    y = empty(g.y_shape, x.dtype, last)
    bias = np.zeros(g.o, x.dtype) if b is None else np.ascontiguousarray(b)
    with parallel(blas=True):
        cols = workspace("conv2d col", k * rows * g.ow, x.dtype)
        outs = workspace("conv2d out", g.o // g.groups * rows * g.ow, x.dtype)
        memory = (nhwc(x), _weights(w, g, last), bias, nhwc(y)) if last else (x, _weights(w, g, last), bias, y)
        _forward(threads(), *memory, g, rows, last, cols, outs)
    return y


def _weights(w: Array, g: Conv, last: bool) -> Array:
    """w as the products take it: (G, O/G, K) for NCHW, (G, K, O/G) with the channels innermost in K for NHWC."""
    w = w.reshape(g.groups, g.o // g.groups, g.c // g.groups, g.kh, g.kw)  # (O, C/G, KH, KW) -> (G, O/G, C/G, KH, KW)
    if last:
        w = w.transpose(0, 3, 4, 2, 1)  # -> (G, KH, KW, C/G, O/G)
        return np.ascontiguousarray(w).reshape(g.groups, length(g), -1)
    return np.ascontiguousarray(w).reshape(g.groups, -1, length(g))


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
        gw = (up @ im2col(x, g).transpose(0, 1, 3, 2)).sum(0).reshape(g.w_shape)  # (G, O/G, K) -> (O, C/G, KH, KW)
    return gx, gw, gy.sum((0, 2, 3)) if need[2] else None


@njit()
def _take(gy: Array, ups: Array, group: int, i0: int, i1: int, g: Conv, last: bool) -> Array:
    # The rows i0..i1 and the channels of one group of gy (O, OH, OW) or (OH, OW, O), as (O/G, P) or (P, O/G)
    og, size, start = g.o // g.groups, (i1 - i0) * g.ow, i0 * g.ow
    if last:
        flat_last = gy.reshape(g.oh * g.ow, g.o)  # (OH, OW, O) -> (OH*OW, O)
        up = ups[: size * og].reshape(size, og)
        for p in range(size):
            for o in range(og):
                up[p, o] = flat_last[start + p, group * og + o]
    else:
        flat = gy.reshape(g.o, g.oh * g.ow)  # (O, OH, OW) -> (O, OH*OW)
        if size == g.oh * g.ow:
            return flat[group * og : (group + 1) * og]  # already lies so
        up = ups[: og * size].reshape(og, size)
        for o in range(og):
            up[o] = flat[group * og + o, start : start + size]
    return up


@njit()
def _backward_w_share(
    t: Any, chunks: int, gy: Array, x: Array, sums: Array, g: Conv, rows: int, last: bool, cols: Array, ups: Array
) -> None:
    # sums[t]: this share's gw, G blocks (O/G, K) for NCHW or (K, O/G) for NHWC, then gb (O,), then room for one product
    og, k = g.o // g.groups, g.c // g.groups * g.kh * g.kw
    gw, gb = sums[t, : g.o * k].reshape(g.groups, og * k), sums[t, g.o * k : g.o * k + g.o]
    product = sums[t, g.o * k + g.o : g.o * k + g.o + og * k]
    sums[t, : g.o * k + g.o] = 0
    bands = (g.oh + rows - 1) // rows
    tasks = g.n * g.groups * bands
    for task in range(t * tasks // chunks, (t + 1) * tasks // chunks):
        n, group, i0 = task // bands // g.groups, task // bands % g.groups, task % bands * rows
        i1 = min(g.oh, i0 + rows)
        size = (i1 - i0) * g.ow
        up = _take(gy[n], ups[t], group, i0, i1, g, last)
        if last:
            col = cols[t, : size * k].reshape(size, k)
            im2col_nhwc(x[n], col, group * (g.c // g.groups), i0, i1, g)
            np.dot(col.T, up, product.reshape(k, og))  # (K, P) @ (P, O/G)
            for p in range(size):
                for o in range(og):
                    gb[group * og + o] += up[p, o]
        else:
            col = cols[t, : k * size].reshape(k, size)
            im2col_nchw(x[n], col, group * (g.c // g.groups), i0, i1, g)
            np.dot(up, col.T, product.reshape(og, k))  # (O/G, P) @ (P, K)
            for o in range(og):
                gb[group * og + o] += up[o].sum()
        for e in range(og * k):
            gw[group, e] += product[e]


@njit(parallel=True)
def _backward_w(
    chunks: int, gy: Array, x: Array, sums: Array, g: Conv, rows: int, last: bool, cols: Array, ups: Array
) -> None:
    for t in prange(chunks):
        _backward_w_share(np.intp(t), chunks, gy, x, sums, g, rows, last, cols, ups)


@njit()
def _backward_x_share(
    t: Any, chunks: int, gy: Array, w: Array, gx: Array, g: Conv, rows: int, last: bool, cols: Array, ups: Array
) -> None:
    # A task is one group of one picture, all its bands in turn: bands overlap in gx. w (G, K, O/G), NHWC (G, O/G, K)
    cg, k = g.c // g.groups, g.c // g.groups * g.kh * g.kw
    tasks = g.n * g.groups
    for task in range(t * tasks // chunks, (t + 1) * tasks // chunks):
        n, group = task // g.groups, task % g.groups
        if last:
            gx[n, :, :, group * cg : (group + 1) * cg] = 0
        else:
            gx[n, group * cg : (group + 1) * cg] = 0
        for i0 in range(0, g.oh, rows):
            i1 = min(g.oh, i0 + rows)
            size = (i1 - i0) * g.ow
            up = _take(gy[n], ups[t], group, i0, i1, g, last)
            if last:
                col = cols[t, : size * k].reshape(size, k)
                np.dot(up, w[group], col)  # (P, O/G) @ (O/G, K)
                col2im_nhwc(col, gx[n], group * cg, i0, i1, g)
            else:
                col = cols[t, : k * size].reshape(k, size)
                np.dot(w[group], up, col)  # (K, O/G) @ (O/G, P)
                col2im_nchw(col, gx[n], group * cg, i0, i1, g)


@njit(parallel=True)
def _backward_x(
    chunks: int, gy: Array, w: Array, gx: Array, g: Conv, rows: int, last: bool, cols: Array, ups: Array
) -> None:
    for t in prange(chunks):
        _backward_x_share(np.intp(t), chunks, gy, w, gx, g, rows, last, cols, ups)


def backward_numba(gy: Array, x: Array | None, w: Array | None, g: Conv, need: Need) -> Gradients:
    """Bands as in forward. gw and gb: parallel over bands, a partial sum per share; gx: over pictures and groups."""
    like = dense(gy if x is None else x)
    rows, k, last, dtype = _rows(g, gy.itemsize), length(g), is_channels_last(like), gy.dtype
    gy = as_order(gy, last)
    gx = gw = gb = None
    with parallel(blas=True):
        cols = workspace("conv2d col", k * rows * g.ow, dtype)
        ups = workspace("conv2d out", g.o // g.groups * rows * g.ow, dtype)
        up = nhwc(gy) if last else gy
        if need[0] and w is not None:
            gx = empty(g.x_shape, dtype, last)
            wt = np.ascontiguousarray(_weights(w, g, last).transpose(0, 2, 1))
            _backward_x(threads(), up, wt, nhwc(gx) if last else gx, g, rows, last, cols, ups)
        if need[2] and not need[1]:
            gb = gy.sum((0, 2, 3))
        if need[1] and x is not None:
            sums = workspace("conv2d gw", g.o * k + g.o + g.o // g.groups * k, dtype)
            _backward_w(threads(), up, nhwc(like) if last else like, sums, g, rows, last, cols, ups)
            total = sums[:, : g.o * k + g.o].sum(0)
            gw, gb = total[: g.o * k], total[g.o * k :]
            if last:
                gw = gw.reshape(g.groups, g.kh, g.kw, -1, g.o // g.groups)  # (G, K, O/G) -> (G, KH, KW, C/G, O/G)
                gw = gw.transpose(0, 4, 3, 1, 2)  # -> (G, O/G, C/G, KH, KW)
            gw = gw.reshape(g.w_shape)
    return gx, gw if need[1] else None, gb if need[2] else None
