"""Convolution as a matrix product, compiled: band by band. The mathematics is in `im2col/__init__.py`.

A band is a few output rows. Its windows are copied and multiplied while they are in the cache, and then overwritten.
Share t has a run of the N*OH output rows of the batch and goes through it band by band; in NHWC memory a band may span
several small images.

    NCHW memory:  y band (O/G, P) = w (O/G, K) @ col (K, P)       a band of y is a part of each of its rows
    NHWC memory:  y band (P, O/G) = col (P, K) @ w^T (K, O/G)     K runs over filter cells, then channels

The bias is written to y first, and the products are added to it in place (`gemm.py`). BLAS vectorises along the last
axis of the result. That is P in NCHW memory, which is faster for the few channels of a first layer, and O/G in NHWC.

Call all functions inside `with parallel(), single_blas():`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Array
from ...gemm import SMALL_FACTOR, Matrix, gemm
from ...geometry import Conv
from ...layout import flat, is_channels_last, nhwc
from ...runtime import njit, prange, threads, workspace
from ..bias import add_bias, fill_bias
from ..weights import add_up, channels_inside
from .columns import col2im_nchw, col2im_nhwc, im2col_nchw, im2col_nhwc, length

_BAND = 1 << 19  # bytes of col in a band: half of a common second-level cache


def _rows(g: Conv, itemsize: int, channels_last: bool) -> int:
    """The number of output rows in a band."""
    most = -(-g.n * g.oh // threads()) if channels_last else g.oh
    return max(1, min(most, _BAND // (length(g) * g.ow * itemsize)))


@njit()
def _end(row: int, stop: int, rows: int, g: Conv, channels_last: bool) -> int:
    """The row after the band that begins at `row`; in NCHW memory a band ends with its image."""
    end = min(stop, row + rows)
    return end if channels_last else min(end, (row // g.oh + 1) * g.oh)


@njit()
def _columns(x: Array, col: Array, group: int, row: int, end: int, g: Conv, channels_last: bool) -> None:
    """The windows of rows row..end of the batch, of one group: (P, K) or (K, P)."""
    cg = g.c // g.groups
    k, size = cg * g.kh * g.kw, (end - row) * g.ow
    if channels_last:
        im2col_nhwc(x, col[: size * k].reshape(size, k), group * cg, row, end, g)
    else:
        n = row // g.oh
        im2col_nchw(x[n], col[: size * k].reshape(k, size), group * cg, row - n * g.oh, end - n * g.oh, g)


@njit()
def _forward_share(
    t: Any, shares: int, x: Array, w: Array, b: Array, y: Array, g: Conv, rows: int, channels_last: bool, cols: Array
) -> None:
    # w (O, K); in NHWC memory, if w is small: (G, K, O/G), with which BLAS is faster
    og, k, pixels, beta = g.o // g.groups, g.c // g.groups * g.kh * g.kw, g.oh * g.ow, int(b.size > 0)
    stored, col = og * k > SMALL_FACTOR, cols[t]
    row, stop = t * g.n * g.oh // shares, (t + 1) * g.n * g.oh // shares
    while row < stop:
        end = _end(row, stop, rows, g, channels_last)
        n, size = row // g.oh, (end - row) * g.ow
        p0 = row * g.ow if channels_last else (row - n * g.oh) * g.ow
        if beta:
            fill_bias(y, b, n, p0, size, g, channels_last)
        for group in range(g.groups):
            o = group * og
            _columns(x, col, group, row, end, g, channels_last)
            if channels_last:
                weights, out = Matrix(w, o * k, k if stored else og, stored), Matrix(y, p0 * g.o + o, g.o, False)
                gemm((size, og, k), Matrix(col, 0, k, False), weights, out, beta)
            else:
                weights, out = Matrix(w, o * k, k, False), Matrix(y, (n * g.o + o) * pixels + p0, pixels, False)
                gemm((og, size, k), weights, Matrix(col, 0, size, False), out, beta)
        row = end


@njit(parallel=True)
def _forward(
    shares: int, x: Array, w: Array, b: Array, y: Array, g: Conv, rows: int, channels_last: bool, cols: Array
) -> None:
    for t in prange(shares):
        _forward_share(np.intp(t), shares, x, w, b, y, g, rows, channels_last, cols)


def forward(x: Array, w: Array, b: Array | None, y: Array, g: Conv) -> None:
    """Compute y, which has the memory order of x."""
    channels_last, k, og = is_channels_last(x), length(g), g.o // g.groups
    rows = _rows(g, x.itemsize, channels_last)
    bias = np.empty(0, x.dtype) if b is None else np.ascontiguousarray(b)
    cols = workspace("conv2d col", k * rows * g.ow, x.dtype)
    if channels_last:
        w = channels_inside(w, g)
        if og * k <= SMALL_FACTOR:
            w = w.reshape(g.groups, og, k).transpose(0, 2, 1)
    w = np.ascontiguousarray(w).reshape(-1)
    _forward(threads(), nhwc(x) if channels_last else x, w, bias, flat(y), g, rows, channels_last, cols)


@njit()
def _backward_x_share(
    t: Any, shares: int, gy: Array, w: Array, gx: Array, g: Conv, rows: int, channels_last: bool, cols: Array
) -> None:
    # A task is a whole image, since bands overlap in gx; gx is cleared at the first band of an image. w (O, K)
    og, cg, pixels = g.o // g.groups, g.c // g.groups, g.oh * g.ow
    k, col = cg * g.kh * g.kw, cols[t]
    row, stop = t * g.n // shares * g.oh, (t + 1) * g.n // shares * g.oh
    while row < stop:
        end = _end(row, stop, rows, g, channels_last)
        n, size = row // g.oh, (end - row) * g.ow
        p0 = row * g.ow if channels_last else (row - n * g.oh) * g.ow
        for image in range((row + g.oh - 1) // g.oh, (end + g.oh - 1) // g.oh):
            gx[image] = 0
        for group in range(g.groups):
            o = group * og
            if channels_last:
                up = Matrix(gy, p0 * g.o + o, g.o, False)
                gemm((size, k, og), up, Matrix(w, o * k, k, False), Matrix(col, 0, k, False), 0)
                col2im_nhwc(col[: size * k].reshape(size, k), gx, group * cg, row, end, g)
            else:
                up = Matrix(gy, (n * g.o + o) * pixels + p0, pixels, False)
                gemm((k, size, og), Matrix(w, o * k, k, True), up, Matrix(col, 0, size, False), 0)
                part = col[: size * k].reshape(k, size)
                col2im_nchw(part, gx[n], group * cg, row - n * g.oh, end - n * g.oh, g)
        row = end


@njit(parallel=True)
def _backward_x(
    shares: int, gy: Array, w: Array, gx: Array, g: Conv, rows: int, channels_last: bool, cols: Array
) -> None:
    for t in prange(shares):
        _backward_x_share(np.intp(t), shares, gy, w, gx, g, rows, channels_last, cols)


def backward_x(gy: Array, w: Array, gx: Array, g: Conv, channels_last: bool) -> None:
    """Compute gx; `channels_last` says the memory order of both arrays."""
    k, rows = length(g), _rows(g, gy.itemsize, channels_last)
    cols = workspace("conv2d col", k * rows * g.ow, gy.dtype)
    w = channels_inside(w, g) if channels_last else np.ascontiguousarray(w).reshape(-1)
    _backward_x(threads(), flat(gy), w, nhwc(gx) if channels_last else gx, g, rows, channels_last, cols)


@njit()
def _backward_w_share(
    t: Any, shares: int, gy: Array, x: Array, sums: Array, g: Conv, rows: int, channels_last: bool, whole: bool,
    cols: Array,
) -> None:  # fmt: skip
    # sums[t]: gw (O, K), then gb (O,). A share adds up its rows for all output channels. With `whole` it adds up all
    # rows for its output channels (of each group), and all shares write to different places of the same sums.
    og, k, pixels = g.o // g.groups, g.c // g.groups * g.kh * g.kw, g.oh * g.ow
    row, stop, o0, o1 = t * g.n * g.oh // shares, (t + 1) * g.n * g.oh // shares, 0, og
    total = sums[0] if whole else sums[t]
    if whole:
        row, stop, o0, o1 = 0, g.n * g.oh, t * og // shares, (t + 1) * og // shares
    gw, gb, col = total[: g.o * k], total[g.o * k : g.o * k + g.o], cols[t]
    for o in range(0, g.o, og):
        gw[(o + o0) * k : (o + o1) * k] = 0
        gb[o + o0 : o + o1] = 0
    while row < stop:
        end = _end(row, stop, rows, g, channels_last)
        n, size = row // g.oh, (end - row) * g.ow
        p0 = row * g.ow if channels_last else (row - n * g.oh) * g.ow
        for group in range(g.groups):
            o = group * og + o0
            _columns(x, col, group, row, end, g, channels_last)
            if channels_last:
                up = Matrix(gy, p0 * g.o + o, g.o, True)
                gemm((o1 - o0, k, size), up, Matrix(col, 0, k, False), Matrix(gw, o * k, k, False), 1)
            else:
                up = Matrix(gy, (n * g.o + o) * pixels + p0, pixels, False)
                gemm((o1 - o0, k, size), up, Matrix(col, 0, size, True), Matrix(gw, o * k, k, False), 1)
            add_bias(gy, gb, n, p0, size, o, o + o1 - o0, g, channels_last)
        row = end


@njit(parallel=True)
def _backward_w(
    shares: int, gy: Array, x: Array, sums: Array, g: Conv, rows: int, channels_last: bool, whole: bool, cols: Array
) -> None:
    for t in prange(shares):
        _backward_w_share(np.intp(t), shares, gy, x, sums, g, rows, channels_last, whole, cols)


def backward_w(gy: Array, x: Array, g: Conv) -> tuple[Array, Array]:
    """gw and gb, for gy in the memory order of x."""
    channels_last, k, dtype = is_channels_last(x), length(g), gy.dtype
    rows = _rows(g, gy.itemsize, channels_last)
    cols = workspace("conv2d col", k * rows * g.ow, dtype)
    whole = g.n * g.oh * g.ow < 2 * g.o // g.groups
    size = g.o * (k + 1)
    sums = np.empty((1, size), dtype) if whole else workspace("conv2d gw", size, dtype)
    _backward_w(threads(), flat(gy), nhwc(x) if channels_last else x, sums, g, rows, channels_last, whole, cols)
    return add_up(sums, g, g.c // g.groups if channels_last else k)
