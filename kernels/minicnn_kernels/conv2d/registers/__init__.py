"""Direct convolution of few channels: tiles of outputs and pixels, summed over all taps in registers.

Of the equations in `conv2d/__init__.py`, for stride 1, dilation 1, one group, and less padding than the kernel is
large. The picture is laid out flat, with its padding and WP = W + 2*PW columns. Then every tap of the kernel is a
*shift* of the whole picture by one number, and convolution is a sum of shifted vectors:

    y[o, i*WP + j] = b[o] + sum_{c, a, b} w[o, c, a, b] x[c, (i*WP + j) + (a*WP + b)]      all e = i*WP + j at once

with rows of any length as vectors of one long one. The last KW - 1 columns of each row of y would see pixels of two
rows, and are left out. gx is the same sum over gy with the kernel turned round, w[o, c,
KH-1-a, KW-1-b], channels and filters exchanged, and padding KH - 1 - PH, KW - 1 - PW. gw has a sum over e instead:

    gw[o, c, a, b] = sum_e gy[o, e] x[c, e + a*WP + b]                                   gy = 0 in the last columns

**What a core can do** (the roofline). A processor with AVX-512 starts two multiply-adds of 16 numbers per cycle, but
also only two loads, and one store; a load that is not aligned counts twice. One tap and one output at a time is 2
loads, a store and 1 multiply-add: bound by memory, even by the nearest. So each x loaded has to serve several outputs,
each weight several x, and no sum may leave its register before it is complete: a *tile* of results, 6 outputs times 4
vectors of e, is summed over all channels and taps at once. A step is 4 loads of x (8 with the unaligned) and 6 of
weights for 24 multiply-adds: 12 cycles of arithmetic and 7 of memory. gw keeps 4 outputs times 5 taps as sums in
registers; a step is 4 loads of gy and 5 of x (14 with the unaligned) for 20 multiply-adds: 10 cycles and 7.

Small pictures are taken several at a time, S of them side by side for each pixel, (C, HP, WP, S): a shift by one pixel
is then a shift by S, and rows are long enough for vectors. Best is as many as a vector has lanes: see the last part.

In gw a NaN or Inf of x meets the zeros in the last columns of gy, at taps that do not see it. A gw that is not finite
is therefore computed by `im2col.py` instead (`partial.checked`).

J. Zhang, F. Franchetti and T. M. Low, "High performance zero-memory overhead direct convolutions", 2018,
https://arxiv.org/abs/1809.10170. E. Georganas et al., "Anatomy of high-performance deep learning convolutions on SIMD
architectures", 2018, https://arxiv.org/abs/1808.05567. Pixels as the lanes of vectors are our own variant of theirs,
which have channels there.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ...geometry import Conv
from ...layout import Array, as_order, dense, empty, flat, is_channels_last
from ...llvm import filled_up
from ...runtime import FAST, njit, parallel, prange, threads, workspace
from ...sums import total
from ...transpose import matrix
from .. import im2col
from ..bias import sum_of_pixels
from ..direct import Gradients, Need, pad
from ..weights import checked
from .side_by_side import Plan, U, group, picture, row, sums_of, take
from .tile import BYTES, vectors_of


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
                gw[:, :, a, k] = total(wide @ under.transpose(0, 2, 1), (0,))[0]  # (N, O, length) @ (N, length, C)
        gw = checked(gw, lambda: im2col.backward_numpy(gy, x, None, g, (False, True, False))[1])
    return gx, gw, sum_of_pixels(gy) if need[2] else None


# -------------------------------------------------------------------------------------------------------------- numba
# A task is a group of S pictures and a block of outputs of it, as many as a tile has. There are three kinds of groups:
#
# - where rows of NCHW memory are a vector or longer, a picture by itself: its results go straight to y;
# - else, in a batch with enough pictures for all threads, as many as a vector has lanes. A vector is one pixel of all
#   of them, loads are aligned, and no result of a tile is thrown away. Going there and back is a transposition;
# - of a small batch, and of what is left over of a share of a large one, any number. Rows of pixels are cut into
#   vectors wherever these happen to end, and are copied to y one by one.

RUN = 512  # numbers in a row of a group of any S, at least, about: 8 of these vectors of float32 are 16 KB
GROUP = 100_000  # numbers in the pictures of a group, at most: 400 KB
SUMMED = 2000  # numbers of gy and output that are summed at once, about


def _block(count: int, *sizes: int) -> int:
    """The size of blocks that leaves least of the last one empty; of several the first."""
    return min(sizes, key=lambda size: -(-count // size) * size)


@functools.lru_cache(maxsize=256)
def _plans(g: Conv, chunks: int, last: bool, itemsize: int, sums: bool = False) -> tuple[Plan, Plan]:
    """The plan for whole groups, and that for what is left over of a share; `sums`: for gw."""
    lanes, size = BYTES // itemsize, g.c * (g.h + 2 * g.ph) * (g.w + 2 * g.pw)
    tall = g.oh >= vectors_of(_block(g.o, 8, 6, 4)) // 2  # as the tiles of `picture` are
    fewest, most = g.n // chunks, -(-g.n // chunks)
    direct = tall and not last and g.ow >= lanes
    if (sums or (tall and not direct)) and _together(g, chunks, lanes, sums):
        rest = max(1, fewest % lanes, most % lanes)
        return _plan(g, lanes, 1, last, itemsize), _plan(g, rest, 0, last, itemsize)
    if direct:
        whole = _plan(g, 1, lanes, last, itemsize)
        return whole, whole
    s = min(max(1, min(most, GROUP // size)), -(-RUN // g.ow))
    whole = _plan(g, -(-most // -(-most // s)), 0, last, itemsize)  # all groups of about the same size
    return whole, whole


def _together(g: Conv, chunks: int, lanes: int, sums: bool = False) -> bool:
    """Whether each share has pictures enough for the lanes of a vector, and these are small enough for the cache."""
    size = g.c * (g.h + 2 * g.ph) * (g.w + 2 * g.pw)
    results = min(4, g.o) * g.oh * g.w if sums else g.o * g.oh * g.ow
    return g.n // chunks >= lanes and lanes * (size + results) <= 2 * GROUP


def fills_tiles(g: Conv, gradient: str, last: bool, itemsize: int) -> bool:
    """Whether the forward pass, or gx, has tiles with next to nothing left out: those of pictures as lanes, or of rows
    that fill most of the two vectors that a tile is wide.
    """
    g, lanes = _turned(g) if gradient else g, BYTES // itemsize
    if last or g.ow < lanes:
        return _together(g, threads(), lanes)
    return g.ow >= 0.7 * filled_up(g.ow, 2 * lanes)


def _plan(g: Conv, s: int, wide: int, last: bool, itemsize: int) -> Plan:
    hp, wp, lanes = g.h + 2 * g.ph, g.w + 2 * g.pw, BYTES // itemsize
    outputs, summed = _block(g.o, 8, 6, 4), _block(g.o, 4, 3)
    vectors = vectors_of(outputs)
    if wide == 1 and last:  # (HP, WP, C, S) and (OH, OW, O, S)
        tap, line, plane, spot, pitch = g.c * s, wp * g.c * s, s, g.o * s, s
    else:  # (C, HP, WP, S) and (O, OH, OW, S), or rows of that
        tap, line, plane, spot, pitch = s, wp * s, hp * wp * s, s, g.oh * g.ow * s
    if outputs == 6 and wide == 0 and 0 < g.ow * s % (4 * lanes) <= 2 * lanes:
        vectors = 2  # less of the last tile of a row is left out
    reach = filled_up(g.ow * s, vectors * lanes)
    pictures = max(g.c * plane, hp * line) + g.kh * line + g.kw * tap + reach
    results = max(g.o * g.oh * g.ow, g.h * g.w * (g.c if last else 1)) * s if wide == 1 else outputs * reach
    return Plan(
        g.n, g.c, g.h, g.w, g.o, g.kh, g.kw, g.ph, g.pw, g.oh, g.ow, s, tap, line, plane, outputs, vectors, wide, spot,
        pitch if wide else reach, summed, filled_up(g.oh * line, lanes) + lanes, max(1, SUMMED // (g.ow * s)), pictures,
        results, last,
    )  # fmt: skip


@njit()
def _clear(scratch: Array, size: int) -> None:
    for e in range(U(size)):
        scratch[e] = 0


@njit()
def _tasks(t: Any, chunks: int, size: int, p: Plan) -> tuple[int, int, int, int]:
    """Of share t: the pictures that its groups begin and end with, its first task, and the one after its last.

    A task is a group and a block of `size` outputs.
    """
    blocks = -(-p.o // size)
    if p.wide == 1:
        n0, n1 = t * p.n // chunks, (t + 1) * p.n // chunks
        return n0, n1, 0, -(-(n1 - n0) // p.s) * blocks
    tasks = -(-p.n // p.s) * blocks
    return 0, p.n, t * tasks // chunks, (t + 1) * tasks // chunks


@njit()
def _forward_share(
    t: Any, chunks: int, x: Array, w: Array, b: Array, y: Array, xs: Array, ys: Array, p: Plan, q: Plan
) -> None:
    xs, acc, whole, filled = xs[t], ys[t], p, -1
    blocks, size, padded = -(-whole.o // whole.outputs), whole.o * whole.oh * whole.ow, p.ph + p.pw > 0
    there = p.wide > 1 and not padded  # already: x is as the tiles need it
    first, end, task0, task1 = _tasks(t, chunks, whole.outputs, whole)
    for task in range(task0, task1):
        n0, o0 = first + task // blocks * whole.s, task % blocks * whole.outputs
        n1 = min(n0 + whole.s, end)
        p = whole if whole.wide != 1 or n1 - n0 == whole.s else q
        if n0 != filled and not there:
            if padded and (filled < 0 or p.s != whole.s):
                _clear(xs, p.pictures)
            group(x, n0, n1, (p.c, p.h, p.w), 0, p.c, acc, xs, (p.ph * p.line + p.pw * p.tap, p.plane), p)
            filled = n0
        if p.wide == 0:
            for i in range(p.oh):
                row(xs, i, w, b, o0, acc, p)
                take(acc, n0, n1, o0, i, y, p)
        elif p.wide == 1:
            picture(xs, 0, w, b, o0, acc, o0 * p.pitch, p)
            if o0 + p.outputs >= p.o:
                matrix(acc, 0, p.s, size, p.s, y, n0 * size, size)
        elif there:
            picture(x, n0 * p.c * p.plane, w, b, o0, y, n0 * size + o0 * p.pitch, p)
        else:
            picture(xs, 0, w, b, o0, y, n0 * size + o0 * p.pitch, p)


@njit(parallel=True)
def _forward(chunks: int, x: Array, w: Array, b: Array, y: Array, xs: Array, ys: Array, p: Plan, q: Plan) -> None:
    for t in prange(chunks):
        _forward_share(np.intp(t), chunks, x, w, b, y, xs, ys, p, q)


def forward_numba(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Parallel over groups of pictures and blocks of outputs, vectorised along the rows."""
    x = dense(x)
    last = is_channels_last(x)
    y = empty(g.y_shape, x.dtype, last)
    if not y.size:
        return y
    p, q = _plans(g, threads(), last, x.itemsize)
    weights, bias = _packed(w, p.outputs), np.zeros(filled_up(g.o, p.outputs), x.dtype)
    if b is not None:
        bias[: g.o] = b
    with parallel():
        xs = workspace("registers x", max(p.pictures, q.pictures), x.dtype)
        ys = workspace("registers y", max(p.results, q.results), x.dtype)
        _forward(threads(), flat(x), weights, bias, flat(y), xs, ys, p, q)
    return y


