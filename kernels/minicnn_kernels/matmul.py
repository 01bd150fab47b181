"""The fully connected layer and the product of two matrices.

    linear:  y[n, o] = sum_i x[n, i] w[o, i] + b[o]          y = x w^T + b

    x   (N, I)         y, gy   (N, O)
    w   (O, I)         b       (O,) or None

    gx = gy w          (N, O) @ (O, I)
    gw = gy^T x        (O, N) @ (N, I)
    gb = sum_n gy[n]

    matmul:  y = a b                (..., N, K) @ (..., K, M)
    ga = gy b^T,  gb = a^T gy       summed over the axes in which a or b was broadcast

The two matrices of `matmul` may be stacks of matrices, whose leading axes broadcast.

`LINEAR(x, w, b)` and `LINEAR_BACKWARD(gy, x, w, needs_grad)`, `MATMUL(a, b)` and `MATMUL_BACKWARD(gy, a, b,
needs_grad)`; `needs_grad` says which of (gx, gw, gb) or (ga, gb) to compute, the others are None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .arrays import Array, as_array, contiguous, on_gpu
from .dispatch import Table
from .gemm import Matrix, gemm, gemm_cuda, operand
from .geometry import Shape
from .layout import empty, empty_beside
from .runtime import njit, parallel, prange, single_blas, threads, workspace
from .stacks import stacks_cuda
from .sums import LONG_PRODUCT, long_product, total
from .sums import matmul as matmul_in_pieces

# ------------------------------------------------------------------------------------------------------------ forward


def matmul_python(a: Array, b: Array) -> Array:
    """The definition: row by column, for each pair of matrices."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (a, b))
    y = np.empty((*lead, a.shape[-2], b.shape[-1]), a.dtype)
    for *at, i, j in np.ndindex(*y.shape):
        left, right = a[(*at,)], b[(*at,)]
        y[(*at, i, j)] = sum(float(left[i, k]) * float(right[k, j]) for k in range(a.shape[-1]))
    return y


def linear_python(x: Array, w: Array, b: Array | None) -> Array:
    """The definition: an output is the product of a row of x and a row of w, plus a bias."""
    y = np.empty((x.shape[0], w.shape[0]), x.dtype)
    for n, o in np.ndindex(*y.shape):
        total = 0.0 if b is None else float(b[o])
        y[n, o] = total + sum(float(u) * float(v) for u, v in zip(x[n], w[o], strict=True))
    return y


def matmul_numpy(a: Array, b: Array) -> Array:
    """NumPy's BLAS, for a stack matrix by matrix."""
    if not on_gpu(a):
        a, b = _for_blas(a), _for_blas(b)
    return as_array(matmul_in_pieces(a, b) if long_product(a, b) else a @ b)


def _for_blas(x: Array) -> Array:
    """Matrices that BLAS can read: one of the last two axes has no gaps. NumPy is slow for all others."""
    steps = x.strides[-2:]
    return x if x.itemsize in steps and min(steps) > 0 else contiguous(x)


def linear_numpy(x: Array, w: Array, b: Array | None) -> Array:
    """NumPy's BLAS, then the bias."""
    y = x @ w.T
    if b is not None:
        y += b
    return y


# Numba: the threads divide the largest of the three matrices, so that it is read from memory once. Each multiplies its
# share with single-threaded BLAS on contiguous memory. If a or y is the largest, shares are made of their rows. If b is
# the largest, as the weights of a linear layer often are, the order of its memory decides. By columns (forward: b =
# w^T), shares are made of the columns, and the result is y^T. By rows (gx: b = w), the product is a sum over the rows,
# and each share sums its own rows.


@njit()
def _product_share(t: Any, shares: int, left: Array, right: Array, transposed: bool, y: Array) -> None:
    i0, i1 = t * left.shape[0] // shares, (t + 1) * left.shape[0] // shares
    if i1 > i0:
        if transposed:  # BLAS takes a transposed matrix without a copy, and here `right` is contiguous
            np.dot(left[i0:i1], right.T, y[i0:i1])
        else:
            np.dot(left[i0:i1], right, y[i0:i1])


@njit(parallel=True)
def _product(shares: int, left: Array, right: Array, transposed: bool, y: Array) -> None:
    for t in prange(shares):
        _product_share(np.intp(t), shares, left, right, transposed, y)


