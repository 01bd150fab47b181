"""Winograd's minimal filtering."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import Conv
from ..layout import Array, as_order, dense, empty, flat, is_channels_last
from ..runtime import njit, parallel, prange, threads, workspace
from .direct import Gradients, Need
from .winograd_tiles import U, input_strip, output_strip, place, upstream_strip, weight, weight_gradient

# B^T, G and A^T of F(2, 3) and F(4, 3): see the docstring.
MATRICES: dict[int, tuple[Array, Array, Array]] = {
    2: (
        np.array([[1.0, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
        np.array([[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]]),
        np.array([[1.0, 1, 1, 0], [0, 1, -1, -1]]),
    ),
    4: (
        np.array(
            [
                [4.0, 0, -5, 0, 1, 0],
                [0, -4, -4, 1, 1, 0],
                [0, 4, -4, -1, 1, 0],
                [0, -2, -1, 2, 1, 0],
                [0, 2, -1, -2, 1, 0],
                [0, 4, 0, -5, 0, 1],
            ]
        ),
        np.array(
            [
                [1 / 4, 0, 0],
                [-1 / 6, -1 / 6, -1 / 6],
                [-1 / 6, 1 / 6, -1 / 6],
                [1 / 24, 1 / 12, 1 / 6],
                [1 / 24, -1 / 12, 1 / 6],
                [0, 0, 1],
            ]
        ),
        np.array([[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]),
    ),
}


def supports(g: Conv) -> bool:
    """3x3 kernels with stride and dilation 1, padded by 2 at most: with more, gx would need a negative padding."""
    return (g.kh, g.kw, g.sh, g.sw, g.dh, g.dw) == (3, 3, 1, 1, 1, 1) and g.ph <= 2 and g.pw <= 2


def tile(g: Conv) -> int:
    """m, the side of an output tile: of 2 and 4, the one with fewer products, (m + 2)^2 for each tile begun."""
    return min((4, 2), key=lambda m: -(-g.oh // m) * -(-g.ow // m) * (m + 2) ** 2)


def multiplications(g: Conv) -> int:
    """Real multiplications of the forward pass, but for those by the constants of the transforms, as in the paper."""
    m = tile(g)
    return g.n * g.o * (g.c // g.groups) * -(-g.oh // m) * -(-g.ow // m) * (m + 2) ** 2


def transposed(g: Conv) -> Conv:
    """The geometry of gx as a convolution of gy: channels exchanged, 2 - padding."""
    return g._replace(c=g.o, h=g.oh, w=g.ow, o=g.c, oh=g.h, ow=g.w, ph=2 - g.ph, pw=2 - g.pw)


def turned(w: Array, g: Conv) -> Array:
    """The weights of gx as a convolution of gy: turned by half a circle, channels exchanged within their group."""
    wg = w.reshape(g.groups, g.o // g.groups, g.c // g.groups, 3, 3)[..., ::-1, ::-1]
    return wg.transpose(0, 2, 1, 3, 4).reshape(g.c, g.o // g.groups, 3, 3)  # (G, O/G, C/G, 3, 3) -> (C, O/G, 3, 3)


# ------------------------------------------------------------------------------------------------------------- python


def _cut(x: Array, n: int, c: int, p: int, q: int, size: int) -> Array:
    """size x size pixels from (p, q) in float64, zero outside the picture."""
    d = np.zeros((size, size))
    for a in range(size):
        for b in range(size):
            if 0 <= p + a < x.shape[2] and 0 <= q + b < x.shape[3]:
                d[a, b] = x[n, c, p + a, q + b]
    return d


def forward_python(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Tile by tile: transform, multiply and add over the channels, transform back."""
    m, y = tile(g), np.empty(g.y_shape, x.dtype)
    bt, gm, at = MATRICES[m]
    cg, og = g.c // g.groups, g.o // g.groups
    for n, i, j in np.ndindex(g.n, -(-g.oh // m), -(-g.ow // m)):
        v = [bt @ _cut(x, n, c, i * m - g.ph, j * m - g.pw, m + 2) @ bt.T for c in range(g.c)]
        for o in range(g.o):
            total = np.zeros((m + 2, m + 2))
            for c in range(cg):
                total += (gm @ w[o, c] @ gm.T) * v[o // og * cg + c]
            out = at @ total @ at.T + (0.0 if b is None else b[o])
            rows, columns = min(m, g.oh - i * m), min(m, g.ow - j * m)
            y[n, o, i * m : i * m + rows, j * m : j * m + columns] = out[:rows, :columns]
    return y


def backward_python(gy: Array, x: Array | None, w: Array | None, g: Conv, need: Need) -> Gradients:
    """gx is a forward pass; gw tile by tile with the transposed transforms."""
    gx = forward_python(gy, turned(w, g), None, transposed(g)) if need[0] and w is not None else None
    gw, gb, m = np.zeros(g.w_shape), np.zeros(g.o), tile(g)
    bt, gm, at = MATRICES[m]
    cg, og = g.c // g.groups, g.o // g.groups
    for o in range(g.o):
        gb[o] = sum(float(v) for v in gy[:, o].ravel())
        for c in range(cg if need[1] and x is not None else 0):
            total = np.zeros((m + 2, m + 2))
            for n, i, j in np.ndindex(g.n, -(-g.oh // m), -(-g.ow // m)):
                d = _cut(x, n, o // og * cg + c, i * m - g.ph, j * m - g.pw, m + 2)  # type: ignore[arg-type]
                total += (bt @ d @ bt.T) * (at.T @ _cut(gy, n, o, i * m, j * m, m) @ at)
            gw[o, c] = gm.T @ total @ gm
    return gx, gw.astype(gy.dtype) if need[1] else None, gb.astype(gy.dtype) if need[2] else None


# -------------------------------------------------------------------------------------------------------------- numpy


def _tiles(x: Array, top: int, left: int, m: int, size: int, grid: tuple[int, int]) -> Array:
    """All tiles of size x size, m apart, the first at pixel (-top, -left): (N, C, TH, TW, size, size)."""
    (th, tw), (h, w) = grid, x.shape[2:]
    down, right = (th - 1) * m + size - top - h, (tw - 1) * m + size - left - w
    xp = np.pad(x, ((0, 0), (0, 0), (top, max(0, down)), (left, max(0, right))))
    n, c, p, q = xp.strides
    return np.lib.stride_tricks.as_strided(xp, (*x.shape[:2], th, tw, size, size), (n, c, p * m, q * m, p, q))


def _by_frequency(tiles: Array, matrix: Array, groups: int) -> Array:
    """matrix @ tile @ matrix^T of every tile, then (N, C, TH, TW, a, a) -> (G, a*a, N*TH*TW, C/G)."""
    v = matrix @ tiles @ matrix.T
    n, c, th, tw, a, _ = v.shape
    v = v.reshape(n, groups, c // groups, th, tw, a * a)  # -> (N, G, C/G, TH, TW, a*a)
    return v.transpose(1, 5, 0, 3, 4, 2).reshape(groups, a * a, n * th * tw, c // groups)


def forward_numpy(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """All tiles at once; the sum over the channels is (m + 2)^2 matrix products."""
    m = tile(g)
    bt, gm, at = (a.astype(x.dtype) for a in MATRICES[m])
    grid = th, tw = -(-g.oh // m), -(-g.ow // m)
    v = _by_frequency(_tiles(x, g.ph, g.pw, m, m + 2, grid), bt, g.groups)  # (G, a*a, T, C/G)
    u = (gm @ w @ gm.T).reshape(g.groups, g.o // g.groups, g.c // g.groups, (m + 2) ** 2)  # (O, C/G, a, a) ->
    products = v @ u.transpose(0, 3, 2, 1)  # (G, a*a, T, C/G) @ (G, a*a, C/G, O/G)
    products = products.reshape(g.groups, m + 2, m + 2, g.n, th, tw, g.o // g.groups)
    y = at @ products.transpose(3, 0, 6, 4, 5, 1, 2) @ at.T  # (N, G, O/G, TH, TW, m, m)
    y = y.transpose(0, 1, 2, 3, 5, 4, 6).reshape(g.n, g.o, th * m, tw * m)[:, :, : g.oh, : g.ow]
    return np.ascontiguousarray(y) if b is None else y + b[:, None, None]


def backward_numpy(gy: Array, x: Array | None, w: Array | None, g: Conv, need: Need) -> Gradients:
    """gx is a forward pass; gw is (m + 2)^2 products, of the transformed tiles of x and of gy."""
    gx = forward_numpy(gy, turned(w, g), None, transposed(g)) if need[0] and w is not None else None
    gw = None
    if need[1] and x is not None:
        m = tile(g)
        bt, gm, at = (a.astype(gy.dtype) for a in MATRICES[m])
        grid = -(-g.oh // m), -(-g.ow // m)
        v = _by_frequency(_tiles(x, g.ph, g.pw, m, m + 2, grid), bt, g.groups)
        up = _by_frequency(_tiles(gy, 0, 0, m, m, grid), at.T, g.groups)
        gu = up.transpose(0, 1, 3, 2) @ v  # (G, a*a, O/G, T) @ (G, a*a, T, C/G)
        gu = gu.transpose(0, 2, 3, 1).reshape(g.o, g.c // g.groups, m + 2, m + 2)  # (G, O/G, C/G, a*a) ->
        gw = gm.T @ gu @ gm
    return gx, gw, gy.sum((0, 2, 3)) if need[2] else None


# -------------------------------------------------------------------------------------------------------------- numba

_BLOCK = 1 << 20  # bytes of transformed tiles in a block: half of a common second-level cache
_WIDTH = 64  # output channels in a product
_SMALL = 1000000  # multiplications in a product up to which OpenBLAS does without packing its operands
_WIDE = 1 << 14  # C*O of a group beyond which the transformed weights are too large to be read for every block of tiles
_DEEP = 16 << 20  # bytes of transformed tiles in and out together, where the weights are so large


def _strip(channels: int) -> int:
    """Tiles side by side that are transformed together: about 128 numbers, so that a strip stays in the L1 cache."""
    return max(1, 128 // channels)


def _width(channels: int) -> int:
    """Output channels in a product: equal parts of at most _WIDTH."""
    return -(-channels // -(-channels // _WIDTH))


@njit()
def _weights_share(
    t: Any, chunks: int, w: Array, u: Array, g: Conv, m: int, width: int, turn: bool, rows: Array
) -> None:
    # G w G^T of the weights (O, C/G, 3, 3), or turned as gx needs them: per group and block of `width` output channels
    # (a*a, C/G, width). A task is a few input channels of such a block.
    cg, og, a, few = g.c // g.groups, g.o // g.groups, m + 2, 8
    parts, blocks = (cg + few - 1) // few, (og + width - 1) // width
    tasks = g.groups * blocks * parts
    for task in range(t * tasks // chunks, (t + 1) * tasks // chunks):
        group, o0, c0 = task // parts // blocks, task // parts % blocks * width, task % parts * few
        o1, c1 = min(og, o0 + width), min(cg, c0 + few)
        wide, size = o1 - o0, (o1 - o0) * (c1 - c0)
        scratch, half = rows[t], rows[t, 9 * size :]
        for o in range(o0, o1):
            for c in range(c0, c1):
                at = U(((group * cg + c) * og + o) * 9 if turn else ((group * og + o) * cg + c) * 9)
                to = U((c - c0) * wide + o - o0)
                for k in range(U(9)):
                    scratch[to + k * U(size)] = w[at + (U(8) - k if turn else k)]
        weight(m, scratch, 0, 3 * size, half, 0, 3 * size, 3 * size)
        to = a * a * cg * (group * og + o0) + c0 * wide
        for i in range(a):
            weight(m, half, i * 3 * size, size, u, to + i * a * cg * wide, cg * wide, size)


@njit(parallel=True)
def _weights(chunks: int, w: Array, u: Array, g: Conv, m: int, width: int, turn: bool, rows: Array) -> None:
    for t in prange(chunks):
        _weights_share(np.intp(t), chunks, w, u, g, m, width, turn, rows)


@njit()
def _forward_share(
    t: Any,
    chunks: int,
    x: Array,
    u: Array,
    b: Array,
    y: Array,
    g: Conv,
    m: int,
    block: int,
    width: int,
    strips: tuple[int, int],
    last: bool,
    vs: Array,
    ms: Array,
    rows: Array,
) -> None:
    # A task is `block` tiles of one group: all its input channels, then `width` output channels at a time.
    cg, og, aa = g.c // g.groups, g.o // g.groups, (m + 2) * (m + 2)
    grid = (g.oh + m - 1) // m, (g.ow + m - 1) // m
    tiles = g.n * grid[0] * grid[1]
    blocks = (tiles + block - 1) // block
    tasks = g.groups * blocks
    v, products, scratch = vs[t], ms[t], rows[t]
    for task in range(t * tasks // chunks, (t + 1) * tasks // chunks):
        group, t0 = task // blocks, task % blocks * block
        t1 = min(tiles, t0 + block)
        size = t1 - t0
        at = t0
        while at < t1:
            n, i, j, wide = place(at, t1, grid, strips[0])
            to, p, q = (at - t0) * cg, i * m - g.ph, j * m - g.pw
            input_strip(m, x, (g.c, g.h, g.w), last, n, group * cg, cg, p, q, wide, v, to, size * cg, scratch)
            at += wide
        for o0 in range(0, og, width):
            few = min(og, o0 + width) - o0
            for e in range(aa):
                start = (aa * (group * og + o0) + e * few) * cg
                np.dot(
                    v[e * size * cg : (e + 1) * size * cg].reshape(size, cg),
                    u[start : start + cg * few].reshape(cg, few),
                    products[e * size * few : (e + 1) * size * few].reshape(size, few),
                )
            at = t0
            while at < t1:
                n, i, j, wide = place(at, t1, grid, strips[1])
                run, p, q, o = (at - t0) * few, i * m, j * m, group * og + o0
                output_strip(
                    m, products, run, size * few, wide, few, b, y, (g.o, g.oh, g.ow), last, n, o, p, q, scratch
                )
                at += wide


@njit(parallel=True)
def _forward(
    chunks: int,
    x: Array,
    u: Array,
    b: Array,
    y: Array,
    g: Conv,
    m: int,
    block: int,
    width: int,
    strips: tuple[int, int],
    last: bool,
    vs: Array,
    ms: Array,
    rows: Array,
) -> None:
    for t in prange(chunks):
        _forward_share(np.intp(t), chunks, x, u, b, y, g, m, block, width, strips, last, vs, ms, rows)


@njit()
def _deep_share(
    t: Any,
    chunks: int,
    stage: int,
    x: Array,
    u: Array,
    b: Array,
    y: Array,
    g: Conv,
    m: int,
    t0: int,
    t1: int,
    width: int,
    strips: tuple[int, int],
    last: bool,
    v: Array,
    products: Array,
    rows: Array,
) -> None:
    # Tiles t0..t1, in three stages with all shares at one stage: 0 and 2 divide the tiles, 1 the a*a products.
    # v (G, a*a, T, C/G), products (G, O/G blocks, a*a, T, width)
    cg, og, aa = g.c // g.groups, g.o // g.groups, (m + 2) * (m + 2)
    grid, size = ((g.oh + m - 1) // m, (g.ow + m - 1) // m), t1 - t0
    first, end = t0 + t * size // chunks, t0 + (t + 1) * size // chunks
    if stage == 1:
        most = max(16, _SMALL // (cg * width) // 8 * 8)
        for e in range(t * g.groups * aa // chunks, (t + 1) * g.groups * aa // chunks):
            group = e // aa
            for o0 in range(0, og, width):
                few = min(og, o0 + width) - o0
                start = aa * (group * og + o0) + e % aa * few
                for s0 in range(0, size, most):
                    s1 = min(size, s0 + most)
                    np.dot(
                        v[(e * size + s0) * cg : (e * size + s1) * cg].reshape(s1 - s0, cg),
                        u[start * cg : (start + few) * cg].reshape(cg, few),
                        products[start * size + s0 * few : start * size + s1 * few].reshape(s1 - s0, few),
                    )
        return
    for group in range(g.groups):
        for o0 in range(0, og if stage == 2 else 1, width):
            few = min(og, o0 + width) - o0
            at = first
            while at < end:
                n, i, j, wide = place(at, end, grid, strips[stage // 2])
                if stage == 0:
                    to, p, q = (group * aa * size + at - t0) * cg, i * m - g.ph, j * m - g.pw
                    input_strip(m, x, (g.c, g.h, g.w), last, n, group * cg, cg, p, q, wide, v, to, size * cg, rows[t])
                else:
                    o = group * og + o0
                    run = aa * o * size + (at - t0) * few
                    output_strip(
                        m,
                        products,
                        run,
                        size * few,
                        wide,
                        few,
                        b,
                        y,
                        (g.o, g.oh, g.ow),
                        last,
                        n,
                        o,
                        i * m,
                        j * m,
                        rows[t],
                    )
                at += wide


@njit(parallel=True)
def _deep(
    chunks: int,
    stage: int,
    x: Array,
    u: Array,
    b: Array,
    y: Array,
    g: Conv,
    m: int,
    t0: int,
    t1: int,
    width: int,
    strips: tuple[int, int],
    last: bool,
    v: Array,
    products: Array,
    rows: Array,
) -> None:
    for t in prange(chunks):
        _deep_share(np.intp(t), chunks, stage, x, u, b, y, g, m, t0, t1, width, strips, last, v, products, rows)


def _convolve(x: Array, w: Array, b: Array | None, g: Conv, turn: bool) -> Array:
    """The convolution of geometry g; `turn`: with the weights of the convolution that it is the gx of."""
    x, m, cg, og, dtype = dense(x), tile(g), g.c // g.groups, g.o // g.groups, x.dtype
    last, aa, width = is_channels_last(x), (m + 2) ** 2, _width(og)
    strips = _strip(cg), _strip(width)
    y = empty(g.y_shape, dtype, last)
    bias = np.zeros(g.o, dtype) if b is None else np.ascontiguousarray(b)
    tiles = g.n * -(-g.oh // m) * -(-g.ow // m)
    xs, ys = flat(x), flat(y)
    with parallel(blas=True):
        u = _shared("winograd weights", aa * cg * g.o, dtype)
        lane = max((strips[0] + 1) * cg, strips[1] * width)
        rows = workspace("winograd strip", max((m + 2 + m + 2) * m * lane, (9 + 3 * (m + 2)) * 8 * width), dtype)
        _weights(threads(), np.ascontiguousarray(w).reshape(-1), u, g, m, width, turn, rows)
        if cg * og <= _WIDE:
            block = max(16, _BLOCK // (aa * (cg + width) * x.itemsize))
            vs, ms = workspace("winograd v", aa * block * cg, dtype), workspace("winograd m", aa * block * width, dtype)
            _forward(threads(), xs, u, bias, ys, g, m, block, width, strips, last, vs, ms, rows)
            return y
        block = min(max(_DEEP // (aa * (g.c + g.o) * x.itemsize), 64), max(1, tiles))
        v, products = _shared("winograd v", aa * block * g.c, dtype), _shared("winograd m", aa * block * g.o, dtype)
        for t0 in range(0, tiles, block):
            t1 = min(tiles, t0 + block)
            for stage in range(3):
                _deep(threads(), stage, xs, u, bias, ys, g, m, t0, t1, width, strips, last, v, products, rows)
    return y


def _shared(name: str, size: int, dtype: Any) -> Array:
    """Scratch memory that all shares use, 1-d."""
    return workspace(name, -(-size // threads()), dtype).reshape(-1)


def forward_numba(x: Array, w: Array, b: Array | None, g: Conv) -> Array:
    """Parallel over blocks of tiles; gives y in the memory order of x."""
    return _convolve(x, w, b, g, False)


@njit()
def _transform_share(
    t: Any,
    chunks: int,
    gy: Array,
    x: Array,
    v: Array,
    up: Array,
    gb: Array,
    g: Conv,
    m: int,
    t0: int,
    t1: int,
    strips: tuple[int, int],
    last: bool,
    rows: Array,
) -> None:
    # Tiles t0..t1 of x and gy: v (G, a*a, T, C/G), up (G, a*a, T, O/G); gb[t] adds up gy
    cg, og, aa = g.c // g.groups, g.o // g.groups, (m + 2) * (m + 2)
    grid, size = ((g.oh + m - 1) // m, (g.ow + m - 1) // m), t1 - t0
    first, end = t0 + t * size // chunks, t0 + (t + 1) * size // chunks
    for group in range(g.groups):
        at = first
        while at < end:
            n, i, j, wide = place(at, end, grid, strips[0])
            to, p, q = (group * aa * size + at - t0) * cg, i * m - g.ph, j * m - g.pw
            input_strip(m, x, (g.c, g.h, g.w), last, n, group * cg, cg, p, q, wide, v, to, size * cg, rows[t])
            at += wide
        at = first
        while at < end:
            n, i, j, wide = place(at, end, grid, strips[1])
            to, p, q, o = (group * aa * size + at - t0) * og, i * m, j * m, group * og
            upstream_strip(
                m, gy, (g.o, g.oh, g.ow), last, n, o, og, p, q, wide, up, to, size * og, gb[t, o : o + og], rows[t]
            )
            at += wide


@njit(parallel=True)
def _transform(
    chunks: int,
    gy: Array,
    x: Array,
    v: Array,
    up: Array,
    gb: Array,
    g: Conv,
    m: int,
    t0: int,
    t1: int,
    strips: tuple[int, int],
    last: bool,
    rows: Array,
) -> None:
    for t in prange(chunks):
        _transform_share(np.intp(t), chunks, gy, x, v, up, gb, g, m, t0, t1, strips, last, rows)


@njit()
def _sum_share(
    t: Any, chunks: int, v: Array, up: Array, gu: Array, cg: int, og: int, size: int, add: bool, rows: Array
) -> None:
    # gu[e] (C/G, O/G) = or += v[e]^T up[e], for all e of all groups
    count = cg * og
    tasks = gu.size // count
    for e in range(t * tasks // chunks, (t + 1) * tasks // chunks):
        to = gu[e * count : (e + 1) * count]
        product = rows[t, :count] if add else to
        np.dot(
            v[e * size * cg : (e + 1) * size * cg].reshape(size, cg).T,
            up[e * size * og : (e + 1) * size * og].reshape(size, og),
            product.reshape(cg, og),
        )
        if add:
            for k in range(count):
                to[k] += product[k]


@njit(parallel=True)
def _sum(chunks: int, v: Array, up: Array, gu: Array, cg: int, og: int, size: int, add: bool, rows: Array) -> None:
    for t in prange(chunks):
        _sum_share(np.intp(t), chunks, v, up, gu, cg, og, size, add, rows)


@njit()
def _gradient_share(t: Any, chunks: int, gu: Array, gw: Array, g: Conv, m: int, few: int, rows: Array) -> None:
    # gw (O, C/G, 3, 3) = G^T gu G. A task is 64 output channels of a few input channels of a group.
    cg, og, a = g.c // g.groups, g.o // g.groups, m + 2
    parts = (cg + few - 1) // few
    tasks = g.groups * parts
    for task in range(t * tasks // chunks, (t + 1) * tasks // chunks):
        group, c0 = task // parts, task % parts * few
        c1 = min(cg, c0 + few)
        for o0 in range(0, og, 64):
            wide = min(og, o0 + 64) - o0
            size = (c1 - c0) * wide
            half, done = rows[t], rows[t, 3 * a * size :]
            for i in range(a):
                for c in range(c1 - c0):
                    at = ((group * a * a + i * a) * cg + c0 + c) * og + o0
                    weight_gradient(m, gu, at, cg * og, half, i * 3 * size + c * wide, size, wide)
            weight_gradient(m, half, 0, 3 * size, done, 0, 3 * size, 3 * size)
            for o in range(wide):
                to = U(((group * og + o0 + o) * cg + c0) * 9)
                for c in range(U(c1 - c0)):
                    for k in range(U(9)):
                        gw[to + c * U(9) + k] = done[U(o) + k * U(size) + c * U(wide)]


@njit(parallel=True)
def _gradient(chunks: int, gu: Array, gw: Array, g: Conv, m: int, few: int, rows: Array) -> None:
    for t in prange(chunks):
        _gradient_share(np.intp(t), chunks, gu, gw, g, m, few, rows)


_TILES = (
    3 << 20
)  # bytes of transformed tiles of x and gy together, as much as fits the second-level caches of two cores


def _weight_gradient(gy: Array, x: Array, g: Conv) -> tuple[Array, Array]:
    """gw and gb."""
    m, cg, og, dtype, last = tile(g), g.c // g.groups, g.o // g.groups, gy.dtype, is_channels_last(x)
    aa, tiles = (m + 2) ** 2, g.n * -(-g.oh // m) * -(-g.ow // m)
    block = max(64, _TILES // (aa * (g.c + g.o) * x.itemsize), min(cg, og))
    block = max(1, min(tiles, block))
    strips = _strip(cg), _strip(og)
    gw, few = empty(g.w_shape, dtype), 8
    with parallel(blas=True):
        v, up = _shared("winograd v", aa * block * g.c, dtype), _shared("winograd m", aa * block * g.o, dtype)
        gu = _shared("winograd weights", aa * cg * g.o, dtype)[: aa * cg * g.o]
        gb = workspace("winograd gb", g.o, dtype)
        gb[:] = 0
        lane = max((strips[0] + 1) * cg, strips[1] * og)
        rows = workspace(
            "winograd strip", max((m + 2 + m + 2) * m * lane, cg * og, (9 + 3 * (m + 2)) * few * 64), dtype
        )
        if not tiles:
            gu[:] = 0
        gys, xs = flat(gy), flat(x)
        for t0 in range(0, tiles, block):
            t1 = min(tiles, t0 + block)
            _transform(threads(), gys, xs, v, up, gb, g, m, t0, t1, strips, last, rows)
            _sum(threads(), v, up, gu, cg, og, t1 - t0, t0 > 0, rows)
        _gradient(threads(), gu, flat(gw), g, m, few, rows)
        return gw, gb[:, : g.o].sum(0)


def backward_numba(gy: Array, x: Array | None, w: Array | None, g: Conv, need: Need) -> Gradients:
    """gx is a forward pass; gw by blocks of tiles: transform in parallel over tiles, multiply over frequencies."""
    like = dense(gy if x is None else x)
    gy = as_order(gy, is_channels_last(like))
    gx = gw = gb = None
    if need[0] and w is not None:
        gx = _convolve(gy, w, None, transposed(g), True)
    if need[1] and x is not None:
        gw, gb = _weight_gradient(gy, like, g)
    elif need[2]:
        gb = gy.sum((0, 2, 3))
    return gx, gw, gb if need[2] else None
