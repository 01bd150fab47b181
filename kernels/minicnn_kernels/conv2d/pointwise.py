"""Convolution 3 of 8, pointwise: for 1x1 filters the matrix of im2col is x itself, so nothing has to be copied.

It is a linear layer at every pixel. Equations and legend: `conv2d/__init__.py`.

With KH = KW = 1, one group and no padding, a window is one pixel. Its column (`im2col/columns.py`) is the C values of
that pixel, so x is already the matrix of columns:

    y[n, o, i, j]  = b[o] + sum_c w[o, c] x[n, c, i*SH, j*SW]
    gx[n, c, p, q] = sum_o w[o, c] gy[n, o, i, j]  where (p, q) = (i*SH, j*SW), else 0
    gw[o, c]       = sum_{n, i, j} gy[n, o, i, j] x[n, c, i*SH, j*SW]

    NHWC memory, P = N*OH*OW pixels:      y (P, O)  = x (P, C) w^T        gx = gy w           gw = gy^T x
    NCHW memory, P = OH*OW, per image:  y (O, P)  = w x (C, P)          gx = w^T gy         gw = sum_n gy x^T

With a stride, only some of the pixels are used: these are first gathered, a few rows at a time, and gx gets zeros at
the others.

M. Lin, Q. Chen, S. Yan, "Network in network", 2014.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import Array, contiguous, xp
from ..gemm import SMALL_FACTOR, Matrix, gemm, gemm_cuda
from ..geometry import Conv
from ..layout import as_order, dense, empty, empty_beside, flat, is_channels_last
from ..runtime import njit, parallel, prange, single_blas, threads, workspace
from ..sums import total
from .bias import add_bias, fill_bias, sum_of_pixels
from .direct import Gradients, NeedsGrad
from .operands import of_images, of_strided_images, of_weights
from .weights import add_up


def supports(g: Conv) -> bool:
    """Whether every window is a single pixel of the image, and every output channel sees all input channels.

    >>> from minicnn_kernels import geometry
    >>> from minicnn_kernels.conv2d import pointwise
    >>> pointwise.supports(geometry.conv2d((1, 256, 28, 28), (64, 256, 1, 1)))
    True
    """
    return g.kh == g.kw == 1 and g.ph == g.pw == 0 and g.groups == 1


# ------------------------------------------------------------------------------------------------------------ forward


def forward_python(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Plain loops: at every pixel, the dot products of its channels with every row of w."""
    y = np.empty(g.y_shape, x.dtype)
    for n, i, j in np.ndindex(g.n, g.oh, g.ow):
        pixel = [float(v) for v in x[n, :, i * g.sh, j * g.sw]]
        for o in range(g.o):
            total = sum(float(v) * u for v, u in zip(w[o, :, 0, 0], pixel, strict=True))
            y[n, o, i, j] = total + (0.0 if b is None else float(b[o]))
    return y


