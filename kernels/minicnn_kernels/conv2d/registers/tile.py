"""The inner loops of `registers`: a tile of results stays in registers while all taps are summed.

    tile:   y[r, e] = b[r] + sum_{c, a, b} w[(c, a, b), r] x[c, e + a*line + b*s]     R outputs, V vectors of e
    sums:   gw[r, b] += sum_e gy[r, e] x[e + b*s]                                     R outputs, T taps of a filter row

A vector has 64 bytes: 16 numbers of float32 or 8 of float64. On a processor with shorter vectors LLVM uses several of
them for one.
"""

from __future__ import annotations

from typing import Any

from ...arrays import Array
from ...llvm import Code, Vectors, in_registers
from ...runtime import njit

BYTES = 64  # bytes of a vector


def _tile(
    outputs: int, vectors: int, x: Array, at: int, steps: Any, w: Array, k: int, taps: Any, bias: Array, o: int,
    some: int, y: Array, to: int, pitch: int, apart: Any,
) -> None:  # fmt: skip
    """The definition of `tile`, in NumPy; the arguments are explained there."""
    (plane, line, s), (c, a0, a1, b0, b1, kh, kw), lanes = steps, taps, BYTES // x.itemsize
    for v in range(vectors):
        start, into = at + v // 2 * apart[0] + v % 2 * apart[1], to + v // 2 * apart[2] + v % 2 * apart[3]
        for r in range(some):
            total = bias[o + r]
            for i in range(c):
                for a in range(a0, a1):
                    for b in range(b0, b1):
                        run = start + i * plane + a * line + b * s
                        total = total + w[k + ((i * kh + a) * kw + b) * outputs + r] * x[run : run + lanes]
            y[into + r * pitch : into + r * pitch + lanes] = total


def _sums(
    outputs: int, taps: int, x: Array, at: int, s: int, gy: Array, up: int, pitch: int, rows: int, line: int,
    count: int, gw: Array, k: int, ws: int,
) -> None:  # fmt: skip
    """The definition of `sums`, in NumPy; the arguments are explained there."""
    for r in range(outputs):
        for b in range(taps):
            for i in range(rows):
                first, run = up + r * pitch + i * line, at + b * s + i * line
                gw[k + r * ws + b] += gy[first : first + count] @ x[run : run + count]


@njit()
def tile(
    outputs: int, vectors: int, x: Array, at: int, steps: Any, w: Array, k: int, taps: Any, bias: Array, o: int,
    some: int, y: Array, to: int, pitch: int, apart: Any,
) -> None:  # fmt: skip
    """Compute a tile of `outputs` times `vectors` vectors, and store `some` of the outputs.

    Args:
        outputs, vectors: 8 and 2, 6 and 4 or 2, 4 and 4. In w, from k on, the weights of all outputs are side by side
            for each tap.
        x, at: flat images, and where the first vector begins under tap (0, 0) of channel 0.
        steps: the distances in x from channel to channel, from row to row and from tap to tap.
        taps: the channels, the first row of the filter and the end of its rows, its first column and the end of its
            columns, its height and its width.
        bias, o: the first values of the sums are bias[o], bias[o + 1], ...
        y, to, pitch: where the first vector is written, and the distance between outputs.
        apart: the distances of vectors 2 and 1 from vector 0 in x, then in y; that of vector 3 is the sum of both.
    """
    if outputs == 8:
        _tile(8, 2, x, at, steps, w, k, taps, bias, o, some, y, to, pitch, apart)
    elif outputs == 6 and vectors == 2:
        _tile(6, 2, x, at, steps, w, k, taps, bias, o, some, y, to, pitch, apart)
    elif outputs == 6:
        _tile(6, 4, x, at, steps, w, k, taps, bias, o, some, y, to, pitch, apart)
    else:
        _tile(4, 4, x, at, steps, w, k, taps, bias, o, some, y, to, pitch, apart)


def vectors_of(outputs: int) -> int:
    """The most vectors of each output in a tile, so that they and the vectors of x fit the registers."""
    return 2 if outputs == 8 else 4


