"""A tile of a matrix product in registers: the inner loop of a BLAS, but for matrices with overlapping rows or gaps.

    c[r, l] = s[r, l] + sum_{u, e} x[x0 + r*xr + u*xu + e*xe] * b[b0 + u*bu + e*be + l]        u < outer, e < inner

The sum runs over two indices, and the steps are arbitrary: rows of x may overlap, as the windows of a convolution do,
and each factor may go through memory backwards or by columns. Only the numbers along l, the *lanes* of a vector, must
be neighbours.

**Why it is fast.** A vector processor does a multiply-add for all lanes of a vector in one instruction, and two such
instructions per cycle, if the operands are in registers. Here all sums of a tile, 8 or 12 rows of one or two vectors,
stay in registers from the first step to the last. Each step loads one or two vectors of b and one number of x for each
row, and does 8 to 24 multiply-adds. With 12 rows of two vectors that is 14 loads; in the same time the processor could
do 24 loads. One core reaches 160 to 177 GFLOP/s with two vectors, 120 with one (OpenBLAS's large products: 140).

With 16 registers of 32 bytes (AVX2) a tile has 4 to 6 rows of two vectors: 6 rows take 8 loads for 12 multiply-adds,
where 8 rows of one vector take 9 loads for 8. A core of Zen 3 reaches 75 to 90 GFLOP/s with them, and 50 to 65 without.

K. Goto, R. van de Geijn, "Anatomy of high-performance matrix multiplication", 2008, derives this design.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Array
from ...llvm import LANES, WIDE, Code, Vectors, in_registers
from ...runtime import njit

VECTORS = 2
LOW, MIDDLE, HIGH = (8, 9, 12) if WIDE else (4, 5, 6)


def _tile(
    rows: int, vectors: int, x: Array, x0: int, xr: int, outer: int, xu: int, inner: int, xe: int,
    b: Array, b0: int, bu: int, be: int, s: Array, s0: int, sr: int, c: Array, c0: int, cr: int,
) -> None:  # fmt: skip
    """The equation above, for one tile."""

    def view(a: Array, at: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> Array:
        return np.lib.stride_tricks.as_strided(a[at:], shape, [k * a.itemsize for k in steps])

    lanes = vectors * LANES
    left, right = view(x, x0, (rows, outer, inner), (xr, xu, xe)), view(b, b0, (outer, inner, lanes), (bu, be, 1))
    view(c, c0, (rows, lanes), (cr, 1))[...] = view(s, s0, (rows, lanes), (sr, 1)) + np.tensordot(left, right, 2)


def _write_tile(
    code: Code, rows: int, vectors: int, x: Vectors, x0: Any, xr: Any, outer: Any, xu: Any, inner: Any, xe: Any,
    b: Vectors, b0: Any, bu: Any, be: Any, s: Vectors, s0: Any, sr: Any, c: Vectors, c0: Any, cr: Any,
) -> None:  # fmt: skip
    tile = [(r, v) for r in range(rows) for v in range(vectors)]
    sums = {(r, v): code.register(s.load(code.sum(s0, (sr, r), v * LANES))) for r, v in tile}
    with code.loop(0, outer) as u, code.loop(0, inner) as e:
        right = [b.load(code.sum(b0, (bu, u), (be, e), v * LANES)) for v in range(vectors)]
        for r in range(rows):
            left = x.everywhere(code.sum(x0, (xu, u), (xe, e), (xr, r)))
            for v in range(vectors):
                code.add_product(sums[r, v], left, right[v])
    for r, v in tile:
        c.store(code.builder.load(sums[r, v]), code.sum(c0, (cr, r), v * LANES))


@njit()
def tiles(
    rows: int, vectors: int, count: int, x: Array, x0: int, xr: int, outer: int, xu: int, inner: int, xe: int,
    b: Array, b0: int, bu: int, be: int, s: Array, s0: int, sr: int, c: Array, c0: int, cr: int,
) -> None:  # fmt: skip
    """Compute `count` rows, at least as many as a tile has; if needed, the last tile overlaps the one before."""
    for k in range(0, count, rows):
        r = min(k, count - rows)
        xk, sk, ck = x0 + r * xr, s0 + r * sr, c0 + r * cr
        if vectors == 1:
            if rows == LOW:
                _tile(LOW, 1, x, xk, xr, outer, xu, inner, xe, b, b0, bu, be, s, sk, sr, c, ck, cr)
            elif rows == MIDDLE:
                _tile(MIDDLE, 1, x, xk, xr, outer, xu, inner, xe, b, b0, bu, be, s, sk, sr, c, ck, cr)
            else:
                _tile(HIGH, 1, x, xk, xr, outer, xu, inner, xe, b, b0, bu, be, s, sk, sr, c, ck, cr)
        elif rows == LOW:
            _tile(LOW, 2, x, xk, xr, outer, xu, inner, xe, b, b0, bu, be, s, sk, sr, c, ck, cr)
        elif rows == MIDDLE:
            _tile(MIDDLE, 2, x, xk, xr, outer, xu, inner, xe, b, b0, bu, be, s, sk, sr, c, ck, cr)
        else:
            _tile(HIGH, 2, x, xk, xr, outer, xu, inner, xe, b, b0, bu, be, s, sk, sr, c, ck, cr)


def before_compiling() -> None:
    """Replace the definition by the instructions; `runtime` calls this once Numba is imported."""
    globals()["_tile"] = in_registers(_tile, _write_tile, lambda size: LANES)
