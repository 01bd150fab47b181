"""Depthwise convolution: every channel has its own filters and sees no other. Equations and legend:
`conv2d/__init__.py`.

With as many groups as channels, C/G is 1 and O = C*M. Output channel o filters channel c = o // M:

    y[n, o, i, j]  = b[o] + sum_{a, b} w[o, a, b] x[n, c, i*SH - PH + a*DH, j*SW - PW + b*DW]
    gw[o, a, b]    = sum_{n, i, j} gy[n, o, i, j] x[n, c, i*SH - PH + a*DH, j*SW - PW + b*DW]
    gx[n, c, p, q] = sum_{o of c} sum_{a, b} w[o, a, b] gy[n, o, i, j]  with i*SH = p + PH - a*DH, j*SW = q + PW - b*DW

There is no sum over channels and so no matrix product; 2*KH*KW operations an output are little work for the memory that
x and y take. What counts is to read and write each of them once.

A. Howard et al., "MobileNets", 2017; F. Chollet, "Xception: deep learning with depthwise separable convolutions", 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...geometry import Conv
from ...layout import Array, as_order, dense, empty, flat, is_channels_last
from ...runtime import FAST, njit, parallel, prange, threads, workspace
from ..bias import sum_of_pixels
from ..direct import Gradients, Need, pad
from ..weights import add_up
from .lines import COVERED, U, add1, add3, filter_line, parts, put, spread, take


def supports(g: Conv) -> bool:
    """Whether every group is one input channel."""
    return g.groups == g.c


# ------------------------------------------------------------------------------------------------------------ forward


def forward_python(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Plain loops over outputs and the cells of their windows."""
    y = np.empty(g.y_shape, x.dtype)
    for n, o, i, j in np.ndindex(*g.y_shape):
        total = 0.0 if b is None else float(b[o])
        for a, b_ in np.ndindex(g.kh, g.kw):
            p, q = i * g.sh - g.ph + a * g.dh, j * g.sw - g.pw + b_ * g.dw
            if 0 <= p < g.h and 0 <= q < g.w:
                total += float(w[o, 0, a, b_]) * float(x[n, o * g.c // g.o, p, q])
        y[n, o, i, j] = total
    return y


def forward_numpy(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """One kernel cell at a time, for all pixels: the shifted picture times the weight of its channel."""
    xp = np.repeat(pad(x, g), g.o // g.c, 1)  # (N, O, H + 2*PH, W + 2*PW)
    y = np.zeros(g.y_shape, x.dtype)
    if b is not None:
        y += b[:, None, None]
    for a, b_ in np.ndindex(g.kh, g.kw):
        y += w[:, 0, a, b_, None, None] * _under(xp, g, a, b_)
    return y


def _under(xp: Array, g: Conv, a: int, b: int) -> Array:
    """The view (N, O, OH, OW) of the padded input that lies under kernel cell (a, b)."""
    top, left = a * g.dh, b * g.dw
    return xp[:, :, top : top + g.sh * (g.oh - 1) + 1 : g.sh, left : left + g.sw * (g.ow - 1) + 1 : g.sw]


# Numba: share t has bands of output rows. It copies the rows of input under them into a ring, as lines with the
# channels innermost, and adds up kernel cells along these (`lines.py`).


@njit()
def _under_row(i: int, ring_rows: int, part: int, g: Conv, starts: Array, which: Array) -> int:
    """For output row i, where in the ring each kernel cell's line begins; how many cells lie in the picture."""
    found = 0
    for a in range(g.kh):
        p = i * g.sh - g.ph + a * g.dh
        if p >= 0 and p < g.h:
            for b in range(g.kw):
                column = b * g.dw % g.sw * part + b * g.dw // g.sw
                starts[found] = (p % ring_rows * g.sw * part + column) * g.o
                which[found] = a * g.kw + b
                found += 1
    return found


@njit()
def _take_rows(x: Array, n: int, i: int, ready: int, part: int, g: Conv, last: bool, ring: Array) -> int:
    """Take the rows of x that output row i needs and that are not in the ring yet; the first row not in it then."""
    rows, top = g.dh * (g.kh - 1) + 1, i * g.sh - g.ph
    for p in range(max(ready, top, 0), min(g.h, top + rows)):
        take(x, n, p, (g.c, g.h, g.w), g.o // g.c, last, ring, p % rows * g.sw * part * g.o, g.pw, g.sw, part)
    return max(ready, top + rows)


@njit()
def _forward_share(
    t: Any, chunks: int, x: Array, w: Array, b: Array, y: Array, g: Conv, bands: int, pixels: int, last: bool,
    work: Array,
) -> None:  # fmt: skip
    rows, part = g.dh * (g.kh - 1) + 1, (g.w + 2 * g.pw + g.sw - 1) // g.sw
    cells, ring, line = parts(work[t], (g.kh * g.kw + 1) * pixels * g.o, rows * g.sw * part * g.o)
    ring[:] = 0  # what lies beside the pictures stays so
    starts, which = np.empty(g.kh * g.kw, np.intp), np.empty(g.kh * g.kw, np.intp)
    spread(w, b, cells, pixels, g)
    for task in range(t * g.n * bands // chunks, (t + 1) * g.n * bands // chunks):
        n, band, ready = task // bands, task % bands, 0
        for i in range(band * g.oh // bands, (band + 1) * g.oh // bands):
            ready = _take_rows(x, n, i, ready, part, g, last, ring)
            found = _under_row(i, rows, part, g, starts, which)
            to = (n * g.oh + i) * g.ow * g.o if last else 0
            if last:
                filter_line(y, to, ring, starts, cells, which, found, pixels, g.ow, g)
            else:
                filter_line(line, 0, ring, starts, cells, which, found, pixels, g.ow, g)
                put(line, y, n, i, (g.o, g.oh, g.ow), 1, last, 0, 1, g.ow)


@njit(parallel=True)
def _forward(
    chunks: int, x: Array, w: Array, b: Array, y: Array, g: Conv, bands: int, pixels: int, last: bool, work: Array
) -> None:
    for t in prange(chunks):
        _forward_share(np.intp(t), chunks, x, w, b, y, g, bands, pixels, last, work)


def _bands(g: Conv) -> int:
    """Tasks that a picture is cut into: enough of them for all threads."""
    return max(1, min(g.oh, -(-4 * threads() // max(1, g.n))))


def _ring_size(g: Conv) -> int:
    """Elements of a ring of input rows."""
    return (g.dh * (g.kh - 1) + 1) * g.sw * -(-(g.w + 2 * g.pw) // g.sw) * g.o


def forward_numba(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Parallel over pictures, or bands of their rows; gives y in the memory order of x."""
    x = dense(x)
    last = is_channels_last(x)
    y = empty(g.y_shape, x.dtype, last)
    bias = np.zeros(g.o, x.dtype) if b is None else np.ascontiguousarray(b)
    pixels = max(1, min(g.ow, COVERED // g.o))
    with parallel():
        work = workspace("conv2d lines", (g.kh * g.kw + 1) * pixels * g.o + g.ow * g.o + _ring_size(g) + 64, x.dtype)
        w = np.ascontiguousarray(w).reshape(-1)
        _forward(threads(), flat(x), w, bias, flat(y), g, _bands(g), pixels, last, work)
    return y


# ----------------------------------------------------------------------------------------------------------- backward


def backward_python(gy: Array, x: Array | None, w: Array | None, g: Conv, need: Need) -> Gradients:
    """The loops of the forward pass; each product w*x hands gy*w back to x and gy*x back to w."""
    gx, gw, gb = (np.zeros(shape, np.float64) for shape in (g.x_shape, g.w_shape, (g.o,)))
    for n, o, i, j in np.ndindex(*g.y_shape):
        up, c = float(gy[n, o, i, j]), o * g.c // g.o
        gb[o] += up
        for a, b in np.ndindex(g.kh, g.kw):
            p, q = i * g.sh - g.ph + a * g.dh, j * g.sw - g.pw + b * g.dw
            if 0 <= p < g.h and 0 <= q < g.w:
                if w is not None:
                    gx[n, c, p, q] += up * float(w[o, 0, a, b])
                if x is not None:
                    gw[o, 0, a, b] += up * float(x[n, c, p, q])
    gradients = tuple(a.astype(gy.dtype) if wanted else None for a, wanted in zip((gx, gw, gb), need, strict=True))
    return gradients  # type: ignore[return-value]


def backward_numpy(gy: Array, x: Array | None, w: Array | None, g: Conv, need: Need) -> Gradients:
    """One kernel cell at a time: gy times its weights goes back to where it lay; gw is gy times what lay there."""
    m = g.o // g.c
    gx = gw = None
    if need[0] and w is not None:
        gxp = np.zeros((g.n, g.o, g.h + 2 * g.ph, g.w + 2 * g.pw), gy.dtype)
        for a, b in np.ndindex(g.kh, g.kw):
            _under(gxp, g, a, b)[...] += w[:, 0, a, b, None, None] * gy
        gx = gxp[:, :, g.ph : g.ph + g.h, g.pw : g.pw + g.w]
        gx = gx.reshape(g.n, g.c, m, g.h, g.w).sum(2)  # (N, O, H, W) -> (N, C, M, H, W) -> (N, C, H, W)
    if need[1] and x is not None:
        xp, gw = np.repeat(pad(x, g), m, 1), np.empty(g.w_shape, gy.dtype)
        for a, b in np.ndindex(g.kh, g.kw):
            gw[:, 0, a, b] = sum_of_pixels(gy * _under(xp, g, a, b))
    return gx, gw, sum_of_pixels(gy) if need[2] else None


# gx: a row p of the padded picture, p = u*SH + (p % SH), gets something from the kernel rows a with a*DH % SH = p % SH
# alone, and from their rows i = u - a*DH // SH of gy; columns likewise. So each row of gx is written once, from a ring
# of rows of gy.


@njit()
def _backward_x_share(
    t: Any,
    chunks: int,
    gy: Array,
    w: Array,
    b: Array,
    gx: Array,
    g: Conv,
    bands: int,
    pixels: int,
    last: bool,
    work: Array,
) -> None:
    most, left = g.dh * (g.kh - 1) // g.sh, g.dw * (g.kw - 1) // g.sw
    part = left + max(g.ow, (g.w - 1 + g.pw) // g.sw + 1)  # gy, with the columns beside it that count as zero
    m = g.o // g.c
    cells, ring, line = parts(work[t], (g.kh * g.kw + 1) * pixels * g.o, (most + 1) * part * g.o)
    ring[:] = 0
    starts, which = np.empty(g.kh * g.kw, np.intp), np.empty(g.kh * g.kw, np.intp)
    spread(w, b, cells, pixels, g)
    for task in range(t * g.n * bands // chunks, (t + 1) * g.n * bands // chunks):
        n, band, ready = task // bands, task % bands, 0
        for p in range(band * g.h // bands, (band + 1) * g.h // bands):
            u = (p + g.ph) // g.sh
            for i in range(max(ready, u - most, 0), min(g.oh, u + 1)):
                take(gy, n, i, (g.o, g.oh, g.ow), 1, last, ring, i % (most + 1) * part * g.o, left, 1, part)
            ready = max(ready, u + 1)
            for phase in range(g.sw):  # columns q with (q + PW) % SW = phase
                v0, v1 = (g.pw - phase + g.sw - 1) // g.sw, (g.w - 1 + g.pw - phase) // g.sw + 1
                found = _over_row(p, phase, v0, most, left, part, g, starts, which)
                if last and m == 1 and g.sw == 1:
                    to = (n * g.h + p) * g.w * g.c
                    filter_line(gx, to, ring, starts, cells, which, found, pixels, g.w, g)
                elif v1 > v0:
                    filter_line(line, 0, ring, starts, cells, which, found, pixels, v1 - v0, g)
                    put(line, gx, n, p, (g.c, g.h, g.w), m, last, v0 * g.sw + phase - g.pw, g.sw, v1 - v0)


@njit()
def _over_row(
    p: int, phase: int, v0: int, most: int, left: int, part: int, g: Conv, starts: Array, which: Array
) -> int:
    """For row p of gx, where in the ring the line of gy under each kernel cell begins, from column v0 of the phase."""
    found = 0
    for a in range(g.kh):
        i = (p + g.ph - a * g.dh) // g.sh
        if (p + g.ph - a * g.dh) % g.sh == 0 and i >= 0 and i < g.oh:
            for b in range(g.kw):
                if b * g.dw % g.sw == phase:
                    starts[found] = (i % (most + 1) * part + left + v0 - b * g.dw // g.sw) * g.o
                    which[found] = a * g.kw + b
                    found += 1
    return found


@njit(parallel=True)
def _backward_x(
    chunks: int, gy: Array, w: Array, b: Array, gx: Array, g: Conv, bands: int, pixels: int, last: bool, work: Array
) -> None:
    for t in prange(chunks):
        _backward_x_share(np.intp(t), chunks, gy, w, b, gx, g, bands, pixels, last, work)


@njit()
def _backward_w_share(
    t: Any, chunks: int, gy: Array, x: Array, sums: Array, g: Conv, bands: int, pixels: int, last: bool, work: Array
) -> None:
    # Adds up cells (KH*KW, pixels, O), of every `pixels`-th pixel; sums[t] is gw (O, KH*KW), then gb (O,)
    rows, part = g.dh * (g.kh - 1) + 1, (g.w + 2 * g.pw + g.sw - 1) // g.sw
    window, covered = g.kh * g.kw, pixels * g.o
    cells, ring, line = parts(work[t], window * covered, rows * g.sw * part * g.o)
    ring[:] = 0
    cells[:] = 0
    gw, gb = sums[t, : g.o * window], sums[t, g.o * window : g.o * window + g.o]
    gb[:] = 0
    starts, which = np.empty(window, np.intp), np.empty(window, np.intp)
    for task in range(t * g.n * bands // chunks, (t + 1) * g.n * bands // chunks):
        n, band, ready = task // bands, task % bands, 0
        for i in range(band * g.oh // bands, (band + 1) * g.oh // bands):
            ready = _take_rows(x, n, i, ready, part, g, last, ring)
            found = _under_row(i, rows, part, g, starts, which)
            if last:
                _cells(cells, ring, starts, which, found, gy, (n * g.oh + i) * g.ow * g.o, gb, pixels, g)
            else:
                take(gy, n, i, (g.o, g.oh, g.ow), 1, last, line, 0, 0, 1, g.ow)
                _cells(cells, ring, starts, which, found, line, 0, gb, pixels, g)
    for o in range(g.o):
        for k in range(window):
            total = cells[k * covered + o]
            for j in range(1, pixels):
                total += cells[k * covered + j * g.o + o]
            gw[o * window + k] = total


@njit(fastmath=FAST)
def _cells(
    cells: Array, ring: Array, starts: Array, which: Array, found: int, gy: Array, at: int, gb: Array, pixels: int,
    g: Conv,
) -> None:  # fmt: skip
    """Add a line of gy, from `at` on, times the lines in the ring to the sums of their kernel cells, and to gb."""
    covered = pixels * g.o
    whole = g.ow // pixels
    for f in range(found):
        x, to = starts[f], which[f] * covered
        for j in range(0, whole - 2, 3):
            e, e1, e2 = j * covered, (j + 1) * covered, (j + 2) * covered
            add3(cells, to, ring, x + e, x + e1, x + e2, gy, at + e, at + e1, at + e2, covered)
        for j in range(whole // 3 * 3, whole):
            add1(cells, to, ring, x + j * covered, gy, at + j * covered, covered)
        e = whole * covered
        add1(cells, to, ring, x + e, gy, at + e, g.ow * g.o - e)
    up = U(at)
    for _ in range(g.ow):
        for o in range(U(g.o)):
            gb[o] += gy[up + o]
        up += U(g.o)


@njit(parallel=True)
def _backward_w(
    chunks: int, gy: Array, x: Array, sums: Array, g: Conv, bands: int, pixels: int, last: bool, work: Array
) -> None:
    for t in prange(chunks):
        _backward_w_share(np.intp(t), chunks, gy, x, sums, g, bands, pixels, last, work)


def backward_numba(gy: Array, x: Array | None, w: Array | None, g: Conv, need: Need) -> Gradients:
    """As forward; gw and gb are a partial sum per share."""
    like = dense(gy if x is None else x)
    last, dtype, window = is_channels_last(like), gy.dtype, g.kh * g.kw
    gy = as_order(gy, last)
    gx = gw = gb = None
    with parallel():
        if need[0] and w is not None:
            gx = empty(g.x_shape, dtype, last)
            pixels = max(1, min(g.w, COVERED // g.o))
            most, left = g.dh * (g.kh - 1) // g.sh, g.dw * (g.kw - 1) // g.sw
            ring = (most + 1) * (left + max(g.ow, (g.w - 1 + g.pw) // g.sw + 1)) * g.o
            work = workspace("conv2d lines", (window + 1) * pixels * g.o + g.w * g.o + ring + 64, dtype)
            w = np.ascontiguousarray(w).reshape(-1)
            _backward_x(
                threads(), flat(gy), w, np.zeros(g.o, dtype), flat(gx), g, min(g.h, _bands(g)), pixels, last, work
            )
        if need[2] and not need[1]:
            gb = sum_of_pixels(gy)
        if need[1] and x is not None:
            pixels = max(1, min(g.ow // 3, COVERED // g.o))
            work = workspace("conv2d lines", window * pixels * g.o + g.ow * g.o + _ring_size(g) + 64, dtype)
            sums = workspace("conv2d gw", g.o * (window + 1), dtype)
            _backward_w(threads(), flat(gy), flat(like), sums, g, _bands(g), pixels, last, work)
            gw, gb = add_up(sums, g, 1)
    return gx, gw, gb if need[2] else None