@njit()
def _sum_share(t: Any, shares: int, rows: int, at: Array, b: Array, y: Array, space: Array) -> None:
    """The sum of at[k]^T b[k] over the share's rows k, `rows` at a time; into y by the first share, else into space[t].

    BLAS reads b down its columns, and each element of a column is on another page of memory. With a few rows at a time
    the processor keeps these pages at hand.
    """
    total = y if t == 0 else space[t, : y.size].reshape(y.shape)
    part = space[t, y.size : 2 * y.size].reshape(y.shape)
    k0, k1 = t * b.shape[0] // shares, (t + 1) * b.shape[0] // shares
    for k in range(k0, k1, rows):
        last = min(k + rows, k1)
        np.dot(at[k:last].T, b[k:last], total if k == k0 else part)
        if k > k0:
            sums, more = total.reshape(-1), part.reshape(-1)
            for i in range(sums.size):
                sums[i] += more[i]


@njit(parallel=True)
def _sum(shares: int, rows: int, at: Array, b: Array, y: Array, space: Array) -> None:
    for t in prange(shares):
        _sum_share(np.intp(t), shares, rows, at, b, y, space)


SMALL = 1 << 18  # multiplications up to which BLAS uses one thread; NumPy's own call is then the fastest


def matmul_numba(a: Array, b: Array) -> Array:
    """Parallel over the rows of y, of y^T or of b, as the comment above says; stacks as in NumPy."""
    if not a.ndim == b.ndim == 2:
        return matmul_numpy(a, b)
    (n, k), m = a.shape, b.shape[1]
    if long_product(a, b):
        return matmul_in_pieces(a, b)
    if n * k * m <= SMALL:
        return np.matmul(a, b)
    by_columns = b.T.flags.c_contiguous
    if by_columns and n < min(k, m):
        return np.asarray(_by_rows(b.T, a.T).T, order="C")
    if not by_columns and 2 * n <= min(k, m):
        return _by_sums(a, b)
    return _by_rows(a, b)


def _by_rows(a: Array, b: Array) -> Array:
    y = empty((a.shape[0], b.shape[1]), a.dtype)
    transposed = b.T.flags.c_contiguous
    right = np.asarray(b.T if transposed else b, order="C")
    with parallel(), single_blas():
        _product(threads(), np.asarray(a, order="C"), right, transposed, y)
    return y


def _by_sums(a: Array, b: Array) -> Array:
    y = empty((a.shape[0], b.shape[1]), a.dtype)
    rows = min(max(2 * a.shape[0], 16), 64)  # measured: 16 for 2 rows of a, 32 for 16, 64 for 32 and for 64
    with parallel(), single_blas():
        shares = min(threads(), b.shape[0])  # a share without rows would not fill its sum
        space = workspace("sum of products", 2 * y.size, a.dtype)
        _sum(shares, rows, np.asarray(a.T, order="C"), np.asarray(b, order="C"), y, space)
        for t in range(1, shares):
            y += space[t, : y.size].reshape(y.shape)
    return y


# If all arrays of a layer fit the cache, the bias is written to y and the product added to it. Shares are rows of y.

CACHED = 1 << 18  # the most numbers in each of x, y and w: 1 MB of float32


@njit()
def _linear_share(t: Any, shares: int, sizes: Any, x: Array, w: Array, b: Array, y: Array) -> None:
    n, i, o = sizes
    n0, n1 = t * n // shares, (t + 1) * n // shares
    for row in range(n0, n1):
        for k in range(o):
            y[row * o + k] = b[k]
    gemm((n1 - n0, o, i), Matrix(x, n0 * i, i, False), Matrix(w, 0, i, True), Matrix(y, n0 * o, o, False), 1)


@njit(parallel=True)
def _linear(shares: int, sizes: Any, x: Array, w: Array, b: Array, y: Array) -> None:
    for t in prange(shares):
        _linear_share(np.intp(t), shares, sizes, x, w, b, y)


def linear_numba(x: Array, w: Array, b: Array | None) -> Array:
    """If the arrays are small, the product is added to the bias; else the product of `matmul_numba`, then the bias."""
    (n, i), o = x.shape, w.shape[0]
    if b is None or n * i * o <= SMALL or not _together(x, w, n * o):
        y = matmul_numba(x, w.T)
        if b is not None:
            y += b
        return y
    y = empty((n, o), x.dtype)
    lines = [np.asarray(a, order="C").reshape(-1) for a in (x, w, b, y)]
    with parallel(), single_blas():
        _linear(threads(), (n, i, o), *lines)
    return y


