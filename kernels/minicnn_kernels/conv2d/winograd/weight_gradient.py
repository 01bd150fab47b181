"""Winograd's gradient of the weights, compiled, and gb with it. The mathematics is in `__init__.py`.

As in the forward pass (`forward.py`), there are two orders of the steps.

**Few channels, or many tiles.** Tiles are taken in blocks that fit the caches of two cores: all shares transform them,
then each share adds some of the (m + 2)^2 products to its sums.

**Many channels, few tiles.** The sums are larger than the tiles, so they are not written as a whole. First all tiles
are transformed; then a task is a block of output channels, whose products are transformed to gw at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arrays import Array, U
from ...geometry import Conv
from ...layout import as_order, empty, flat, is_channels_last
from ...runtime import njit, parallel, prange, single_blas, threads, workspace
from .forward import Blocking, few_channels, shared, strip, transform, width_of, worth_reordering
from .transforms import place, upstream_strip, weight_gradient
from .watch import noted, watch

_BLOCK = 3 << 20  # bytes of transformed tiles of x and gy in a block: they fit the second-level caches of two cores
_FEW_TILES = 48  # up to this many tiles, with many channels, the sums are larger than the tiles
_PART = 8  # input channels whose gradients are transformed together


@njit()
def _upstream_share(
    t: Any, shares: int, gy: Array, up: Array, gb: Array, g: Conv, plan: Blocking, t0: int, size: int, rows: Array
) -> None:
    # up is (G, O/G blocks, a*a, size, width); gb[t] is the sum of gy. A task is a tile.
    og, aa, m = g.o // g.groups, (plan.m + 2) * (plan.m + 2), plan.m
    grid = (g.oh + m - 1) // m, (g.ow + m - 1) // m
    end = t0 + (t + 1) * size // shares
    blocks = (og + plan.width - 1) // plan.width
    for block in range(g.groups * blocks):
        group, o0 = block // blocks, block % blocks * plan.width
        few, o, at = min(og, o0 + plan.width) - o0, group * og + o0, t0 + t * size // shares
        while at < end:
            n, i, j, wide = place(at, end, grid, plan.strip_out)
            to = o * aa * size + (at - t0) * few
            upstream_strip(
                m, gy, (g.o, g.oh, g.ow), plan.channels_last, n, o, few, i * m, j * m, wide, up, to, size * few,
                gb[t, o : o + few], rows[t]
            )  # fmt: skip
            at += wide


@njit(parallel=True)
def _upstream(
    shares: int, gy: Array, up: Array, gb: Array, g: Conv, plan: Blocking, t0: int, size: int, rows: Array
) -> None:
    for t in prange(shares):
        _upstream_share(np.intp(t), shares, gy, up, gb, g, plan, t0, size, rows)


@njit()
def _store(done: Array, gw: Array, g: Conv, group: int, o0: int, few: int, c0: int, c1: int) -> None:
    # done (3, 3, c1 - c0, few) -> gw (O, C/G, 3, 3)
    cg, og, wide = g.c // g.groups, g.o // g.groups, U(few)
    size = U((c1 - c0) * few)
    for o in range(U(few)):
        to = U(((group * og + o0) * cg + c0) * 9) + o * U(cg * 9)
        for c in range(U(c1 - c0)):
            for k in range(U(9)):
                gw[to + c * U(9) + k] = done[o + k * size + c * wide]


# ------------------------------------------------------------------------------------------------------- few channels


@njit()
def _sum_share(
    t: Any, shares: int, v: Array, up: Array, gu: Array, cg: int, og: int, size: int, add: bool, products: Array
) -> None:
    # gu[e] (C/G, O/G) = or += v[e]^T up[e]. A task is one e of one group.
    count = cg * og
    tasks = gu.size // count
    for e in range(t * tasks // shares, (t + 1) * tasks // shares):
        to = gu[e * count : (e + 1) * count]
        product = products[t, :count] if add else to
        np.dot(
            v[e * size * cg : (e + 1) * size * cg].reshape(size, cg).T,
            up[e * size * og : (e + 1) * size * og].reshape(size, og),
            product.reshape(cg, og),
        )
        if add:
            for k in range(count):
                to[k] += product[k]


@njit(parallel=True)
def _sum(shares: int, v: Array, up: Array, gu: Array, cg: int, og: int, size: int, add: bool, products: Array) -> None:
    for t in prange(shares):
        _sum_share(np.intp(t), shares, v, up, gu, cg, og, size, add, products)


@njit()
def _finish_share(t: Any, shares: int, gu: Array, gw: Array, g: Conv, plan: Blocking, rows: Array) -> None:
    # gw = G^T gu G. A task is a few input channels of a group.
    cg, og, a = g.c // g.groups, g.o // g.groups, plan.m + 2
    parts = (cg + _PART - 1) // _PART
    tasks = g.groups * parts
    for task in range(t * tasks // shares, (t + 1) * tasks // shares):
        group, c0 = task // parts, task % parts * _PART
        c1 = min(cg, c0 + _PART)
        size = (c1 - c0) * og
        half, done = rows[t], rows[t, 3 * a * size :]
        for i in range(a):
            at = ((group * a + i) * a * cg + c0) * og
            weight_gradient(plan.m, gu, at, cg * og, half, i * 3 * size, size, size)
        weight_gradient(plan.m, half, 0, 3 * size, done, 0, 3 * size, 3 * size)
        _store(done, gw, g, group, 0, og, c0, c1)


@njit(parallel=True)
def _finish(shares: int, gu: Array, gw: Array, g: Conv, plan: Blocking, rows: Array) -> None:
    for t in prange(shares):
        _finish_share(np.intp(t), shares, gu, gw, g, plan, rows)


# ------------------------------------------------------------------------------------------------------ many channels


@njit()
def _many_share(
    t: Any, shares: int, v: Array, up: Array, gw: Array, g: Conv, plan: Blocking, size: int, us: Array, rows: Array
) -> None:
    # A task is `width` output channels: products -> row (a, C/G, width) -> half (a, 3, C/G, width), a times -> gw
    cg, og, a = g.c // g.groups, g.o // g.groups, plan.m + 2
    blocks = (og + plan.width - 1) // plan.width
    tasks = g.groups * blocks
    for task in range(t * tasks // shares, (t + 1) * tasks // shares):
        group, o0 = task // blocks, task % blocks * plan.width
        few = min(og, o0 + plan.width) - o0
        count = cg * few
        half, row, done = us[t], us[t, 3 * a * count :], rows[t]
        for i in range(a):
            for k in range(a):
                e = i * a + k
                at, run = (group * a * a + e) * size * cg, ((group * og + o0) * a * a + e * few) * size
                np.dot(
                    v[at : at + size * cg].reshape(size, cg).T,
                    up[run : run + size * few].reshape(size, few),
                    row[k * count : (k + 1) * count].reshape(cg, few),
                )
            weight_gradient(plan.m, row, 0, count, half, 3 * i * count, count, count)
        for c0 in range(0, cg, _PART):
            c1 = min(cg, c0 + _PART)
            part = (c1 - c0) * few
            for b in range(3):
                weight_gradient(plan.m, half, b * count + c0 * few, 3 * count, done, b * part, 3 * part, part)
            _store(done, gw, g, group, o0, few, c0, c1)


@njit(parallel=True)
def _many(
    shares: int, v: Array, up: Array, gw: Array, g: Conv, plan: Blocking, size: int, us: Array, rows: Array
) -> None:
    for t in prange(shares):
        _many_share(np.intp(t), shares, v, up, gw, g, plan, size, us, rows)


# ------------------------------------------------------------------------------------------------------------- driver


def gradient(gy: Array, x: Array, g: Conv, m: int, careful: bool = True) -> tuple[Array, Array] | None:
    """gw and gb, for gy in the memory order of x; with `careful`, None if there are suspicious tiles."""
    if worth_reordering(x):
        with parallel():
            gy, x = as_order(gy, True), as_order(x, True)
    cg, og, a, dtype, channels_last = g.c // g.groups, g.o // g.groups, m + 2, gy.dtype, is_channels_last(x)
    tiles, per_tile = g.n * -(-g.oh // m) * -(-g.ow // m), a * a * (g.c + g.o) * x.itemsize
    many = not few_channels(cg, og) and 0 < tiles <= _FEW_TILES
    width = width_of(cg, og) if many else og
    block = max(1, tiles if many else min(tiles, max(64, min(cg, og), _BLOCK // per_tile)))
    plan = Blocking(m, channels_last, False, block, width, strip(cg), strip(width))
    gw, gys, xs = empty(g.w_shape, dtype), flat(gy), flat(x)
    with parallel(), single_blas():
        v, up = shared("winograd v", a * a * block * g.c, dtype), shared("winograd up", a * a * block * g.o, dtype)
        gb, total = workspace("winograd gb", g.o, dtype), np.zeros(g.o)
        lane = max((plan.strip_in + 1) * cg, plan.strip_out * width)
        rows = workspace("winograd strip", max(2 * a * m * lane, (9 + 3 * a) * _PART * width), dtype)
        us = workspace("winograd u", 4 * a * cg * width if many else cg * og, dtype)
        watched = watch(rows)
        gu = shared("winograd sums", 0 if many else a * a * cg * g.o, dtype)
        gu = gu[: a * a * cg * g.o]
        if not tiles:
            gu[:] = 0
        for t0 in range(0, tiles, block):
            size = min(block, tiles - t0)
            transform(threads(), xs, v, g, plan, t0, size, rows, watched)
            if careful and noted(watched, dtype)[0]:
                return None
            gb[:] = 0
            _upstream(threads(), gys, up, gb, g, plan, t0, size, rows)
            total += gb[:, : g.o].sum(0, dtype=np.float64)
            if many:
                _many(threads(), v, up, flat(gw), g, plan, size, us, rows)
            else:
                _sum(threads(), v, up, gu, cg, og, size, t0 > 0, us)
        if not many:
            _finish(threads(), gu, flat(gw), g, plan, rows)
        return gw, total.astype(dtype)
