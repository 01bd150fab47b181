"""The inner loops of depthwise convolution: sums of products of vectors, which stay in registers.

    filtered:  y[r, l]  = b[l] + sum_{a, e} w[a, e, l] x[r + a + e, l]      some pixels r, a rectangle of filter cells
    summed:    gw[f, l] += sum_r gy[r, l] x[r + f, l]                       some filter cells f, all pixels r of a line

Here "+" stands for steps in memory: arbitrary distances between pixels, filter rows and filter columns. The numbers
along l, the *lanes* of a vector, are neighbouring channels of one pixel.

**Why it is fast.** With 8 pixels each vector of weights that is loaded serves 8 multiply-adds, and each multiply-add
reads one vector of x: 9 loads for 8 multiply-adds, where a processor can do two of each per cycle. y is written once.
The same holds for 9 sums of gw, which share a vector of gy.
"""

from __future__ import annotations

from typing import Any

from ...arrays import Array
from ...llvm import LANES, Code, Vectors, in_registers
from ...runtime import njit


def lanes(itemsize: int) -> int:
    """How many channels a vector has."""
    return 4 * LANES // itemsize


def _filter(
    rows: int, columns: int, channels: int, count: int, x: Array, x0: int, xr: int, xa: int, xe: int,
    w: Array, w0: int, wa: int, we: int, b: Array, y: Array, y0: int, yr: int,
) -> None:  # fmt: skip
    """The first equation above, for all channels of `count` pixels and the given filter rows and columns."""
    for r in range(count):
        total = b[:channels].copy()
        for a in range(rows):
            for e in range(columns):
                at, weight = x0 + r * xr + a * xa + e * xe, w0 + a * wa + e * we
                total += w[weight : weight + channels] * x[at : at + channels]
        y[y0 + r * yr : y0 + r * yr + channels] = total


def _filter_tiles(
    pixels: int, vectors: int, rows: int, columns: int, channels: int, count: int, x: Array, x0: int, xr: int, xa: int,
    xe: int, w: Array, w0: int, wa: int, we: int, b: Array, y: Array, y0: int, yr: int,
) -> None:  # fmt: skip
    """The same in tiles of some pixels and vectors, of which there are at least as many as a tile has."""
    _filter(rows, columns, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr)


def _sum(
    cells: int, _: int, channels: int, count: int, gy: Array, g0: int, gr: int, x: Array, starts: Array, first: int,
    xr: int, sums: Array, to: Array,
) -> None:  # fmt: skip
    """The second equation above, for `cells` filter cells and all channels."""
    wide = lanes(x.itemsize)
    for k in range(0, channels, wide):
        o = min(k, channels - wide)
        for f in range(first, first + cells):
            for r in range(count):
                up, at = g0 + r * gr + o, starts[f] + r * xr + o
                sums[to[f] + k : to[f] + k + wide] += gy[up : up + wide] * x[at : at + wide]


def _write_filter(
    code: Code, rows: int, columns: int, channels: Any, count: Any, x: Vectors, x0: Any, xr: Any, xa: Any, xe: Any,
    w: Vectors, w0: Any, wa: Any, we: Any, b: Vectors, y: Vectors, y0: Any, yr: Any,
) -> None:  # fmt: skip
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
) -> None:  # fmt: skip
    wide, tile = x.vector.count, [(r, v) for r in range(pixels) for v in range(vectors)]
    with code.loop(0, channels, vectors * wide) as k, code.loop(0, count, pixels) as start:
        o, first = code.least(k, code.sum(channels, -vectors * wide)), code.least(start, code.sum(count, -pixels))
        totals = {(r, v): code.register(b.load(code.sum(o, v * wide))) for r, v in tile}
        with code.loop(0, rows) as a, code.loop(0, columns) as e:
            weights = [w.load(code.sum(w0, o, (wa, a), (we, e), v * wide)) for v in range(vectors)]
            run = code.sum(x0, o, (xr, first), (xa, a), (xe, e))
            for r, v in tile:
                code.add_product(totals[r, v], x.load(code.sum(run, (xr, r), v * wide)), weights[v])
        for r, v in tile:
            y.store(code.builder.load(totals[r, v]), code.sum(y0, o, (code.sum(first, r), yr), v * wide))


