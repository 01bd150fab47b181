"""Depthwise convolution, compiled, in bands of output rows. The mathematics is in `depthwise/__init__.py`.

Share t has some bands of output rows. It copies the input rows of a band into a ring buffer, as lines with the channels
innermost, and adds up the products of the filter cells along these lines (`lines.py`).

**gx.** Row p of the padded image, p = u*SH + (p % SH), gets contributions only through the filter rows a with
a*DH % SH = p % SH, from row i = u - a*DH // SH of gy; columns likewise. So each row of gx is written once, from a ring
of rows of gy.

Call all functions inside `with parallel():`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Array, U
from ...geometry import Conv
from ...layout import flat, is_channels_last
from ...runtime import FAST, njit, prange, threads, workspace
from ..weights import add_up
from .lines import COVERED, add1, add3, filter_line, parts, put, spread, take


@njit()
def _under_row(i: int, ring_rows: int, part: int, g: Conv, starts: Array, which: Array) -> int:
    """For output row i, find where in the ring the line of each filter cell begins; return how many cells count."""
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
def _take_rows(x: Array, n: int, i: int, ready: int, part: int, g: Conv, channels_last: bool, ring: Array) -> int:
    """Copy to the ring the rows of x that output row i needs and the ring lacks; return the first row not in it."""
    rows, top = g.dh * (g.kh - 1) + 1, i * g.sh - g.ph
    for p in range(max(ready, top, 0), min(g.h, top + rows)):
        take(x, n, p, (g.c, g.h, g.w), g.o // g.c, channels_last, ring, p % rows * g.sw * part * g.o, g.pw, g.sw, part)
    return max(ready, top + rows)


@njit()
def _forward_share(
    t: Any, shares: int, x: Array, w: Array, b: Array, y: Array, g: Conv, bands: int, pixels: int, channels_last: bool,
    work: Array,
) -> None:  # fmt: skip
    rows, part = g.dh * (g.kh - 1) + 1, (g.w + 2 * g.pw + g.sw - 1) // g.sw
    cells, ring, line = parts(work[t], (g.kh * g.kw + 1) * pixels * g.o, rows * g.sw * part * g.o)
    ring[:] = 0  # the padding beside the images stays 0
    starts, which = np.empty(g.kh * g.kw, np.intp), np.empty(g.kh * g.kw, np.intp)
    spread(w, b, cells, pixels, g)
    for task in range(t * g.n * bands // shares, (t + 1) * g.n * bands // shares):
        n, band, ready = task // bands, task % bands, 0
        for i in range(band * g.oh // bands, (band + 1) * g.oh // bands):
            ready = _take_rows(x, n, i, ready, part, g, channels_last, ring)
            found = _under_row(i, rows, part, g, starts, which)
            to = (n * g.oh + i) * g.ow * g.o if channels_last else 0
            if channels_last:
                filter_line(y, to, ring, starts, cells, which, found, pixels, g.ow, g)
            else:
                filter_line(line, 0, ring, starts, cells, which, found, pixels, g.ow, g)
                put(line, y, n, i, (g.o, g.oh, g.ow), 1, channels_last, 0, 1, g.ow)


@njit(parallel=True)
def _forward(
    shares: int, x: Array, w: Array, b: Array, y: Array, g: Conv, bands: int, pixels: int, channels_last: bool,
    work: Array,
) -> None:  # fmt: skip
    for t in prange(shares):
        _forward_share(np.intp(t), shares, x, w, b, y, g, bands, pixels, channels_last, work)


def _bands(g: Conv) -> int:
    """The number of bands into which an image is cut: enough for all threads."""
    return max(1, min(g.oh, -(-4 * threads() // max(1, g.n))))


def _ring_size(g: Conv) -> int:
    """The number of elements in a ring of input rows."""
    return (g.dh * (g.kh - 1) + 1) * g.sw * -(-(g.w + 2 * g.pw) // g.sw) * g.o


def forward(x: Array, w: Array, b: Array | None, y: Array, g: Conv) -> None:
    """Compute y, which has the memory order of x."""
    bias = np.zeros(g.o, x.dtype) if b is None else np.ascontiguousarray(b)
    pixels = max(1, min(g.ow, COVERED // g.o))
    work = workspace("conv2d lines", (g.kh * g.kw + 1) * pixels * g.o + g.ow * g.o + _ring_size(g) + 64, x.dtype)
    w = np.ascontiguousarray(w).reshape(-1)
    _forward(threads(), flat(x), w, bias, flat(y), g, _bands(g), pixels, is_channels_last(x), work)


@njit()
def _backward_x_share(
    t: Any, shares: int, gy: Array, w: Array, b: Array, gx: Array, g: Conv, bands: int, pixels: int,
    channels_last: bool, work: Array,
) -> None:  # fmt: skip
    most, left = g.dh * (g.kh - 1) // g.sh, g.dw * (g.kw - 1) // g.sw
    part = left + max(g.ow, (g.w - 1 + g.pw) // g.sw + 1)  # gy, with columns of zeros beside it
    m = g.o // g.c
    cells, ring, line = parts(work[t], (g.kh * g.kw + 1) * pixels * g.o, (most + 1) * part * g.o)
    ring[:] = 0
    starts, which = np.empty(g.kh * g.kw, np.intp), np.empty(g.kh * g.kw, np.intp)
    spread(w, b, cells, pixels, g)
    for task in range(t * g.n * bands // shares, (t + 1) * g.n * bands // shares):
        n, band, ready = task // bands, task % bands, 0
        for p in range(band * g.h // bands, (band + 1) * g.h // bands):
            u = (p + g.ph) // g.sh
            for i in range(max(ready, u - most, 0), min(g.oh, u + 1)):
                take(gy, n, i, (g.o, g.oh, g.ow), 1, channels_last, ring, i % (most + 1) * part * g.o, left, 1, part)
            ready = max(ready, u + 1)
            for phase in range(g.sw):  # columns q with (q + PW) % SW = phase
                v0, v1 = (g.pw - phase + g.sw - 1) // g.sw, (g.w - 1 + g.pw - phase) // g.sw + 1
                found = _over_row(p, phase, v0, most, left, part, g, starts, which)
                if channels_last and m == 1 and g.sw == 1:
                    to = (n * g.h + p) * g.w * g.c
                    filter_line(gx, to, ring, starts, cells, which, found, pixels, g.w, g)
                elif v1 > v0:
                    filter_line(line, 0, ring, starts, cells, which, found, pixels, v1 - v0, g)
                    put(line, gx, n, p, (g.c, g.h, g.w), m, channels_last, v0 * g.sw + phase - g.pw, g.sw, v1 - v0)


@njit()
def _over_row(
    p: int, phase: int, v0: int, most: int, left: int, part: int, g: Conv, starts: Array, which: Array
) -> int:
    """For row p of gx, find where in the ring the line of gy of each filter cell begins, at column v0 of the phase."""
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
    shares: int, gy: Array, w: Array, b: Array, gx: Array, g: Conv, bands: int, pixels: int, channels_last: bool,
    work: Array,
) -> None:  # fmt: skip
    for t in prange(shares):
        _backward_x_share(np.intp(t), shares, gy, w, b, gx, g, bands, pixels, channels_last, work)


def backward_x(gy: Array, w: Array, gx: Array, g: Conv, channels_last: bool) -> None:
    """Compute gx; `channels_last` says the memory order of both arrays."""
    dtype, bands = gy.dtype, min(g.h, _bands(g))
    pixels = max(1, min(g.w, COVERED // g.o))
    most, left = g.dh * (g.kh - 1) // g.sh, g.dw * (g.kw - 1) // g.sw
    ring = (most + 1) * (left + max(g.ow, (g.w - 1 + g.pw) // g.sw + 1)) * g.o
    work = workspace("conv2d lines", (g.kh * g.kw + 1) * pixels * g.o + g.w * g.o + ring + 64, dtype)
    w = np.ascontiguousarray(w).reshape(-1)
    _backward_x(threads(), flat(gy), w, np.zeros(g.o, dtype), flat(gx), g, bands, pixels, channels_last, work)


@njit()
def _backward_w_share(
    t: Any, shares: int, gy: Array, x: Array, sums: Array, g: Conv, bands: int, pixels: int, channels_last: bool,
    work: Array,
) -> None:  # fmt: skip
    # Adds up cells (KH*KW, pixels, O), of every `pixels`-th pixel; sums[t] is gw (O, KH*KW), then gb (O,)
    rows, part = g.dh * (g.kh - 1) + 1, (g.w + 2 * g.pw + g.sw - 1) // g.sw
    window, covered = g.kh * g.kw, pixels * g.o
    cells, ring, line = parts(work[t], window * covered, rows * g.sw * part * g.o)
    ring[:] = 0
    cells[:] = 0
    gw, gb = sums[t, : g.o * window], sums[t, g.o * window : g.o * window + g.o]
    gb[:] = 0
    starts, which = np.empty(window, np.intp), np.empty(window, np.intp)
    for task in range(t * g.n * bands // shares, (t + 1) * g.n * bands // shares):
        n, band, ready = task // bands, task % bands, 0
        for i in range(band * g.oh // bands, (band + 1) * g.oh // bands):
            ready = _take_rows(x, n, i, ready, part, g, channels_last, ring)
            found = _under_row(i, rows, part, g, starts, which)
            if channels_last:
                _cells(cells, ring, starts, which, found, gy, (n * g.oh + i) * g.ow * g.o, gb, pixels, g)
            else:
                take(gy, n, i, (g.o, g.oh, g.ow), 1, channels_last, line, 0, 0, 1, g.ow)
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
    """Multiply a line of gy, from `at` on, by the lines in the ring; add to the sums of the filter cells, and to gb."""
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
    shares: int, gy: Array, x: Array, sums: Array, g: Conv, bands: int, pixels: int, channels_last: bool, work: Array
) -> None:
    for t in prange(shares):
        _backward_w_share(np.intp(t), shares, gy, x, sums, g, bands, pixels, channels_last, work)


def backward_w(gy: Array, x: Array, g: Conv) -> tuple[Array, Array]:
    """gw and gb, for gy in the memory order of x."""
    dtype, window = gy.dtype, g.kh * g.kw
    pixels = max(1, min(g.ow // 3, COVERED // g.o))
    work = workspace("conv2d lines", window * pixels * g.o + g.ow * g.o + _ring_size(g) + 64, dtype)
    sums = workspace("conv2d gw", g.o * (window + 1), dtype)
    _backward_w(threads(), flat(gy), flat(x), sums, g, _bands(g), pixels, is_channels_last(x), work)
    return add_up(sums, g, 1)
