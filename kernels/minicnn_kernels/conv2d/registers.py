"""Direct convolution of few channels, with blocks of outputs kept close: rows of pixels times taps held in registers.

Of the equations in `conv2d/__init__.py`, for stride 1, dilation 1, one group, and less padding than the kernel is
large. The picture is laid out flat, with its padding and WP = W + 2*PW columns. Then every tap of the kernel is a
*shift* of the whole picture by one number, and convolution is a sum of shifted vectors:

    y[o, i*WP + j] = b[o] + sum_{c, a, b} w[o, c, a, b] x[c, (i*WP + j) + (a*WP + b)]      all e = i*WP + j at once

with rows of any length as vectors of one long one. The last KW - 1 columns of each row of y see pixels of two rows:
they are computed and thrown away, KW - 1 of WP. gx is the same sum over gy with the kernel turned round, w[o, c,
KH-1-a, KW-1-b], channels and filters exchanged, and padding KH - 1 - PH, KW - 1 - PW. gw has a sum over e instead:

    gw[o, c, a, b] = sum_e gy[o, e] x[c, e + a*WP + b]                                   gy = 0 in the last columns

**What a core can do** (the roofline). A processor with AVX-512 starts two multiply-adds of 16 numbers per cycle, but
also only two loads, and one store; a load that is not aligned counts twice. One tap and one output at a time is 2
loads, a store and 1 multiply-add: bound by memory, even by the nearest. So each x loaded has to serve several outputs,
and each y loaded several taps. With 8 outputs and 3 taps in the source of the loop: 3 loads of x (5 with the unaligned)
and 8 of y, 8 stores, 24 multiply-adds, for which the 24 weights stay in registers, all but a few. That takes 12 cycles
of arithmetic and 8 of memory: bound by arithmetic. With 5 taps, 2 outputs do (10 weights, 7 loads, 2 stores). gw keeps
4 outputs times 3 or 5 taps as sums in registers; each step is 4 loads of gy and 3 or 5 of x for 12 or 20 multiply-adds.
The y being summed, 8 vectors of about 1,000, and x's row stay in the first-level cache.

Small pictures are taken several at a time, S of them side by side for each pixel, (C, HP, WP, S): a shift by one pixel
is then a shift by S, rows are long enough for vectors, and where S is 16 all loads are aligned.

A NaN or Inf in x can reach all taps of gw of its channel, as it is multiplied by the zeros in the last columns of gy.

J. Zhang, F. Franchetti and T. M. Low, "High performance zero-memory overhead direct convolutions", 2018,
https://arxiv.org/abs/1809.10170. E. Georganas et al., "Anatomy of high-performance deep learning convolutions on SIMD
architectures", 2018, https://arxiv.org/abs/1808.05567. The weights in registers over long rows are our own variant.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..geometry import Conv
from ..layout import Array, as_order, dense, empty, flat, is_channels_last
from ..runtime import FAST, njit, parallel, prange, threads, workspace
from .direct import Gradients, Need, pad
from .long_rows import OUTPUTS, SUMMED, Plan, U, fill, piece, sums_piece, take


def supports(g: Conv) -> bool:
    """Stride and dilation 1, one group, and a window that always touches the picture."""
    steps = (g.sh, g.sw, g.dh, g.dw, g.groups) == (1, 1, 1, 1, 1)
    return steps and g.ph < g.kh and g.pw < g.kw and g.oh > 0 and g.ow > 0


def _turned(g: Conv) -> Conv:
    """The geometry of gx as a convolution of gy."""
    return g._replace(
        c=g.o, h=g.oh, w=g.ow, o=g.c, oh=g.h, ow=g.w, ph=g.kh - 1 - g.ph, pw=g.kw - 1 - g.pw
    )  # fmt: skip


def _turn(w: Array) -> Array:
    """The kernels of gx: (O, C, KH, KW) -> (C, O, KH, KW), each turned by 180 degrees."""
    return w.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]


# -------------------------------------------------------------------------------------------------- python and numpy


def _shift(g: Conv, a: int, b: int) -> int:
    """How far apart e and the pixel under tap (a, b) are."""
    return a * (g.w + 2 * g.pw) + b


def _length(g: Conv) -> int:
    """From the first to the last e of a result."""
    return (g.oh - 1) * (g.w + 2 * g.pw) + g.ow


def _flat_planes(x: Array, g: Conv) -> Array:
    """x with its padding, flat: (N, C, HP*WP)."""
    return pad(x, g).reshape(g.n, g.c, (g.h + 2 * g.ph) * (g.w + 2 * g.pw))  # (N, C, HP, WP) -> (N, C, HP*WP)


def _rows_of(y: Array, g: Conv) -> Array:
    """(N, O, OH, OW) of flat rows (N, O, length): without the last columns."""
    whole = np.zeros((*y.shape[:2], g.oh * (g.w + 2 * g.pw)), y.dtype)
    whole[..., : y.shape[2]] = y
    return whole.reshape(g.n, g.o, g.oh, g.w + 2 * g.pw)[..., : g.ow]  # (N, O, OH*WP) -> (N, O, OH, OW)


def forward_python(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """The sum over taps, one e after the other."""
    xp = _flat_planes(x, g)
    y = np.zeros((g.n, g.o, _length(g)))
    for n, o, e in np.ndindex(*y.shape):
        y[n, o, e] = 0.0 if b is None else float(b[o])
        for c, a, k in np.ndindex(g.c, g.kh, g.kw):
            y[n, o, e] += float(w[o, c, a, k]) * float(xp[n, c, e + _shift(g, a, k)])
    return np.ascontiguousarray(_rows_of(y, g).astype(x.dtype))


def forward_numpy(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """A tap at a time: a slice of the flat picture times the weights of the tap."""
    xp = _flat_planes(x, g)
    y = np.zeros((g.n, g.o, _length(g)), x.dtype)
    for a in range(g.kh):
        for k in range(g.kw):
            y += w[:, :, a, k] @ xp[:, :, _shift(g, a, k) :][:, :, : _length(g)]  # (O, C) @ (N, C, length)
    y = _rows_of(y, g)
    return np.ascontiguousarray(y if b is None else y + b[:, None, None])


def backward_python(gy: Array, x: Array | None, w: Array | None, g: Conv, need: Need) -> Gradients:
    """gx by the forward pass turned round; gw the sum over e of the rows of gy, without their last columns."""
    gx = gw = None
    if need[0] and w is not None:
        gx = forward_python(gy, _turn(w), None, _turned(g))
    if need[1] and x is not None:
        xp, sums = _flat_planes(x, g), np.zeros(g.w_shape)
        for o, c, a, k in np.ndindex(*sums.shape):
            for n, i, j in np.ndindex(g.n, g.oh, g.ow):
                e = i * (g.w + 2 * g.pw) + j
                sums[o, c, a, k] += float(gy[n, o, i, j]) * float(xp[n, c, e + _shift(g, a, k)])
        gw = sums.astype(gy.dtype)
    gb = np.array([sum(map(float, gy[:, o].reshape(-1))) for o in range(g.o)], gy.dtype) if need[2] else None
    return gx, gw, gb


def backward_numpy(gy: Array, x: Array | None, w: Array | None, g: Conv, need: Need) -> Gradients:
    """gx by the forward pass turned round; gw a tap at a time, gy with columns of zeros times a slice of x."""
    gx = gw = None
    if need[0] and w is not None:
        gx = forward_numpy(gy, _turn(w), None, _turned(g))
    if need[1] and x is not None:
        xp = _flat_planes(x, g)
        wide = np.pad(gy, ((0, 0), (0, 0), (0, 0), (0, g.w + 2 * g.pw - g.ow)))
        wide = wide.reshape(g.n, g.o, g.oh * (g.w + 2 * g.pw))[..., : _length(g)]  # (N, O, OH, WP) -> (N, O, OH*WP)
        gw = np.empty(g.w_shape, gy.dtype)
        for a in range(g.kh):
            for k in range(g.kw):
                under = xp[:, :, _shift(g, a, k) :][:, :, : _length(g)]
                gw[:, :, a, k] = (wide @ under.transpose(0, 2, 1)).sum(0)  # (N, O, length) @ (N, length, C)
    return gx, gw, gy.sum((0, 2, 3)) if need[2] else None


# -------------------------------------------------------------------------------------------------------------- numba
#
# A group is S pictures; a task is a group and a block of 8 outputs of it. A piece is as many rows of the result as are
# summed at once.

PIECE = 1100  # numbers in a piece, about: 8 of these vectors of float32 are 35 KB
GROUP = 100_000  # numbers in the pictures of a group, at most: 400 KB


@functools.lru_cache(maxsize=256)
def _plan(g: Conv, chunks: int, last: bool) -> Plan:
    hp, wp = g.h + 2 * g.ph, g.w + 2 * g.pw
    share = -(-g.n // chunks)
    most = max(1, min(share, GROUP // (g.c * hp * wp)))
    few_wasted = (g.kw - 1) * 6 <= wp
    s = min(most, -(-PIECE // (g.oh * wp)) if few_wasted else -(-PIECE // (2 * g.ow)))
    s = -(-share // -(-share // s))  # all groups of about the same size
    rows = max(1, min(g.oh, PIECE // (wp * s))) if few_wasted or s == 1 else 1
    rows = -(-g.oh // -(-g.oh // rows))  # all pieces of about the same length
    plane = hp * wp * s
    pitch = _up(((rows - 1) * wp + g.ow) * s)
    return Plan(
        g.n, g.c, g.h, g.w, g.o, g.kh, g.kw, g.ph, g.pw, g.oh, g.ow, s, rows, wp * s, plane + -plane % 16, pitch, last
    )


def _up(count: int) -> int:
    """A multiple of 16, so that no loop has a rest."""
    return count + -count % 16


@njit(fastmath=FAST)
def _forward_share(t: Any, chunks: int, x: Array, w: Array, b: Array, y: Array, xs: Array, ys: Array, p: Plan) -> None:
    xs, acc = xs[t], ys[t]
    blocks = -(-p.o // OUTPUTS)
    tasks, filled, size = -(-p.n // p.s) * blocks, -1, p.c * p.plane + p.kh * p.line + p.kw * p.s + p.pitch
    if (t + 1) * tasks // chunks > t * tasks // chunks:
        for e in range(U(size)):
            xs[e] = 0
    for task in range(t * tasks // chunks, (t + 1) * tasks // chunks):
        n0, o0 = task // blocks * p.s, task % blocks * OUTPUTS
        if n0 != filled:
            fill(x, n0, (p.c, p.h, p.w), 0, p.c, xs, (p.ph * p.line + p.pw * p.s, p.plane), p)
            filled = n0
        for i0 in range(0, p.oh, p.rows):
            i1 = min(i0 + p.rows, p.oh)
            for o in range(OUTPUTS):
                first = b[min(o0 + o, p.o - 1)]
                for e in range(U(o * p.pitch), U((o + 1) * p.pitch)):
                    acc[e] = first
            piece(xs, i0, w, o0, acc, p)
            take(acc, n0, o0, i0, i1, y, p)


@njit(parallel=True)
def _forward(chunks: int, x: Array, w: Array, b: Array, y: Array, xs: Array, ys: Array, p: Plan) -> None:
    for t in prange(chunks):
        _forward_share(np.intp(t), chunks, x, w, b, y, xs, ys, p)


def forward_numba(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Parallel over groups of pictures and blocks of outputs, vectorised along the rows."""
    x = dense(x)
    last = is_channels_last(x)
    y = empty(g.y_shape, x.dtype, last)
    if not y.size:
        return y
    p = _plan(g, threads(), last)
    weights = np.zeros((-(-g.o // OUTPUTS) * OUTPUTS, *w.shape[1:]), x.dtype)
    weights[: g.o] = w
    bias = np.zeros(g.o, x.dtype) if b is None else np.asarray(b, order="C")
    with parallel():
        ys = workspace("registers y", OUTPUTS * p.pitch, x.dtype)
        _forward(threads(), flat(x), weights.reshape(-1), bias, flat(y), _pictures(p, x.dtype), ys, p)
    return y


def _pictures(p: Plan, dtype: Any) -> Array:
    """Scratch for the pictures of a group, with what the last vectors read beyond them."""
    return workspace("registers x", p.c * p.plane + p.kh * p.line + p.kw * p.s + p.pitch, dtype)


# gw: a task is a group and a block of 4 outputs. Every share has sums of its own.


@njit(fastmath=FAST)
def _sums_share(t: Any, chunks: int, gy: Array, x: Array, xs: Array, ys: Array, sums: Array, p: Plan) -> None:
    xs, up, gw = xs[t], ys[t], sums[t]
    blocks, plane, cells = -(-p.o // SUMMED), p.oh * p.line + p.pitch, p.c * p.kh * p.kw
    tasks, filled = -(-p.n // p.s) * blocks, -1
    size = p.c * p.plane + p.kh * p.line + p.kw * p.s + p.pitch
    for scratch, used in ((xs, size), (up, SUMMED * plane), (gw, blocks * SUMMED * cells + p.o)):
        for e in range(U(used)):
            scratch[e] = 0
    for task in range(t * tasks // chunks, (t + 1) * tasks // chunks):
        n0, o0 = task // blocks * p.s, task % blocks * SUMMED
        if n0 != filled:
            fill(x, n0, (p.c, p.h, p.w), 0, p.c, xs, (p.ph * p.line + p.pw * p.s, p.plane), p)
            filled = n0
        o1 = min(o0 + SUMMED, p.o)
        fill(gy, n0, (p.o, p.oh, p.ow), o0, o1, up, (0, plane), p)
        for o in range(o0, o1):
            total = gw.dtype.type(0)
            for e in range(U((o - o0) * plane), U((o - o0 + 1) * plane)):
                total += up[e]
            gw[blocks * SUMMED * cells + o] += total
        for i0 in range(0, p.oh, p.rows):
            sums_piece(xs, i0, up, U(plane), gw, o0 * cells, min(p.rows, p.oh - i0), p)


@njit(parallel=True)
def _sums(chunks: int, gy: Array, x: Array, xs: Array, ys: Array, sums: Array, p: Plan) -> None:
    for t in prange(chunks):
        _sums_share(np.intp(t), chunks, gy, x, xs, ys, sums, p)


def backward_numba(gy: Array, x: Array | None, w: Array | None, g: Conv, need: Need) -> Gradients:
    """gx by the forward pass turned round; gw and gb parallel over groups of pictures and blocks of outputs."""
    gx = gw = gb = None
    if need[0] and w is not None:
        gx = forward_numba(gy, _turn(w), None, _turned(g))
    if need[1] and x is not None and gy.size:
        gw, gb = _of_weights(gy, x, g)
    elif need[1] and x is not None:
        gw = np.zeros(g.w_shape, gy.dtype)
    return gx, gw, (gy.sum((0, 2, 3)) if gb is None else gb) if need[2] else None


def _of_weights(gy: Array, x: Array, g: Conv) -> tuple[Array, Array]:
    x, gy = dense(x), dense(gy)
    last = is_channels_last(x)
    p, size = _plan(g, threads(), last), g.o * g.c * g.kh * g.kw
    whole = -(-g.o // SUMMED) * SUMMED * g.c * g.kh * g.kw
    with parallel():
        ys = workspace("registers gy", SUMMED * (p.oh * p.line + p.pitch), x.dtype)
        sums = workspace("registers gw", whole + g.o, x.dtype)
        _sums(threads(), flat(as_order(gy, last)), flat(x), _pictures(p, x.dtype), ys, sums, p)
        total = sums.sum(0)
    return total[:size].reshape(g.w_shape), total[whole : whole + g.o].copy()