def _write_sum(
    code: Code, cells: int, _: int, channels: Any, count: Any, gy: Vectors, g0: Any, gr: Any, x: Vectors,
    starts: Vectors, first: Any, xr: Any, sums: Vectors, to: Vectors,
) -> None:  # fmt: skip
    def entries(table: Vectors) -> list[Any]:
        return [code.builder.load(table.cell(code.sum(first, f))) for f in range(cells)]

    wide, starting, into = x.vector.count, entries(starts), entries(to)
    last = code.sum(channels, -wide)
    with code.loop(0, channels, wide) as k:
        o = code.least(k, last)
        at = [code.sum(start, o) for start in starting]
        totals = [code.register(gy.zeros()) for _ in range(cells)]
        with code.loop(0, count) as r:
            up = gy.load(code.sum(g0, o, (gr, r)))
            for f in range(cells):
                code.add_product(totals[f], x.load(code.sum(at[f], (xr, r))), up)
        for f in range(cells):
            cell = code.sum(into[f], k)
            sums.store(code.builder.fadd(sums.load(cell), code.builder.load(totals[f])), cell)


@njit()
def filtered(
    lanes: int, channels: int, count: int, x: Array, x0: int, xr: int, rows: int, xa: int, columns: int, xe: int,
    w: Array, w0: int, wa: int, we: int, b: Array, y: Array, y0: int, yr: int,
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
    """
    if rows == 3 and columns == 3:
        _filter(3, 3, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr)
    elif rows == 2 and columns == 3:
        _filter(2, 3, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr)
    elif rows == 3 and columns == 2:
        _filter(3, 2, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr)
    elif rows == 2 and columns == 2:
        _filter(2, 2, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr)
    elif count >= 8:
        _filter_tiles(8, 1, rows, columns, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr)
    elif count >= 3 and channels >= 2 * lanes:
        _filter_tiles(3, 2, rows, columns, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr)
    elif channels >= 6 * lanes:
        _filter_tiles(1, 6, rows, columns, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr)
    else:
        _filter_tiles(1, 1, rows, columns, channels, count, x, x0, xr, xa, xe, w, w0, wa, we, b, y, y0, yr)


@njit()
def summed(
    channels: int, count: int, gy: Array, g0: int, gr: int, x: Array, starts: Array, xr: int, sums: Array, to: Array,
    found: int,
) -> None:  # fmt: skip
    """Add `count` pixels to the sums of `found` filter cells, for all channels.

    Args:
        channels, count: the number of channels, at least a vector, and of pixels.
        gy, g0, gr: flat gradients, the place of the first pixel, and the distance from pixel to pixel.
        x, starts, xr: flat images; the first pixel under filter cell f is at starts[f]; the distance.
        sums, to: the sums of cell f begin at to[f], vector after vector. If the last vector has to overlap the one
            before, it has sums of its own.
        found: the number of filter cells.
    """
    f = 0
    while found - f >= 9:
        _sum(9, 1, channels, count, gy, g0, gr, x, starts, f, xr, sums, to)
        f += 9
    if found - f >= 6:
        _sum(6, 1, channels, count, gy, g0, gr, x, starts, f, xr, sums, to)
        f += 6
    if found - f >= 4:
        _sum(4, 1, channels, count, gy, g0, gr, x, starts, f, xr, sums, to)
        f += 4
    while f < found:
        _sum(1, 1, channels, count, gy, g0, gr, x, starts, f, xr, sums, to)
        f += 1


def before_compiling() -> None:
    """Replace the definitions by the instructions; `runtime` calls this once Numba is imported."""
    writers: dict[str, Any] = {"_filter": _write_filter, "_filter_tiles": _write_filter_tiles, "_sum": _write_sum}
    for name, write in writers.items():
        globals()[name] = in_registers(globals()[name], write, lanes)
