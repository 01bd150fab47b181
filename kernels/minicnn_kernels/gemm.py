"""Matrix products inside compiled kernels: on parts of larger matrices, and added to earlier results.

    c[i, j] = beta * c[i, j] + sum_k a[i, k] * b[k, j]          c (M, N), a (M, K), b (K, N)

`np.dot` in compiled code needs whole matrices without gaps, and it overwrites its result. BLAS itself is more flexible:
a matrix may be a part of a larger one, whose rows lie `lda` elements apart, and `beta=1` adds to c. So a band of an
image is multiplied without a copy, and sums over many products need no pass of their own.

`gemm` takes each matrix as a `Matrix`: flat memory, and the place of the matrix in it. It calls BLAS as Numba's own
`np.dot` does, on float32 and float64 arrays; with `NUMBA_DISABLE_JIT=1` it is NumPy.

`gemm_cuda` is the product of the rows "cuda", a kernel of our own (`gemm.cu`). Its matrices are `Operand`s.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .arrays import Array, contiguous
from .cuda import Axis, Stack, Tiles, launch, launch_blocks, scalar
from .layout import empty_beside
from .runtime import njit


class Matrix(NamedTuple):
    """A matrix in flat memory; it may be part of a larger one."""

    memory: Array
    start: int  # the offset of the first element
    step: int  # the distance from one stored row to the next
    transposed: bool  # whether memory holds the transpose of the matrix


def _xxgemm(
    m: int, n: int, k: int, a: Array, lda: int, ta: bool, b: Array, ldb: int, tb: bool, c: Array, ldc: int, beta: int
) -> None:
    """The product in NumPy: `NUMBA_DISABLE_JIT=1` runs it, and it defines what the compiled replacement does."""

    def matrix(x: Array, rows: int, columns: int, step: int) -> Array:
        return np.lib.stride_tricks.as_strided(x, (rows, columns), (step * x.itemsize, x.itemsize))

    left = matrix(a, k, m, lda).T if ta else matrix(a, m, k, lda)
    right = matrix(b, n, k, ldb).T if tb else matrix(b, k, n, ldb)
    to = matrix(c, m, n, ldc)
    to[...] = left @ right + (to if beta else 0)


# OpenBLAS rearranges ("packs") both matrices before it multiplies them. Where one matrix is small, packing costs too
# much, and OpenBLAS has kernels without it, for up to a million multiplications and a b that is not transposed. So a
# long product with a small factor is cut into blocks of that size. With one thread, (P, 64) @ (64, 64) reaches 110
# GFLOP/s whole and 145 in blocks. A product of few rows is cut as well, since b would be packed for them:
# (50, 120) @ (120, 400) reaches 100 GFLOP/s whole and 150 in blocks of 16 rows; with 1000 rows it is 137 and 122.
_SMALL = 1_000_000
SMALL_FACTOR = 1 << 14
_FEW = 64


@njit()
def gemm(sizes: tuple[int, int, int], a: Matrix, b: Matrix, c: Matrix, beta: int) -> None:
    """c (M, N) = a (M, K) b (K, N) + beta c, where `sizes` is (M, N, K), beta is 0 or 1, and c is not transposed."""
    m, n, k = sizes
    if m <= 0 or n <= 0:
        return
    rows, depth = m, k
    if not b.transposed:  # into blocks that OpenBLAS multiplies without packing
        if a.transposed and m * n <= SMALL_FACTOR:
            depth = _SMALL // (m * n) // 16 * 16
        elif (n * k <= SMALL_FACTOR and not a.transposed) or (m <= _FEW and 0 < n * k <= _SMALL // 16):
            rows = _SMALL // (n * k) // 16 * 16
    for i in range(0, m, rows):
        for e in range(0, k, depth):
            left = a.memory[a.start + (e * a.step + i if a.transposed else i * a.step + e) :]
            right = b.memory[b.start + (e if b.transposed else e * b.step) :]
            _xxgemm(
                min(rows, m - i), n, min(depth, k - e), left, a.step, a.transposed, right, b.step, b.transposed,
                c.memory[c.start + i * c.step :], c.step, beta if e == 0 else 1,
            )  # fmt: skip


def before_compiling() -> None:
    """Replace `_xxgemm` by Numba's call of BLAS; `runtime` calls this once Numba is imported."""
    import numba
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return

    def xxgemm(
        context: Any,
        m: Any,
        n: Any,
        k: Any,
        a: Any,
        lda: Any,
        ta: Any,
        b: Any,
        ldb: Any,
        tb: Any,
        c: Any,
        ldc: Any,
        beta: Any,
    ) -> Any:
        signature = types.void(m, n, k, a, lda, ta, b, ldb, tb, c, ldc, beta)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            from llvmlite import ir  # type: ignore[import-untyped]

            char, whole, pointer = ir.IntType(8), context.get_value_type(types.intp), ir.IntType(8).as_pointer()
            kinds = [char, char, char, whole, whole, whole, pointer, pointer, whole, pointer, whole, pointer]
            called = ir.FunctionType(ir.IntType(32), [*kinds, pointer, whole])
            function = cgutils.get_or_insert_function(builder.module, called, "numba_xxgemm")
            dtype = signature.args[3].dtype

            def data(position: int) -> Any:
                kind = signature.args[position]
                return builder.bitcast(context.make_array(kind)(context, builder, args[position]).data, pointer)

            def cast(position: int, to: Any) -> Any:
                return context.cast(builder, args[position], signature.args[position], to)

            def letter(position: int) -> Any:
                stored = cast(position, types.boolean)
                return builder.select(stored, ir.Constant(char, ord("t")), ir.Constant(char, ord("n")))

            def size(position: int) -> Any:
                return cast(position, types.intp)

            def number(value: Any) -> Any:
                slot = cgutils.alloca_once(builder, context.get_value_type(dtype))
                builder.store(value, slot)
                return builder.bitcast(slot, pointer)

            # BLAS stores matrices by columns, so it is given the transposed product: c^T = b^T a^T
            kind = ir.Constant(char, ord("s" if dtype == types.float32 else "d"))
            one, beta = number(context.get_constant(dtype, 1)), number(cast(11, dtype))
            left, right = (data(6), size(7)), (data(3), size(4))
            sizes = size(1), size(0), size(2)
            builder.call(function, (kind, letter(8), letter(5), *sizes, one, *left, *right, beta, data(9), size(10)))
            return context.get_dummy_value()

        return signature, generate

    globals()["_xxgemm"] = intrinsic(xxgemm)


