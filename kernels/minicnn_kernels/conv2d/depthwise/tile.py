"""The inner loops of depthwise convolution, and of others with few channels in a group: sums stay in registers.

    filtered:  y[r, l]  = b[l] + sum_{a, e} w[a, e, l] x[r + a + e, l]      some pixels r, a rectangle of filter cells
    summed:    gw[f, l] += sum_r gy[r, l] x[r + f, l]                       some filter cells f, all pixels r of a line

Here "+" stands for steps in memory: arbitrary distances between pixels, filter rows and filter columns. The numbers
along l, the *lanes* of a vector, are neighbouring channels of one pixel.

**Why it is fast.** With 8 pixels each vector of weights that is loaded serves 8 multiply-adds, and each multiply-add
reads one vector of x: 9 loads for 8 multiply-adds, where a processor can do two of each per cycle. y is written once.
The same holds for 9 sums of gw, which share a vector of gy.

**Groups of several channels.** A group of 4 has 4 input and 4 output channels, neighbours in a vector. The sum over its
input channels takes 4 multiply-adds for each filter cell: in number c, each lane of a group is multiplied by the x of
channel c of its group. The vector of these is made from the vector of x in one instruction (`of_run`). The argument
`group`, a tuple with an element for each channel of a group, says how many there are: a constant for the compiler.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Array
from ...llvm import LANES, Code, Vectors, in_registers
from ...runtime import njit

MOST = 12  # sums in a tile of `summed`: with a vector of gy and one of x they fit 16 registers


def lanes(itemsize: int) -> int:
    """How many channels a vector has."""
    return 4 * LANES // itemsize


def _filter(
    rows: int, columns: int, channels: int, count: int, x: Array, x0: int, xr: int, xa: int, xe: int,
    w: Array, w0: int, wa: int, we: int, b: Array, y: Array, y0: int, yr: int, group: tuple[int, ...],
) -> None:  # fmt: skip
    """The first equation above, for all channels of `count` pixels and the given filter rows and columns."""
    size, first = len(group), np.arange(channels) // len(group) * len(group)  # the first channel of the group of each
    for r in range(count):
        total = b[:channels].copy()
        for a in range(rows):
            for e in range(columns):
                at = x0 + r * xr + a * xa + e * xe
                for c in range(size):
                    weight = w0 + a * wa + e * we + c * channels
                    total += w[weight : weight + channels] * x[at + first + c]
        y[y0 + r * yr : y0 + r * yr + channels] = total


def _filter_tiles(
    pixels: int, vectors: int, rows: int, columns: int, channels: int, count: int, x: Array, x0: int, xr: int, xa: int,
    xe: int, w: Array, w0: int, wa: int, we: int, b: Array, y: Array, y0: int, yr: int, group: tuple[int, ...],
) -> None:  # fmt: skip
    """The same in tiles of some pixels and vectors, of which there are at least as many as a tile has."""
    _filter(rows, columns, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr, group)


def _sum(
    cells: int, _: int, channels: int, count: int, gy: Array, g0: int, gr: int, x: Array, starts: Array, first: int,
    xr: int, sums: Array, to: Array, pitch: int, group: tuple[int, ...],
) -> None:  # fmt: skip
    """The second equation above, for `cells` filter cells and all channels."""
    wide, size = lanes(x.itemsize), len(group)
    for k in range(0, channels, wide):
        o = min(k, channels - wide)
        own = np.arange(o, o + wide) // size * size  # the first channel of the group of each
        for f in range(first, first + cells):
            for c in range(size):
                place = to[f] + c * pitch + k
                for r in range(count):
                    up, at = g0 + r * gr + o, starts[f] + r * xr
                    sums[place : place + wide] += gy[up : up + wide] * x[at + own + c]


def _write_filter(
    code: Code, rows: int, columns: int, channels: Any, count: Any, x: Vectors, x0: Any, xr: Any, xa: Any, xe: Any,
    w: Vectors, w0: Any, wa: Any, we: Any, b: Vectors, y: Vectors, y0: Any, yr: Any, group: list[Any],
) -> None:  # fmt: skip
    if len(group) > 1:
        return  # never called
    cells, wide = [(a, e) for a in range(rows) for e in range(columns)], x.vector.count
    with code.loop(0, channels, wide) as k:
        o = code.least(k, code.sum(channels, -wide))
        bias, weights = b.load(o), [w.load(code.sum(w0, o, (wa, a), (we, e))) for a, e in cells]
        with code.loop(0, count) as r:
            total, run = code.register(bias), code.sum(x0, o, (xr, r))
            for (a, e), weight in zip(cells, weights, strict=True):
                code.add_product(total, x.load(code.sum(run, (xa, a), (xe, e))), weight)
            y.store(code.builder.load(total), code.sum(y0, o, (yr, r)))


def _write_filter_tiles(
    code: Code, pixels: int, vectors: int, rows: Any, columns: Any, channels: Any, count: Any, x: Vectors, x0: Any,
    xr: Any, xa: Any, xe: Any, w: Vectors, w0: Any, wa: Any, we: Any, b: Vectors, y: Vectors, y0: Any, yr: Any,
    group: list[Any],
) -> None:  # fmt: skip
    wide, size, tile = x.vector.count, len(group), [(r, v) for r in range(pixels) for v in range(vectors)]
    with code.loop(0, channels, vectors * wide) as k, code.loop(0, count, pixels) as start:
        o, first = code.least(k, code.sum(channels, -vectors * wide)), code.least(start, code.sum(count, -pixels))
        totals = {(r, v): code.register(b.load(code.sum(o, v * wide))) for r, v in tile}
        with code.loop(0, rows) as a, code.loop(0, columns) as e:
            run, cell = code.sum(x0, o, (xr, first), (xa, a), (xe, e)), code.sum(w0, o, (wa, a), (we, e))
            under = {(r, v): x.load(code.sum(run, (xr, r), v * wide)) for r, v in tile}
            for c in range(size):
                weights = [w.load(code.sum(cell, (channels, c), v * wide)) for v in range(vectors)]
                for r, v in tile:
                    code.add_product(totals[r, v], x.of_run(under[r, v], size, c), weights[v])
        for r, v in tile:
            y.store(code.builder.load(totals[r, v]), code.sum(y0, o, (code.sum(first, r), yr), v * wide))


def _write_sum(
    code: Code, cells: int, _: int, channels: Any, count: Any, gy: Vectors, g0: Any, gr: Any, x: Vectors,
    starts: Vectors, first: Any, xr: Any, sums: Vectors, to: Vectors, pitch: Any, group: list[Any],
) -> None:  # fmt: skip
    wide, size = x.vector.count, len(group)
    if cells > 1 and cells * size > MOST:
        return  # never called

    def entries(table: Vectors) -> list[Any]:
        return [code.builder.load(table.cell(code.sum(first, f))) for f in range(cells)]

    starting, into, tile = entries(starts), entries(to), [(f, c) for f in range(cells) for c in range(size)]
    with code.loop(0, channels, wide) as k:
        o = code.least(k, code.sum(channels, -wide))
        at = [code.sum(start, o) for start in starting]
        totals = {(f, c): code.register(gy.zeros()) for f, c in tile}
        with code.loop(0, count) as r:
            up = gy.load(code.sum(g0, o, (gr, r)))
            under = [x.load(code.sum(start, (xr, r))) for start in at]
            for f, c in tile:
                code.add_product(totals[f, c], x.of_run(under[f], size, c), up)
        for f, c in tile:
            place = code.sum(into[f], (pitch, c), k)
            sums.store(code.builder.fadd(sums.load(place), code.builder.load(totals[f, c])), place)


@njit()
def filtered(
    lanes: int, channels: int, count: int, x: Array, x0: int, xr: int, rows: int, xa: int, columns: int, xe: int,
    w: Array, w0: int, wa: int, we: int, b: Array, y: Array, y0: int, yr: int, group: tuple[int, ...],
) -> None:  # fmt: skip
    """All channels of `count` pixels.

    Args:
        lanes: the number of channels in a vector.
        channels, count: the number of channels, at least a vector, and of pixels.
        x, x0, xr: flat images, where the first pixel's first cell is, and the distance from pixel to pixel.
        rows, xa, columns, xe: the filter cells, and the distances from one to the next in x.
        w, w0, wa, we: the weights, the first cell's place, and the distances between cells.
        b: the first values of the sums.
        y, y0, yr: where the first pixel is written, and the distance from pixel to pixel.
        group: an element for each channel of a group.
    """
    one = len(group) == 1
    if one and rows == 3 and columns == 3:
        _filter(3, 3, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr, group)
    elif one and rows == 2 and columns == 3:
        _filter(2, 3, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr, group)
    elif one and rows == 3 and columns == 2:
        _filter(3, 2, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr, group)
    elif one and rows == 2 and columns == 2:
        _filter(2, 2, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr, group)
    elif count >= 8:
        _filter_tiles(8, 1, rows, columns, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr, group)
    elif count >= 3 and channels >= 2 * lanes:
        _filter_tiles(3, 2, rows, columns, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr, group)
    elif channels >= 6 * lanes:
        _filter_tiles(1, 6, rows, columns, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr, group)
    else:
        _filter_tiles(1, 1, rows, columns, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr, group)


@njit()
def summed(
    channels: int, count: int, gy: Array, g0: int, gr: int, x: Array, starts: Array, xr: int, sums: Array, to: Array,
    found: int, pitch: int, group: tuple[int, ...],
) -> None:  # fmt: skip
    """Add `count` pixels to the sums of `found` filter cells, for all channels.

    Args:
        channels, count: the number of channels, at least a vector, and of pixels.
        gy, g0, gr: flat gradients, the place of the first pixel, and the distance from pixel to pixel.
        x, starts, xr: flat images; the first pixel under filter cell f is at starts[f]; the distance.
        sums, to, pitch: the sums of cell f for input channel c of each group begin at to[f] + c*pitch, vector after
            vector. If the last vector has to overlap the one before, it has sums of its own.
        found: the number of filter cells.
        group: an element for each channel of a group.
    """
    f, most = 0, MOST // len(group)
    while most >= 9 and found - f >= 9:
        _sum(9, 1, channels, count, gy, g0, gr, x, starts, f, xr, sums, to, pitch, group)
        f += 9
    if most >= 6 and found - f >= 6:
        _sum(6, 1, channels, count, gy, g0, gr, x, starts, f, xr, sums, to, pitch, group)
        f += 6
    while most >= 3 and found - f >= 3:
        _sum(3, 1, channels, count, gy, g0, gr, x, starts, f, xr, sums, to, pitch, group)
        f += 3
    while f < found:
        _sum(1, 1, channels, count, gy, g0, gr, x, starts, f, xr, sums, to, pitch, group)
        f += 1


def before_compiling() -> None:
    """Replace the definitions by the instructions; `runtime` calls this once Numba is imported."""
    writers: dict[str, Any] = {"_filter": _write_filter, "_filter_tiles": _write_filter_tiles, "_sum": _write_sum}
    for name, write in writers.items():
        globals()[name] = in_registers(globals()[name], write, lanes)