def forward_numpy(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """One batched matrix product."""
    y = (w[:, :, 0, 0] @ _taken(x, g)).reshape(g.y_shape)  # (O, C) @ (N, C, P) -> (N, O, OH, OW)
    if b is not None:
        y += b[:, None, None]
    return y


def _taken(x: Array, g: Conv) -> Array:
    """The pixels that the stride does not leave out: (N, C, OH*OW)."""
    return x[:, :, : g.oh * g.sh : g.sh, : g.ow * g.sw : g.sw].reshape(g.n, g.c, g.oh * g.ow)


# Numba: x, y, w and the gradients are flat memory. A task is a run of P pixels: of the whole batch in NHWC memory, of
# one image in NCHW memory. Its matrices are parts of the larger matrices x and y (`gemm.py`).

_RUN = 1 << 18  # bytes of x or y in a run: the gathered pixels, and y with the bias, are still in the cache
_LEAST = 512  # pixels in a run, if there are so many: BLAS copies w for each product, which must be worth it


def _size(g: Conv, channels_last: bool, itemsize: int) -> int:
    """The number of pixels in a run; with a stride, whole output rows."""
    pixels = g.oh * g.ow
    share = -(-g.n * pixels // threads()) if channels_last else pixels
    return max(1, min(max(_RUN // (max(g.c, g.o) * itemsize), _LEAST), share) // g.ow) * g.ow


@njit()
def _run(task: int, size: int, g: Conv, channels_last: bool) -> tuple[int, int, int]:
    """The image of a task (0 if runs go through all images), its first pixel, and the number of its pixels."""
    every = g.n * g.oh * g.ow if channels_last else g.oh * g.ow
    runs = (every + size - 1) // size
    return task // runs, task % runs * size, min(size, every - task % runs * size)


def _tasks(size: int, g: Conv, channels_last: bool) -> int:
    pixels = g.oh * g.ow
    return -(-g.n * pixels // size) if channels_last else g.n * -(-pixels // size)


@njit()
def _gather(x: Array, col: Array, n: int, p0: int, count: int, g: Conv, channels_last: bool) -> None:
    """Pixels of whole output rows -> col, (P, C) or (C, P)."""
    u = np.uintp
    for row in range(p0 // g.ow, (p0 + count) // g.ow):
        if channels_last:
            at = u((row // g.oh * g.h + row % g.oh * g.sh) * g.w * g.c)
            to = u((row * g.ow - p0) * g.c)
            for _ in range(g.ow):
                for c in range(u(g.c)):
                    col[to + c] = x[at + c]
                at += u(g.sw * g.c)
                to += u(g.c)
        else:
            for c in range(g.c):
                at, step = u(((n * g.c + c) * g.h + row * g.sh) * g.w), u(g.sw)
                to = u(c * count + row * g.ow - p0)
                for j in range(u(g.ow)):
                    col[to + j] = x[at + step * j]


@njit()
def _spread(col: Array, gx: Array, n: int, p0: int, count: int, g: Conv, channels_last: bool) -> None:
    """Adjoint of `_gather`: the rows of gx that belong to these output rows, with zeros between the pixels."""
    u = np.uintp
    for row in range(p0 // g.ow, (p0 + count) // g.ow):
        i = row % g.oh
        below = g.h if i == g.oh - 1 else (i + 1) * g.sh
        if channels_last:
            at = u((row // g.oh * g.h + i * g.sh) * g.w * g.c)
            gx[at : at + u((below - i * g.sh) * g.w * g.c)] = 0
            run = u((row * g.ow - p0) * g.c)
            for _ in range(g.ow):
                for c in range(u(g.c)):
                    gx[at + c] = col[run + c]
                at += u(g.sw * g.c)
                run += u(g.c)
        else:
            for c in range(g.c):
                at, step = u(((n * g.c + c) * g.h + i * g.sh) * g.w), u(g.sw)
                gx[at : at + u((below - i * g.sh) * g.w)] = 0
                run = u(c * count + row * g.ow - p0)
                for j in range(u(g.ow)):
                    gx[at + step * j] = col[run + j]


@njit()
def _forward_share(
    t: Any, shares: int, x: Array, w: Array, b: Array, y: Array, g: Conv, size: int, tasks: int, channels_last: bool,
    cols: Array,
) -> None:  # fmt: skip
    # In NHWC memory, w is (C, O) if it is small, with which BLAS is faster, else (O, C)
    pixels, beta, strided = g.oh * g.ow, int(b.size > 0), (g.oh, g.ow) != (g.h, g.w)
    stored = g.o * g.c > SMALL_FACTOR
    weights = Matrix(w, 0, g.c if stored else g.o, stored) if channels_last else Matrix(w, 0, g.c, False)
    for task in range(t * tasks // shares, (t + 1) * tasks // shares):
        n, p0, count = _run(task, size, g, channels_last)
        if beta:
            fill_bias(y, b, n, p0, count, g, channels_last)
        if strided:
            _gather(x, cols[t], n, p0, count, g, channels_last)
        source = cols[t] if strided else x
        if channels_last:
            taken = Matrix(source, 0 if strided else p0 * g.c, g.c, False)
            gemm((count, g.o, g.c), taken, weights, Matrix(y, p0 * g.o, g.o, False), beta)
        else:
            at, step = (0, count) if strided else (n * g.c * pixels + p0, pixels)
            out = Matrix(y, n * g.o * pixels + p0, pixels, False)
            gemm((g.o, count, g.c), weights, Matrix(source, at, step, False), out, beta)


@njit(parallel=True)
def _forward(
    shares: int, x: Array, w: Array, b: Array, y: Array, g: Conv, size: int, tasks: int, channels_last: bool,
    cols: Array,
) -> None:  # fmt: skip
    for t in prange(shares):
        _forward_share(np.intp(t), shares, x, w, b, y, g, size, tasks, channels_last, cols)


def forward_numba(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Parallel over runs of pixels; y has the memory order of x."""
    x = dense(x)
    channels_last = _in_channels_last(x, g)
    y = empty(g.y_shape, x.dtype, is_channels_last(x))
    bias = np.empty(0, x.dtype) if b is None else np.ascontiguousarray(b)
    size = _size(g, channels_last, x.itemsize)
    with parallel(), single_blas():
        strided = (g.oh, g.ow) != (g.h, g.w)  # without a stride, too: of a transposed convolution with output padding
        cols = workspace("conv2d col", size * g.c if strided else 0, x.dtype)
        w = w[:, :, 0, 0].T if channels_last and g.o * g.c <= SMALL_FACTOR else w
        w = np.ascontiguousarray(w).reshape(-1)
        _forward(threads(), flat(x), w, bias, flat(y), g, size, _tasks(size, g, channels_last), channels_last, cols)
    return y


def forward_cuda(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """One product for all images: the pixels are the columns of both matrices, whatever their order in memory."""
    x = dense(x)
    y, bias = empty_beside(x, g.y_shape, is_channels_last(x)), None if b is None else contiguous(b)
    sizes = g.o, g.n * g.oh * g.ow, g.c
    gemm_cuda(sizes, of_weights(contiguous(w), g), of_strided_images(x, g), of_images(y), bias)
    return y


def _in_channels_last(x: Array, g: Conv) -> bool:
    """Whether memory is (N, H, W, C); images of one pixel count too."""
    return is_channels_last(x) or g.h == g.w == 1


# ----------------------------------------------------------------------------------------------------------- backward


def backward_python(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """The loops of the forward pass; each product w*x adds gy*w to the gradient of x, and gy*x to that of w."""
    gx, gw, gb = (np.zeros(shape, np.float64) for shape in (g.x_shape, g.w_shape, (g.o,)))
    for n, o, i, j in np.ndindex(*g.y_shape):
        up = float(gy[n, o, i, j])
        gb[o] += up
        for c in range(g.c):
            if w is not None:
                gx[n, c, i * g.sh, j * g.sw] += up * float(w[o, c, 0, 0])
            if x is not None:
                gw[o, c, 0, 0] += up * float(x[n, c, i * g.sh, j * g.sw])
    gradients = tuple(
        a.astype(gy.dtype) if wanted else None for a, wanted in zip((gx, gw, gb), needs_grad, strict=True)
    )
    return gradients  # type: ignore[return-value]


def backward_numpy(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """Two batched matrix products."""
    up = gy.reshape(g.n, g.o, g.oh * g.ow)  # (N, O, OH, OW) -> (N, O, P)
    gx = gw = None
    if needs_grad[0] and w is not None:
        gx = xp(gy).zeros(g.x_shape, gy.dtype)
        gx[:, :, : g.oh * g.sh : g.sh, : g.ow * g.sw : g.sw] = (w[:, :, 0, 0].T @ up).reshape(g.n, g.c, g.oh, g.ow)
    if needs_grad[1] and x is not None:
        gw = total(up @ _taken(x, g).transpose(0, 2, 1), (0,)).reshape(g.w_shape)  # (N, O, P) @ (N, P, C) -> (O, C)
    return gx, gw, sum_of_pixels(gy) if needs_grad[2] else None


@njit()
def _backward_x_share(
    t: Any, shares: int, gy: Array, w: Array, gx: Array, g: Conv, size: int, tasks: int, channels_last: bool,
    cols: Array,
) -> None:  # fmt: skip
    pixels, strided = g.oh * g.ow, (g.oh, g.ow) != (g.h, g.w)
    for task in range(t * tasks // shares, (t + 1) * tasks // shares):
        n, p0, count = _run(task, size, g, channels_last)
        target = cols[t] if strided else gx
        if channels_last:
            into = Matrix(target, 0 if strided else p0 * g.c, g.c, False)
            gemm((count, g.c, g.o), Matrix(gy, p0 * g.o, g.o, False), Matrix(w, 0, g.c, False), into, 0)
        else:
            to, step = (0, count) if strided else (n * g.c * pixels + p0, pixels)
            up = Matrix(gy, n * g.o * pixels + p0, pixels, False)
            gemm((g.c, count, g.o), Matrix(w, 0, g.c, True), up, Matrix(target, to, step, False), 0)
        if strided:
            _spread(cols[t], gx, n, p0, count, g, channels_last)


@njit(parallel=True)
def _backward_x(
    shares: int, gy: Array, w: Array, gx: Array, g: Conv, size: int, tasks: int, channels_last: bool, cols: Array
) -> None:
    for t in prange(shares):
        _backward_x_share(np.intp(t), shares, gy, w, gx, g, size, tasks, channels_last, cols)


@njit()
def _backward_w_share(
    t: Any, shares: int, gy: Array, x: Array, sums: Array, g: Conv, size: int, tasks: int, channels_last: bool,
    whole: bool, cols: Array,
) -> None:  # fmt: skip
    # sums[t]: gw (O, C), then gb (O,). A share adds up its runs for all output channels. With `whole` it adds up all
    # runs for its output channels, and all shares write to different places of the same row.
    pixels, strided = g.oh * g.ow, (g.oh, g.ow) != (g.h, g.w)
    task0, task1, o0, o1 = t * tasks // shares, (t + 1) * tasks // shares, 0, g.o
    total = sums[0] if whole else sums[t]
    if whole:
        task0, task1, o0, o1 = 0, tasks, t * g.o // shares, (t + 1) * g.o // shares
    gw, gb = total[: g.o * g.c], total[g.o * g.c : g.o * g.c + g.o]
    gw[o0 * g.c : o1 * g.c] = 0
    gb[o0:o1] = 0
    for task in range(task0, task1):
        n, p0, count = _run(task, size, g, channels_last)
        if strided:
            _gather(x, cols[t], n, p0, count, g, channels_last)
        source, into = cols[t] if strided else x, Matrix(gw, o0 * g.c, g.c, False)
        if channels_last:
            taken = Matrix(source, 0 if strided else p0 * g.c, g.c, False)
            gemm((o1 - o0, g.c, count), Matrix(gy, p0 * g.o + o0, g.o, True), taken, into, 1)
        else:
            at, step = (0, count) if strided else (n * g.c * pixels + p0, pixels)
            up = Matrix(gy, (n * g.o + o0) * pixels + p0, pixels, False)
            gemm((o1 - o0, g.c, count), up, Matrix(source, at, step, True), into, 1)
        add_bias(gy, gb, n, p0, count, o0, o1, g, channels_last)


@njit(parallel=True)
def _backward_w(
    shares: int, gy: Array, x: Array, sums: Array, g: Conv, size: int, tasks: int, channels_last: bool, whole: bool,
    cols: Array,
) -> None:  # fmt: skip
    for t in prange(shares):
        _backward_w_share(np.intp(t), shares, gy, x, sums, g, size, tasks, channels_last, whole, cols)


def backward_numba(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """Runs as in forward. gw: parallel over runs, a partial sum per share; with few pixels, over output channels."""
    like = dense(gy if x is None else x)
    gy = as_order(gy, is_channels_last(like))
    channels_last, dtype, strided = _in_channels_last(like, g), gy.dtype, (g.oh, g.ow) != (g.h, g.w)
    size = _size(g, channels_last, gy.itemsize)
    gx = gw = gb = None
    with parallel(), single_blas():
        cols = workspace("conv2d col", size * g.c if strided else 0, dtype)
        if needs_grad[0] and w is not None:
            gx = empty(g.x_shape, dtype, is_channels_last(like))
            w = np.ascontiguousarray(w).reshape(-1)
            _backward_x(threads(), flat(gy), w, flat(gx), g, size, _tasks(size, g, channels_last), channels_last, cols)
        if needs_grad[2] and not needs_grad[1]:
            gb = sum_of_pixels(gy)
        if needs_grad[1] and x is not None:
            whole = g.n * g.oh * g.ow < 2 * g.o
            size_of_gw = g.o * (g.c + 1)
            sums = np.empty((1, size_of_gw), dtype) if whole else workspace("conv2d gw", size_of_gw, dtype)
            _backward_w(
                threads(), flat(gy), flat(like), sums, g, size, _tasks(size, g, channels_last), channels_last, whole,
                cols,
            )  # fmt: skip
            gw, gb = add_up(sums, g, g.c)
    return gx, gw, gb if needs_grad[2] else None


def backward_cuda(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """Two products; with a stride, that of gx goes to some of its pixels, after all have been set to 0."""
    gy, x, gx, gw, pixels = dense(gy), None if x is None else dense(x), None, None, g.n * g.oh * g.ow
    if needs_grad[0] and w is not None:
        gx = empty_beside(gy, g.x_shape, is_channels_last(gy if x is None else x))
        if (g.oh, g.ow) != (g.h, g.w):
            gx[...] = 0
        turned = of_weights(contiguous(w), g).turned()
        gemm_cuda((g.c, pixels, g.o), turned, of_images(gy), of_strided_images(gx, g))
    if needs_grad[1] and x is not None:
        gw = empty_beside(gy, g.w_shape)
        gemm_cuda((g.o, g.c, pixels), of_images(gy), of_strided_images(x, g).turned(), of_weights(gw, g))
    return gx, gw, sum_of_pixels(gy) if needs_grad[2] else None