# ---------------------------------------------------------------------------------------------------------------- cuda


class Operand(NamedTuple):
    """A matrix in memory for `gemm_cuda`, or a stack of them."""

    memory: Array
    where: Stack

    def turned(self) -> Operand:
        """The transposed matrix."""
        start, batch, rows, columns = self.where
        return Operand(self.memory, Stack(start, batch, columns, rows))


def axis(size: int, step: int) -> Axis:
    """An axis of elements that are `step` apart."""
    return Axis(max(1, size), 1, step, 0, 0)


ONE = axis(1, 0)  # a stack of one matrix


def operand(a: Array) -> Operand:
    """A matrix (M, N), copied only if neither its rows nor its columns are contiguous."""
    if not a.flags.c_contiguous:
        if a.T.flags.c_contiguous:
            return operand(a.T).turned()
        a = contiguous(a)
    return Operand(a, Stack(0, ONE, axis(a.shape[0], a.shape[1]), axis(a.shape[1], 1)))


FILE = "gemm.cu"
THREADS, COLUMNS, CHUNK = 256, 64, 128  # as in device/tile.cuh
ENOUGH = 256  # blocks from which on every processor of a GPU has work: the largest have 132 to 148 processors
LEAST = 256  # terms of a part: with fewer, a second launch costs more than it saves


def tiled(rows: int, columns: int, terms: int, batches: int, size: int, cut: bool = True) -> tuple[int, Tiles, int]:
    """How a product is cut: R of `device/tile.cuh`, the tiles, and the number of blocks.

    The sum is cut into parts if there are few tiles, and `cut` allows it: the results must fill all `size` elements in
    the memory of y.
    """
    high = 1 if rows <= 16 else 4
    blocks = -(-rows // (16 * high)) * -(-columns // COLUMNS) * batches
    length = terms
    if cut and 0 < blocks < ENOUGH and terms >= 2 * LEAST:
        length = -(-terms // min(-(-ENOUGH // blocks), terms // LEAST))
        length = -(-length // CHUNK) * CHUNK
    parts = max(1, -(-terms // max(1, length)))
    return high, Tiles(rows, columns, terms, parts, length, size), blocks * parts


def to_parts(y: Array, tiles: Tiles) -> Array:
    """Where a kernel writes its results: y itself, or memory for one result for each part of the sum."""
    return y if tiles.parts == 1 else empty_beside(y, (tiles.parts * tiles.size,))


def add_parts(parts: Array, y: Array, count: int) -> None:
    """y = the sum of as many arrays, which have the same order in memory."""
    if parts is not y:
        launch(FILE, f"add_parts<{scalar(y)}>", y.size, parts, y, y.size, count)


def gemm_cuda(
    sizes: tuple[int, int, int], a: Operand, b: Operand, y: Operand, bias: Array | None = None, *, batches: int = 1,
    bias_of_rows: bool = True,
) -> None:  # fmt: skip
    """y (M, N) = a (M, K) b (K, N) + bias, for as many matrices as `batches` says; `sizes` is (M, N, K).

    The bias has an element for each row of y, of all matrices, or else for each column.
    """
    m, n, k = sizes
    if n < m and n <= 16:  # a low tile, of the transposed product
        a, b, y, m, n, bias_of_rows = b.turned(), a.turned(), y.turned(), n, m, not bias_of_rows
    high, tiles, blocks = tiled(m, n, k, batches, y.memory.size, m * n * batches == y.memory.size)
    kernel, to = f"product<{scalar(y.memory)}, {high}>", to_parts(y.memory, tiles)
    operands = (a.memory, a.where, b.memory, b.where, bias, bias_of_rows, to, y.where)
    launch_blocks(FILE, kernel, (blocks,), (THREADS,), *operands, tiles)
    add_parts(to, y.memory, tiles.parts)