def _packed(w: Array, outputs: int) -> Array:
    """The weights of each block of outputs by taps, those of one tap side by side: (O', C*KH*KW, outputs), flat."""
    o, taps = w.shape[0], w.shape[1] * w.shape[2] * w.shape[3]
    whole = np.zeros((filled_up(o, outputs), taps), w.dtype)
    whole[:o] = w.reshape(o, taps)  # (O, C, KH, KW) -> (O, C*KH*KW)
    return whole.reshape(-1, outputs, taps).transpose(0, 2, 1).reshape(-1)


# gw: the pictures as above, and gy with the lines of x. Every share has sums of its own.


@njit(fastmath=FAST)
def _sums_share(t: Any, chunks: int, gy: Array, x: Array, xs: Array, ys: Array, sums: Array, p: Plan, q: Plan) -> None:
    xs, up, gw, whole, filled = xs[t], ys[t], sums[t], p, -1
    blocks, cells = -(-whole.o // whole.summed), whole.c * whole.kh * whole.kw
    _clear(gw, blocks * whole.summed * cells + whole.o)
    first, end, task0, task1 = _tasks(t, chunks, whole.summed, whole)
    for task in range(task0, task1):
        n0, o0 = first + task // blocks * whole.s, task % blocks * whole.summed
        n1, o1 = min(n0 + whole.s, end), min(o0 + whole.summed, whole.o)
        p = whole if whole.wide != 1 or n1 - n0 == whole.s else q
        stage = up[p.summed * p.gap :]
        if n0 != filled:
            if filled < 0 or p.s != whole.s:
                _clear(xs, p.pictures)  # the padding, and the columns of gy that are none
                _clear(up, p.summed * p.gap)
            group(x, n0, n1, (p.c, p.h, p.w), 0, p.c, stage, xs, (p.ph * p.line + p.pw * p.tap, p.plane), p)
            filled = n0
        group(gy, n0, n1, (p.o, p.oh, p.ow), o0, o1, stage, up, (0, p.gap), p)
        for o in range(o0, o1):
            total = gw.dtype.type(0)
            for e in range(U((o - o0) * p.gap), U((o - o0 + 1) * p.gap)):
                total += up[e]
            gw[blocks * p.summed * cells + o] += total
        sums_of(xs, up, gw, o0, p)


@njit(parallel=True)
def _sums(chunks: int, gy: Array, x: Array, xs: Array, ys: Array, sums: Array, p: Plan, q: Plan) -> None:
    for t in prange(chunks):
        _sums_share(np.intp(t), chunks, gy, x, xs, ys, sums, p, q)


def backward_numba(gy: Array, x: Array | None, w: Array | None, g: Conv, need: Need) -> Gradients:
    """gx by the forward pass turned round; gw and gb parallel over groups of pictures and blocks of outputs."""
    gx = gw = gb = None
    if need[0] and w is not None:
        gx = forward_numba(gy, _turn(w), None, _turned(g))
    if need[1] and x is not None and gy.size:
        gw, gb = _of_weights(gy, x, g)
        gw = checked(gw, lambda: im2col.backward_numba(gy, x, None, g, (False, True, False))[1])
    elif need[1] and x is not None:
        gw = np.zeros(g.w_shape, gy.dtype)
    return gx, gw, (sum_of_pixels(gy) if gb is None else gb) if need[2] else None


def _of_weights(gy: Array, x: Array, g: Conv) -> tuple[Array, Array]:
    x, gy = as_order(x, False), as_order(gy, False)
    (p, q), size = _plans(g, threads(), False, x.itemsize, True), g.o * g.c * g.kh * g.kw
    whole, stage = filled_up(g.o, p.summed) * g.c * g.kh * g.kw, max(g.h * g.w, g.oh * g.ow) * p.s
    with parallel():
        xs = workspace("registers x", max(p.pictures, q.pictures), x.dtype)
        ys = workspace("registers gy", max(p.summed * p.gap, q.summed * q.gap) + stage, x.dtype)
        sums = workspace("registers gw", whole + g.o, x.dtype)
        _sums(threads(), flat(gy), flat(x), xs, ys, sums, p, q)
        found = sums[:, : whole + g.o].sum(0)  # what lies behind may be from another geometry
    return found[:size].reshape(g.w_shape), found[whole : whole + g.o].copy()