def matmul_cuda(a: Array, b: Array) -> Array:
    """Tiles in shared memory: `gemm.cu`."""
    return stacks_cuda(a, b, (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]))


def linear_cuda(x: Array, w: Array, b: Array | None) -> Array:
    """The same product; its tiles add the bias of the columns."""
    y = empty_beside(x, (x.shape[0], w.shape[0]))
    bias = None if b is None else contiguous(b)
    gemm_cuda((*y.shape, x.shape[1]), operand(x), operand(w.T), operand(y), bias, bias_of_rows=False)
    return y


def _together(x: Array, w: Array, outputs: int) -> bool:
    """Whether all arrays of a layer stay in the cache, and there is something to multiply."""
    return min(x.size, w.size) > 0 and max(x.size, w.size, outputs) <= CACHED


# ----------------------------------------------------------------------------------------------------------- backward


Pair = tuple[Array | None, Array | None]


def _sum_to(y: Array, shape: Shape) -> Array:
    """y summed over the leading axes that `shape` lacks or has with size 1."""
    if y.shape == shape:
        return y
    more = y.ndim - len(shape)
    axes = tuple(i for i in range(y.ndim - 2) if i < more or (shape[i - more] == 1 and y.shape[i] != 1))
    return total(y, axes).reshape(shape)


def _both(product: Callable[[Array, Array], Array], gy: Array, a: Array, b: Array, needs_grad: Sequence[bool]) -> Pair:
    """Both gradients by one kind of product."""
    ga = _sum_to(product(gy, b.swapaxes(-1, -2)), a.shape) if needs_grad[0] else None
    return ga, _sum_to(product(a.swapaxes(-1, -2), gy), b.shape) if needs_grad[1] else None


def matmul_backward_python(gy: Array, a: Array, b: Array, needs_grad: Sequence[bool]) -> Pair:
    """Two products by the definition, in float64 until they are summed."""
    wide = [x.astype(np.float64) for x in (gy, a, b)]
    gradients = _both(matmul_python, wide[0], wide[1], wide[2], needs_grad)
    return tuple(None if x is None else x.astype(gy.dtype) for x in gradients)  # type: ignore[return-value]


def linear_backward_python(gy: Array, x: Array, w: Array, needs_grad: Sequence[bool]) -> tuple[Array | None, ...]:
    """Each product x[n, i] w[o, i] of the forward pass adds gy w to the gradient of x, and gy x to that of w."""
    gx, gw, gb = np.zeros(x.shape), np.zeros(w.shape), np.zeros(w.shape[0])
    for n, o in np.ndindex(*gy.shape):
        up = float(gy[n, o])
        gb[o] += up
        for i in range(x.shape[1]):
            gx[n, i] += up * float(w[o, i])
            gw[o, i] += up * float(x[n, i])
    return tuple(a.astype(gy.dtype) if wanted else None for a, wanted in zip((gx, gw, gb), needs_grad, strict=True))


def matmul_backward_numpy(gy: Array, a: Array, b: Array, needs_grad: Sequence[bool]) -> Pair:
    """NumPy's BLAS."""
    return _both(matmul_numpy, gy, a, b, needs_grad)


def linear_backward_numpy(gy: Array, x: Array, w: Array, needs_grad: Sequence[bool]) -> tuple[Array | None, ...]:
    """NumPy's BLAS."""
    gx = gy @ w if needs_grad[0] else None
    return gx, matmul_numpy(gy.T, x) if needs_grad[1] else None, total(gy, (0,))[0] if needs_grad[2] else None


def matmul_backward_numba(gy: Array, a: Array, b: Array, needs_grad: Sequence[bool]) -> Pair:
    """Products as in forward."""
    return _both(matmul_numba, gy, a, b, needs_grad)


# If all arrays of a layer fit the cache, one loop computes all gradients. Shares are rows of gx and of gw.


