"""The inner loops of depthwise convolution: rows of images with the channels innermost, and products along them.

One *line* is a row of an image, (pixels, O), as in NHWC memory. The inner loop runs along a line, over several pixels
and all their channels, and adds up the products of three filter cells at once:

    y[e] += x[x0 + e]*w[w0 + e] + x[x1 + e]*w[w1 + e] + x[x2 + e]*w[w2 + e]

where the O weights of a cell are repeated for all pixels that the loop covers (`spread`). (Before such a loop LLVM
tests whether the arrays overlap, and it gives up beyond eight tests; so three cells are the most.)

Input lines are copied into a ring with as many rows as a window (`take`), which stays in the first-level cache. The
copy gives all lines the same form: there are zeros on both sides, a channel is repeated M times, NCHW memory is
transposed, and with a stride of SW column q goes to part q % SW of the line. So the columns under a filter cell, which
are SW apart, lie next to each other:

    SW = 2:   0 1 2 3 4 5 6   ->   0 2 4 6 | 1 3 5 .
"""

from __future__ import annotations

from typing import Any

from ...arrays import Array, U
from ...geometry import Conv
from ...runtime import FAST, njit

COVERED = 512  # elements in one inner loop: the repeated weights of 3x3 cells then take 18 KB of the first-level cache


@njit()
def parts(work: Array, cells: int, ring: int) -> tuple[Array, Array, Array]:
    """Scratch memory for the repeated weights, for a ring, and for one more line; each begins at a cache line."""
    unit = 64 // work.itemsize
    first = -(work.ctypes.data // work.itemsize) % unit
    second = first + (cells + unit - 1) // unit * unit
    third = second + (ring + unit - 1) // unit * unit
    return work[first : first + cells], work[second : second + ring], work[third:]


@njit(fastmath=FAST)
def add3(
    y: Array, to: Any, x: Array, x0: Any, x1: Any, x2: Any, w: Array, w0: Any, w1: Any, w2: Any, count: int
) -> None:
    """Add three products to y."""
    to, x0, x1, x2, w0, w1, w2 = U(to), U(x0), U(x1), U(x2), U(w0), U(w1), U(w2)
    for e in range(U(count)):
        y[to + e] += x[x0 + e] * w[w0 + e] + x[x1 + e] * w[w1 + e] + x[x2 + e] * w[w2 + e]


@njit(fastmath=FAST)
def _set3(
    y: Array, to: Any, b0: Any, x: Array, x0: Any, x1: Any, x2: Any, w: Array, w0: Any, w1: Any, w2: Any, count: int
) -> None:
    to, b0, x0, x1, x2, w0, w1, w2 = U(to), U(b0), U(x0), U(x1), U(x2), U(w0), U(w1), U(w2)
    for e in range(U(count)):
        y[to + e] = w[b0 + e] + x[x0 + e] * w[w0 + e] + x[x1 + e] * w[w1 + e] + x[x2 + e] * w[w2 + e]


@njit(fastmath=FAST)
def add1(y: Array, to: Any, x: Array, x0: Any, w: Array, w0: Any, count: int) -> None:
    """Add one product to y."""
    to, x0, w0 = U(to), U(x0), U(w0)
    for e in range(U(count)):
        y[to + e] += x[x0 + e] * w[w0 + e]


@njit()
def take(
    x: Array, n: int, p: int, shape: Any, m: int, channels_last: bool, ring: Array, base: int, left: int, step: int,
    part: int,
) -> None:  # fmt: skip
    """Row p of image n of x, with shape = (C, H, W) -> a line in the ring, (step parts, part pixels, C*M)."""
    channels, height, width = shape
    if channels_last and m == 1 and step == 1:
        _copy(ring, base + left * channels, x, (n * height + p) * width * channels, width * channels)
        return
    for q in range(width):
        v = q + left
        to = U(base + (v % step * part + v // step) * channels * m)
        if channels_last and m == 1:
            at = U(((n * height + p) * width + q) * channels)
            for c in range(U(channels)):
                ring[to + c] = x[at + c]
        elif channels_last:
            at = U(((n * height + p) * width + q) * channels)
            for o in range(channels * m):
                ring[to + U(o)] = x[at + U(o // m)]
        else:
            at, plane = U((n * channels * height + p) * width + q), U(height * width)
            for c in range(U(channels)):
                for _ in range(U(m)):
                    ring[to] = x[at + c * plane]
                    to += U(1)


@njit()
def put(
    line: Array, y: Array, n: int, p: int, shape: Any, m: int, channels_last: bool, q0: int, step: int, count: int
) -> None:
    """Adjoint of `take`: `count` pixels of a line -> columns q0, q0 + step, ... of row p of image n of y."""
    channels, height, width = shape
    for k in range(count):
        q = q0 + k * step
        at = U(k * channels * m)
        to, next_channel = U(((n * height + p) * width + q) * channels), U(1)
        if not channels_last:
            to, next_channel = U((n * channels * height + p) * width + q), U(height * width)
        if m == 1 and channels_last:
            for c in range(U(channels)):
                y[to + c] = line[at + c]
            continue
        for _ in range(channels):
            total = line[at]
            for r in range(U(1), U(m)):
                total += line[at + r]
            y[to] = total
            at += U(m)
            to += next_channel


@njit()
def spread(w: Array, b: Array, cells: Array, pixels: int, g: Conv) -> None:
    """w (O, KH*KW) and b (O,) -> (KH*KW + 1, pixels, O)."""
    for j in range(pixels):
        for k in range(g.kh * g.kw):
            for o in range(g.o):
                cells[(k * pixels + j) * g.o + o] = w[o * g.kh * g.kw + k]
        for o in range(g.o):
            cells[(g.kh * g.kw * pixels + j) * g.o + o] = b[o]


@njit()
def filter_line(
    y: Array, to: int, ring: Array, starts: Array, cells: Array, which: Array, found: int, pixels: int, width: int,
    g: Conv,
) -> None:  # fmt: skip
    """Compute a line of y, of `width` pixels: the bias, plus for each of the `found` filter cells the weights of cell
    which[f] times the line that begins at starts[f].
    """
    block, size = min(g.o, COVERED), pixels * g.o  # some of the channels, if one loop cannot cover them all
    for c in range(0, g.o, block):
        for j in range(0, width, pixels):
            e, bias = j * g.o + c, g.kh * g.kw * size + c
            count = min(block, g.o - c) if block < g.o else min(pixels, width - j) * g.o
            if found >= 3:
                _set3(
                    y, to + e, bias, ring, starts[0] + e, starts[1] + e, starts[2] + e,
                    cells, which[0] * size + c, which[1] * size + c, which[2] * size + c, count,
                )  # fmt: skip
            else:
                _copy(y, to + e, cells, bias, count)
            for f in range(3, found - 2, 3):
                add3(
                    y, to + e, ring, starts[f] + e, starts[f + 1] + e, starts[f + 2] + e,
                    cells, which[f] * size + c, which[f + 1] * size + c, which[f + 2] * size + c, count,
                )  # fmt: skip
            for f in range(found // 3 * 3, found):
                add1(y, to + e, ring, starts[f] + e, cells, which[f] * size + c, count)


@njit()
def _copy(y: Array, to: Any, x: Array, at: Any, count: int) -> None:
    to, at = U(to), U(at)
    for e in range(U(count)):
        y[to + e] = x[at + e]
