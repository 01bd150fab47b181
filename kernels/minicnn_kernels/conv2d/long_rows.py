"""The pieces of `registers.py`: pictures laid side by side, rows of results by tiles, sums for the weights.

`at`, `to` and `into` are offsets into flat memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..layout import Array
from ..runtime import njit
from ..tiles.taps import BYTES, sums, tile

U = np.uintp  # offsets into flat memory: see conv2d/columns.py


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
    line: int  # from row to row: WP*S
    plane: int  # from channel to channel of x
    outputs: int  # of a tile
    vectors: int  # of each output in a tile
    pitch: int  # from output to output of a row of y
    straight: bool  # whether tiles go to y itself, not to a row that is then copied there
    summed: int  # outputs whose sums for gw are made at once
    gap: int  # from output to output of gy
    rows: int  # rows of gy that are summed at once
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
def take(acc: Array, n0: int, o0: int, i: int, y: Array, p: Plan) -> None:
    """Copy row i of outputs o0, o0 + 1, ... of all pictures of the group to its places in y."""
    for o in range(o0, min(o0 + p.outputs, p.o)):
        for k in range(min(p.s, p.n - n0)):
            at = U((o - o0) * p.pitch + k)
            if p.last:
                into = U((((n0 + k) * p.oh + i) * p.ow) * p.o + o)
                for j in range(U(p.ow)):
                    y[into + j * U(p.o)] = acc[at + j * U(p.s)]
            else:
                into = U((((n0 + k) * p.o + o) * p.oh + i) * p.ow)
                for j in range(U(p.ow)):
                    y[into + j] = acc[at + j * U(p.s)]


@njit()
def row(xs: Array, i: int, w: Array, b: Array, o0: int, acc: Array, p: Plan) -> None:
    """Row i of outputs o0, o0 + 1, ... of all pictures of the group, a run of OW*S numbers, into acc."""
    lanes = BYTES // xs.itemsize
    width = p.vectors * lanes
    a0, a1 = max(0, p.ph - i), min(p.kh, p.ph + p.h - i)  # the others see padding only
    for e in range(0, p.ow * p.s, width):
        j0, j1 = e // p.s, (e + width - 1) // p.s  # the first and last pixel of the tile
        b0, b1 = max(0, p.pw - j1), min(p.kw, p.pw + p.w - j0)
        tile(
            p.outputs, xs, i * p.line + e, (p.plane, p.line, p.s), w, o0 * p.c * p.kh * p.kw,
            (p.c, a0, a1, b0, max(b0, b1), p.kh, p.kw), b, o0, p.outputs, acc, e, p.pitch,
            (2 * lanes, lanes, 2 * lanes, lanes),
        )  # fmt: skip


@njit()
def picture(xs: Array, n: int, w: Array, b: Array, o0: int, y: Array, p: Plan) -> None:
    """Outputs o0, o0 + 1, ... of picture n in NCHW memory, whose rows have a vector or more.

    A tile is as wide as two vectors, of two rows if it has four; the last vector of a row, and the last two rows, begin
    earlier where they would reach too far, and some results are computed twice.
    """
    lanes, tall = BYTES // xs.itemsize, p.vectors // 2
    second = min(lanes, p.ow - lanes)
    to = (n * p.o + o0) * p.oh * p.ow
    for k in range(0, p.oh, tall):
        i = min(k, p.oh - tall)
        a0, a1 = max(0, p.ph + 1 - tall - i), min(p.kh, p.ph + p.h - i)  # the others see padding only
        for e in range(0, p.ow, 2 * lanes):
            j = min(e, p.ow - lanes - second)
            tile(
                p.outputs, xs, i * p.line + j, (p.plane, p.line, 1), w, o0 * p.c * p.kh * p.kw,
                (p.c, a0, a1, 0, p.kw, p.kh, p.kw), b, o0, min(p.outputs, p.o - o0), y, to + i * p.ow + j,
                p.oh * p.ow, (p.line, second, p.ow, second),
            )  # fmt: skip


@njit()
def sums_of(xs: Array, up: Array, gw: Array, o0: int, p: Plan) -> None:
    """Add to gw the products of gy of outputs o0, o0 + 1, ... with all channels and taps of x."""
    lanes, cells = BYTES // xs.itemsize, p.c * p.kh * p.kw
    run = -(-p.ow * p.s // lanes) * lanes
    rows, count = p.oh, run
    if run > p.line:  # the zeros after a row do not fill its last vector: all rows as one
        rows, count = 1, -(-p.oh * p.line // lanes) * lanes
    for i in range(0, rows, p.rows):
        for c in range(p.c):
            for a in range(p.kh):
                sums(
                    p.summed, p.kw, xs, c * p.plane + (i + a) * p.line, p.s, up, i * p.line, p.gap,
                    min(p.rows, rows - i), p.line, count, gw, o0 * cells + (c * p.kh + a) * p.kw, cells,
                )  # fmt: skip
