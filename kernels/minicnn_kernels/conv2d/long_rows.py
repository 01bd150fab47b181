"""The inner loops of `registers.py`: taps times rows of pixels, with weights or sums in registers.

The names of the vectors: a..e are the taps of one kernel row, 0..7 the outputs; xa is what lies under tap a. `at`, `to`
and `y0` are where a vector begins in flat memory, `pitch` is from output to output, `s` from tap to tap.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..layout import Array
from ..runtime import FAST, njit

U = np.uintp  # offsets into flat memory: see conv2d/columns.py

OUTPUTS = 8  # of a block of the forward pass
SUMMED = 4  # of a block of gw


class Plan(NamedTuple):
    """Sizes for the kernels."""

    n: int
    c: int
    h: int
    w: int
    o: int
    kh: int
    kw: int
    ph: int
    pw: int
    oh: int
    ow: int
    s: int  # pictures in a group
    rows: int  # rows of y in a piece
    line: int  # from row to row: WP*S
    plane: int  # from channel to channel of x
    pitch: int  # from output to output of y in a piece
    last: bool  # channels last


@njit()
def fill(x: Array, n0: int, size: Any, c0: int, c1: int, to: Array, start: Any, p: Plan) -> None:
    """Lay channels c0..c1-1 of pictures n0, n0 + 1, ... side by side; beyond the last picture, zeros.

    x has pictures of `size` (C, H, W), and `start` says where the first pixel goes and how far channels are apart.
    """
    c, h, w = size
    step, first, plane = U(c if p.last else 1), start[0], start[1]
    for row in range((c1 - c0) * h):  # in the order of memory, and each row of all pictures before the next
        k, q = (row % (c1 - c0), row // (c1 - c0)) if p.last else (row // h, row % h)
        for i in range(p.s):
            n = n0 + i
            at = U(((n * h + q) * w) * c + c0 + k if p.last else ((n * c + c0 + k) * h + q) * w)
            into = U(first + k * plane + q * p.line + i)
            if n >= p.n:
                for j in range(U(w)):
                    to[into + j * U(p.s)] = 0
            elif step == U(1) and p.s == 1:
                for j in range(U(w)):
                    to[into + j] = x[at + j]
            else:
                for j in range(U(w)):
                    to[into + j * U(p.s)] = x[at + j * step]


@njit()
def take(acc: Array, n0: int, o0: int, i0: int, i1: int, y: Array, p: Plan) -> None:
    """Copy a piece, rows i0..i1-1 of outputs o0, o0 + 1, ..., to its places in y."""
    for o in range(o0, min(o0 + OUTPUTS, p.o)):
        for i in range(i0, i1):
            for k in range(min(p.s, p.n - n0)):
                at = U((o - o0) * p.pitch + (i - i0) * p.line + k)
                if p.last:
                    into = U((((n0 + k) * p.oh + i) * p.ow) * p.o + o)
                    for j in range(U(p.ow)):
                        y[into + j * U(p.o)] = acc[at + j * U(p.s)]
                else:
                    into = U((((n0 + k) * p.o + o) * p.oh + i) * p.ow)
                    if p.s == 1:
                        for j in range(U(p.ow)):
                            y[into + j] = acc[at + j]
                    else:
                        for j in range(U(p.ow)):
                            y[into + j] = acc[at + j * U(p.s)]


@njit(fastmath=FAST)
def _one_tap(x: Array, at: Any, w: Array, k: Any, ws: Any, y: Array, to: Any, pitch: Any, count: Any) -> None:
    for o in range(U(OUTPUTS)):
        weight, out = w[k + o * ws], to + o * pitch
        for e in range(count):
            y[out + e] += weight * x[at + e]


@njit(fastmath=FAST)
def _three_taps(
    x: Array, at: Any, s: Any, w: Array, k: Any, ws: Any, y: Array, y0: Any, pitch: Any, count: Any
) -> None:
    # 8 outputs; the weights of tap 0, 1, 2 of output 0 are w[k], w[k + 1], w[k + 2], of output 1 w[k + ws], ...
    k1, k2, k3 = k + ws, k + U(2) * ws, k + U(3) * ws
    k4, k5, k6, k7 = k + U(4) * ws, k + U(5) * ws, k + U(6) * ws, k + U(7) * ws
    a0, b0, c0, a1, b1, c1 = w[k], w[k + U(1)], w[k + U(2)], w[k1], w[k1 + U(1)], w[k1 + U(2)]
    a2, b2, c2, a3, b3, c3 = w[k2], w[k2 + U(1)], w[k2 + U(2)], w[k3], w[k3 + U(1)], w[k3 + U(2)]
    a4, b4, c4, a5, b5, c5 = w[k4], w[k4 + U(1)], w[k4 + U(2)], w[k5], w[k5 + U(1)], w[k5 + U(2)]
    a6, b6, c6, a7, b7, c7 = w[k6], w[k6 + U(1)], w[k6 + U(2)], w[k7], w[k7 + U(1)], w[k7 + U(2)]
    y1, y2, y3, y4 = y0 + pitch, y0 + U(2) * pitch, y0 + U(3) * pitch, y0 + U(4) * pitch
    y5, y6, y7, bt, ct = y0 + U(5) * pitch, y0 + U(6) * pitch, y0 + U(7) * pitch, at + s, at + U(2) * s
    for e in range(count):
        xa, xb, xc = x[at + e], x[bt + e], x[ct + e]
        y[y0 + e] += a0 * xa + b0 * xb + c0 * xc
        y[y1 + e] += a1 * xa + b1 * xb + c1 * xc
        y[y2 + e] += a2 * xa + b2 * xb + c2 * xc
        y[y3 + e] += a3 * xa + b3 * xb + c3 * xc
        y[y4 + e] += a4 * xa + b4 * xb + c4 * xc
        y[y5 + e] += a5 * xa + b5 * xb + c5 * xc
        y[y6 + e] += a6 * xa + b6 * xb + c6 * xc
        y[y7 + e] += a7 * xa + b7 * xb + c7 * xc


@njit(fastmath=FAST)
def _five_taps(x: Array, at: Any, s: Any, w: Array, k: Any, ws: Any, y: Array, y0: Any, pitch: Any, count: Any) -> None:
    # 2 outputs
    m, y1 = k + ws, y0 + pitch
    a0, b0, c0, d0, e0 = w[k], w[k + U(1)], w[k + U(2)], w[k + U(3)], w[k + U(4)]
    a1, b1, c1, d1, e1 = w[m], w[m + U(1)], w[m + U(2)], w[m + U(3)], w[m + U(4)]
    bt, ct, dt, et = at + s, at + U(2) * s, at + U(3) * s, at + U(4) * s
    for e in range(count):
        xa, xb, xc, xd, xe = x[at + e], x[bt + e], x[ct + e], x[dt + e], x[et + e]
        y[y0 + e] += a0 * xa + b0 * xb + c0 * xc + d0 * xd + e0 * xe
        y[y1 + e] += a1 * xa + b1 * xb + c1 * xc + d1 * xd + e1 * xe


@njit(fastmath=FAST)
def piece(xs: Array, i0: int, w: Array, o0: int, acc: Array, p: Plan) -> None:
    """Add all channels and taps to the piece that begins in row i0, of outputs o0, o0 + 1, ...."""
    s, ws, pitch, count = U(p.s), U(p.c * p.kh * p.kw), U(p.pitch), U(p.pitch)
    for c in range(p.c):
        for a in range(max(0, p.ph + 1 - p.rows - i0), min(p.kh, p.ph + p.h - i0)):  # the others see padding only
            at, k = U(c * p.plane + (i0 + a) * p.line), U(((o0 * p.c + c) * p.kh + a) * p.kw)
            left = p.kw
            while left >= 5:
                for o in range(0, min(OUTPUTS, p.o - o0), 2):
                    _five_taps(xs, at, s, w, k + U(o) * ws, ws, acc, U(o) * pitch, pitch, count)
                at, k, left = at + U(5) * s, k + U(5), left - 5
            if left >= 3:
                _three_taps(xs, at, s, w, k, ws, acc, U(0), pitch, count)
                at, k, left = at + U(3) * s, k + U(3), left - 3
            while left > 0:
                _one_tap(xs, at, w, k, ws, acc, U(0), pitch, count)
                at, k, left = at + s, k + U(1), left - 1


@njit(fastmath=FAST)
def _one_sum(x: Array, at: Any, y: Array, y0: Any, pitch: Any, count: Any, gw: Array, k: Any, ws: Any) -> None:
    for o in range(U(SUMMED)):
        run, total = y0 + o * pitch, gw.dtype.type(0)
        for e in range(count):
            total += y[run + e] * x[at + e]
        gw[k + o * ws] += total


@njit(fastmath=FAST)
def _three_sums(
    x: Array, at: Any, s: Any, y: Array, y0: Any, pitch: Any, count: Any, gw: Array, k: Any, ws: Any
) -> None:
    zero = gw.dtype.type(0)
    a0 = b0 = c0 = a1 = b1 = c1 = a2 = b2 = c2 = a3 = b3 = c3 = zero
    y1, y2, y3, bt, ct = y0 + pitch, y0 + U(2) * pitch, y0 + U(3) * pitch, at + s, at + U(2) * s
    for e in range(count):
        xa, xb, xc, u0, u1, u2, u3 = x[at + e], x[bt + e], x[ct + e], y[y0 + e], y[y1 + e], y[y2 + e], y[y3 + e]
        a0, b0, c0 = a0 + u0 * xa, b0 + u0 * xb, c0 + u0 * xc
        a1, b1, c1 = a1 + u1 * xa, b1 + u1 * xb, c1 + u1 * xc
        a2, b2, c2 = a2 + u2 * xa, b2 + u2 * xb, c2 + u2 * xc
        a3, b3, c3 = a3 + u3 * xa, b3 + u3 * xb, c3 + u3 * xc
    for o, a, b, c in ((U(0), a0, b0, c0), (U(1), a1, b1, c1), (U(2), a2, b2, c2), (U(3), a3, b3, c3)):
        gw[k + o * ws] += a
        gw[k + o * ws + U(1)] += b
        gw[k + o * ws + U(2)] += c


@njit(fastmath=FAST)
def _five_sums(
    x: Array, at: Any, s: Any, y: Array, y0: Any, pitch: Any, count: Any, gw: Array, k: Any, ws: Any
) -> None:
    zero = gw.dtype.type(0)
    a0 = b0 = c0 = d0 = e0 = a1 = b1 = c1 = d1 = e1 = zero
    a2 = b2 = c2 = d2 = e2 = a3 = b3 = c3 = d3 = e3 = zero
    y1, y2, y3 = y0 + pitch, y0 + U(2) * pitch, y0 + U(3) * pitch
    bt, ct, dt, et = at + s, at + U(2) * s, at + U(3) * s, at + U(4) * s
    for e in range(count):
        xa, xb, xc, xd, xe = x[at + e], x[bt + e], x[ct + e], x[dt + e], x[et + e]
        u0, u1, u2, u3 = y[y0 + e], y[y1 + e], y[y2 + e], y[y3 + e]
        a0, b0, c0, d0, e0 = a0 + u0 * xa, b0 + u0 * xb, c0 + u0 * xc, d0 + u0 * xd, e0 + u0 * xe
        a1, b1, c1, d1, e1 = a1 + u1 * xa, b1 + u1 * xb, c1 + u1 * xc, d1 + u1 * xd, e1 + u1 * xe
        a2, b2, c2, d2, e2 = a2 + u2 * xa, b2 + u2 * xb, c2 + u2 * xc, d2 + u2 * xd, e2 + u2 * xe
        a3, b3, c3, d3, e3 = a3 + u3 * xa, b3 + u3 * xb, c3 + u3 * xc, d3 + u3 * xd, e3 + u3 * xe
    for o, a, b, c, d, f in (
        (U(0), a0, b0, c0, d0, e0), (U(1), a1, b1, c1, d1, e1), (U(2), a2, b2, c2, d2, e2), (U(3), a3, b3, c3, d3, e3)
    ):  # fmt: skip
        gw[k + o * ws] += a
        gw[k + o * ws + U(1)] += b
        gw[k + o * ws + U(2)] += c
        gw[k + o * ws + U(3)] += d
        gw[k + o * ws + U(4)] += f


@njit(fastmath=FAST)
def sums_piece(xs: Array, i0: int, up: Array, plane: Any, gw: Array, first: int, rows: int, p: Plan) -> None:
    """Add to gw the products of `rows` rows of gy, from row i0 on, with all channels and taps of x."""
    s, ws, y0 = U(p.s), U(p.c * p.kh * p.kw), U(i0 * p.line)
    count = U(rows * p.line)  # the last columns as well: there gy is 0
    for c in range(p.c):
        for a in range(p.kh):
            at, k = U(c * p.plane + (i0 + a) * p.line), U(first + (c * p.kh + a) * p.kw)
            left = p.kw
            while left >= 5:
                _five_sums(xs, at, s, up, y0, plane, count, gw, k, ws)
                at, k, left = at + U(5) * s, k + U(5), left - 5
            if left >= 3:
                _three_sums(xs, at, s, up, y0, plane, count, gw, k, ws)
                at, k, left = at + U(3) * s, k + U(3), left - 3
            while left > 0:
                _one_sum(xs, at, up, y0, plane, count, gw, k, ws)
                at, k, left = at + s, k + U(1), left - 1
