"""A tile of a matrix product in registers: what BLAS does inside, for factors that overlap or lie apart.

    c[r, l] = s[r, l] + sum_{u, e} x[x0 + r*xr + u*xu + e*xe] * b[b0 + u*bu + e*be + l]        u < outer, e < inner

so the sum runs over two indices, and all steps are free: rows of x may overlap, as the windows of a convolution do, and
either factor may go through memory backwards or by columns. Only l, the *lanes* of a vector, lie side by side.

**Why it is fast.** A vector processor does a multiply-add for all lanes of a vector in one instruction, two of them per
cycle, and needs their operands in registers. Here all sums of a tile, 8 or 12 rows of one or two vectors, stay in
registers from the first to the last step. Each step loads one or two vectors of b and a number of x for each row, and
does 8 to 24 multiply-adds: with 12 rows of two vectors 14 loads, where the processor could do 24 in that time. One core
reaches 160 to 177 GFLOP/s with two vectors, 120 with one (OpenBLAS's large products: 140).

Compiled from loops over arrays, LLVM would load and store the sums at every step, since it cannot know that c is not
b. So the loop is written for it in its own language, by an *intrinsic* of Numba. With `NUMBA_DISABLE_JIT=1`, and as the
definition, it is NumPy.

K. Goto, R. van de Geijn, "Anatomy of high-performance matrix multiplication", 2008, is about how it came to this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import blas
from .runtime import njit

Array = np.ndarray[Any, np.dtype[Any]]

_WIDE = blas.cpu_flags() >= blas.AVX512  # 32 registers of 64 bytes; else mostly 16 of 32
LANES = 16 if _WIDE else 8
VECTORS = 2 if _WIDE else 1  # of a tile, at most
LOW, MIDDLE, HIGH = 8, 9, 12  # rows of a tile


def _plain(rows: int, vectors: int) -> Callable[..., None]:
    def tile(
        x: Array, x0: int, xr: int, outer: int, xu: int, inner: int, xe: int, b: Array, b0: int, bu: int, be: int,
        s: Array, s0: int, sr: int, c: Array, c0: int, cr: int,
    ) -> None:  # fmt: skip
        def view(a: Array, at: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> Array:
            return np.lib.stride_tricks.as_strided(a[at:], shape, [k * a.itemsize for k in steps])

        lanes = vectors * LANES
        left, right = view(x, x0, (rows, outer, inner), (xr, xu, xe)), view(b, b0, (outer, inner, lanes), (bu, be, 1))
        view(c, c0, (rows, lanes), (cr, 1))[...] = view(s, s0, (rows, lanes), (sr, 1)) + np.tensordot(left, right, 2)

    return tile


_8_1, _8_2, _9_1, _9_2, _12_1, _12_2 = (_plain(rows, vectors) for rows in (LOW, MIDDLE, HIGH) for vectors in (1, 2))


@njit()
def tiles(
    rows: int, vectors: int, count: int, x: Array, x0: int, xr: int, outer: int, xu: int, inner: int, xe: int,
    b: Array, b0: int, bu: int, be: int, s: Array, s0: int, sr: int, c: Array, c0: int, cr: int,
) -> None:  # fmt: skip
    """`count` rows, at least those of a tile; where tiles do not divide them, the last overlaps the one before."""
    for k in range(0, count, rows):
        r = min(k, count - rows)
        xk, sk, ck = x0 + r * xr, s0 + r * sr, c0 + r * cr
        if vectors == 1:
            if rows == LOW:
                _8_1(x, xk, xr, outer, xu, inner, xe, b, b0, bu, be, s, sk, sr, c, ck, cr)
            elif rows == MIDDLE:
                _9_1(x, xk, xr, outer, xu, inner, xe, b, b0, bu, be, s, sk, sr, c, ck, cr)
            else:
                _12_1(x, xk, xr, outer, xu, inner, xe, b, b0, bu, be, s, sk, sr, c, ck, cr)
        elif rows == LOW:
            _8_2(x, xk, xr, outer, xu, inner, xe, b, b0, bu, be, s, sk, sr, c, ck, cr)
        elif rows == MIDDLE:
            _9_2(x, xk, xr, outer, xu, inner, xe, b, b0, bu, be, s, sk, sr, c, ck, cr)
        else:
            _12_2(x, xk, xr, outer, xu, inner, xe, b, b0, bu, be, s, sk, sr, c, ck, cr)


def _intrinsic(rows: int, vectors: int) -> Any:
    """The tile in LLVM's language. A loop's variables, and so the sums, are values that it hands from round to round
    (`phi`): there is no memory for them to be kept in.
    """
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba.core import types
    from numba.extending import intrinsic

    names = [(r, v) for r in range(rows) for v in range(vectors)]

    def tile(context: Any, x: Any, x0: Any, xr: Any, outer: Any, xu: Any, inner: Any, xe: Any, b: Any, b0: Any, bu: Any,
             be: Any, s: Any, s0: Any, sr: Any, c: Any, c0: Any, cr: Any) -> Any:  # fmt: skip
        whole = types.intp
        signature = types.void(
            x, *[whole] * 6, b, *[whole] * 3, s, whole, whole, c, whole, whole
        )  # every offset and step as a signed integer

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            number = context.get_value_type(signature.args[0].dtype)
            size, vector = context.get_value_type(whole), ir.VectorType(number, LANES)
            unknown, zeros = ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
            _, x0, xr, outer, xu, inner, xe, _, b0, bu, be, _, s0, sr, _, c0, cr = args
            x, b, s, c = (context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 7, 11, 14))

            def at(start: Any, step: Any, k: Any, first: Any = 0) -> Any:  # the element start[first + step*k]
                k = ir.Constant(size, k) if isinstance(k, int) else k
                return builder.gep(start, [builder.add(builder.mul(step, k), ir.Constant(size, first))])

            def place(start: Any, step: Any, r: int, v: int) -> Any:
                return builder.bitcast(at(start, step, r, v * LANES), vector.as_pointer())

            def load(place: Any) -> Any:
                return builder.load(place, align=context.get_abi_sizeof(number))

            def loop(count: Any, values: list[Any], body: Callable[[Any, list[Any]], list[Any]]) -> list[Any]:
                """Rounds 0 .. count - 1 of values = body(round, values)."""
                before = builder.block
                head, inside, after = (builder.append_basic_block(name) for name in ("head", "inside", "after"))
                builder.branch(head)
                builder.position_at_end(head)
                k, phis = builder.phi(size), [builder.phi(value.type) for value in values]
                builder.cbranch(builder.icmp_signed("<", k, count), inside, after)
                builder.position_at_end(inside)
                results = body(k, phis)
                following = builder.add(k, ir.Constant(size, 1))
                end = builder.branch(head).parent
                for phi, start, result in zip(
                    [k, *phis], [ir.Constant(size, 0), *values], [following, *results], strict=True
                ):
                    phi.add_incoming(start, before)
                    phi.add_incoming(result, end)
                builder.position_at_end(after)
                return phis

            def step(_: Any, values: list[Any]) -> list[Any]:
                xp, bp, *sums = values
                vectors_of_b = [load(place(bp, be, 0, v)) for v in range(vectors)]
                done = []
                for r in range(rows):
                    one = builder.insert_element(unknown, builder.load(at(xp, xr, r)), ir.Constant(ir.IntType(32), 0))
                    spread = builder.shuffle_vector(one, unknown, zeros)  # the number in all lanes
                    for v in range(vectors):
                        product = builder.fmul(spread, vectors_of_b[v], flags=("contract",))
                        done.append(builder.fadd(product, sums[r * vectors + v], flags=("contract",)))
                return [at(xp, xe, 1), at(bp, be, 1), *done]

            def run(u: Any, sums: list[Any]) -> list[Any]:
                return loop(inner, [at(xp, xu, u), at(bp, bu, u), *sums], step)[2:]

            xp, bp, sp, cp = (builder.gep(a, [first]) for a, first in ((x, x0), (b, b0), (s, s0), (c, c0)))
            sums = loop(outer, [load(place(sp, sr, *name)) for name in names], run)
            for name, value in zip(names, sums, strict=True):
                builder.store(value, place(cp, cr, *name), align=context.get_abi_sizeof(number))
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(tile)


def before_compiling() -> None:
    """Put the intrinsics in the place of the tiles; `runtime` calls this when Numba is there."""
    import numba

    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return
    for rows in (LOW, MIDDLE, HIGH):
        for vectors in (1, 2):
            globals()[f"_{rows}_{vectors}"] = _intrinsic(rows, vectors)
