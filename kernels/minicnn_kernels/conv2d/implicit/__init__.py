"""Convolution 4 of 8, implicit: the product of im2col, but its large factor is never written (implicit GEMM).

im2col copies every window of x for BLAS, which takes KH*KW/(SH*SW) times the memory of x; for few channels that does
not pay. In channels-last memory the windows are already there, row by row: row a of window (i, j) is a run of KW*C
numbers,

    y[n, i, j, o] = b[o] + sum_a sum_{e < KW*C} xp[n, i*SH + a, j*SW*C + e] * w[a, e, o]

where xp is x with its padding, each row (q, c) flat, and w has the order (KH, KW*C, O). The windows of one row are the
rows of a matrix in which each row begins SW*C numbers after the one before, so that rows overlap. BLAS cannot describe
such a matrix; `tile.py` can. It keeps 8 windows times two vectors of output channels in registers for the whole sum, so
it writes y once and reads x from the first-level cache. The gradient of the weights is the same with the sum over
pixels,

    gw[a, e, o] = sum_{n, i, j} xp[n, i*SH + a, j*SW*C + e] * gy[n, i, j, o]

With groups, xp has the channels of one group, and each group has its own sums. A group of a few channels does not fill
a vector, but no product with channels of other groups is computed.

**gx with strides.** Output row i sees input row p through filter row a if i = (p + PH - a)/SH is a whole number: that
is for the filter rows a = ra, ra + SH, ra + 2*SH, ... with ra = (p + PH) mod SH. So the pixels of x fall into SH*SW
phases. gx of each phase is a convolution of gy with stride 1, with the filter rows and columns of this phase reversed:

    gx[p] = sum_{t < T} gy[m - T + 1 + t] * w[ra + SH*(T - 1 - t)]     p + PH = SH*m + ra,  T = ceil((KH - ra)/SH)

and the same along the rows. A `Pass` describes such a convolution: which pixels it reads, and where its results go.

Arrays in NCHW memory are converted to channels-last memory as a whole, and back (`transpose.py`).

S. Chetlur et al., "cuDNN: efficient primitives for deep learning", 2014, https://arxiv.org/abs/1410.0759, where the
windows are formed while they are copied to the fast memory of a GPU. Equations and legend: `conv2d/__init__.py`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ...arrays import Array, contiguous, xp
from ...cuda import launch_blocks, scalar, strides
from ...gemm import THREADS, add_parts, tiled, to_parts
from ...geometry import Conv
from ...layout import as_order, dense, empty, empty_beside, is_channels_last
from ...runtime import parallel
from ..bias import sum_of_pixels
from ..direct import Gradients, NeedsGrad
from .bands import Pass, convolve, of_weights
from .tile import LOW


def supports(g: Conv) -> bool:
    """Whether there is no dilation, or the backend is cuda."""
    return (g.dh, g.dw) == (1, 1)


def fills_tiles(width: int) -> bool:
    """Whether rows of so many results fill more than half a tile."""
    return 2 * width > LOW


@functools.lru_cache(4096)
def _forward_pass(g: Conv) -> Pass:
    size = g.n, g.groups, g.c // g.groups, g.h, g.w, g.o // g.groups, g.kh, g.kw
    return Pass(*size, g.sh, g.sw, g.ph, g.pw, g.oh, g.ow, g.oh, g.ow, 0, 1, 0, 1)


def _phase(size: int, k: int, s: int, padding: int, r: int) -> tuple[int, int, int, int]:
    """Phase r along one side: T, the padding before, the first pixel, and the number of pixels."""
    m, t = -((r - padding) // s), max(0, -((r - k) // s))
    first = s * m + r - padding
    return t, t - 1 - m, first, max(0, -((first - size) // s))


def _phases(w: Array, g: Conv) -> list[tuple[Array, Pass]]:
    """The passes of gx, each with its weights (G, T, T', O/G, C/G)."""
    w = w.reshape(g.groups, g.o // g.groups, g.c // g.groups, g.kh, g.kw)  # (O, C/G, KH, KW) -> (G, O/G, C/G, KH, KW)
    return [
        (w[..., ra :: g.sh, rb :: g.sw][..., ::-1, ::-1].transpose(0, 3, 4, 1, 2), p) for ra, rb, p in _gx_passes(g)
    ]


@functools.lru_cache(4096)
def _gx_passes(g: Conv) -> list[tuple[int, int, Pass]]:
    """The phases that have pixels, and their passes."""
    found, og, cg = [], g.o // g.groups, g.c // g.groups
    for ra, rb in np.ndindex(g.sh, g.sw):
        th, top, i0, rows = _phase(g.h, g.kh, g.sh, g.ph, ra)
        tw, left, j0, columns = _phase(g.w, g.kw, g.sw, g.pw, rb)
        if rows and columns:
            size, places = (g.n, g.groups, og, g.oh, g.ow, cg, th, tw, 1, 1), (g.h, g.w, i0, g.sh, j0, g.sw)
            found.append((ra, rb, Pass(*size, top, left, rows, columns, *places)))
    return found


def _order(w: Array, g: Conv) -> Array:
    """w in the order of the sums: (O, C/G, KH, KW) -> (G, KH, KW, C/G, O/G)."""
    return w.reshape(g.groups, g.o // g.groups, g.c // g.groups, g.kh, g.kw).transpose(0, 3, 4, 2, 1)


# -------------------------------------------------------------------------------------------------- python and numpy


def _placed(x: Array, p: Pass) -> Array:
    """The pixels under all windows, zero outside the image: (N, C, H, W) -> (N, HP, WP*C)."""
    hp, wp = (p.oh - 1) * p.sh + p.kh, (p.ow - 1) * p.sw + p.kw
    pixels = xp(x).zeros((p.n, max(0, hp), max(0, wp), p.c), x.dtype)
    inside = x.transpose(0, 2, 3, 1)[:, max(0, -p.top) : max(0, hp - p.top), max(0, -p.left) : max(0, wp - p.left)]
    top, left = max(0, p.top), max(0, p.left)
    pixels[:, top : top + inside.shape[1], left : left + inside.shape[2]] = inside
    return pixels.reshape(p.n, pixels.shape[1], pixels.shape[2] * p.c)


def _results(y: Array, p: Pass) -> Array:
    """The pixels of an image (N, C, H, W) that a pass writes: (N, OH, OW, C), a view."""
    return y.transpose(0, 2, 3, 1)[:, p.i0 :: p.di, p.j0 :: p.dj][:, : p.oh, : p.ow]


def _by_group(convolve: Any, x: Array, w: Array, b: Array | None, y: Array, p: Pass) -> None:
    """Run `convolve` on the channels of each group; w is (G, KH, KW, C, O)."""
    for group, (inputs, outputs) in enumerate(_groups(p)):
        convolve(x[:, inputs], w[group], None if b is None else b[outputs], y[:, outputs], p)


def _groups(p: Pass) -> list[tuple[slice, slice]]:
    """The input channels and the output channels of each group."""
    return [(slice(q * p.c, (q + 1) * p.c), slice(q * p.o, (q + 1) * p.o)) for q in range(p.groups)]


def _convolve_python(x: Array, w: Array, b: Array | None, y: Array, p: Pass) -> None:
    pixels, kernel, run, results = _placed(x, p), w.reshape(p.kh, p.kw * p.c, p.o), p.kw * p.c, _results(y, p)
    for n, i, j, o in np.ndindex(p.n, p.oh, p.ow, p.o):
        total = 0.0 if b is None else float(b[o])
        for a, e in np.ndindex(p.kh, run):
            total += float(pixels[n, i * p.sh + a, j * p.sw * p.c + e]) * float(kernel[a, e, o])
        results[n, i, j, o] = total


def forward_python(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """For each window the products with its runs, one run for each row of the filter."""
    y = np.empty(g.y_shape, x.dtype)
    _by_group(_convolve_python, x, _order(w, g), b, y, _forward_pass(g))
    return y


def backward_python(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """gx phase by phase; gw is a sum over the runs of all windows."""
    gx = gw = None
    if needs_grad[0] and w is not None:
        gx = np.zeros(g.x_shape, gy.dtype)
        for part, p in _phases(w, g):
            _by_group(_convolve_python, gy, part, None, gx, p)
    if needs_grad[1] and x is not None:
        p, gw = _forward_pass(g), np.empty(g.w_shape, gy.dtype)
        for inputs, outputs in _groups(p):
            gw[outputs] = _weights_python(gy[:, outputs], _placed(x[:, inputs], p), p)
    gb = np.array([sum(map(float, gy[:, o].reshape(-1))) for o in range(g.o)], gy.dtype) if needs_grad[2] else None
    return gx, gw, gb


def _weights_python(gy: Array, pixels: Array, p: Pass) -> Array:
    sums = np.zeros((p.kh, p.kw * p.c, p.o))
    for a, e, o in np.ndindex(*sums.shape):
        for n, i, j in np.ndindex(p.n, p.oh, p.ow):
            sums[a, e, o] += float(pixels[n, i * p.sh + a, j * p.sw * p.c + e]) * float(gy[n, o, i, j])
    return sums.reshape(p.kh, p.kw, p.c, p.o).transpose(3, 2, 0, 1)  # -> (O, C, KH, KW)


def _windows(pixels: Array, a: int, p: Pass) -> Array:
    """The runs under filter row a, as a view whose rows overlap: (N, OH, OW, KW*C)."""
    n, row, one = pixels.strides
    strides = (n, row * p.sh, one * p.sw * p.c, one)
    view: Array = xp(pixels).lib.stride_tricks.as_strided(pixels[:, a:], (p.n, p.oh, p.ow, p.kw * p.c), strides)
    return view


def _convolve_numpy(x: Array, w: Array, b: Array | None, y: Array, p: Pass) -> None:
    pixels, results = _placed(x, p), _results(y, p)
    results[...] = 0 if b is None else b
    for a in range(p.kh if p.kw else 0):
        results += _windows(pixels, a, p) @ w[a].reshape(p.kw * p.c, p.o)  # (N, OH, OW, KW*C) @ (KW*C, O)


def forward_numpy(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """One filter row at a time: a view of overlapping runs times the weights of the row."""
    y = xp(x).empty(g.y_shape, x.dtype)
    _by_group(_convolve_numpy, x, _order(w, g), b, y, _forward_pass(g))
    return y


def backward_numpy(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """gx phase by phase; gw one filter row at a time, the transposed runs times gy."""
    gx = gw = None
    if needs_grad[0] and w is not None:
        gx = xp(gy).empty(g.x_shape, gy.dtype)
        for part, p in _phases(w, g):
            _by_group(_convolve_numpy, gy, part, None, gx, p)
    if needs_grad[1] and x is not None:
        p, gw = _forward_pass(g), xp(gy).empty(g.w_shape, gy.dtype)
        for inputs, outputs in _groups(p):
            gw[outputs] = _weights_numpy(gy[:, outputs], _placed(x[:, inputs], p), p)
    return gx, gw, sum_of_pixels(gy) if needs_grad[2] else None


def _weights_numpy(gy: Array, pixels: Array, p: Pass) -> Array:
    up, sums = gy.transpose(0, 2, 3, 1).reshape(-1, p.o), xp(gy).empty((p.kh, p.kw * p.c, p.o), gy.dtype)
    for a in range(p.kh):
        sums[a] = _windows(pixels, a, p).reshape(-1, p.kw * p.c).T @ up
    return sums.reshape(p.kh, p.kw, p.c, p.o).transpose(3, 2, 0, 1)  # -> (O, C, KH, KW)


# -------------------------------------------------------------------------------------------------------------- numba


def _ordered(x: Array) -> Array:
    """x in channels-last memory, which the compiled loops need."""
    return x if is_channels_last(x) or x.shape[1] == 1 or not x.size else as_order(x, True)


def _pass(
    x: Array, passes: list[tuple[Array, Pass]], b: Array | None, shape: tuple[int, ...], channels_last: bool
) -> Array:
    """The results of passes over x, in the requested order of memory."""
    y = empty(shape, x.dtype, True)
    x = _ordered(x)
    for w, p in passes:
        convolve(x, w, b, y, p)
    return y if channels_last or not y.size else as_order(y, False)


def forward_numba(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Parallel over bands of output rows; y has the memory order of x."""
    x = dense(x)
    with parallel():
        return _pass(x, [(_order(w, g), _forward_pass(g))], b, g.y_shape, is_channels_last(x))


def backward_numba(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """gx phase by phase, as forward; gw and gb are parallel over bands, with a partial sum per share."""
    gy = dense(gy)
    gx = gw = gb = None
    with parallel():
        if needs_grad[0] and w is not None:
            gx = _pass(gy, _phases(w, g), None, g.x_shape, is_channels_last(gy if x is None else dense(x)))
        if needs_grad[1] and x is not None:
            gw, gb = of_weights(_ordered(gy), _ordered(dense(x)), _forward_pass(g), needs_grad[2])
        elif needs_grad[2]:
            gb = sum_of_pixels(gy)
    return gx, gw, gb if needs_grad[2] else None


# --------------------------------------------------------------------------------------------------------------- cuda

_FILE = "conv2d/implicit/implicit.cu"


def forward_cuda(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Tiles in shared memory, to which the windows are read directly from x: `implicit.cu`."""
    x, w, bias, og = dense(x), dense(w), None if b is None else contiguous(b), g.o // g.groups
    y = empty_beside(x, g.y_shape, is_channels_last(x))
    high, tiles, blocks = tiled(og, g.n * g.oh * g.ow, g.c // g.groups * g.kh * g.kw, g.groups, y.size)
    to = to_parts(y, tiles)
    args = x, strides(x), w, strides(w), bias, to, strides(y), g, tiles
    launch_blocks(_FILE, f"forward<{scalar(x)}, {high}>", (blocks,), (THREADS,), *args)
    add_parts(to, y, tiles.parts)
    return y


def backward_cuda(gy: Array, x: Array | None, w: Array | None, g: Conv, needs_grad: NeedsGrad) -> Gradients:
    """The same tiles: windows of gy for gx, phase by phase; windows of x for gw, with a sum in parts."""
    gy, x, gx, gw = dense(gy), None if x is None else dense(x), None, None
    og, cg = g.o // g.groups, g.c // g.groups
    if needs_grad[0] and w is not None:
        w, gx = dense(w), empty_beside(gy, g.x_shape, is_channels_last(gy if x is None else x))
        pixels = g.n * -(-g.h // g.sh) * -(-g.w // g.sw)  # of the largest phase
        cells = -(-g.kh // (g.sh // math.gcd(g.sh, g.dh))) * -(-g.kw // (g.sw // math.gcd(g.sw, g.dw)))
        high, tiles, blocks = tiled(cg, pixels, og * cells, g.groups * min(g.sh, g.h) * min(g.sw, g.w), gx.size)
        to = to_parts(gx, tiles)
        args = gy, strides(gy), w, strides(w), to, strides(gx), g, tiles
        launch_blocks(_FILE, f"backward_x<{scalar(gy)}, {high}>", (blocks,), (THREADS,), *args)
        add_parts(to, gx, tiles.parts)
    if needs_grad[1] and x is not None:
        gw = empty_beside(gy, g.w_shape)
        high, tiles, blocks = tiled(og, cg * g.kh * g.kw, g.n * g.oh * g.ow, g.groups, gw.size)
        to = to_parts(gw, tiles)
        args = gy, strides(gy), x, strides(x), to, strides(gw), g, tiles
        launch_blocks(_FILE, f"backward_w<{scalar(gy)}, {high}>", (blocks,), (THREADS,), *args)
        add_parts(to, gw, tiles.parts)
    return gx, gw, sum_of_pixels(gy) if needs_grad[2] else None
