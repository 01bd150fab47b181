"""Winograd's convolution, compiled: the forward pass, and gx, which is a forward pass. The maths is in `__init__.py`.

The steps are the same for few channels and for many, but in another order. The size of the transformed weights,
(m + 2)^2 * C * O numbers, makes the difference:

**Few channels.** The weights are transformed once, and are small enough to be read again for every block of tiles. A
task is a block of tiles, from the pixels of x to those of y; everything in between stays in its core's cache.

**Many channels.** The transformed weights of 512 x 512 channels are 38 MB, four times the weights themselves. Memory is
slower than arithmetic, so they are never written as a whole. First all tiles are transformed; then a task is a block of
output channels, whose transformed weights stay in the cache, one row of frequencies at a time.

In both cases every array is cut so that the operands of `np.dot` are contiguous. The products are small: up to a
million multiplications, which OpenBLAS does without copying its operands first, at 120 GFLOP/s a core instead of 80.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array, U
from ...geometry import Conv
from ...layout import as_order, dense, empty, flat, is_channels_last
from ...runtime import njit, parallel, prange, single_blas, threads, workspace
from .transforms import input_strip, output_strip, place, weight
from .watch import Watch, largest, look, noted, watch

_FEW = 1 << 14  # up to this C/G * O/G a group has few channels
_BLOCK = 1 << 20  # bytes of transformed tiles in a block: half of a common second-level cache
_WIDTH = 64  # output channels at a time
_SMALL = 1000000  # the most multiplications in a product
_TILES = 256  # tiles at a time if there are many channels
_REORDER = 16  # from this many channels on, NCHW images are reordered as a whole
_PART = 8  # input channels whose weights are transformed together


class Blocking(NamedTuple):
    """How the work of a geometry is cut into blocks."""

    m: int  # the side of a tile of y
    channels_last: bool
    turn: bool  # this is gx of another convolution, and the weights are those of that one
    block: int  # tiles at a time
    width: int  # output channels at a time
    strip_in: int  # tiles of x transformed together
    strip_out: int  # tiles of y transformed together


def strip(channels: int) -> int:
    """How many neighbouring tiles are transformed together: about 128 numbers, so that a strip stays in the L1."""
    return max(1, 128 // channels)


def equal_parts(size: int, most: int) -> int:
    """The size of the parts if `size` is cut into equal parts of at most `most`."""
    return -(-size // -(-size // most))


def width_of(cg: int, og: int) -> int:
    """Output channels at a time: with 256 input channels or more, so many that their transformed weights fit the L2."""
    return equal_parts(og, _WIDTH if cg <= 256 else _WIDTH // 2)


def few_channels(cg: int, og: int) -> bool:
    """Whether a group is computed as described for few channels."""
    return cg * og <= _FEW


def shared(name: str, size: int, dtype: Any) -> Array:
    """Scratch memory that all shares use, 1-d."""
    return workspace(name, -(-size // threads()), dtype).reshape(-1)


@njit()
def _columns(
    t: int, w: Array, g: Conv, plan: Blocking, group: int, o0: int, o1: int, c0: int, c1: int, scratch: Array,
    dst: Array, to: int, out: int, watch: Watch,
) -> None:  # fmt: skip
    # Apply G to the columns of the weights of channels o0..o1 and c0..c1 of a group: dst[to + (3*i + b)*out + (c, o)]
    cg, og, wide, size = g.c // g.groups, g.o // g.groups, o1 - o0, (o1 - o0) * (c1 - c0)
    for o in range(o0, o1):
        for c in range(c0, c1):
            at = U(((group * cg + c) * og + o) * 9 if plan.turn else ((group * og + o) * cg + c) * 9)
            cell = U((c - c0) * wide + o - o0)
            for k in range(U(9)):
                scratch[cell + k * U(size)] = w[at + (U(8) - k if plan.turn else k)]
    watch.seen[t, 1] = max(watch.seen[t, 1], largest(watch.bits[t], watch.limits[0], 0, 9 * size))
    for b in range(3):
        weight(plan.m, scratch, b * size, 3 * size, dst, to + b * out, 3 * out, size)


# ------------------------------------------------------------------------------------------------------- few channels


@njit()
def _weights_share(t: Any, shares: int, w: Array, u: Array, g: Conv, plan: Blocking, rows: Array, watch: Watch) -> None:
    # u has (a*a, C/G, width) for each group and block of `width` output channels. A task is a few input channels of a
    # block.
    cg, og, a = g.c // g.groups, g.o // g.groups, plan.m + 2
    parts, blocks = (cg + _PART - 1) // _PART, (og + plan.width - 1) // plan.width
    tasks = g.groups * blocks * parts
    for task in range(t * tasks // shares, (t + 1) * tasks // shares):
        group, o0, c0 = task // parts // blocks, task // parts % blocks * plan.width, task % parts * _PART
        o1, c1 = min(og, o0 + plan.width), min(cg, c0 + _PART)
        wide, size = o1 - o0, (o1 - o0) * (c1 - c0)
        half = rows[t, 9 * size :]
        _columns(t, w, g, plan, group, o0, o1, c0, c1, rows[t], half, 0, size, watch)
        to = a * a * cg * (group * og + o0) + c0 * wide
        for i in range(a):
            weight(plan.m, half, i * 3 * size, size, u, to + i * a * cg * wide, cg * wide, size)


@njit(parallel=True)
def _weights(shares: int, w: Array, u: Array, g: Conv, plan: Blocking, rows: Array, watch: Watch) -> None:
    for t in prange(shares):
        _weights_share(np.intp(t), shares, w, u, g, plan, rows, watch)


@njit()
def _few_share(
    t: Any, shares: int, x: Array, u: Array, b: Array, y: Array, g: Conv, plan: Blocking, vs: Array, ms: Array,
    rows: Array, watch: Watch,
) -> None:  # fmt: skip
    # A task is a block of tiles of one group: first all input channels, then `width` output channels at a time.
    cg, og, aa = g.c // g.groups, g.o // g.groups, (plan.m + 2) * (plan.m + 2)
    tiles = g.n * ((g.oh + plan.m - 1) // plan.m) * ((g.ow + plan.m - 1) // plan.m)
    blocks = (tiles + plan.block - 1) // plan.block
    tasks = g.groups * blocks
    v, products = vs[t], ms[t]
    for task in range(t * tasks // shares, (t + 1) * tasks // shares):
        group, t0 = task // blocks, task % blocks * plan.block
        size = min(tiles, t0 + plan.block) - t0
        _tiles_in(t, x, v, g, plan, group, t0, t0, t0 + size, size, rows[t], watch)
        for o0 in range(0, og, plan.width):
            few = min(og, o0 + plan.width) - o0
            for e in range(aa):
                start = (aa * (group * og + o0) + e * few) * cg
                np.dot(
                    v[e * size * cg : (e + 1) * size * cg].reshape(size, cg),
                    u[start : start + cg * few].reshape(cg, few),
                    products[e * size * few : (e + 1) * size * few].reshape(size, few),
                )
            _tiles_out(products, b, y, g, plan, group, o0, few, t0, size, rows[t])


@njit()
def _tiles_in(
    t: int, x: Array, v: Array, g: Conv, plan: Blocking, group: int, t0: int, first: int, end: int, size: int,
    scratch: Array, watch: Watch
) -> None:  # fmt: skip
    # Transform tiles first..end of a group to v (a*a, size, C/G), which begins with tile t0
    cg, at, grid = g.c // g.groups, first, ((g.oh + plan.m - 1) // plan.m, (g.ow + plan.m - 1) // plan.m)
    while at < end:
        n, i, j, wide = place(at, end, grid, plan.strip_in)
        p, q, to = i * plan.m - g.ph, j * plan.m - g.pw, (at - t0) * cg
        input_strip(
            plan.m, x, (g.c, g.h, g.w), plan.channels_last, n, group * cg, cg, p, q, wide, v, to, size * cg, scratch
        )
        high, columns = min(plan.m, g.oh - i * plan.m), g.ow - j * plan.m
        look(watch.bits[t], watch.limits, plan.m, wide, cg, high, columns, watch.seen[t])
        at += wide


@njit()
def _tiles_out(
    products: Array, b: Array, y: Array, g: Conv, plan: Blocking, group: int, o0: int, few: int, t0: int, size: int,
    scratch: Array
) -> None:  # fmt: skip
    # Transform products (a*a, size, few) back to tiles t0.. of y, output channels o0.. of a group
    at, grid = t0, ((g.oh + plan.m - 1) // plan.m, (g.ow + plan.m - 1) // plan.m)
    while at < t0 + size:
        n, i, j, wide = place(at, t0 + size, grid, plan.strip_out)
        p, q, run, o = i * plan.m, j * plan.m, (at - t0) * few, group * (g.o // g.groups) + o0
        output_strip(
            plan.m, products, run, size * few, wide, few, b, y, (g.o, g.oh, g.ow), plan.channels_last, n, o, p, q,
            scratch,
        )  # fmt: skip
        at += wide


@njit(parallel=True)
def _few(
    shares: int, x: Array, u: Array, b: Array, y: Array, g: Conv, plan: Blocking, vs: Array, ms: Array, rows: Array,
    watch: Watch
) -> None:  # fmt: skip
    for t in prange(shares):
        _few_share(np.intp(t), shares, x, u, b, y, g, plan, vs, ms, rows, watch)


# ------------------------------------------------------------------------------------------------------ many channels


@njit()
def _in_share(
    t: Any, shares: int, x: Array, v: Array, g: Conv, plan: Blocking, t0: int, size: int, rows: Array, watch: Watch
) -> None:
    # v (G, a*a, size, C/G). A task is a tile.
    per = (plan.m + 2) * (plan.m + 2) * size * (g.c // g.groups)
    first, end = t0 + t * size // shares, t0 + (t + 1) * size // shares
    for group in range(g.groups):
        _tiles_in(t, x, v[group * per :], g, plan, group, t0, first, end, size, rows[t], watch)


@njit(parallel=True)
def transform(
    shares: int, x: Array, v: Array, g: Conv, plan: Blocking, t0: int, size: int, rows: Array, watch: Watch
) -> None:
    """The transformed tiles t0 .. t0 + size of x: v (G, a*a, size, C/G)."""
    for t in prange(shares):
        _in_share(np.intp(t), shares, x, v, g, plan, t0, size, rows, watch)


@njit()
def _many_share(
    t: Any, shares: int, v: Array, w: Array, b: Array, y: Array, g: Conv, plan: Blocking, t0: int, size: int, us: Array,
    ms: Array, rows: Array, watch: Watch
) -> None:  # fmt: skip
    # A task is `width` output channels: weights -> half (a, 3, C/G, width) -> row (a, C/G, width), a times
    cg, og, a = g.c // g.groups, g.o // g.groups, plan.m + 2
    blocks = (og + plan.width - 1) // plan.width
    tasks = g.groups * blocks
    products = ms[t]
    for task in range(t * tasks // shares, (t + 1) * tasks // shares):
        group, o0 = task // blocks, task % blocks * plan.width
        few = min(og, o0 + plan.width) - o0
        count, start = cg * few, group * a * a * size
        half, row = us[t], us[t, 3 * a * count :]
        for c0 in range(0, cg, _PART):
            c1 = min(cg, c0 + _PART)
            _columns(t, w, g, plan, group, o0, o0 + few, c0, c1, rows[t], half, c0 * few, count, watch)
        most = max(8, _SMALL // count // 8 * 8)
        for i in range(a):
            weight(plan.m, half, 3 * i * count, count, row, 0, count, count)
            for k in range(a):
                at = (i * a + k) * size
                for s0 in range(0, size, most):
                    s1 = min(size, s0 + most)
                    np.dot(
                        v[(start + at + s0) * cg : (start + at + s1) * cg].reshape(s1 - s0, cg),
                        row[k * count : (k + 1) * count].reshape(cg, few),
                        products[(at + s0) * few : (at + s1) * few].reshape(s1 - s0, few),
                    )
        _tiles_out(products, b, y, g, plan, group, o0, few, t0, size, rows[t])


@njit(parallel=True)
def _many(
    shares: int, v: Array, w: Array, b: Array, y: Array, g: Conv, plan: Blocking, t0: int, size: int, us: Array,
    ms: Array, rows: Array, watch: Watch,
) -> None:  # fmt: skip
    for t in prange(shares):
        _many_share(np.intp(t), shares, v, w, b, y, g, plan, t0, size, us, ms, rows, watch)


# ------------------------------------------------------------------------------------------------------------ drivers


def worth_reordering(x: Array) -> bool:
    """Whether to reorder all of x to channels-last memory first, if that is faster than to gather tiles from NCHW."""
    return not is_channels_last(x) and x.size > 0 and x.shape[1] >= _REORDER and x.shape[2] * x.shape[3] > 1


def convolve(x: Array, w: Array, b: Array | None, g: Conv, m: int, turn: bool) -> tuple[Array, bool, float]:
    """The convolution of geometry g; `turn`: it is gx of another convolution, and w has the weights of that one.

    Also returns whether there are suspicious tiles, and the largest magnitude of the weights.
    """
    x = dense(x)
    if worth_reordering(x):
        with parallel():
            x = as_order(x, True)
        y, suspicious, weights = convolve(x, w, b, g, m, turn)
        with parallel():
            return as_order(y, False), suspicious, weights
    cg, og, a, dtype = g.c // g.groups, g.o // g.groups, m + 2, x.dtype
    tiles, few = g.n * -(-g.oh // m) * -(-g.ow // m), few_channels(cg, og)
    width = width_of(cg, og)
    block = max(16, _BLOCK // (a * a * (cg + width) * x.itemsize)) if few else equal_parts(max(1, tiles), _TILES)
    channels_last = is_channels_last(x)
    plan = Blocking(m, channels_last, turn, block, width, strip(cg), strip(width))
    y = empty(g.y_shape, dtype, channels_last)
    bias = np.zeros(g.o, dtype) if b is None else np.ascontiguousarray(b)
    ws, xs, ys = as_order(w, False).reshape(-1), flat(x), flat(y)
    with parallel(), single_blas():
        lane = max((plan.strip_in + 1) * cg, plan.strip_out * width)
        rows = workspace("winograd strip", max(2 * a * m * lane, (9 + 3 * a) * _PART * width), dtype)
        ms = workspace("winograd m", a * a * block * width, dtype)
        watched = watch(rows)
        if few:
            u, vs = shared("winograd u", a * a * cg * g.o, dtype), workspace("winograd v", a * a * block * cg, dtype)
            _weights(threads(), ws, u, g, plan, rows, watched)
            _few(threads(), xs, u, bias, ys, g, plan, vs, ms, rows, watched)
            return y, *noted(watched, dtype)
        v, us = shared("winograd v", a * a * block * g.c, dtype), workspace("winograd u", 4 * a * cg * width, dtype)
        for t0 in range(0, tiles, block):
            size = min(block, tiles - t0)
            transform(threads(), xs, v, g, plan, t0, size, rows, watched)
            _many(threads(), v, ws, bias, ys, g, plan, t0, size, us, ms, rows, watched)
        return y, *noted(watched, dtype)
