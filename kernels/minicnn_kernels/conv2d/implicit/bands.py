"""Implicit GEMM, compiled: a pass over images in bands of output rows. The mathematics is in `implicit/__init__.py`.

A task is a band of output rows of one image. The rows of x that the band sees are copied, because they need padding in
any case. They stay in the second-level cache, and the few rows under one output row in the first. Output channels are
taken VECTORS vectors at a time; weights, bias and sums are filled up with zeros to whole vectors. With groups, this is
done for the channels of each group of a band, one group after the other.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array, U
from ...layout import empty, flat
from ...llvm import LANES, filled_up
from ...runtime import njit, prange, threads, workspace
from .tile import HIGH, LOW, MIDDLE, VECTORS, tiles

_BAND = 1 << 18  # bytes of x in a band
_SOME = 1 << 14  # bytes of gy that stay in the first-level cache
_BLOCK = VECTORS * LANES


class Pass(NamedTuple):
    """A convolution whose results go to every DI-th row and DJ-th column of an image."""

    n: int
    groups: int
    c: int  # input channels and output channels of one group
    h: int
    w: int
    o: int
    kh: int
    kw: int
    sh: int
    sw: int
    top: int  # rows of zeros above the image; if negative, that many rows of the image are left out
    left: int
    oh: int  # height and width of the result
    ow: int
    rows: int  # height and width of the image that the result is part of
    columns: int
    i0: int  # output row i goes to row i0 + i*di
    di: int
    j0: int
    dj: int


class BandSizes(NamedTuple):
    """The sizes of the blocks into which a pass is cut."""

    band: int  # output rows of a task
    some: int  # output rows at a time, for gw
    wide: int  # computed output pixels of a row: whole tiles
    line: int  # the distance from row to row of x in a band
    outputs: int  # output channels, filled up to whole vectors
    high: int  # rows of a tile of gw


def band_sizes(p: Pass, itemsize: int) -> BandSizes:
    """The sizes of the blocks into which a pass is cut."""
    return _band_sizes(p, itemsize, threads())


@functools.lru_cache(4096)
def _band_sizes(p: Pass, itemsize: int, threads: int) -> BandSizes:
    wide, outputs = max(p.ow, LOW), filled_up(p.o, LANES)
    line = ((wide - 1) * p.sw + p.kw) * p.c
    band = max(1, min(p.oh, _BAND // max(1, line * p.sh * itemsize), -(-p.n * p.oh // (8 * threads))))
    some = max(1, min(band, _SOME // max(1, p.ow * min(outputs, _BLOCK) * itemsize)))
    high = min((HIGH, MIDDLE), key=lambda rows: filled_up(p.kw * p.c, rows))
    return BandSizes(band, some, wide, line, outputs, high)


@njit()
def fill(
    x: Array, n: int, channels: Any, h: int, w: int, first: int, rows: int, left: int, columns: int, pitch: int,
    to: Array,
) -> None:  # fmt: skip
    """Copy rows `first`.. of image n, each after `left` pixels of zeros: `columns` pixels in total, `pitch` numbers
    each. `channels` says which: the first one, how many, and how many the image has.
    """
    c0, c, every = channels
    q0, q1 = min(columns, max(0, left)), max(0, min(columns, left + w))
    for i in range(rows):
        r, line = first + i, i * columns * pitch
        inside = r >= 0 and r < h and q1 > q0
        end = q0 if inside else columns
        for e in range(U(line), U(line + end * pitch)):
            to[e] = 0
        if not inside:
            continue
        for e in range(U(line + q1 * pitch), U(line + columns * pitch)):
            to[e] = 0
        start, at = U(line + q0 * pitch), U(((n * h + r) * w + q0 - left) * every + c0)
        if pitch == c == every:
            for e in range(U((q1 - q0) * c)):
                to[start + e] = x[at + e]
            continue
        for j in range(U(q1 - q0)):
            for k in range(U(c)):
                to[start + j * U(pitch) + k] = x[at + j * U(every) + k]
            for k in range(U(c), U(pitch)):
                to[start + j * U(pitch) + k] = 0


@njit()
def take(row: Array, width: int, n: int, i: int, group: int, o0: int, y: Array, p: Pass) -> None:
    """Copy one output row of the channels o0.. of a group, (OW, width), to y."""
    for j in range(p.ow):
        to = U(place(n, i, j, group, p) + o0)
        for o in range(U(min(width, p.o - o0))):
            y[to + o] = row[U(j * width) + o]


@njit()
def place(n: int, i: int, j: int, group: int, p: Pass) -> int:
    """Where output pixel (i, j) of a group begins in y."""
    pixel = (n * p.rows + p.i0 + i * p.di) * p.columns + p.j0 + j * p.dj
    return (pixel * p.groups + group) * p.o


@njit()
def _forward_share(
    t: Any, shares: int, x: Array, w: Array, b: Array, y: Array, p: Pass, plan: BandSizes, xs: Array, ys: Array
) -> None:
    # w has (KH*KW*C, width) for each group and block of its output channels
    band, row, run = xs[t], ys[t], p.kw * p.c
    bands = (p.oh + plan.band - 1) // plan.band
    straight = p.o == plan.outputs and p.ow == plan.wide  # whole vectors: results are written to y directly
    for task in range(t * p.n * bands // shares, (t + 1) * p.n * bands // shares):
        n, i0 = task // bands, task % bands * plan.band
        i1 = min(p.oh, i0 + plan.band)
        rows, columns = (i1 - i0 - 1) * p.sh + p.kh, plan.line // p.c
        for group in range(p.groups):
            channels, first = (group * p.c, p.c, p.groups * p.c), group * plan.outputs
            fill(x, n, channels, p.h, p.w, i0 * p.sh - p.top, rows, p.left, columns, p.c, band)
            for o0 in range(0, plan.outputs, _BLOCK):
                width = min(_BLOCK, plan.outputs - o0)
                for i in range(i0, i1):
                    to, step = (place(n, i, 0, group, p) + o0, p.dj * p.groups * p.o) if straight else (0, width)
                    tiles(
                        LOW, width // LANES, plan.wide,
                        band, (i - i0) * p.sh * plan.line, p.sw * p.c, p.kh, plan.line, run, 1,
                        w, p.kh * run * (first + o0), run * width, width, b, first + o0, 0,
                        y if straight else row, to, step,
                    )  # fmt: skip
                    if not straight:
                        take(row, width, n, i, group, o0, y, p)


@njit(parallel=True)
def _forward(
    shares: int, x: Array, w: Array, b: Array, y: Array, p: Pass, plan: BandSizes, xs: Array, ys: Array
) -> None:
    for t in prange(shares):
        _forward_share(np.intp(t), shares, x, w, b, y, p, plan, xs, ys)


def _blocks(w: Array, outputs: int) -> Array:
    """Weights (G, KH, KW, C, O) in blocks of output channels: (K, width) for each group and block."""
    groups, k, o = w.shape[0], w.shape[1] * w.shape[2] * w.shape[3], w.shape[4]
    whole = np.zeros((groups, k, outputs), w.dtype)
    whole[:, :, :o] = w.reshape(groups, k, o)
    blocks = [whole[:, :, o0 : o0 + _BLOCK].reshape(groups, -1) for o0 in range(0, outputs, _BLOCK)]
    return np.concatenate(blocks, 1).reshape(-1)


def convolve(x: Array, w: Array, b: Array | None, y: Array, p: Pass) -> None:
    """Compute pass p of x with weights (G, KH, KW, C, O) into y; x and y are channels last."""
    plan = band_sizes(p, x.itemsize)
    bias = np.zeros((p.groups, plan.outputs), x.dtype)
    if b is not None:
        bias[:, : p.o] = b.reshape(p.groups, p.o)
    xs = workspace("implicit x", _band_size(p, plan), x.dtype)
    ys = workspace("implicit y", plan.wide * _BLOCK, x.dtype)
    _forward(threads(), flat(x), _blocks(w, plan.outputs), bias.reshape(-1), flat(y), p, plan, xs, ys)


def _band_size(p: Pass, plan: BandSizes) -> int:
    return ((plan.band - 1) * p.sh + p.kh) * plan.line + plan.high


@njit()
def add_pixels(gy: Array, at: int, pixels: int, pitch: int, to: Array, start: int) -> None:
    """Add the sum of `pixels` pixels, four at a time, to `pitch` channels."""
    wide, first = U(pitch), U(start)
    for j in range(0, pixels // 4 * 4, 4):
        a = U(at + j * pitch)
        for o in range(wide):
            to[first + o] += (gy[a + o] + gy[a + wide + o]) + (gy[a + U(2) * wide + o] + gy[a + U(3) * wide + o])
    for j in range(pixels // 4 * 4, pixels):
        a = U(at + j * pitch)
        for o in range(wide):
            to[first + o] += gy[a + o]


@njit()
def _weights_share(
    t: Any, shares: int, gy: Array, x: Array, sums: Array, p: Pass, plan: BandSizes, bias: bool, xs: Array, us: Array
) -> None:
    # sums[t]: for each group and block of its output channels (KH, run, width), where `run` is KW*C filled up to
    # tiles; then gb
    band, up, total, run = xs[t], us[t], sums[t], (p.kw * p.c + plan.high - 1) // plan.high * plan.high
    bands, straight = (p.oh + plan.band - 1) // plan.band, p.o == plan.outputs and p.groups == 1
    pitch, size = plan.outputs, p.kh * run * plan.outputs
    for e in range(U(p.groups * (size + pitch))):
        total[e] = 0
    for task in range(t * p.n * bands // shares, (t + 1) * p.n * bands // shares):
        n, i0 = task // bands, task % bands * plan.band
        i1 = min(p.oh, i0 + plan.band)
        rows = (i1 - i0 - 1) * p.sh + p.kh
        for group in range(p.groups):
            channels = group * p.c, p.c, p.groups * p.c
            fill(x, n, channels, p.h, p.w, i0 * p.sh - p.top, rows, p.left, plan.line // p.c, p.c, band)
            for e in range(U(rows * plan.line), U(rows * plan.line + plan.high)):
                band[e] = 0  # the last tile also reads numbers beyond the last window
            for i in range(i0, i1, plan.some):
                some, at = min(plan.some, i1 - i), (n * p.oh + i) * p.ow * pitch if straight else 0
                source = gy if straight else up
                if not straight:
                    fill(gy, n, (group * p.o, p.o, p.groups * p.o), p.oh, p.ow, i, some, 0, p.ow, pitch, up)
                if bias:
                    add_pixels(source, at, some * p.ow, pitch, total, p.groups * size + group * pitch)
                for o0 in range(0, pitch, _BLOCK):
                    width = min(_BLOCK, pitch - o0)
                    for a in range(p.kh):
                        to = group * size + (p.kh * o0 + a * width) * run
                        tiles(
                            plan.high, width // LANES, run,
                            band, ((i - i0) * p.sh + a) * plan.line, 1, some, p.sh * plan.line, p.ow, p.sw * p.c,
                            source, at + o0, p.ow * pitch, pitch, total, to, width, total, to, width,
                        )  # fmt: skip


@njit(parallel=True)
def _weights(
    shares: int, gy: Array, x: Array, sums: Array, p: Pass, plan: BandSizes, bias: bool, xs: Array, us: Array
) -> None:
    for t in prange(shares):
        _weights_share(np.intp(t), shares, gy, x, sums, p, plan, bias, xs, us)


def of_weights(gy: Array, x: Array, p: Pass, bias: bool) -> tuple[Array, Array]:
    """gw of the convolution p, and gb if `bias`; gy and x are channels last."""
    plan, dtype = band_sizes(p, x.itemsize), x.dtype
    run = filled_up(p.kw * p.c, plan.high)
    size = p.kh * run * plan.outputs
    xs = workspace("implicit x", _band_size(p, plan), dtype)
    us = workspace("implicit gy", plan.some * p.ow * plan.outputs, dtype)
    sums = workspace("implicit gw", p.groups * (size + plan.outputs), dtype)
    _weights(threads(), flat(gy), flat(x), sums, p, plan, bias, xs, us)
    total, gw = sums[:, : p.groups * (size + plan.outputs)].sum(0), empty((p.groups, p.o, p.c, p.kh, p.kw), dtype)
    for o0 in range(0, p.o, _BLOCK):
        width = min(_BLOCK, plan.outputs - o0)
        part = total[: p.groups * size].reshape(p.groups, size)[:, p.kh * run * o0 :][:, : p.kh * run * width]
        part = part.reshape(p.groups, p.kh, run, width)[:, :, : p.kw * p.c]
        part = part.reshape(p.groups, p.kh, p.kw, p.c, width).transpose(0, 4, 3, 1, 2)  # -> (G, width, C, KH, KW)
        gw[:, o0 : o0 + width] = part[:, : p.o - o0]
    gb = total[p.groups * size :].reshape(p.groups, plan.outputs)[:, : p.o]
    return gw.reshape(-1, p.c, p.kh, p.kw), gb.reshape(-1).copy()