@njit()
def _gradients_share(
    t: Any, shares: int, needs_grad: Any, sizes: Any, gy: Array, x: Array, w: Array, gx: Array, gw: Array, gb: Array
) -> None:
    n, i, o = sizes
    n0, n1, o0, o1 = t * n // shares, (t + 1) * n // shares, t * o // shares, (t + 1) * o // shares
    if needs_grad[0]:
        gemm((n1 - n0, i, o), Matrix(gy, n0 * o, o, False), Matrix(w, 0, i, False), Matrix(gx, n0 * i, i, False), 0)
    if needs_grad[1]:
        gemm((o1 - o0, i, n), Matrix(gy, o0, o, True), Matrix(x, 0, i, False), Matrix(gw, o0 * i, i, False), 0)
    if needs_grad[2]:
        sums = np.zeros(o1 - o0)
        for row in range(n):
            for k in range(o1 - o0):
                sums[k] += gy[row * o + o0 + k]
        for k in range(o1 - o0):
            gb[o0 + k] = sums[k]


@njit(parallel=True)
def _gradients(
    shares: int, needs_grad: Any, sizes: Any, gy: Array, x: Array, w: Array, gx: Array, gw: Array, gb: Array
) -> None:
    for t in prange(shares):
        _gradients_share(np.intp(t), shares, needs_grad, sizes, gy, x, w, gx, gw, gb)


def _all_gradients(gy: Array, x: Array, w: Array, needs_grad: Sequence[bool]) -> tuple[Array | None, ...]:
    (n, i), o = x.shape, w.shape[0]
    gy, x, w = np.asarray(gy, order="C"), np.asarray(x, order="C"), np.asarray(w, order="C")
    made = [empty(a.shape, a.dtype) if asked else a for a, asked in zip((x, w), needs_grad, strict=False)]
    made.append(np.empty(o, w.dtype))
    wanted = bool(needs_grad[0]), bool(needs_grad[1]), bool(needs_grad[2])
    lines = [a.reshape(-1) for a in (gy, x, w, *made)]
    if n * i * o <= SMALL:
        _gradients(1, wanted, (n, i, o), *lines)
    else:
        with parallel(), single_blas():
            _gradients(threads(), wanted, (n, i, o), *lines)
    return tuple(a if asked else None for a, asked in zip(made, needs_grad, strict=True))


def linear_backward_numba(gy: Array, x: Array, w: Array, needs_grad: Sequence[bool]) -> tuple[Array | None, ...]:
    """Products as in forward, or all at once where the arrays are small."""
    if _together(x, w, gy.size) and gy.shape[0] <= LONG_PRODUCT:
        return _all_gradients(gy, x, w, needs_grad)
    gx = matmul_numba(gy, w) if needs_grad[0] else None
    return gx, matmul_numba(gy.T, x) if needs_grad[1] else None, total(gy, (0,))[0] if needs_grad[2] else None


def matmul_backward_cuda(gy: Array, a: Array, b: Array, needs_grad: Sequence[bool]) -> Pair:
    """Products as in forward; the sum over the axes that were broadcast is part of the sum in a product."""
    ga = stacks_cuda(gy, b.swapaxes(-1, -2), a.shape) if needs_grad[0] else None
    return ga, stacks_cuda(a.swapaxes(-1, -2), gy, b.shape) if needs_grad[1] else None


def linear_backward_cuda(gy: Array, x: Array, w: Array, needs_grad: Sequence[bool]) -> tuple[Array | None, ...]:
    """Products as in forward; the sum over the batch for gw is cut into parts if it is long."""
    gx = matmul_cuda(gy, w) if needs_grad[0] else None
    return gx, matmul_cuda(gy.T, x) if needs_grad[1] else None, total(gy, (0,))[0] if needs_grad[2] else None


LINEAR = Table(
    "linear",
    {
        ("blas", "python"): linear_python,
        ("blas", "numpy"): linear_numpy,
        ("blas", "numba"): linear_numba,
        ("blas", "cuda"): linear_cuda,
    },
)
LINEAR_BACKWARD = Table(
    "linear backward",
    {
        ("blas", "python"): linear_backward_python,
        ("blas", "numpy"): linear_backward_numpy,
        ("blas", "numba"): linear_backward_numba,
        ("blas", "cuda"): linear_backward_cuda,
    },
)
MATMUL = Table(
    "matmul",
    {
        ("blas", "python"): matmul_python,
        ("blas", "numpy"): matmul_numpy,
        ("blas", "numba"): matmul_numba,
        ("blas", "cuda"): matmul_cuda,
    },
)
MATMUL_BACKWARD = Table(
    "matmul backward",
    {
        ("blas", "python"): matmul_backward_python,
        ("blas", "numpy"): matmul_backward_numpy,
        ("blas", "numba"): matmul_backward_numba,
        ("blas", "cuda"): matmul_backward_cuda,
    },
)
