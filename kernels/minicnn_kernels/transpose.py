"""From NCHW to channels-last memory and back: the transposition of many matrices, block by block in registers.

    y[n, c, r] = x[n, r, c]          x (N, R, C), y (N, C, R)

An image in NCHW memory is a matrix (C, H*W), in channels-last memory (H*W, C). If numbers are copied one by one, either
the reads or the writes are far apart, and each touches a whole cache line for 4 bytes. A block of LANES x LANES numbers
is LANES vectors, which are read whole, transposed in registers and written whole. Eklundh's method transposes a block
in log2(LANES) rounds: for rows i and i + d, round d exchanges the upper right and lower left d x d blocks,

    a = rows[i]        l-th lane:  a[l] where l & d == 0, else b[l - d]
    b = rows[i + d]                a[l + d] where l & d == 0, else b[l]

J. O. Eklundh, "A fast computer method for matrix transposing", 1972.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Array, U
from .llvm import LANES
from .runtime import njit, parallel, prange, threads

LEAST = 1 << 14  # numbers from which this is faster than NumPy, which copies them one by one on one thread


def _block(x: Array, at: int, step: int, y: Array, to: int, out: int) -> None:
    """LANES x LANES numbers: y[to + l*out + k] = x[at + k*step + l]. This is NumPy; compiled code has an intrinsic."""
    strides = np.lib.stride_tricks.as_strided
    size, one = (LANES, LANES), x.itemsize
    strides(y[to:], size, (out * one, one))[...] = strides(x[at:], size, (step * one, one)).T


@njit()
def matrix(x: Array, at: Any, step: Any, rows: Any, columns: Any, y: Array, to: Any, out: Any) -> None:
    """y[to + c*out + r] = x[at + r*step + c] for r < rows and c < columns."""
    if rows < LANES or columns < LANES:
        for r in range(U(rows)):
            for c in range(U(columns)):
                y[U(to) + c * U(out) + r] = x[U(at) + r * U(step) + c]
        return
    for row in range(0, rows, LANES):
        r = min(row, rows - LANES)  # the last block begins earlier, and copies some numbers a second time
        for column in range(0, columns, LANES):
            c = min(column, columns - LANES)
            _block(x, at + r * step + c, step, y, to + c * out + r, out)


@njit()
def _share(t: Any, shares: int, x: Array, y: Array, n: int, rows: int, columns: int) -> None:
    # A task is LANES rows of a matrix.
    bands = (rows + LANES - 1) // LANES
    for task in range(t * n * bands // shares, (t + 1) * n * bands // shares):
        start, r0 = task // bands * rows * columns, task % bands * LANES
        matrix(x, start + r0 * columns, columns, min(LANES, rows - r0), columns, y, start + r0, rows)


@njit(parallel=True)
def _transpose(shares: int, x: Array, y: Array, n: int, rows: int, columns: int) -> None:
    for t in prange(shares):
        _share(np.intp(t), shares, x, y, n, rows, columns)


def transpose(x: Array, y: Array) -> None:
    """y (N, C, R) = x (N, R, C), both contiguous."""
    with parallel():
        _transpose(threads(), x.reshape(-1), y.reshape(-1), *x.shape)


def _intrinsic() -> Any:
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba.core import types
    from numba.extending import intrinsic

    def block(context: Any, x: Any, at: Any, step: Any, y: Any, to: Any, out: Any) -> Any:
        signature = types.void(x, types.intp, types.intp, y, types.intp, types.intp)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            number = context.get_value_type(signature.args[0].dtype)
            size, vector = context.get_value_type(types.intp), ir.VectorType(number, LANES)
            align, lanes = context.get_abi_sizeof(number), range(LANES)
            _, at, step, _, to, out = args
            x, y = (context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 3))

            def place(start: Any, first: Any, step: Any, k: int) -> Any:
                offset = builder.add(first, builder.mul(step, ir.Constant(size, k)))
                return builder.bitcast(builder.gep(start, [offset]), vector.as_pointer())

            def chosen(a: Any, b: Any, lanes_of_both: list[int]) -> Any:  # lane LANES + k is lane k of b
                return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), LANES), lanes_of_both))

            rows = [builder.load(place(x, at, step, k), align=align) for k in lanes]
            d = 1
            while d < LANES:
                for i in lanes:
                    if not i & d:
                        a, b = rows[i], rows[i + d]
                        rows[i] = chosen(a, b, [LANES + lane - d if lane & d else lane for lane in lanes])
                        rows[i + d] = chosen(a, b, [LANES + lane if lane & d else lane + d for lane in lanes])
                d *= 2
            for k in lanes:
                builder.store(rows[k], place(y, to, out, k), align=align)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(block)


def before_compiling() -> None:
    """Replace `_block` by the intrinsic; `runtime` calls this once Numba is imported."""
    import numba

    if not numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        globals()["_block"] = _intrinsic()
