"""The loops of one share: tiles over all rows of a group of images, for results and for the gradient of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Array, U
from ...geometry import Conv
from ...layout import as_order, flat, is_channels_last
from ...llvm import filled_up
from ...runtime import FAST, njit, parallel, prange, threads, workspace
from ...transpose import matrix
from .groups import GroupSizes, group_sizes
from .side_by_side import group, take
from .tile import BYTES, sums, tile


@njit()
def row(xs: Array, i: int, w: Array, b: Array, o0: int, acc: Array, p: GroupSizes) -> None:
    """Compute row i of outputs o0, o0 + 1, ... of all images of the group, a run of OW*S numbers, into acc."""
    lanes = BYTES // xs.itemsize
    width = p.vectors * lanes
    a0, a1 = max(0, p.ph - i), min(p.kh, p.ph + p.h - i)  # the other rows of the filter see only padding
    for e in range(0, p.ow * p.s, width):
        j0, j1 = e // p.s, (e + width - 1) // p.s  # the first and last pixel of the tile
        b0, b1 = max(0, p.pw - j1), min(p.kw, p.pw + p.w - j0)
        tile(
            p.outputs, p.vectors, xs, i * p.line + e, (p.plane, p.line, p.s), w, o0 * p.c * p.kh * p.kw,
            (p.c, a0, a1, b0, max(b0, b1), p.kh, p.kw), b, o0, p.outputs, acc, e, p.pitch,
            (2 * lanes, lanes, 2 * lanes, lanes),
        )  # fmt: skip


@njit()
def image(xs: Array, at: int, w: Array, b: Array, o0: int, y: Array, to: int, p: GroupSizes) -> None:
    """Compute outputs o0, o0 + 1, ... at all pixels of the group at xs[at], and write them from y[to] on.

    A tile is two vectors wide, and two rows high if it has four vectors. Where the last vector of a row, or the last
    two rows, would reach too far, they begin earlier, and some results are computed twice.
    """
    tall = p.vectors // 2
    second = min(p.wide, p.ow - p.wide)
    for k in range(0, p.oh, tall):
        i = min(k, p.oh - tall)
        a0, a1 = max(0, p.ph + 1 - tall - i), min(p.kh, p.ph + p.h - i)  # the other rows of the filter see only padding
        for e in range(0, p.ow, 2 * p.wide):
            j = min(e, p.ow - p.wide - second)
            b0, b1 = max(0, p.pw + 1 - p.wide - second - j), min(p.kw, p.pw + p.w - j)
            tile(
                p.outputs, p.vectors, xs, at + i * p.line + j * p.tap, (p.plane, p.line, p.tap), w,
                o0 * p.c * p.kh * p.kw, (p.c, a0, a1, b0, b1, p.kh, p.kw), b, o0, min(p.outputs, p.o - o0), y,
                to + (i * p.ow + j) * p.spot, p.pitch, (p.line, second * p.tap, p.ow * p.spot, second * p.spot),
            )  # fmt: skip


@njit()
def sums_of(xs: Array, up: Array, gw: Array, o0: int, p: GroupSizes) -> None:
    """Add to gw the products of gy, for outputs o0, o0 + 1, ..., with all channels and taps of x."""
    lanes, cells = BYTES // xs.itemsize, p.c * p.kh * p.kw
    run = -(-p.ow * p.s // lanes) * lanes
    rows, count = p.oh, run
    if run > p.line:  # the zeros after a row do not fill its last vector, so all rows are treated as one
        rows, count = 1, -(-p.oh * p.line // lanes) * lanes
    for i in range(0, rows, p.rows):
        for c in range(p.c):
            for a in range(p.kh):
                sums(
                    p.summed, p.kw, xs, c * p.plane + (i + a) * p.line, p.s, up, i * p.line, p.gap,
                    min(p.rows, rows - i), p.line, count, gw, o0 * cells + (c * p.kh + a) * p.kw, cells,
                )  # fmt: skip


@njit()
def _clear(scratch: Array, size: int) -> None:
    for e in range(U(size)):
        scratch[e] = 0


@njit()
def _tasks(t: Any, shares: int, size: int, p: GroupSizes) -> tuple[int, int, int, int]:
    """For share t: where the images of its groups begin and end, its first task, and the task after its last one.

    A task is a group and a block of `size` outputs.
    """
    blocks = -(-p.o // size)
    if p.wide == 1:
        n0, n1 = t * p.n // shares, (t + 1) * p.n // shares
        return n0, n1, 0, -(-(n1 - n0) // p.s) * blocks
    tasks = -(-p.n // p.s) * blocks
    return 0, p.n, t * tasks // shares, (t + 1) * tasks // shares


@njit()
def _forward_share(
    t: Any, shares: int, x: Array, w: Array, b: Array, y: Array, xs: Array, ys: Array, p: GroupSizes, q: GroupSizes
) -> None:
    xs, acc, whole, filled = xs[t], ys[t], p, -1
    blocks, size, padded = -(-whole.o // whole.outputs), whole.o * whole.oh * whole.ow, p.ph + p.pw > 0
    there = p.wide > 1 and not padded  # x already has the layout that the tiles need
    first, end, task0, task1 = _tasks(t, shares, whole.outputs, whole)
    for task in range(task0, task1):
        n0, o0 = first + task // blocks * whole.s, task % blocks * whole.outputs
        n1 = min(n0 + whole.s, end)
        p = whole if whole.wide != 1 or n1 - n0 == whole.s else q
        if n0 != filled and not there:
            if padded and (filled < 0 or p.s != whole.s):
                _clear(xs, p.images)
            group(x, n0, n1, (p.c, p.h, p.w), 0, p.c, acc, xs, (p.ph * p.line + p.pw * p.tap, p.plane), p)
            filled = n0
        if p.wide == 0:
            for i in range(p.oh):
                row(xs, i, w, b, o0, acc, p)
                take(acc, n0, n1, o0, i, y, p)
        elif p.wide == 1:
            image(xs, 0, w, b, o0, acc, o0 * p.pitch, p)
            if o0 + p.outputs >= p.o:
                matrix(acc, 0, p.s, size, p.s, y, n0 * size, size)
        elif there:
            image(x, n0 * p.c * p.plane, w, b, o0, y, n0 * size + o0 * p.pitch, p)
        else:
            image(xs, 0, w, b, o0, y, n0 * size + o0 * p.pitch, p)


@njit(parallel=True)
def _forward(
    shares: int, x: Array, w: Array, b: Array, y: Array, xs: Array, ys: Array, p: GroupSizes, q: GroupSizes
) -> None:
    for t in prange(shares):
        _forward_share(np.intp(t), shares, x, w, b, y, xs, ys, p, q)


def forward(x: Array, w: Array, b: Array | None, y: Array, g: Conv) -> None:
    """Compute y, which has the memory order of x."""
    p, q = group_sizes(g, threads(), is_channels_last(x), x.itemsize)
    weights, bias = _packed(w, p.outputs), np.zeros(filled_up(g.o, p.outputs), x.dtype)
    if b is not None:
        bias[: g.o] = b
    with parallel():
        xs = workspace("registers x", max(p.images, q.images), x.dtype)
        ys = workspace("registers y", max(p.results, q.results), x.dtype)
        _forward(threads(), flat(x), weights, bias, flat(y), xs, ys, p, q)


def _packed(w: Array, outputs: int) -> Array:
    """The weights of each block of outputs, with those of one tap side by side: (O', C*KH*KW, outputs), flat."""
    o, taps = w.shape[0], w.shape[1] * w.shape[2] * w.shape[3]
    whole = np.zeros((filled_up(o, outputs), taps), w.dtype)
    whole[:o] = w.reshape(o, taps)  # (O, C, KH, KW) -> (O, C*KH*KW)
    return whole.reshape(-1, outputs, taps).transpose(0, 2, 1).reshape(-1)


# gw: the images as above, and gy in rows as long as those of x. Every share has sums of its own.


@njit(fastmath=FAST)
def _sums_share(
    t: Any, shares: int, gy: Array, x: Array, xs: Array, ys: Array, sums: Array, p: GroupSizes, q: GroupSizes
) -> None:
    xs, up, gw, whole, filled = xs[t], ys[t], sums[t], p, -1
    blocks, cells = -(-whole.o // whole.summed), whole.c * whole.kh * whole.kw
    _clear(gw, blocks * whole.summed * cells + whole.o)
    first, end, task0, task1 = _tasks(t, shares, whole.summed, whole)
    for task in range(task0, task1):
        n0, o0 = first + task // blocks * whole.s, task % blocks * whole.summed
        n1, o1 = min(n0 + whole.s, end), min(o0 + whole.summed, whole.o)
        p = whole if whole.wide != 1 or n1 - n0 == whole.s else q
        stage = up[p.summed * p.gap :]
        if n0 != filled:
            if filled < 0 or p.s != whole.s:
                _clear(xs, p.images)  # zeros for the padding of x and for the columns beside gy
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
def _sums(shares: int, gy: Array, x: Array, xs: Array, ys: Array, sums: Array, p: GroupSizes, q: GroupSizes) -> None:
    for t in prange(shares):
        _sums_share(np.intp(t), shares, gy, x, xs, ys, sums, p, q)


def backward_w(gy: Array, x: Array, g: Conv) -> tuple[Array, Array]:
    """gw and gb."""
    x, gy = as_order(x, False), as_order(gy, False)
    (p, q), size = group_sizes(g, threads(), False, x.itemsize, True), g.o * g.c * g.kh * g.kw
    whole, stage = filled_up(g.o, p.summed) * g.c * g.kh * g.kw, max(g.h * g.w, g.oh * g.ow) * p.s
    with parallel():
        xs = workspace("registers x", max(p.images, q.images), x.dtype)
        ys = workspace("registers gy", max(p.summed * p.gap, q.summed * q.gap) + stage, x.dtype)
        sums = workspace("registers gw", whole + g.o, x.dtype)
        _sums(threads(), flat(gy), flat(x), xs, ys, sums, p, q)
        found = sums[:, : whole + g.o].sum(0)  # numbers behind these may be left from another geometry
    return found[:size].reshape(g.w_shape), found[whole : whole + g.o].copy()
