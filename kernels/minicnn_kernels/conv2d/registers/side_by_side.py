"""The pieces of `registers.py`: pictures laid side by side, rows of results by tiles, sums for the weights.

`at`, `to` and `into` are offsets into flat memory. How far apart things lie there, in a group of S pictures:

    x   |<------------- plane: a channel ------------->|        y   |<------- pitch: an output ------->|
        |<-- line: a row -->|                          |            |                                  |
        +-----+-----+- - - -+-----+-----+- - - -+- - - +            +-----+-----+- - - -+-----+- - - - +
        |pixel|pixel|       |pixel|     |       |      |            |pixel|pixel|       |pixel|        |
        +-----+-----+- - - -+-----+-----+- - - -+- - - +            +-----+-----+- - - -+-----+- - - - +
        |<tap>|  of each picture one number, S of them               |<spot>|

In channels-last memory, with pictures as lanes, the channels of a pixel come before the next pixel: plane < tap.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...layout import Array
from ...runtime import njit
from ...transpose import matrix
from .tile import BYTES, sums, tile

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
    tap: int  # from pixel to pixel of x
    line: int  # from row to row
    plane: int  # from channel to channel
    outputs: int  # of a tile
    vectors: int  # of each output in a tile
    wide: int  # pixels of a row that a vector holds, or 0 for any number, across the ends of rows
    spot: int  # from pixel to pixel of y
    pitch: int  # from output to output
    summed: int  # outputs whose sums for gw are made at once
    gap: int  # from output to output of gy
    rows: int  # rows of gy that are summed at once
    pictures: int  # numbers of scratch for the pictures of a group, with what vectors read beyond them
    results: int  # numbers of scratch for results
    last: bool  # channels last


@njit()
def lay(x: Array, n0: int, size: Any, c0: int, c1: int, stage: Array, to: Array, start: Any, p: Plan) -> None:
    """What `fill` does, for as many pictures as a vector has lanes and S = LANES: by transposing.

    A plane of all pictures, or all channels where they are last, is a matrix of S rows; transposed, it is a plane of
    pixels of S numbers. Short rows that have padding between them go to `stage` first.
    """
    c, h, w = size
    run, step = w * c if p.last else w, c * h * w
    first, plane = start
    for k in range(1 if p.last else c1 - c0):
        at, to0 = n0 * step + (0 if p.last else (c0 + k) * h * w), first + k * plane
        if run * p.s == p.line:
            matrix(x, at, step, p.s, h * run, to, to0, p.s)
        elif run >= p.s:
            for q in range(h):
                matrix(x, at + q * run, step, p.s, run, to, to0 + q * p.line, p.s)
        else:
            matrix(x, at, step, p.s, h * run, stage, 0, p.s)
            for q in range(h):
                source, into = U(q * run * p.s), U(to0 + q * p.line)
                for e in range(U(run * p.s)):
                    to[into + e] = stage[source + e]


@njit()
def fill(x: Array, n0: int, n1: int, size: Any, c0: int, c1: int, to: Array, start: Any, p: Plan) -> None:
    """Lay channels c0..c1-1 of pictures n0, n0 + 1, ... side by side; from picture n1 on, zeros.

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
            if n >= n1:
                for j in range(U(w)):
                    to[into + j * U(p.s)] = 0
            elif step == U(1) and p.s == 1:
                for j in range(U(w)):
                    to[into + j] = x[at + j]
            else:
                for j in range(U(w)):
                    to[into + j * U(p.s)] = x[at + j * step]


@njit()
def group(
    x: Array, n0: int, n1: int, size: Any, c0: int, c1: int, stage: Array, to: Array, start: Any, p: Plan
) -> None:
    """`lay` or `fill`, whichever the plan is for."""
    if p.wide == 1:
        lay(x, n0, size, c0, c1, stage, to, start, p)
    else:
        fill(x, n0, n1, size, c0, c1, to, start, p)


@njit()
def take(acc: Array, n0: int, n1: int, o0: int, i: int, y: Array, p: Plan) -> None:
    """Copy row i of outputs o0, o0 + 1, ... of pictures n0, n0 + 1, ... n1 - 1 of the group to its places in y."""
    for o in range(o0, min(o0 + p.outputs, p.o)):
        for k in range(min(p.s, n1 - n0)):
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
            p.outputs, p.vectors, xs, i * p.line + e, (p.plane, p.line, p.s), w, o0 * p.c * p.kh * p.kw,
            (p.c, a0, a1, b0, max(b0, b1), p.kh, p.kw), b, o0, p.outputs, acc, e, p.pitch,
            (2 * lanes, lanes, 2 * lanes, lanes),
        )  # fmt: skip


@njit()
def picture(xs: Array, at: int, w: Array, b: Array, o0: int, y: Array, to: int, p: Plan) -> None:
    """Outputs o0, o0 + 1, ... of all pixels of the group at xs[at], from y[to] on.

    A tile is two vectors wide, of two rows if it has four; the last vector of a row, and the last two rows, begin
    earlier where they would reach too far, and some results are computed twice.
    """
    tall = p.vectors // 2
    second = min(p.wide, p.ow - p.wide)
    for k in range(0, p.oh, tall):
        i = min(k, p.oh - tall)
        a0, a1 = max(0, p.ph + 1 - tall - i), min(p.kh, p.ph + p.h - i)  # the others see padding only
        for e in range(0, p.ow, 2 * p.wide):
            j = min(e, p.ow - p.wide - second)
            b0, b1 = max(0, p.pw + 1 - p.wide - second - j), min(p.kw, p.pw + p.w - j)
            tile(
                p.outputs, p.vectors, xs, at + i * p.line + j * p.tap, (p.plane, p.line, p.tap), w,
                o0 * p.c * p.kh * p.kw, (p.c, a0, a1, b0, b1, p.kh, p.kw), b, o0, min(p.outputs, p.o - o0), y,
                to + (i * p.ow + j) * p.spot, p.pitch, (p.line, second * p.tap, p.ow * p.spot, second * p.spot),
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
