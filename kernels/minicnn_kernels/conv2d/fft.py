"""Convolution 8 of 8, fft: as winograd, but whole images are transformed, and the filter's size does not matter.

By the convolution theorem: transform, multiply frequency by frequency, transform back.

Lay x on a circle of F points, zero outside 0 .. H-1, and w at the points 0, DH, 2*DH ... of another circle. (This shows
one axis; the other is the same.) With the discrete Fourier transform X[f] = sum_t x[t] exp(-2 pi i f t / F), the
theorem says of correlation and convolution on the circle

    sum_a w[a] x[(s + a*DH) mod F]   has the transform   conj(W[f]) X[f]      the window at s: forward
    sum_a w[a] u[(p - a*DH) mod F]   has the transform   W[f] U[f]            gx
    sum_s u[s] x[(s + a*DH) mod F]   has the transform   conj(U[f]) X[f]      gw, read at the points a*DH

where u is gy laid out on the circle: gy[i] at the point (i*SH - PH) mod F where its window begins, zero between. The
sums over channels (in gw over images) are sums of transforms: F matrix products of complex numbers,

    Y[f] (N, O) = X[f] (N, C) @ conj(W[f])^T      X[f] = U[f] @ W[f]      W[f] (O, C) = conj(U[f])^T @ X[f]

and only the result is transformed back. With G groups each line holds for each group.

**The size of the circle.** Windows begin at -PH and end at H + PH - 1. A window that leaves the circle on one side
continues on the other, and must find zeros there. The points -PH .. -1 are F-PH .. F-1, which are beyond H-1 if
F >= H + PH, and then H .. H+PH-1 are below F as well. So F = max(H + PH, DH*(KH-1) + 1) is enough. (The full linear
convolution has H + DH*(KH-1) points, but we do not need its margin.) We take the next size with small prime factors,
for which the transform is fast.

**What it costs.** With n = FH*FW points, there are N*C + O*C/G + N*O transforms of about n log2 n multiplications each
(radix 2; half of it is saved since the values are real), and for each of the n/2 frequencies N*O*C/G products of 4
multiplications each. The definition has N*O*C/G*OH*OW*KH*KW multiplications. The size of the filter does not occur in
the cost of fft, so it pays for large filters, if there are enough images and channels that use the same transforms, and
not for 3x3. (Measured for gx of 16 images of 64x64 with 32 channels on two cores: slower than im2col at 5x5, three
times as fast at 11x11, eleven times at 21x21.) A stride saves nothing: all windows are computed, and SH*SW - 1 of SH*SW
are thrown away. Memory: a transform is as large as its zero-filled image. The transforms of w are FH*FW/(KH*KW) times
larger than w, so they are made for a block of channels at a time. Images are not cut into tiles (overlap-add).

**Rounding and special values.** The error of every output is relative to the largest value of the whole image:
eps*log(n) times it. One NaN or Inf spreads over the whole image, while the definition keeps it to the windows that see
it. For this reason the rule never chooses fft; it runs only if it is named.

M. Mathieu, M. Henaff, Y. LeCun, "Fast training of convolutional networks through FFTs", 2013 (arXiv 1312.5851).
Equations and legend: `conv2d/__init__.py`.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arrays import Array, constant, contiguous, on_gpu, xp
from ..geometry import Conv
from ..layout import empty, is_channels_last
from ..runtime import njit, parallel, prange, single_blas, threads, workspace
from .bias import sum_of_pixels
from .direct import Gradients, NeedsGrad

Plane = list[list[complex]]


def circle(g: Conv) -> tuple[int, int]:
    """The smallest circles of the two axes on which no window overlaps itself."""
    return max(g.h + g.ph, g.dh * (g.kh - 1) + 1), max(g.w + g.pw, g.dw * (g.kw - 1) + 1)


def _fast_circle(g: Conv) -> tuple[int, int]:
    """The next larger sizes with small prime factors, for which the transform is fast."""
    from scipy.fft import next_fast_len

    high, wide = circle(g)
    return next_fast_len(high, real=False), next_fast_len(wide, real=True)


def _places(g: Conv, size: tuple[int, int]) -> tuple[Array, Array]:
    """The points on the two circles where the windows of outputs i and j begin."""
    return (np.arange(g.oh) * g.sh - g.ph) % size[0], (np.arange(g.ow) * g.sw - g.pw) % size[1]


def multiplications(g: Conv, which: str = "forward") -> int:
    """The number of real multiplications: transforms by radix 2, and 4 in each product of complex numbers.

    Each pass transforms two of x, w and y, multiplies, and transforms back to the third, so all have the same number.

    >>> from minicnn_kernels import geometry
    >>> from minicnn_kernels.conv2d import fft
    >>> round(fft.multiplications(geometry.conv2d((1, 1, 64, 64), (1, 1, 31, 31))) / (34 * 34 * 31 * 31), 2)
    0.14
    """
    high, wide = _fast_circle(g)
    transforms = g.n * g.c + g.o * (g.c // g.groups) + g.n * g.o
    products = 4 * g.n * g.o * (g.c // g.groups) * high * (wide // 2 + 1)
    return math.ceil(transforms * high * wide * math.log2(max(2, high * wide))) + products


# ------------------------------------------------------------------------------------------------- the definition


def _dft(line: list[complex], sign: int) -> list[complex]:
    """X[f] = sum_t x[t] exp(sign * 2 pi i f t / F): F^2 products, where the fast transform needs F log F."""
    size = len(line)
    roots = [cmath.exp(sign * 2j * cmath.pi * k / size) for k in range(size)]
    return [sum(value * roots[f * t % size] for t, value in enumerate(line)) for f in range(size)]


def _dft2(plane: Plane, sign: int = -1) -> Plane:
    """Transform along the rows, then the columns; with sign 1 back, without the division by the number of points."""
    rows = [_dft(row, sign) for row in plane]
    columns = [_dft(list(column), sign) for column in zip(*rows, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def _laid(values: Array, rows: Any, columns: Any, size: tuple[int, int]) -> Plane:
    """The transform of a plane with a value at each (row, column), zero elsewhere."""
    plane: Plane = [[0j] * size[1] for _ in range(size[0])]
    for i, p in enumerate(rows):
        for j, q in enumerate(columns):
            plane[int(p)][int(q)] = complex(values[i, j])
    return _dft2(plane)


def _read(total: Plane, rows: Any, columns: Any) -> list[list[float]]:
    """Transform back, and read the values at each (row, column)."""
    plane, points = _dft2(total, 1), len(total) * len(total[0])
    return [[plane[int(p)][int(q)].real / points for q in columns] for p in rows]


def _add(total: Plane, a: Plane, b: Plane, conjugate: bool) -> None:
    """total += a * b, or conj(a) * b, frequency by frequency."""
    for i, row in enumerate(total):
        for j in range(len(row)):
            row[j] += (a[i][j].conjugate() if conjugate else a[i][j]) * b[i][j]


def _axes(g: Conv, size: tuple[int, int]) -> tuple[tuple[Any, Any], tuple[Any, Any], tuple[Any, Any]]:
    """The rows and columns on the circle of the pixels of x, of the filter's cells, and of the windows' beginnings."""
    cells = range(0, g.dh * (g.kh - 1) + 1, g.dh), range(0, g.dw * (g.kw - 1) + 1, g.dw)
    return (range(g.h), range(g.w)), cells, _places(g, size)


def forward_python(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """The theorem in plain loops, with the transform by its definition."""
    size, cg, og = circle(g), g.c // g.groups, g.o // g.groups
    pixels, cells, windows = _axes(g, size)
    xs = {(n, c): _laid(x[n, c], *pixels, size) for n, c in np.ndindex(g.n, g.c)}
    ws = {(o, c): _laid(w[o, c], *cells, size) for o, c in np.ndindex(g.o, cg)}
    y = np.empty(g.y_shape, x.dtype)
    for n, o in np.ndindex(g.n, g.o):
        total: Plane = [[0j] * size[1] for _ in range(size[0])]
        for c in range(cg):
            _add(total, ws[o, c], xs[n, o // og * cg + c], True)
        y[n, o] = np.array(_read(total, *windows)) + (0.0 if b is None else float(b[o]))
    return y


def backward_python(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """The other two lines of the theorem."""
    size, cg, og = circle(g), g.c // g.groups, g.o // g.groups
    pixels, cells, windows = _axes(g, size)
    us = {(n, o): _laid(gy[n, o], *windows, size) for n, o in np.ndindex(g.n, g.o)}
    gx, gw = np.empty(g.x_shape, gy.dtype), np.empty(g.w_shape, gy.dtype)
    if needs_grad[0] and w is not None:
        ws = {(o, c): _laid(w[o, c], *cells, size) for o, c in np.ndindex(g.o, cg)}
        for n, c in np.ndindex(g.n, g.c):
            total: Plane = [[0j] * size[1] for _ in range(size[0])]
            for o in range(c // cg * og, (c // cg + 1) * og):
                _add(total, ws[o, c % cg], us[n, o], False)
            gx[n, c] = _read(total, *pixels)
    if needs_grad[1] and x is not None:
        xs = {(n, c): _laid(x[n, c], *pixels, size) for n, c in np.ndindex(g.n, g.c)}
        for o, c in np.ndindex(g.o, cg):
            total = [[0j] * size[1] for _ in range(size[0])]
            for n in range(g.n):
                _add(total, us[n, o], xs[n, o // og * cg + c], True)
            gw[o, c] = _read(total, *cells)
    gradients = gx, gw, sum_of_pixels(gy)
    return tuple(a if wanted else None for a, wanted in zip(gradients, needs_grad, strict=True))  # type: ignore[return-value]


# ---------------------------------------------------------------------------------- transforms of many images at once
#
# Images are (N, H, W, C) and their transforms (N, FH, FW/2+1, C). Since the channels are last, neighbouring lines are
# transformed side by side in vectors, and the matrix X[f] has rows of stride 1. For real values X[-f] = conj(X[f]), so
# half of one axis is left out. Weights are laid out as images: C/G images of O channels for forward, O/G images of C
# channels for gx and gw. Then all three products are out[:, f] = a[:, f] @ b[:, f] for each group.


def _transform(x: Array, size: tuple[int, int], workers: int) -> Array:
    """(N, H, W, C) -> (N, FH, FW/2+1, C), filled up with zeros at the end; rows first, while there are only H rows."""
    if on_gpu(x):
        of_gpu = xp(x).fft
        return of_gpu.fft(of_gpu.rfft(x, size[1], 2), size[0], 1)
    from scipy.fft import fft, rfft

    return fft(rfft(x, size[1], axis=2, workers=workers), size[0], axis=1, overwrite_x=True, workers=workers)


def _back(x: Array, size: tuple[int, int], rows: Any, columns: Any, workers: int) -> Array:
    """(N, FH, FW/2+1, C) -> (N, rows, columns, C); x is overwritten."""
    if on_gpu(x):
        of_gpu = xp(x).fft
        return of_gpu.irfft(of_gpu.ifft(x, None, 1)[:, rows], size[1], 2)[:, :, columns]
    from scipy.fft import ifft, irfft

    half = ifft(x, axis=1, overwrite_x=True, workers=workers)[:, rows]
    return irfft(half, size[1], axis=2, overwrite_x=True, workers=workers)[:, :, columns]


def _upstream(gy: Array, g: Conv, size: tuple[int, int]) -> Array:
    """u (N, FH, FW, O): gy where the windows begin."""
    u: Array = xp(gy).zeros((g.n, *size, g.o), gy.dtype)
    rows, columns = constant(_places, gy, g, size)
    i = _seeing(g.oh, g.sh, g.ph, g.h, g.dh * (g.kh - 1))
    j = _seeing(g.ow, g.sw, g.pw, g.w, g.dw * (g.kw - 1))
    u[:, rows[i][:, None], columns[j]] = gy.transpose(0, 2, 3, 1)[:, i, j]  # (N, O, OH, OW) -> (N, OH, OW, O)
    return u


def _seeing(count: int, step: int, padding: int, size: int, reach: int) -> slice:
    """The windows that see a pixel; of those that lie in the padding, two may begin at one point of the circle."""
    return slice(max(0, -((reach - padding) // step)), max(0, min(count, (size - 1 + padding) // step + 1)))


def _strides(count: int, step: int, size: int, x: Array) -> Any:
    """The points 0, step, 2*step ... of the circle, beside x; as a slice if they do not go round it."""
    end = step * (count - 1) + 1
    return slice(0, end, step) if end <= size else constant(_around, x, end, step, size)


def _around(end: int, step: int, size: int) -> Array:
    return np.arange(0, end, step) % size


def _moved(ws: Array, g: Conv, size: tuple[int, int]) -> Array:
    """conj(W) of weights shifted by -PH and -PW, in place: window i begins at i*SH, and none goes round the circle.

    A shift by -PH multiplies W[f] by exp(2 pi i f PH / FH).
    """
    for axis, padding in ((1, g.ph), (2, g.pw)):
        turns = constant(_turns, ws, ws.shape[axis], padding / size[axis - 1], ws.dtype)
        ws *= turns.reshape(-1, 1, 1) if axis == 1 else turns[:, None]
    return np.conj(ws, out=ws)


def _turns(count: int, part: float, dtype: Any) -> Array:
    return np.exp(2j * np.pi * np.arange(count) * part).astype(dtype)


_BLOCK = 1 << 26  # bytes that the transforms of the weights, or of their gradient, may take


def _blocks(g: Conv, size: tuple[int, int], rows: int, columns: int, dtype: Any) -> Iterator[slice]:
    """The columns of each group in blocks; each column needs `rows` transforms in each group."""
    each = max(1, g.groups * rows) * size[0] * (size[1] // 2 + 1) * 2 * np.dtype(dtype).itemsize
    step = max(1, _BLOCK // each)
    for start in range(0, columns, step):
        yield slice(start, min(columns, start + step))


def _kernels(w: Array, g: Conv, size: tuple[int, int], workers: int) -> Array:
    """The transforms (K, FH, FW/2+1, G*M) of weights (G, M, K, KH, KW)."""
    groups, m, k, kh, kw = w.shape
    laid = xp(w).zeros((k, g.dh * (kh - 1) + 1, g.dw * (kw - 1) + 1, groups, m), w.dtype)
    laid[:, :: g.dh, :: g.dw] = w.transpose(2, 3, 4, 0, 1)
    return _transform(laid.reshape(*laid.shape[:3], groups * m), size, workers)


def _product(a: Array, b: Array, groups: int, transposed: bool) -> Array:
    """For each frequency and group a @ b, or a^T @ b; a (R, FH, FW/2+1, G*K), b (K, ..., G*M) -> (R, ..., G*M)."""
    (high, wide), columns = a.shape[1:3], b.shape[3]
    left, right = (
        m.reshape(m.shape[0], high * wide, groups, m.shape[3] // groups).transpose(1, 2, 0, 3) for m in (a, b)
    )
    if transposed:
        left = left.transpose(0, 1, 3, 2)
    total = (left @ right).transpose(2, 0, 1, 3)  # (F, G, R, K) @ (F, G, K, M) = (F, G, R, M) -> (R, F, G, M)
    return contiguous(total).reshape(total.shape[0], high, wide, columns)


# Numba: the products; a share is some of the frequencies. SciPy's transforms have threads of their own.


@njit()
def _product_share(
    t: Any, shares: int, a: Array, b: Array, out: Array, groups: int, transposed: bool, scratch: Array
) -> None:
    # a (R, F, G*K), b (K, F, G*M), out (R, F, G*M); transposed: a (K, F, G*R). One frequency's matrices are gathered.
    k, m, r = b.shape[0], b.shape[2] // groups, out.shape[0]
    left = scratch[t, : r * k].reshape((k, r) if transposed else (r, k))
    right = scratch[t, r * k : r * k + k * m].reshape(k, m)
    to = scratch[t, r * k + k * m : r * k + k * m + r * m].reshape(r, m)
    for f in range(t * a.shape[1] // shares, (t + 1) * a.shape[1] // shares):
        for group in range(groups):
            for i in range(left.shape[0]):
                for j in range(left.shape[1]):
                    left[i, j] = a[i, f, group * left.shape[1] + j]
            for i in range(k):
                for j in range(m):
                    right[i, j] = b[i, f, group * m + j]
            if transposed:
                np.dot(left.T, right, to)
            else:
                np.dot(left, right, to)
            for i in range(r):
                for j in range(m):
                    out[i, f, group * m + j] = to[i, j]


@njit(parallel=True)
def _products(shares: int, a: Array, b: Array, out: Array, groups: int, transposed: bool, scratch: Array) -> None:
    for t in prange(shares):
        _product_share(np.intp(t), shares, a, b, out, groups, transposed, scratch)


def _product_compiled(a: Array, b: Array, groups: int, transposed: bool) -> Array:
    (high, wide), k, m = a.shape[1:3], b.shape[0], b.shape[3] // groups
    r = a.shape[3] // groups if transposed else a.shape[0]
    out = np.empty((r, high * wide, groups * m), a.dtype)
    with parallel(), single_blas():
        left, right = (np.ascontiguousarray(z).reshape(z.shape[0], high * wide, z.shape[3]) for z in (a, b))
        scratch = workspace("conv2d fft", r * k + k * m + r * m, a.dtype)
        _products(threads(), left, right, out, groups, transposed, scratch)
    return out.reshape(r, high, wide, groups * m)


# --------------------------------------------------------------------------------------------------- forward, backward


def _forward(x: Array, w: Array, b: Array | None, g: Conv, workers: int, product: Any, y: Array) -> Array:
    size, og, cg = _fast_circle(g), g.o // g.groups, g.c // g.groups
    to = y.reshape(
        g.n, g.groups, og, g.oh, g.ow
    )  # (N, O, OH, OW) -> (N, G, O/G, OH, OW), a view in any order of memory
    wg = w.reshape(g.groups, og, cg, g.kh, g.kw)  # (O, C/G, KH, KW) -> (G, O/G, C/G, KH, KW)
    xs = _transform(x.transpose(0, 2, 3, 1), size, workers)  # (N, C, H, W) -> (N, H, W, C)
    for some in _blocks(g, size, cg, og, x.dtype):
        ws = _kernels(wg[:, some], g, size, workers)
        total = product(xs, _moved(ws, g, size), g.groups, False)
        rows, columns = _strides(g.oh, g.sh, size[0], x), _strides(g.ow, g.sw, size[1], x)
        block = _back(total, size, rows, columns, workers)
        to[:, :, some] = block.reshape(g.n, g.oh, g.ow, g.groups, block.shape[3] // g.groups).transpose(0, 3, 4, 1, 2)
    if b is not None:
        y += b[:, None, None]
    return y


def _backward(
    gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad, workers: int, product: Any, gx: Array
) -> Gradients:
    size, og, cg = _fast_circle(g), g.o // g.groups, g.c // g.groups
    us = _transform(_upstream(gy, g, size), size, workers) if needs_grad[0] or needs_grad[1] else np.empty(0)
    gw = xp(gy).empty((g.groups, og, cg, g.kh, g.kw), gy.dtype)
    if needs_grad[0] and w is not None:
        to = gx.reshape(g.n, g.groups, cg, g.h, g.w)  # (N, C, H, W) -> (N, G, C/G, H, W), a view
        wt = w.reshape(g.groups, og, cg, g.kh, g.kw).transpose(0, 2, 1, 3, 4)  # -> (G, C/G, O/G, KH, KW)
        for some in _blocks(g, size, og, cg, gy.dtype):
            total = product(us, _kernels(wt[:, some], g, size, workers), g.groups, False)
            block = _back(total, size, slice(g.h), slice(g.w), workers)
            to[:, :, some] = block.reshape(g.n, g.h, g.w, g.groups, block.shape[3] // g.groups).transpose(0, 3, 4, 1, 2)
    if needs_grad[1] and x is not None:
        cells = slice(0, g.dh * (g.kh - 1) + 1, g.dh), slice(0, g.dw * (g.kw - 1) + 1, g.dw)
        xs = _transform(x.transpose(0, 2, 3, 1), size, workers)
        by_group = np.conj(us, out=us).reshape(*us.shape[:3], g.groups, og)
        for some in _blocks(g, size, cg, og, gy.dtype):
            some_us = by_group[..., some].reshape(*us.shape[:3], g.groups * (some.stop - some.start))
            block = _back(product(some_us, xs, g.groups, True), size, *cells, workers)  # (block, KH, KW, C)
            gw[:, some] = block.reshape(*block.shape[:3], g.groups, cg).transpose(3, 0, 4, 1, 2)
    gradients = gx, gw.reshape(g.w_shape), sum_of_pixels(gy) if needs_grad[2] else None
    return tuple(a if wanted else None for a, wanted in zip(gradients, needs_grad, strict=True))  # type: ignore[return-value]


def forward_numpy(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Fast transforms of the whole batch, and one batched matrix product over all frequencies."""
    return _forward(x, w, b, g, 1, _product, _like(x, g.y_shape))


def _like(x: Array, shape: tuple[int, ...]) -> Array:
    """An uninitialised array beside x, on the CPU in its order of memory."""
    y: Array = xp(x).empty(shape, x.dtype) if on_gpu(x) else empty(shape, x.dtype, is_channels_last(x))
    return y


def forward_numba(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Transforms on all threads; compiled products, parallel over frequencies. y has the memory order of x."""
    return _forward(x, w, b, g, threads(), _product_compiled, _like(x, g.y_shape))


def backward_numpy(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """Fast transforms of the whole batch; gy is transformed once for both gradients."""
    return _backward(gy, x, w, g, needs_grad, 1, _product, _like(gy if x is None else x, g.x_shape))


def backward_numba(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """As forward. gx has the memory order of x, or of gy if x is None."""
    return _backward(gy, x, w, g, needs_grad, threads(), _product_compiled, _like(gy if x is None else x, g.x_shape))