@njit()
def sums(
    outputs: int, kw: int, x: Array, at: int, s: int, gy: Array, up: int, pitch: int, rows: int, line: int, count: int,
    gw: Array, k: int, ws: int,
) -> None:  # fmt: skip
    """Add the sums of a filter row of `kw` taps for `outputs` (4 or 3) outputs to gw[k + r*ws + b].

    The sums run over `rows` rows, `line` apart, of `count` numbers each, which is a multiple of a vector.
    """
    b = 0
    while kw - b >= 5:
        if outputs == 4:
            _sums(4, 5, x, at + b * s, s, gy, up, pitch, rows, line, count, gw, k + b, ws)
        else:
            _sums(3, 5, x, at + b * s, s, gy, up, pitch, rows, line, count, gw, k + b, ws)
        b += 5
    while kw - b >= 3:
        if outputs == 4:
            _sums(4, 3, x, at + b * s, s, gy, up, pitch, rows, line, count, gw, k + b, ws)
        else:
            _sums(3, 3, x, at + b * s, s, gy, up, pitch, rows, line, count, gw, k + b, ws)
        b += 3
    while b < kw:
        if outputs == 4:
            _sums(4, 1, x, at + b * s, s, gy, up, pitch, rows, line, count, gw, k + b, ws)
        else:
            _sums(3, 1, x, at + b * s, s, gy, up, pitch, rows, line, count, gw, k + b, ws)
        b += 1


def _write_tile(
    code: Code, outputs: int, vectors: int, x: Vectors, at: Any, steps: Any, w: Vectors, k: Any, taps: Any,
    bias: Vectors, o: Any, some: Any, y: Vectors, to: Any, pitch: Any, apart: Any,
) -> None:  # fmt: skip
    (plane, line, s), (c, a0, a1, b0, b1, kh, kw) = steps, taps
    tile = []
    for r in range(outputs):
        first = bias.everywhere(code.sum(o, r))
        tile.append([code.register(first) for _ in range(vectors)])
    with code.loop(0, c) as i, code.loop(a0, a1) as a, code.loop(b0, b1) as b:
        run = code.sum(at, (i, plane), (a, line), (b, s))
        tap = code.sum(k, (code.sum((code.sum((i, kh), a), kw), b), outputs))
        under = [x.load(code.sum(run, (v // 2, apart[0]), (v % 2, apart[1]))) for v in range(vectors)]
        for r, row in enumerate(tile):
            weight = w.everywhere(code.sum(tap, r))
            for v, total in enumerate(row):
                code.add_product(total, under[v], weight)
    for r, row in enumerate(tile):
        with code.only_if(r, some):
            for v, total in enumerate(row):
                into = code.sum(to, (r, pitch), (v // 2, apart[2]), (v % 2, apart[3]))
                y.store(code.builder.load(total), into)


def _write_sums(
    code: Code, outputs: int, taps: int, x: Vectors, at: Any, s: Any, gy: Vectors, up: Any, pitch: Any, rows: Any,
    line: Any, count: Any, gw: Vectors, k: Any, ws: Any,
) -> None:  # fmt: skip
    totals = [[code.register(gw.zeros()) for _ in range(taps)] for _ in range(outputs)]
    with code.loop(0, rows) as i, code.loop(0, count, gw.vector.count) as e:
        first = code.sum((i, line), e)
        under = [x.load(code.sum(at, first, (b, s))) for b in range(taps)]
        for r, row in enumerate(totals):
            gradient = gy.load(code.sum(up, first, (r, pitch)))
            for b, total in enumerate(row):
                code.add_product(total, under[b], gradient)
    for r, row in enumerate(totals):
        for b, total in enumerate(row):
            gw.add_lanes(code.builder.load(total), code.sum(k, (r, ws), b))


def before_compiling() -> None:
    """Replace the definitions by the instructions; `runtime` calls this once Numba is imported."""
    for name, write in (("_tile", _write_tile), ("_sums", _write_sums)):
        globals()[name] = in_registers(globals()[name], write, lambda size: BYTES // size)
